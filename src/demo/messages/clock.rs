//! When is now, to all that is measured together?
//!
//! Shell: one monotonic clock, and what the wall clock said when it began: gaps are told in its words.

use std::time::Instant;

use jiff::Timestamp;

/// Microseconds since a start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
    wall: Timestamp,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            start: Instant::now(),
            wall: Timestamp::now(),
        }
    }

    pub(super) fn now_micros(&self) -> u64 {
        self.micros_at(Instant::now())
    }

    pub(super) fn micros_at(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.start);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    pub(super) fn wall_start(&self) -> Timestamp {
        self.wall
    }
}
