//! Why is an operator's order not carried out?
//!
//! Pure: data and its texts. [`Refused::Frozen`] is for raises only: a lower weight is never refused.

use super::{Latch, Obstacle};
use crate::routing::Weight;

/// Why an operator's command is not carried out. Its text is the admin reply's error line.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refused {
    /// Something forbids a higher weight, or arming.
    #[error("FROZEN {0}")]
    Frozen(Obstacle),
    /// The route is latched.
    #[error("TRIPPED {cause}: {reason}; 'ARM {route}' makes the route movable again", cause = .latch.cause, reason = .latch.reason)]
    Tripped {
        /// Since when, and why.
        latch: Latch,
        /// For the advice.
        route: String,
    },
    /// The route has one side only.
    #[error("ERR route '{0}' has no 'new' side: there is nowhere to move its traffic to")]
    NoNewSide(String),
    /// No step of the route's ramp is above its weight.
    #[error("ERR route '{route}' is at {weight}: no step of its ramp is above that")]
    NoStepLeft {
        /// The route.
        route: String,
        /// Where it is.
        weight: Weight,
    },
    /// It has a ramp under way.
    #[error("ERR route '{0}' is ramping already; RAMP {0} RESUME goes on with a paused ramp")]
    Ramping(String),
    /// It has none.
    #[error("ERR route '{0}' has no ramp under way")]
    NoRamp(String),
}

impl Refused {
    pub(super) fn tripped(latch: &Latch, route: &str) -> Self {
        Self::Tripped {
            latch: latch.clone(),
            route: route.to_owned(),
        }
    }
}
