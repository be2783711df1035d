//! What time is it for the control loop?
//!
//! Shell: the one place in which it reads its clocks. The one that never jumps is tokio's, by which its tasks wait too: the system's,
//! unless a simulation has it stand still. The wall's only says whether a window is open.

use std::time::Instant;

use jiff::Timestamp;

use super::shift::{Now, TimeOfDay};

/// This moment, on the clock that never jumps.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// A moment that has just been read by [`now`], with the time of day it was.
pub(super) fn both(now: Instant) -> Now {
    Now {
        instant: now,
        time_of_day: TimeOfDay::of(wall()),
    }
}

#[cfg(not(test))]
fn wall() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
fn wall() -> Timestamp {
    super::simulation::wall().unwrap_or_else(Timestamp::now)
}
