//! What came of one run?
//!
//! Pure: what was recorded, and what follows from it.

use std::time::Duration;

use serde_json::{Value, json};

use super::watch::{Look, Mark, MarkKind};
use crate::demo::{History, MessageLedger};

/// One of the three.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) name: &'static str,
    /// What it said, in words.
    pub(super) preflight: String,
    /// The first that the guard or the pre-flight had to say against it.
    pub(super) noticed: Option<Noticed>,
    pub(super) messages: MessageLedger,
    pub(super) marks: Vec<Mark>,
    pub(super) looks: Vec<Look>,
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

    /// From the first to the last message that was late or lost.
    pub(super) fn recovery(&self) -> Option<Duration> {
        self.messages
            .history
            .harm()
            .map(|(first, last)| last.saturating_sub(first))
    }

    /// By how much it was noticed before the first harm, in seconds; negative when it was after. `None` where one of
    /// them was not.
    pub(super) fn lead_seconds(&self) -> Option<f64> {
        let noticed = self.noticed.as_ref()?.at;
        Some(self.first_harm()?.as_secs_f64() - noticed.as_secs_f64())
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
        json!({
            "run": self.name,
            "preflight": self.preflight,
            "noticed": self.noticed.as_ref().map(|one| json!({"at": seconds(one.at), "text": one.text})),
            "first_harm": self.first_harm().map(seconds),
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
