//! What has happened, newest first, and who is told as it happens?
//!
//! Pure but for the sinks: a bounded ring of events, and streams that are cut off rather than waited for.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::admin::{EventSink, Reply, json};
use crate::cluster::Side;
use crate::limits::{ADMIN_CLIENTS_MAX, EVENTS_KEPT};
use crate::routing::Epoch;

/// Kinds of events that somebody should be told of who reads nothing but warnings.
const TROUBLE: [&str; 4] = ["gap", "state_not_saved", "trip", "trip_withheld"];

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) time: Timestamp,
    pub(super) epoch: Epoch,
    pub(super) route: String,
    pub(super) side: Option<Side>,
    /// One word: `weight`, `trip`, `master_changed`, `sentinel_lost`, …
    pub(super) kind: &'static str,
    /// One line.
    pub(super) reason: String,
}

/// All events of the process, as far as they are kept.
#[derive(Debug, Default)]
pub(super) struct Journal {
    entries: VecDeque<Entry>,
    sinks: Vec<EventSink>,
}

impl Journal {
    /// Keeps an event, logs it, and tells whoever listens.
    pub(super) fn add(&mut self, entry: Entry) {
        entry.log();
        if !self.sinks.is_empty() {
            let line = json(&entry.reply());
            self.sinks.retain(|sink| sink.0.try_send(line.clone()).is_ok());
        }
        if self.entries.len() == EVENTS_KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// The newest `count` events, newest first.
    pub(super) fn newest(&self, count: usize) -> Reply {
        Reply::Array(self.entries.iter().rev().take(count).map(Entry::reply).collect())
    }

    /// Streams every later event to `sink`; `false` when too many listen already.
    pub(super) fn stream_to(&mut self, sink: EventSink) -> bool {
        self.sinks.retain(|sink| !sink.0.is_closed());
        if self.sinks.len() >= ADMIN_CLIENTS_MAX {
            return false;
        }
        self.sinks.push(sink);
        true
    }
}

impl Entry {
    fn log(&self) {
        let Self { route, kind, .. } = self;
        let (side, epoch, reason) = (self.side.map(Side::name), self.epoch.0, &self.reason);
        match TROUBLE.contains(kind) {
            true => tracing::warn!(route, side, epoch, kind, "{reason}"),
            false => tracing::info!(route, side, epoch, kind, "{reason}"),
        }
    }

    fn reply(&self) -> Reply {
        let side = self
            .side
            .map_or(Reply::Null, |side| Reply::Bulk(side.name().to_owned()));
        Reply::Map(vec![
            ("time", Reply::Bulk(format!("{:.3}", self.time))),
            ("epoch", Reply::Integer(self.epoch.0 as i64)),
            ("route", Reply::Bulk(self.route.clone())),
            ("side", side),
            ("kind", Reply::Bulk(self.kind.to_owned())),
            ("reason", Reply::Bulk(self.reason.clone())),
        ])
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    fn entry(number: usize) -> Entry {
        Entry {
            time: Timestamp::UNIX_EPOCH,
            epoch: Epoch(number as u64),
            route: "r".to_owned(),
            side: None,
            kind: "weight",
            reason: String::new(),
        }
    }

    #[test]
    fn the_newest_come_first_and_the_oldest_go() {
        let mut journal = Journal::default();
        (0..EVENTS_KEPT + 5).for_each(|number| journal.add(entry(number)));
        let Reply::Array(all) = journal.newest(usize::MAX) else {
            panic!()
        };
        assert_eq!(all.len(), EVENTS_KEPT);
        assert_eq!(all[0], entry(EVENTS_KEPT + 4).reply());
        assert_eq!(all[EVENTS_KEPT - 1], entry(5).reply());
    }

    #[test]
    fn a_listener_that_does_not_keep_up_is_dropped_and_the_others_are_not() {
        let mut journal = Journal::default();
        let (slow, _slow_end) = mpsc::channel(1);
        let (quick, mut quick_end) = mpsc::channel(8);
        assert!(journal.stream_to(EventSink(slow)));
        assert!(journal.stream_to(EventSink(quick)));
        (0..3).for_each(|number| journal.add(entry(number)));
        assert_eq!(journal.sinks.len(), 1);
        assert_eq!((0..3).filter(|_| quick_end.try_recv().is_ok()).count(), 3);
    }
}
