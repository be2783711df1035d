//! What stands in the way of a raise?
//!
//! Pure: the one place that says so, for `WEIGHT`, shifts and ramps alike, and for a raise from 0 as for any other: what
//! is asked before one begins is asked again before each of its steps.

use std::fmt;

use super::Health;
use crate::control_plane::guard::{Action, RuleVerdict, Verdict};

/// Something that forbids a higher weight. Its text is what `-FROZEN` and events say.
#[derive(Clone, Debug, PartialEq)]
pub enum Obstacle {
    /// A rule is bad, or has no evidence.
    Rule(RuleVerdict),
}

impl Obstacle {
    /// What stands in the way of a raise now, the worst first.
    pub(super) fn to_raise(health: &Health) -> Option<Self> {
        let rule = health.trip.as_ref().or(health.freeze.as_ref());
        rule.cloned().map(Self::Rule)
    }

    /// Whether an operator's `FORCE` is stronger. A tripping rule would take the raise back at once: to force one, its
    /// action has to be changed.
    pub(super) fn can_be_forced(&self) -> bool {
        match self {
            Self::Rule(verdict) => verdict.verdict != Verdict::Bad || verdict.action != Action::Trip,
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(verdict) => verdict.fmt(f),
        }
    }
}
