//! What did one publisher publish, and what was it told?
//!
//! Pure. Only what was acknowledged must arrive: a message whose PUBLISH failed should not have been published, one whose
//! reply never came may have been or not.

use std::collections::BTreeMap;

/// Kinds of failures told apart; a server that made up a new one for each command would fill memory.
const KINDS_MAX: usize = 32;

/// How a PUBLISH ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It has not.
    Pending,
    /// With a number of receivers.
    Published,
    /// With an error that says it was not executed.
    Failed,
    /// Without a reply, or with one that says it may have been executed.
    Uncertain,
}

/// One PUBLISH, in microseconds since the start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) fate: Fate,
    pub(super) began_micros: u64,
    pub(super) ended_micros: u64,
}

/// One publisher's messages on one channel, the first one's number being 1.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    entries: Vec<Entry>,
    published: u64,
}

impl Stream {
    pub(super) fn entry(&self, number: u32) -> Option<&Entry> {
        self.entries.get((number as usize).checked_sub(1)?)
    }

    /// The last number.
    pub(super) fn last(&self) -> u32 {
        self.entries.len() as u32
    }

    /// How many must arrive.
    pub(super) fn published(&self) -> u64 {
        self.published
    }
}

/// One publisher's book.
#[derive(Clone, Debug)]
pub(super) struct Book {
    streams: Vec<Stream>,
    pub(super) published: u64,
    pub(super) uncertain: u64,
    /// Everything that was not acknowledged: counts by the first word of the error, `closed`, `timeout`, `moved` or
    /// `connect`.
    pub(super) failed: BTreeMap<String, u64>,
    pub(super) slowest_micros: u64,
}

impl Book {
    pub(super) fn new(channels: usize) -> Self {
        Self {
            streams: vec![Stream::default(); channels],
            published: 0,
            uncertain: 0,
            failed: BTreeMap::new(),
            slowest_micros: 0,
        }
    }

    /// Every PUBLISH there was a connection for.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.streams.iter().flat_map(|stream| &stream.entries)
    }

    pub(super) fn stream(&self, channel: usize) -> Option<&Stream> {
        self.streams.get(channel)
    }

    /// The number of the next message on a channel, about to be sent.
    pub(super) fn begin(&mut self, channel: usize, now_micros: u64) -> u32 {
        let Some(stream) = self.streams.get_mut(channel) else {
            return 0;
        };
        stream.entries.push(Entry {
            fate: Fate::Pending,
            began_micros: now_micros,
            ended_micros: u64::MAX,
        });
        stream.last()
    }

    /// Notes how it ended; `why` in a word when it was not acknowledged.
    pub(super) fn end(
        &mut self,
        (channel, number): (usize, u32),
        outcome: Result<(), (Fate, &str)>,
        now_micros: u64,
    ) {
        let Some(stream) = self.streams.get_mut(channel) else {
            return;
        };
        let index = (number as usize).wrapping_sub(1);
        let Some(entry) = stream.entries.get_mut(index) else {
            return;
        };
        entry.ended_micros = now_micros;
        self.slowest_micros = self
            .slowest_micros
            .max(now_micros - entry.began_micros.min(now_micros));
        match outcome {
            Ok(()) => {
                entry.fate = Fate::Published;
                stream.published += 1;
                self.published += 1;
            }
            Err((fate, why)) => {
                entry.fate = fate;
                self.uncertain += u64::from(fate == Fate::Uncertain);
                self.fail(why);
            }
        }
    }

    /// Notes messages that were due, and for which there was no connection.
    pub(super) fn no_connection(&mut self) {
        self.fail("connect");
    }

    fn fail(&mut self, why: &str) {
        let known = self.failed.contains_key(why) || self.failed.len() < KINDS_MAX;
        let why = if known { why } else { "other" };
        *self.failed.entry(why.to_owned()).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_by_channel_and_only_what_was_acknowledged_must_arrive() {
        let mut book = Book::new(2);
        let sent = [0, 1, 0, 0].map(|channel| (channel, book.begin(channel, 10)));
        assert_eq!(sent, [(0, 1), (1, 1), (0, 2), (0, 3)]);
        book.end(sent[0], Ok(()), 40);
        book.end(sent[1], Err((Fate::Failed, "NOUPSTREAM")), 20);
        book.end(sent[2], Err((Fate::Uncertain, "closed")), 20);
        book.no_connection();
        let stream = book.stream(0).unwrap();
        assert_eq!((stream.last(), stream.published()), (3, 1));
        let fates = [1, 2, 3].map(|number| stream.entry(number).unwrap().fate);
        assert_eq!(fates, [Fate::Published, Fate::Uncertain, Fate::Pending]);
        assert!(stream.entry(0).is_none() && stream.entry(4).is_none());
        assert_eq!((book.published, book.uncertain, book.slowest_micros), (1, 1, 30));
        let failed: Vec<_> = book
            .failed
            .iter()
            .map(|(why, count)| (why.as_str(), *count))
            .collect();
        assert_eq!(failed, [("NOUPSTREAM", 1), ("closed", 1), ("connect", 1)]);
    }
}
