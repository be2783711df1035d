//! What does the guard say, as far as it decides about a weight?
//!
//! Pure: verdicts in, what decides out.

use crate::cluster::Side;
use crate::control_plane::guard::{self, Rule, RuleVerdict, Verdict};
use crate::control_plane::preflight::Reservation;

/// What the guard says of both sides, boiled down to what decides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    /// A rule that is bad and trips.
    pub trip: Option<RuleVerdict>,
    /// A rule that is bad or unknown, and freezes or trips.
    pub freeze: Option<RuleVerdict>,
    /// Why the sides as they are do not let the weight leave 0; only where it is 0.
    pub preflight: Option<Reservation>,
    /// The old master does not answer: there is nowhere to go back to.
    pub old_is_unreachable: bool,
}

impl Health {
    /// The verdicts of one look at both sides, boiled down.
    pub fn of(verdicts: &[RuleVerdict]) -> Self {
        let is_old = |verdict: &&RuleVerdict| verdict.side == Side::Old && verdict.rule == Rule::Unreachable;
        let old_is_unreachable = |verdict: &RuleVerdict| match verdict.verdict {
            Verdict::Bad => true,
            // There has never been a master to ask: nothing is known to go back to.
            Verdict::Unknown => verdict.evidence.node.is_none(),
            Verdict::Ok => false,
        };
        Self {
            trip: guard::trip(verdicts).cloned(),
            freeze: guard::freeze(verdicts).cloned(),
            // Not of the guard: who asks at weight 0 adds it.
            preflight: None,
            old_is_unreachable: verdicts.iter().find(is_old).is_some_and(old_is_unreachable),
        }
    }
}
