//! What came of one run?
//!
//! Pure: what was recorded, and what follows from it.

use std::time::Duration;

use serde_json::{Value, json};

use super::watch::{Look, Mark, MarkKind};
use crate::demo::{History, LATE_AFTER, MessageLedger, Stall, Stalls};

/// One of the three.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) name: &'static str,
    /// `None` where there was none.
    pub(super) preflight: Option<Preflight>,
    /// The first that the guard had to say against it.
    pub(super) noticed: Option<Noticed>,
    /// The guard routed back.
    pub(super) trip: Option<Noticed>,
    /// From the first evidence to the last command on new.
    pub(super) route_back: Option<Duration>,
    pub(super) messages: MessageLedger,
    pub(super) stalls: Stalls,
    pub(super) events: Vec<Event>,
    pub(super) marks: Vec<Mark>,
    pub(super) looks: Vec<Look>,
}

/// What a look before the raise came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Preflight {
    /// Of the first look.
    pub(super) refusals: Vec<String>,
    /// Nothing of it refused any more, all its advice having been followed.
    pub(super) passed_at: Option<Duration>,
}

/// What the proxy told.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) at: Duration,
    pub(super) kind: String,
    pub(super) side: Option<String>,
    pub(super) reason: String,
}

impl Event {
    /// The rule a verdict is about.
    pub(super) fn rule(&self) -> Option<&str> {
        let (_, tail) = self.reason.split_once("rule=")?;
        tail.split(' ').next()
    }

    pub(super) fn noticed(&self) -> Noticed {
        Noticed {
            at: self.at,
            text: self.reason.clone(),
        }
    }
}

/// Somebody saw it.
#[derive(Clone, Debug)]
pub(super) struct Noticed {
    pub(super) at: Duration,
    pub(super) text: String,
}

impl Run {
    /// What was done of a kind first.
    pub(super) fn first(&self, kind: MarkKind) -> Option<&Mark> {
        self.marks.iter().find(|mark| mark.kind == kind)
    }

    pub(super) fn first_harm(&self) -> Option<Duration> {
        self.messages.history.harm().map(|(first, _)| first)
    }

    /// The first since traffic was moved: what the operator's own hands did before is not the incident's.
    pub(super) fn harm_of_shift(&self) -> Option<Duration> {
        let from = self
            .first(MarkKind::Shift)
            .map_or(Duration::ZERO, |shift| shift.at);
        self.messages.history.harm_since(from)
    }

    /// From the first to the last message that was late or lost.
    pub(super) fn recovery(&self) -> Option<Duration> {
        self.messages
            .history
            .harm()
            .map(|(first, last)| last.saturating_sub(first))
    }

    /// By how much the guard tripped before the first harm since the shift, in seconds; negative when it was after. `None` where one of
    /// them was not.
    pub(super) fn lead_seconds(&self) -> Option<f64> {
        let trip = self.trip.as_ref()?.at;
        Some(self.harm_of_shift()?.as_secs_f64() - trip.as_secs_f64())
    }

    /// The machine's longest stall that a first harm can have come from, or of all the run where there was no harm.
    pub(super) fn stall(&self) -> Option<Stall> {
        match self.first_harm() {
            Some(harm) => self
                .stalls
                .longest_within(harm.saturating_sub(2 * LATE_AFTER), harm + LATE_AFTER),
            None => self.stalls.longest(),
        }
    }

    /// All of it, for other programs. Times are seconds since the first message.
    pub(super) fn json(&self) -> Value {
        let seconds = |time: Duration| time.as_secs_f64();
        let messages = &self.messages;
        let moment = |(index, moment): (usize, &crate::demo::Moment)| {
            json!({
                "at": seconds(History::MOMENT) * index as f64,
                "published": moment.published, "failed": moment.failed, "delivered": moment.delivered,
                "late": moment.late, "lost": moment.lost, "slowest": seconds(moment.slowest),
            })
        };
        let mark = |mark: &Mark| json!({"at": seconds(mark.at), "kind": mark.kind, "text": mark.text});
        let look = |look: &Look| {
            json!({
                "at": seconds(look.at), "weight": look.weight,
                "old": look.verdicts[0], "new": look.verdicts[1],
            })
        };
        let noticed = |one: &Noticed| json!({"at": seconds(one.at), "text": one.text});
        let event = |event: &Event| json!({"at": seconds(event.at), "kind": event.kind, "side": event.side, "reason": event.reason});
        let stall = |stall: Stall| json!({"at": seconds(stall.at), "took": seconds(stall.took)});
        json!({
            "run": self.name,
            "preflight": self.preflight.as_ref().map(|one| {
                json!({"refusals": one.refusals, "passed_at": one.passed_at.map(seconds)})
            }),
            "noticed": self.noticed.as_ref().map(noticed),
            "trip": self.trip.as_ref().map(noticed),
            "route_back": self.route_back.map(seconds),
            "longest_stall": self.stalls.longest().map(stall),
            "stall_before_harm": self.first_harm().and(self.stall()).map(stall),
            "events": self.events.iter().map(event).collect::<Vec<_>>(),
            "first_harm": self.first_harm().map(seconds),
            "first_harm_since_shift": self.harm_of_shift().map(seconds),
            "lead": self.lead_seconds(),
            "recovery": self.recovery().map(seconds),
            "messages": {
                "published": messages.published, "failed": messages.failed, "deliveries": messages.delivered,
                "late": messages.late, "lost": messages.lost, "lost_in_gaps": messages.lost_in_gaps,
                "doubled": messages.doubled, "reordered": messages.reordered,
                "p50": seconds(messages.p50), "p99": seconds(messages.p99), "slowest": seconds(messages.slowest),
            },
            "marks": self.marks.iter().map(mark).collect::<Vec<_>>(),
            "looks": self.looks.iter().map(look).collect::<Vec<_>>(),
            "moments": messages.history.moments().iter().enumerate().map(moment).collect::<Vec<_>>(),
        })
    }
}
