//! When may a channel that has moved be published to at its new place?
//!
//! Pure. One publisher's messages on one channel must arrive in order, though two of them may have been published on two
//! sides (or on two masters of one side), each heard over a connection of its own. The first was acknowledged before the
//! second was published, so all that is needed is that the second is not published before every hub of this process has
//! heard the first:
//!
//! 1. Every worker goes over to the new snapshot, and what it had published by the older one on the losing side is
//!    answered: the worker has *drained*. From then on nothing is added to what the losing side has to tell.
//! 2. Once all have, each hub sends a PING through its subscriber link to the losing side. A node answers it after it has
//!    written every message that it published before, as connections are FIFO: with the answer, the hub has *passed*.
//! 3. Once all have, PUBLISH for what has moved goes on. Until then it is held; it takes a few milliseconds.
//!
//! For a change of master, the hub has passed when it is subscribed on the new one and has had the answer of the former one
//! to its PING, as far as that still answers: nothing is published where nobody listens yet.
//!
//! To hold back messages that arrive from the gaining side was rejected: when the weight goes up and at once down, messages
//! of both sides wait for each other, and no rule on arrival alone can tell which came first. Held publishers cannot get
//! into that state: of a moved channel, only one side's messages are ever under way.
//!
//! Where replicas are subscribed to, the fence is a mark published on the losing side's master: it takes as long as they lag.
//!
//! A side that is abandoned or whose link is down is not waited for (what its next link tells, [`super::marks`] sees to), and
//! nothing for longer than [`SETTLE_MAX`]. A hub that has not passed by then says so: it tells a gap. Not held are
//! publishers of transactions and scripts, and those that do not use this process: they publish on one side.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

use crate::cluster::Side;
use crate::limits::{LEFT_MASTER_WAIT, MASTER_SETTLE_MAX, SETTLE_MAX};
use crate::routing::{Epoch, Slot, Weight};

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Slots of these ranks have left `losing`.
    Moved { losing: Side, ranks: Range<u16> },
    /// The side has another master.
    Master { side: Side },
}

impl Cause {
    /// The change from one weight to another; `None` when they are equal.
    pub(super) fn moved(before: Weight, after: Weight) -> Option<Self> {
        let (low, high) = (before.min(after).ranks(), before.max(after).ranks());
        let losing = if after > before { Side::Old } else { Side::New };
        (low != high).then_some(Self::Moved {
            losing,
            ranks: low..high,
        })
    }

    /// The side on which messages may still be under way.
    pub(super) fn side(&self) -> Side {
        match self {
            Self::Moved { losing: side, .. } | Self::Master { side } => *side,
        }
    }

    fn holds(&self, side: Side, slot: Slot) -> bool {
        match self {
            Self::Moved { losing, ranks } => side != *losing && ranks.contains(&slot.rank()),
            Self::Master { side: of } => side == *of,
        }
    }
}

/// How far this worker's hub is with a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fence {
    /// It cannot be asked for yet.
    NotYet,
    /// It is under way, by this number.
    Sent(u64),
    /// All has been heard, or nothing can be.
    Passed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Draining,
    Drained,
    Fenced(u64),
    Passed,
}

#[derive(Debug)]
struct Change {
    epoch: Epoch,
    cause: Cause,
    since: Instant,
    at_micros: u32,
    phase: Phase,
}

/// Changes that have not settled, oldest first.
#[derive(Debug)]
pub(super) struct Settling {
    changes: VecDeque<Change>,
    /// The epoch this worker routes by.
    epoch: Epoch,
}

/// What a step asks of the worker.
pub(super) trait Ground {
    /// Whether nothing published before `at_micros` is under way to `side`.
    fn is_drained(&self, side: Side, at_micros: u32) -> bool;
    /// Asks for a fence, once.
    fn fence(&mut self, cause: &Cause) -> Fence;
    /// Whether fence `number` has passed.
    fn has_passed(&self, cause: &Cause, number: u64) -> bool;
    /// It has not, and is not waited for any more: what has yet to be heard may come out of order.
    fn overtake(&mut self, cause: &Cause);
}

