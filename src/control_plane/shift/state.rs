//! What is under way with a route's weight?
//!
//! Pure: the controller's states, and what each means to those who ask. How they follow each other is decided in
//! [`super::controller`] alone.

use std::time::{Duration, Instant};

use super::ramp::{self, Ramp};
use super::shifting::Shifting;
use super::{Latch, Now, Plan, Progress, RampProgress, Standing};
use crate::config::RampConfig;
use crate::routing::Weight;

/// A route's state beside its weight.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// Nothing is.
    Steady,
    /// The weight moves evenly.
    Shifting(Shifting),
    /// The weight rises by steps.
    Ramping(Ramp),
    /// Traffic has gone back, and stays there.
    Tripped(Latch),
}

impl State {
    /// What an earlier controller has left. A latch ends every plan.
    pub(super) fn left(left: Standing, now: Instant) -> Self {
        match (left.latch, left.plan) {
            (Some(latch), _) => Self::Tripped(latch),
            (None, None) => Self::Steady,
            (None, Some(Plan::Ramp { paused_by_operator })) => Self::Ramping(Ramp::left(paused_by_operator)),
            (None, Some(Plan::Shift { to, left: time })) => {
                Self::Shifting(Shifting::left(left.weight, to, time, now))
            }
        }
    }

    /// What the next controller needs to go on.
    pub(super) fn plan(&self) -> Option<Plan> {
        match self {
            Self::Steady | Self::Tripped(_) => None,
            Self::Shifting(shift) => Some(Plan::Shift {
                to: shift.to,
                left: shift.time_left(),
            }),
            Self::Ramping(ramp) => Some(Plan::Ramp {
                paused_by_operator: ramp.is_paused_by_operator(),
            }),
        }
    }

    /// The word in `STATUS`.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Shifting(_) => "shifting",
            Self::Ramping(_) => "ramping",
            Self::Tripped(_) => "tripped",
        }
    }

    pub(super) fn latch(&self) -> Option<&Latch> {
        match self {
            Self::Tripped(latch) => Some(latch),
            Self::Steady | Self::Shifting(_) | Self::Ramping(_) => None,
        }
    }

    /// Where the weight is on its way to.
    pub(super) fn target(&self, weight: Weight, config: &RampConfig) -> Weight {
        match self {
            Self::Shifting(shift) => shift.to,
            // A reload may have taken all that were above it.
            Self::Ramping(_) => config.last_step().max(weight),
            Self::Steady | Self::Tripped(_) => weight,
        }
    }

    /// Whether it would take the weight up if nothing stood in the way.
    pub(super) fn raises(&self) -> bool {
        match self {
            Self::Shifting(shift) => shift.raises(),
            Self::Ramping(_) => true,
            Self::Steady | Self::Tripped(_) => false,
        }
    }

    /// How long a raise takes from here if nothing stands in its way. `None`: there is none.
    pub(super) fn raise_left(&self, weight: Weight, config: &RampConfig, now: Instant) -> Option<Duration> {
        match self {
            Self::Shifting(shift) => shift.raises().then(|| shift.time_left()),
            Self::Ramping(ramp) => Some(ramp.time_left(config, weight, now)),
            Self::Steady | Self::Tripped(_) => None,
        }
    }

    /// How far a shift or a ramp has got.
    pub(super) fn progress(&self, weight: Weight, config: &RampConfig, now: Now) -> Option<Progress> {
        match self {
            Self::Steady | Self::Tripped(_) => None,
            Self::Shifting(shift) => Some(Progress {
                paused: shift.paused.as_ref().map(ToString::to_string),
                time_to_end: shift.time_to_end(config.window.as_ref(), now.time_of_day),
                ramp: None,
            }),
            Self::Ramping(ramp) => Some(Progress {
                paused: ramp.paused(),
                time_to_end: ramp.time_to_end(config, weight, now),
                ramp: Some(RampProgress {
                    steps_taken: ramp::steps_taken(config, weight),
                    steps: config.steps.clone(),
                    next: ramp::next(config, weight),
                    hold_left: ramp.hold_left(config, now.instant),
                }),
            }),
        }
    }
}
