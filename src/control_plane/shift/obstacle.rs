//! What stands in the way of a raise?
//!
//! Pure: the one place that says so, for `WEIGHT`, shifts and ramps alike, and for a raise from 0 as for any other: what
//! is asked before one begins is asked again before each of its steps.

use std::fmt;

use super::{Health, TimeOfDay, Window};
use crate::control_plane::guard::{Action, RuleVerdict, Verdict};
use crate::control_plane::preflight::Reservation;

/// Something that forbids a higher weight. Its text is what `-FROZEN` and events say.
#[derive(Clone, Debug, PartialEq)]
pub enum Obstacle {
    /// A rule is bad, or has no evidence.
    Rule(RuleVerdict),
    /// It is not the time of day for it.
    Window {
        /// When it would be.
        window: Window,
        /// What time it is.
        time: TimeOfDay,
    },
    /// The weight is 0, and both sides are not fit to begin, or have not been looked at.
    Preflight(Reservation),
    /// What is under way was so when the proxy was started, and nothing has been seen of the sides since.
    Restart,
}

impl Obstacle {
    /// What stands in the way of a raise now, what weighs most first.
    pub(super) fn to_raise(health: &Health, window: Option<&Window>, time: TimeOfDay) -> Option<Self> {
        if let Some(rule) = health.trip.as_ref().or(health.freeze.as_ref()) {
            return Some(Self::Rule(rule.clone()));
        }
        if let Some(window) = window.filter(|window| !window.is_open(time)) {
            return Some(Self::Window {
                window: *window,
                time,
            });
        }
        // Last, because it takes a look: what is refused without one needs none.
        health.preflight.clone().map(Self::Preflight)
    }

    /// Whether an operator's `FORCE` is stronger. A tripping rule would take the raise back at once: to force one, its
    /// action has to be changed.
    pub(super) fn can_be_forced(&self) -> bool {
        match self {
            Self::Rule(verdict) => verdict.verdict != Verdict::Bad || verdict.action != Action::Trip,
            Self::Preflight(_) | Self::Window { .. } | Self::Restart => true,
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(verdict) => verdict.fmt(f),
            Self::Preflight(reservation) => reservation.fmt(f),
            Self::Window { window, time } => {
                write!(f, "rule=window node=none measured={time} limit={window}")
            }
            Self::Restart => f.write_str("the proxy was restarted and has no evidence yet"),
        }
    }
}