impl Settling {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self {
            changes: VecDeque::new(),
            epoch,
        }
    }

    /// The worker routes by `epoch` now; `causes` is what that changed.
    pub(super) fn begin(
        &mut self,
        epoch: Epoch,
        causes: impl IntoIterator<Item = Cause>,
        now: Instant,
        at_micros: u32,
    ) {
        self.epoch = epoch;
        self.changes.extend(causes.into_iter().map(|cause| Change {
            epoch,
            cause,
            since: now,
            at_micros,
            phase: Phase::Draining,
        }));
    }

    /// Nothing is waited for on `side` any more.
    pub(super) fn give_up(&mut self, side: Side) {
        for change in &mut self.changes {
            if matches!(change.cause, Cause::Moved { losing, .. } if losing == side) {
                change.phase = Phase::Passed;
            }
        }
    }

    /// How much is unsettled.
    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether a PUBLISH to `side` has to wait.
    pub(super) fn holds(&self, side: Side, slot: Slot) -> bool {
        self.changes.iter().any(|change| change.cause.holds(side, slot))
    }

    /// Goes on as far as possible. `all`: up to where every worker has drained and passed. Returns up to where this one has.
    pub(super) fn step(
        &mut self,
        now: Instant,
        all: (Epoch, Epoch),
        ground: &mut impl Ground,
    ) -> (Epoch, Epoch) {
        for change in &mut self.changes {
            change.step(now, all.0, ground);
        }
        let reached = |is_done: fn(Phase) -> bool| {
            let first = self.changes.iter().find(|change| !is_done(change.phase));
            first.map_or(self.epoch, |change| Epoch(change.epoch.0.saturating_sub(1)))
        };
        let drained = reached(|phase| phase != Phase::Draining);
        let passed = reached(|phase| phase == Phase::Passed);
        self.changes
            .retain(|change| change.epoch > all.1 && !change.is_over(now));
        (drained, passed)
    }
}

impl Change {
    fn is_over(&self, now: Instant) -> bool {
        let longest = match self.cause {
            Cause::Moved { .. } => SETTLE_MAX,
            Cause::Master { .. } => MASTER_SETTLE_MAX,
        };
        now.saturating_duration_since(self.since) >= longest
    }

    fn step(&mut self, now: Instant, all_drained: Epoch, ground: &mut impl Ground) {
        let waited = now.saturating_duration_since(self.since);
        // A master that was left may never answer.
        let is_left = matches!(self.cause, Cause::Master { .. }) && waited >= LEFT_MASTER_WAIT;
        if self.phase == Phase::Draining && (is_left || ground.is_drained(self.cause.side(), self.at_micros))
        {
            self.phase = Phase::Drained;
        }
        if self.phase == Phase::Drained && (is_left || all_drained >= self.epoch) {
            match ground.fence(&self.cause) {
                Fence::NotYet if waited >= MASTER_SETTLE_MAX => self.give_up(ground),
                Fence::NotYet => {}
                Fence::Sent(number) => self.phase = Phase::Fenced(number),
                Fence::Passed => self.phase = Phase::Passed,
            }
        }
        if let Phase::Fenced(number) = self.phase
            && ground.has_passed(&self.cause, number)
        {
            self.phase = Phase::Passed;
        }
        if self.is_over(now) {
            self.give_up(ground);
        }
    }

