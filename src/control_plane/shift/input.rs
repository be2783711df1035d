//! What can happen to a route's weight?
//!
//! Pure: data. Operators' orders, and the passing of time.

use std::time::{Duration, Instant};

use super::TimeOfDay;
use crate::routing::Weight;

/// What happens to a route.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// `WEIGHT route PERCENT`.
    SetWeight {
        /// The target.
        weight: Weight,
        /// How long the way there takes; `None`: at once.
        over: Option<Duration>,
        /// Why a freezing rule does not matter.
        force: Option<String>,
    },
    /// `RAMP`.
    Ramp(RampOrder),
    /// `BACK`.
    Back {
        /// The operator's words.
        reason: Option<String>,
    },
    /// `ARM`.
    Arm,
    /// Time has passed, or the guard has new evidence.
    Look,
}

/// What an operator wants of a ramp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RampOrder {
    /// Begin.
    Start,
    /// Stay at the present weight until `RESUME`.
    Pause,
    /// Go on.
    Resume,
    /// End it; the weight stays.
    Abort,
}

/// This moment, on both clocks that decide: one that never jumps, and the wall's.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// What durations are measured by.
    pub instant: Instant,
    /// What a window is open by.
    pub time_of_day: TimeOfDay,
}

impl Input {
    /// Whether it would have a weight of 0 leave it.
    pub fn leaves_zero(&self) -> bool {
        match self {
            Self::SetWeight { weight, .. } => *weight > Weight::ZERO,
            Self::Ramp(RampOrder::Start) => true,
            // What is under way is looked at all the time it stays at 0.
            Self::Ramp(RampOrder::Pause | RampOrder::Resume | RampOrder::Abort) => false,
            Self::Back { .. } | Self::Arm | Self::Look => false,
        }
    }

    /// The operator's reason why an obstacle does not matter.
    pub fn force(&self) -> Option<&str> {
        match self {
            Self::SetWeight { force, .. } => force.as_deref(),
            Self::Ramp(_) | Self::Back { .. } | Self::Arm | Self::Look => None,
        }
    }
}
