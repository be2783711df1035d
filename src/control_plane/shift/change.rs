//! What has been decided about a route?
//!
//! Pure: data. [`ChangeKind::name`] is the kind of the event that tells it.

use crate::control_plane::guard::{Rule, RuleVerdict};

/// What kind of change it is; [`ChangeKind::name`] is the kind of its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// The operator's weight is in force.
    Weight,
    /// A shift over time has begun. The weight is unchanged.
    ShiftStarted,
    /// A shift has made a step.
    ShiftStep,
    /// A shift has arrived.
    ShiftDone,
    /// A rule holds a shift up. The weight is unchanged.
    ShiftPaused,
    /// Nothing holds it up any more. The weight is unchanged.
    ShiftResumed,
    /// The guard has routed back.
    Trip,
    /// A trip is due, and there is no old master to go back to. Nothing is changed.
    TripWithheld,
    /// The operator has routed back.
    RouteBack,
    /// The latch is off. The weight is unchanged.
    Armed,
}

impl ChangeKind {
    /// Whether it puts another snapshot in force. The others change what is planned, or nothing.
    pub const fn is_published(self) -> bool {
        match self {
            Self::Weight | Self::ShiftStep | Self::ShiftDone | Self::Trip | Self::RouteBack | Self::Armed => {
                true
            }
            Self::ShiftStarted | Self::ShiftPaused | Self::ShiftResumed | Self::TripWithheld => false,
        }
    }

    /// The kind in `EVENTS`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::ShiftStarted => "shift_started",
            Self::ShiftStep => "shift_step",
            Self::ShiftDone => "shift_done",
            Self::ShiftPaused => "shift_paused",
            Self::ShiftResumed => "shift_resumed",
            Self::Trip => "trip",
            Self::TripWithheld => "trip_withheld",
            Self::RouteBack => "route_back",
            Self::Armed => "armed",
        }
    }
}

/// Something has been decided, and [`Controller::weight`](super::Controller::weight) is what is to be in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What kind of change.
    pub kind: ChangeKind,
    /// Why, in one line.
    pub reason: String,
    /// The evidence a trip rests on.
    pub evidence: Option<RuleVerdict>,
}

impl Change {
    pub(super) fn new(kind: ChangeKind, reason: String) -> Self {
        Self {
            kind,
            reason,
            evidence: None,
        }
    }

    /// The rule that brought the traffic back.
    pub fn rule(&self) -> Option<Rule> {
        self.evidence.as_ref().map(|verdict| verdict.rule)
    }
}
