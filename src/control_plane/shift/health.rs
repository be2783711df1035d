//! What does the guard say, as far as it decides about a weight?
//!
//! Pure: data.

use crate::control_plane::guard::RuleVerdict;

/// What the guard says of both sides, boiled down to what decides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    /// A rule that is bad and trips.
    pub trip: Option<RuleVerdict>,
    /// A rule that is bad or unknown, and freezes or trips.
    pub freeze: Option<RuleVerdict>,
    /// The old master does not answer: there is nowhere to go back to.
    pub old_is_unreachable: bool,
}
