//! How far has a ramp or a shift got, and when is it over?
//!
//! Pure: data, for `STATUS`.

use std::time::Duration;

use crate::routing::Weight;

/// A ramp or a shift under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Why it does not go on; `None`: it does.
    pub paused: Option<String>,
    /// Time until it is over, hours in which the window is shut included. `None`: a rule or an operator holds it up, and
    /// nobody knows for how long.
    pub time_to_end: Option<Duration>,
    /// What only a ramp has.
    pub ramp: Option<RampProgress>,
}

/// Where a ramp is.
#[derive(Clone, Debug, PartialEq)]
pub struct RampProgress {
    /// How many of its steps are behind it.
    pub steps_taken: usize,
    /// All of its steps.
    pub steps: Vec<Weight>,
    /// The next one; `None` after the last, for a moment.
    pub next: Option<Weight>,
    /// How much of the hold before it is left. All of it while the ramp is paused.
    pub hold_left: Duration,
}
