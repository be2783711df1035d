//! What does a master hold back for each of its replicas, whose is it, and when would it overflow?
//!
//! Pure. A connection is a replica's if the replica says so: its own end of the link is the address the master sees. With
//! NAT between, or before Redis 6.2, the host decides where it has one replica only. Where it cannot be told (all on one
//! host), a connection counts only while every replica would.
//!
//! *Healthy before* is kept for each connection: one that never had room (a first sync, a restart that was not noticed yet) is
//! no evidence, whatever its replica was before.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::line::Line;
use super::node::Earned;
use super::{BufferLimit, ReplicaClient};
use crate::cluster::NodeAddr;

/// Growth is measured over this: long enough for a straight line, short enough to see a buffer that fills in seconds.
const GROWTH_OVER: Duration = Duration::from_secs(1);
/// Readings kept of each connection, at most one a probe.
const READINGS_MAX: usize = 32;
/// Fewer readings than this are no growth.
const READINGS_LEAST: usize = 5;
/// Less than this is no beginning of an overflow: in health up to 41 KB were seen.
const FILLING_BYTES: f64 = 65_536.0;

/// The replicas' connections to one master.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    connections: BTreeMap<u64, Connection>,
    at: Option<Instant>,
}

/// One replica's connection.
#[derive(Debug, Default)]
pub(super) struct Connection {
    /// Whose it is, where that can be told.
    pub(super) of: Option<NodeAddr>,
    /// It had room for a while.
    pub(super) flowing: Earned,
    /// Oldest first, in bytes.
    readings: VecDeque<(Instant, f64)>,
    over_soft_since: Option<Instant>,
}

impl Buffers {
    /// The master lists these connections.
    pub(super) fn list(
        &mut self,
        at: Instant,
        clients: &[ReplicaClient],
        whose: impl Fn(&NodeAddr) -> Option<NodeAddr>,
        rules: &BufferRules,
    ) {
        self.at = Some(at);
        let mut before = std::mem::take(&mut self.connections);
        for client in clients {
            let mut connection = before.remove(&client.id).unwrap_or_default();
            connection.of = whose(&client.addr);
            connection.read(at, client.omem_bytes, rules);
            self.connections.insert(client.id, connection);
        }
    }

    /// Another master.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The connections, as of the last list, unless it is older than `stale_after`.
    pub(super) fn fresh(
        &self,
        now: Instant,
        stale_after: Duration,
    ) -> Option<(Instant, impl Iterator<Item = &Connection>)> {
        let at = self
            .at
            .filter(|at| now.saturating_duration_since(*at) <= stale_after)?;
        Some((at, self.connections.values()))
    }
}

/// What makes a buffer full.
#[derive(Clone, Copy, Debug)]
pub(super) struct BufferRules {
    /// Below this it has room. Unit: bytes.
    pub(super) limit: f64,
    /// How long it must have had room to count.
    pub(super) healthy_before: Duration,
    /// The master closes the connection beyond this, where that is known.
    pub(super) overflow: Option<BufferLimit>,
    /// The reading is of no certain time: growth is measured from it on.
    pub(super) dates_badly: bool,
}

impl Connection {
    fn read(&mut self, at: Instant, bytes: u64, rules: &BufferRules) {
        // Far below 2^53: it is memory of one machine.
        #[allow(clippy::cast_precision_loss)]
        let bytes = bytes as f64;
        self.flowing.holds(bytes < rules.limit, at, rules.healthy_before);
        if rules.dates_badly {
            self.readings.clear();
        }
        if self.readings.len() >= READINGS_MAX {
            self.readings.pop_front();
        }
        self.readings.push_back((at, bytes));
        let is_old = |(read, _): &(Instant, f64)| at.saturating_duration_since(*read) > GROWTH_OVER;
        // As many as a line needs are kept, however seldom the master is asked.
        while self.readings.len() > READINGS_LEAST && self.readings.front().is_some_and(is_old) {
            self.readings.pop_front();
        }
        let soft = rules.overflow.map_or(0.0, |limit| as_bytes(limit.soft_bytes));
        match soft > 0.0 && bytes > soft {
            true => {
                self.over_soft_since.get_or_insert(at);
            }
            false => self.over_soft_since = None,
        }
    }

    /// What waits, in bytes.
    pub(super) fn bytes(&self) -> f64 {
        self.readings.back().map_or(0.0, |(_, bytes)| *bytes)
    }

