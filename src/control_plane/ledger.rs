//! What became of the messages during a shift, a route back or a failover?
//!
//! Pure: differences of the route's counters between the beginning of a transition and a second after its end, when what was
//! under way has arrived. Transitions that overlap have one entry.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::stats::RouteStats;

/// How long after a transition its messages are still counted.
const AFTERMATH: Duration = Duration::from_secs(1);

/// Messages counted since the proxy started, or in a stretch of time. By side where it is an array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Messages {
    /// Sent to a side.
    pub(super) published: [u64; 2],
    /// Handed to clients.
    pub(super) delivered: u64,
    /// Answered with an error.
    pub(super) failed: u64,
    /// Sent again after they were never answered.
    pub(super) retried: u64,
    /// Never answered, and told so.
    pub(super) uncertain: u64,
    /// Windows in which some may have been missed.
    pub(super) gaps: u64,
}

impl Messages {
    /// As counted by now.
    pub(super) fn of(stats: &RouteStats) -> Self {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let sum = |counters: &[AtomicU64; 2]| counters.iter().map(load).sum();
        Self {
            published: stats.published.each_ref().map(load),
            delivered: load(&stats.delivered),
            failed: sum(&stats.publish_failed),
            retried: sum(&stats.publish_retried),
            uncertain: sum(&stats.publish_uncertain),
            gaps: sum(&stats.gaps),
        }
    }

    fn since(self, before: Self) -> Self {
        let less = |now: u64, before: u64| now.saturating_sub(before);
        Self {
            published: [0, 1].map(|side| less(self.published[side], before.published[side])),
            delivered: less(self.delivered, before.delivered),
            failed: less(self.failed, before.failed),
            retried: less(self.retried, before.retried),
            uncertain: less(self.uncertain, before.uncertain),
            gaps: less(self.gaps, before.gaps),
        }
    }
}

impl fmt::Display for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "published {} on old and {} on new, delivered {}, failed {}, retried {}, uncertain {}, gaps {}",
            self.published[0],
            self.published[1],
            self.delivered,
            self.failed,
            self.retried,
            self.uncertain,
            self.gaps
        )
    }
}

#[derive(Debug)]
struct Open {
    what: Vec<&'static str>,
    before: Messages,
    due: Option<Instant>,
}

/// A route's ledger of messages.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    open: Option<Open>,
    last: Option<String>,
}

impl Ledger {
    /// A transition begins: `shift`, `weight`, `route_back` or `failover`.
    pub(super) fn begin(&mut self, what: &'static str, now: Messages) {
        let open = self.open.get_or_insert_with(|| Open {
            what: Vec::new(),
            before: now,
            due: None,
        });
        open.due = None;
        if !open.what.contains(&what) {
            open.what.push(what);
        }
    }

    /// What is under way has ended.
    pub(super) fn end(&mut self, now: Instant) {
        if let Some(open) = &mut self.open {
            open.due = Some(now + AFTERMATH);
        }
    }

    /// The entry that is complete by now.
    pub(super) fn tick(&mut self, now: Instant, messages: impl FnOnce() -> Messages) -> Option<String> {
        let is_due = |open: &mut Open| open.due.is_some_and(|due| now >= due);
        let open = self.open.take_if(is_due)?;
        let entry = format!("{}: {}", open.what.join(", "), messages().since(open.before));
        self.last = Some(entry.clone());
        Some(entry)
    }

    /// The last entry.
    pub(super) fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transitions_that_overlap_are_counted_once_and_until_a_second_after_the_last() {
        let start = Instant::now();
        let messages = |published| Messages {
            published: [published, 1],
            delivered: 10 * published,
            ..Messages::default()
        };
        let mut ledger = Ledger::default();
        assert_eq!(ledger.tick(start, || messages(0)), None);
        ledger.begin("shift", messages(5));
        assert_eq!(ledger.tick(start + AFTERMATH * 9, || messages(6)), None);
        ledger.end(start);
        ledger.begin("route_back", messages(7));
        assert_eq!(ledger.tick(start + AFTERMATH, || messages(8)), None);
        ledger.end(start + AFTERMATH);
        assert_eq!(ledger.tick(start + AFTERMATH, || messages(8)), None);
        let entry = ledger.tick(start + AFTERMATH * 2, || messages(9));
        let expected = "shift, route_back: published 4 on old and 0 on new, delivered 40, failed 0, retried 0, uncertain 0, gaps 0";
        assert_eq!(entry.as_deref(), Some(expected));
        assert_eq!(ledger.last(), Some(expected));
        assert_eq!(ledger.tick(start + AFTERMATH * 9, || messages(10)), None);
    }
}
