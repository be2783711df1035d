//! Which heartbeats were published on a master, when, and which of them has a replica not heard?
//!
//! Pure. A stamp is this ledger's random id and a sequence number, no time: two proxies, or two routes of one, do not take
//! each other's heartbeats for theirs, and no clock but this process's is read. Only a heartbeat the master has acknowledged can be
//! missing: one that it has not is the master's trouble, not a replica's.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Heartbeats remembered: at 100 ms, more than any rule's patience. A missing one that is older is as old as the oldest.
const SENT_MAX: usize = 1_024;

/// One master's heartbeats, newest last; sequence numbers are consecutive.
#[derive(Debug)]
pub(super) struct Ledger {
    id: u64,
    next: u64,
    sent: VecDeque<Sent>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    sequence: u64,
    at: Instant,
    acknowledged: bool,
}

impl Ledger {
    /// `id` is random.
    pub(super) fn new(id: u64) -> Self {
        Self {
            id,
            next: 1,
            sent: VecDeque::new(),
        }
    }

    /// Enters one heartbeat and returns its number and its stamp.
    pub(super) fn send(&mut self, now: Instant) -> (u64, String) {
        let sequence = self.next;
        self.next += 1;
        if self.sent.len() >= SENT_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent {
            sequence,
            at: now,
            acknowledged: false,
        });
        (sequence, format!("{:016x}:{sequence}", self.id))
    }

    /// The master has published it.
    pub(super) fn acknowledge(&mut self, sequence: u64) {
        if let Some(index) = self.index(sequence) {
            self.sent[index].acknowledged = true;
        }
    }

    /// The newest number given out: what was sent before a replica was listened to is not missing there.
    pub(super) const fn newest(&self) -> u64 {
        self.next - 1
    }

    /// The number in a stamp of this ledger's; `None` for all other bytes.
    pub(super) fn read(&self, stamp: &[u8]) -> Option<u64> {
        let (id, sequence) = std::str::from_utf8(stamp).ok()?.split_once(':')?;
        let ours = id.len() == 16 && u64::from_str_radix(id, 16).ok()? == self.id;
        let sequence = sequence.parse().ok()?;
        (ours && sequence < self.next).then_some(sequence)
    }

    /// How long ago it was published, if it is remembered.
    pub(super) fn age(&self, sequence: u64, now: Instant) -> Option<Duration> {
        let index = self.index(sequence)?;
        Some(now.saturating_duration_since(self.sent[index].at))
    }

    /// Age of the oldest acknowledged heartbeat after `heard`, the last one that arrived. Those before it will not arrive any
    /// more: a stream has an order.
    pub(super) fn missing(&self, heard: u64, now: Instant) -> Option<Duration> {
        let from = self.sent.partition_point(|sent| sent.sequence <= heard);
        let oldest = self.sent.range(from..).find(|sent| sent.acknowledged)?;
        Some(now.saturating_duration_since(oldest.at))
    }

    fn index(&self, sequence: u64) -> Option<usize> {
        self.sent
            .binary_search_by_key(&sequence, |sent| sent.sequence)
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_stamp_is_read_back_by_its_own_ledger_only() {
        let now = Instant::now();
        let (mut ours, mut theirs) = (Ledger::new(7), Ledger::new(8));
        let (sequence, stamp) = ours.send(now);
        theirs.send(now);
        assert_eq!(ours.read(stamp.as_bytes()), Some(sequence));
        assert_eq!(theirs.read(stamp.as_bytes()), None);
        assert_eq!(
            ours.read(b"0000000000000007:2"),
            None,
            "not sent yet: nobody can have heard it"
        );
        assert_eq!(ours.read(b"7:1"), None);
        let later = now + Duration::from_millis(3);
        assert_eq!(ours.age(sequence, later), Some(Duration::from_millis(3)));
    }

    #[test]
    fn only_an_acknowledged_heartbeat_after_the_last_one_heard_is_missing() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut ledger = Ledger::new(7);
        for step in 0..4 {
            ledger.send(at(100 * step));
        }
        assert_eq!(ledger.missing(0, at(400)), None, "the master's trouble");
        ledger.acknowledge(1);
        ledger.acknowledge(3);
        assert_eq!(ledger.missing(0, at(400)), Some(Duration::from_millis(400)));
        assert_eq!(ledger.missing(1, at(400)), Some(Duration::from_millis(200)));
        assert_eq!(ledger.missing(3, at(400)), None);
    }

    proptest! {
        #[test]
        fn foreign_bytes_are_never_ours(stamp: Vec<u8>) {
            prop_assert_eq!(Ledger::new(fastrand::u64(..)).read(&stamp), None);
        }

        #[test]
        fn memory_is_bounded_and_a_long_silence_stays_missing(count in 1_u64..5_000) {
            let start = Instant::now();
            let mut ledger = Ledger::new(7);
            for step in 0..count {
                let (sequence, _) = ledger.send(start + Duration::from_millis(100 * step));
                ledger.acknowledge(sequence);
            }
            prop_assert!(ledger.sent.len() <= SENT_MAX);
            let now = start + Duration::from_millis(100 * count);
            let expected = Duration::from_millis(100 * count.min(1_024));
            prop_assert_eq!(ledger.missing(0, now), Some(expected));
        }
    }
}