    /// Seconds until the master closes the connection if the buffer goes on growing as it does; `None`: it does not grow,
    /// or nothing limits it.
    pub(super) fn overflows_in(&self, limit: &BufferLimit) -> Option<f64> {
        if self.readings.len() < READINGS_LEAST || self.bytes() < FILLING_BYTES {
            return None;
        }
        let line = Line::fit(self.readings.iter().copied()).filter(|line| line.slope > 0.0)?;
        let (at, bytes) = *self.readings.back()?;
        let until = |bound: u64| ((as_bytes(bound) - bytes) / line.slope).max(0.0);
        let hard = (limit.hard_bytes > 0).then(|| until(limit.hard_bytes));
        let soft = (limit.soft_bytes > 0).then(|| {
            let over = self
                .over_soft_since
                .map_or(0.0, |since| at.saturating_duration_since(since).as_secs_f64());
            (until(limit.soft_bytes) + as_bytes(limit.soft_seconds) - over).max(0.0)
        });
        match (hard, soft) {
            (Some(hard), Some(soft)) => Some(hard.min(soft)),
            (hard, soft) => hard.or(soft),
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn as_bytes(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: BufferLimit = BufferLimit {
        hard_bytes: 1_000_000,
        soft_bytes: 400_000,
        soft_seconds: 2,
    };
    const RULES: BufferRules = BufferRules {
        limit: 262_144.0,
        healthy_before: Duration::from_secs(3),
        overflow: Some(LIMIT),
        dates_badly: false,
    };

    fn client(id: u64, omem_bytes: u64) -> ReplicaClient {
        ReplicaClient {
            id,
            addr: NodeAddr::new("h", 1),
            omem_bytes,
        }
    }

    fn filled(step_bytes: u64, steps: u64) -> Connection {
        filled_every(100, step_bytes, steps)
    }

    fn filled_every(millis: u64, step_bytes: u64, steps: u64) -> Connection {
        let start = Instant::now();
        let mut connection = Connection::default();
        for step in 0..steps {
            connection.read(
                start + Duration::from_millis(millis * step),
                step_bytes * step,
                &RULES,
            );
        }
        connection
    }

    #[test]
    fn a_buffer_overflows_when_its_line_meets_the_nearer_bound() {
        // 100 KB a second, at 100 KB: the soft bound in 3 s and 2 s more, the hard one in 9 s.
        let left = filled(10_000, 11).overflows_in(&LIMIT).unwrap();
        assert!((left - 5.0).abs() < 0.01, "{left}");
        // 1 MB a second, at 500 KB, and beyond the soft bound since the last reading.
        let left = filled(100_000, 6).overflows_in(&LIMIT).unwrap();
        assert!((left - 0.5).abs() < 0.01, "{left}");
        let unlimited = BufferLimit {
            hard_bytes: 0,
            soft_bytes: 0,
            soft_seconds: 0,
        };
        assert_eq!(filled(100_000, 6).overflows_in(&unlimited), None);
    }

    #[test]
    fn growth_is_seen_however_seldom_the_master_is_asked() {
        // 100 KB a second, at 500 KB: over the soft bound, or 5 s to the hard one.
        let left = filled_every(1_000, 100_000, 6).overflows_in(&LIMIT);
        assert!(left.is_some(), "five readings are a line");
    }

    #[test]
    fn growth_over_a_stall_of_our_own_is_none() {
        let mut connection = filled(100_000, 6);
        let (at, bytes) = *connection.readings.back().unwrap();
        let badly = BufferRules {
            dates_badly: true,
            ..RULES
        };
        connection.read(at + Duration::from_millis(1), 600_000, &badly);
        assert_eq!(connection.overflows_in(&LIMIT), None);
        assert!(bytes < connection.bytes(), "what waits is known all the same");
    }

    #[test]
    fn a_hard_limit_below_the_backlog_is_the_backlogs_size() {
        let details = |hard_bytes, backlog_size| super::super::NodeDetails {
            replica_buffer_limit: Some(BufferLimit { hard_bytes, ..LIMIT }),
            backlog_size,
            ..Default::default()
        };
        let hard = |details: super::super::NodeDetails| details.overflow().unwrap().hard_bytes;
        assert_eq!(hard(details(4 << 20, Some(16 << 20))), 16 << 20);
        assert_eq!(hard(details(4 << 20, Some(1 << 20))), 4 << 20);
        assert_eq!(hard(details(4 << 20, None)), 4 << 20);
        assert_eq!(hard(details(0, Some(16 << 20))), 0, "no limit");
    }

    #[test]
    fn a_little_a_moment_and_a_buffer_that_drains_are_no_beginning_of_an_overflow() {
        assert_eq!(filled(5_000, 11).overflows_in(&LIMIT), None, "little");
        assert_eq!(filled(100_000, 4).overflows_in(&LIMIT), None, "a moment");
        let mut draining = Connection::default();
        for step in 0..10_u64 {
            let at = Instant::now() + Duration::from_millis(100 * step);
            draining.read(at, 900_000 - 50_000 * step, &RULES);
        }
        assert_eq!(draining.overflows_in(&LIMIT), None);
    }

    #[test]
    fn another_connection_of_the_same_replica_earns_its_health_anew() {
        let start = Instant::now();
        let mut buffers = Buffers::default();
        let nobody = |_: &NodeAddr| None;
        for step in 0..=30 {
            buffers.list(
                start + Duration::from_millis(100 * step),
                &[client(1, 0)],
                nobody,
                &RULES,
            );
        }
        let flowing = |buffers: &Buffers, at| {
            let (_, connections) = buffers.fresh(at, Duration::from_secs(2)).unwrap();
            connections
                .map(|connection| connection.flowing.done())
                .collect::<Vec<_>>()
        };
        let at = start + Duration::from_secs(3);
        assert_eq!(flowing(&buffers, at), [true]);
        buffers.list(at, &[client(2, 0)], nobody, &RULES);
        assert_eq!(flowing(&buffers, at), [false]);
        assert!(
            buffers
                .fresh(at + Duration::from_millis(2_001), Duration::from_secs(2))
                .is_none()
        );
    }
}
