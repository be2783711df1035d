//! What has been decided about a route?
//!
//! Pure: data. [`ChangeKind::name`] is the kind of the event that tells it.

use humantime::format_duration;

use super::ramp::{self, RampOutput};
use crate::config::RampConfig;
use crate::control_plane::guard::{Rule, RuleVerdict};
use crate::routing::Weight;

/// What kind of change it is; [`ChangeKind::name`] is the kind of its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// The operator's weight is in force.
    Weight,
    /// A shift over time has begun. The weight is unchanged; published to be on disk, as are the others below that an
    /// operator has asked for.
    ShiftStarted,
    /// A shift has made a step.
    ShiftStep,
    /// A shift has arrived.
    ShiftDone,
    /// A rule holds a shift up. The weight is unchanged.
    ShiftPaused,
    /// Nothing holds it up any more. The weight is unchanged.
    ShiftResumed,
    /// A ramp has begun, with a hold. The weight is unchanged.
    RampStarted,
    /// A ramp has made a step.
    RampStep,
    /// A ramp has no step left. The weight is unchanged.
    RampDone,
    /// Something or somebody holds a ramp up. The weight is unchanged.
    RampPaused {
        /// It takes an operator to go on.
        by_operator: bool,
    },
    /// A ramp goes on, with a hold. The weight is unchanged.
    RampResumed {
        /// An operator has said so.
        by_operator: bool,
    },
    /// The operator has ended a ramp. The weight is unchanged.
    RampAborted,
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
    /// Whether it is published and saved. The others are forgotten by a restart, and found again by a look.
    pub const fn is_published(self) -> bool {
        match self {
            Self::Weight
            | Self::ShiftStarted
            | Self::ShiftStep
            | Self::ShiftDone
            | Self::RampStarted
            | Self::RampStep
            | Self::RampDone
            | Self::RampAborted
            | Self::Trip
            | Self::RouteBack
            | Self::Armed => true,
            Self::RampPaused { by_operator } | Self::RampResumed { by_operator } => by_operator,
            Self::ShiftPaused | Self::ShiftResumed | Self::TripWithheld => false,
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
            Self::RampStarted => "ramp_started",
            Self::RampStep => "ramp_step",
            Self::RampDone => "ramp_done",
            Self::RampPaused { .. } => "ramp_paused",
            Self::RampResumed { .. } => "ramp_resumed",
            Self::RampAborted => "ramp_aborted",
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
    /// The ramp that it ends without being asked to: where that was, and by what it ended.
    pub ended_ramp: Option<String>,
}

impl Change {
    pub(super) fn new(kind: ChangeKind, reason: String) -> Self {
        Self {
            kind,
            reason,
            evidence: None,
            ended_ramp: None,
        }
    }

    /// What a ramp makes of its present weight.
    pub(super) fn of_ramp(output: &RampOutput, weight: Weight, config: &RampConfig) -> Self {
        let (place, hold) = (ramp::place(config, weight), format_duration(config.hold));
        let holds = format!("its hold of {hold} begins anew");
        let by_operator = matches!(output, RampOutput::Paused | RampOutput::Resumed(_));
        let paused = ChangeKind::RampPaused { by_operator };
        let resumed = ChangeKind::RampResumed { by_operator };
        let (kind, reason) = match output {
            RampOutput::Step(to) => {
                let step = ramp::step(config, *to);
                let reason = format!("{weight} -> {to}, {step}: both sides were well for {hold}");
                (ChangeKind::RampStep, reason)
            }
            RampOutput::Done => (ChangeKind::RampDone, format!("{place}: no step is above that")),
            RampOutput::Blocked(obstacle) => (paused, format!("{place}: {obstacle}")),
            RampOutput::Paused => (paused, format!("{place}: by the operator")),
            RampOutput::Cleared => (resumed, format!("{place}: nothing stands in its way; {holds}")),
            RampOutput::Resumed(None) => (resumed, format!("{place}: by the operator; {holds}")),
            RampOutput::Resumed(Some(obstacle)) => (
                resumed,
                format!("{place}: by the operator; it has to wait: {obstacle}"),
            ),
        };
        Self::new(kind, reason)
    }

    /// The same, and a ramp ends by it.
    pub(super) fn ending(mut self, ramp: Option<String>) -> Self {
        self.ended_ramp = ramp;
        self
    }

    /// The rule that brought the traffic back.
    pub fn rule(&self) -> Option<Rule> {
        self.evidence.as_ref().map(|verdict| verdict.rule)
    }
}
