//! What can happen to a route's weight?
//!
//! Pure: data. Operators' orders, and the passing of time.

use std::time::Duration;

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