    fn give_up(&mut self, ground: &mut impl Ground) {
        let is_overtaken = matches!(self.cause, Cause::Moved { .. }) && self.phase != Phase::Passed;
        self.phase = Phase::Passed;
        if is_overtaken {
            ground.overtake(&self.cause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Fake {
        drained: bool,
        fences: u64,
        passed: bool,
        overtaken: u32,
    }

    impl Ground for Fake {
        fn is_drained(&self, _: Side, _: u32) -> bool {
            self.drained
        }

        fn fence(&mut self, _: &Cause) -> Fence {
            self.fences += 1;
            Fence::Sent(self.fences)
        }

        fn has_passed(&self, _: &Cause, _: u64) -> bool {
            self.passed
        }

        fn overtake(&mut self, _: &Cause) {
            self.overtaken += 1;
        }
    }

    fn moved() -> Option<Cause> {
        Cause::moved(Weight::ZERO, Weight::FULL)
    }

    fn nobody() -> (Epoch, Epoch) {
        (Epoch(1), Epoch(1))
    }

    #[test]
    fn a_moved_channel_is_held_until_every_worker_has_drained_and_every_hub_has_passed() {
        let now = Instant::now();
        let slot = Slot::of(b"news");
        let (mut settling, mut fake) = (Settling::new(Epoch(1)), Fake::default());
        settling.begin(Epoch(2), moved(), now, 0);
        assert!(settling.holds(Side::New, slot) && !settling.holds(Side::Old, slot));
        assert_eq!(settling.step(now, nobody(), &mut fake), nobody());
        fake.drained = true;
        assert_eq!(settling.step(now, nobody(), &mut fake), (Epoch(2), Epoch(1)));
        assert_eq!(fake.fences, 0, "others may still publish on the losing side");
        let all_drained = (Epoch(2), Epoch(1));
        assert_eq!(settling.step(now, all_drained, &mut fake), (Epoch(2), Epoch(1)));
        assert_eq!(fake.fences, 1);
        fake.passed = true;
        assert_eq!(settling.step(now, all_drained, &mut fake), (Epoch(2), Epoch(2)));
        assert!(
            settling.holds(Side::New, slot),
            "another hub may still have to hear"
        );
        settling.step(now, (Epoch(2), Epoch(2)), &mut fake);
        assert!(settling.len() == 0 && !settling.holds(Side::New, slot));
        assert_eq!(fake.fences, 1);
    }

    #[test]
    fn nothing_is_held_for_longer_than_the_bound() {
        let now = Instant::now();
        let (mut settling, mut fake) = (Settling::new(Epoch(1)), Fake::default());
        settling.begin(Epoch(2), moved(), now, 0);
        settling.step(now + SETTLE_MAX / 2, nobody(), &mut fake);
        assert!(settling.len() == 1);
        let reached = settling.step(now + SETTLE_MAX, nobody(), &mut fake);
        assert_eq!(reached, (Epoch(2), Epoch(2)));
        assert!(settling.len() == 0);
        assert_eq!(fake.overtaken, 1, "what may come out of order is told");
    }

    #[test]
    fn a_newer_change_is_not_reached_before_an_older_one() {
        let now = Instant::now();
        let (mut settling, mut fake) = (Settling::new(Epoch(1)), Fake::default());
        settling.begin(Epoch(2), moved(), now, 0);
        settling.begin(Epoch(3), Cause::moved(Weight::FULL, Weight::ZERO), now, 0);
        let slot = Slot::of(b"news");
        assert!(settling.holds(Side::New, slot) && settling.holds(Side::Old, slot));
        fake.drained = true;
        assert_eq!(settling.step(now, nobody(), &mut fake), (Epoch(3), Epoch(1)));
    }

    #[test]
    fn a_master_that_was_left_is_waited_for_only_briefly() {
        let now = Instant::now();
        let (mut settling, mut fake) = (Settling::new(Epoch(1)), Fake::default());
        settling.begin(Epoch(2), [Cause::Master { side: Side::Old }], now, 0);
        settling.step(now, nobody(), &mut fake);
        assert_eq!(fake.fences, 0);
        settling.step(now + LEFT_MASTER_WAIT, nobody(), &mut fake);
        assert_eq!(fake.fences, 1);
    }

    #[test]
    fn a_side_that_is_given_up_is_not_waited_for() {
        let now = Instant::now();
        let (mut settling, mut fake) = (Settling::new(Epoch(1)), Fake::default());
        settling.begin(Epoch(2), moved(), now, 0);
        settling.give_up(Side::New);
        assert_eq!(settling.step(now, nobody(), &mut fake), nobody());
        settling.give_up(Side::Old);
        assert_eq!(settling.step(now, nobody(), &mut fake), (Epoch(2), Epoch(2)));
    }

    #[test]
    fn only_what_moved_is_held() {
        let half = Weight::from_steps(5_000).unwrap();
        let moved = Cause::moved(half, Weight::ZERO).unwrap();
        let (mine, others): (Vec<Slot>, Vec<Slot>) = (0..100)
            .map(|number| Slot::of(format!("c{number}").as_bytes()))
            .partition(|slot| slot.rank() < half.ranks());
        assert!(mine.iter().all(|slot| moved.holds(Side::Old, *slot)));
        assert!(!others.iter().any(|slot| moved.holds(Side::Old, *slot)));
        assert_eq!(Cause::moved(half, half), None);
    }
}
