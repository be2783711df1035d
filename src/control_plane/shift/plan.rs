//! What does a route still intend to do, as far as it survives a restart?
//!
//! Pure: data. A plan says what is left of it, never since when: the time a proxy was down is time nobody watched the
//! guard, and counts for nothing.

use std::time::Duration;

use super::Latch;
use crate::routing::Weight;

/// Where a controller stands, and what another one needs to go on from there.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The weight in force.
    pub weight: Weight,
    /// The latch, when there is one. It ends every plan.
    pub latch: Option<Latch>,
    /// What is under way.
    pub plan: Option<Plan>,
}

impl Standing {
    /// Steady at a weight.
    pub fn at(weight: Weight) -> Self {
        Self {
            weight,
            latch: None,
            plan: None,
        }
    }
}

/// What is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// A ramp. Its steps are the configuration's, its next one the first above the weight.
    Ramp {
        /// An operator has paused it, and has to resume it.
        paused_by_operator: bool,
    },
    /// A shift over time. That it was forced is not kept: what it was forced over was judged then, not now.
    Shift {
        /// Where it goes.
        to: Weight,
        /// How much of its time is left.
        left: Duration,
    },
}
