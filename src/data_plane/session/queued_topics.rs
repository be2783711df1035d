//! What do the subscriptions that a transaction queues come to?
//!
//! Pure. On the server a PING stands for each of them, so that errors, order and the number of replies are its own; in
//! EXEC's reply that PING's is replaced by what Redis 7.0 says there: a confirmation for each channel, as it would outside.
//! Several of them make the reply longer than the array it says it is, which is Redis's doing. In RESP2 a client with
//! subscriptions cannot begin a transaction, and in RESP3 it is refused this, so it has none when the first one is queued.

use std::collections::BTreeSet;

use crate::data_plane::command::TopicKind;
use crate::data_plane::pubsub::{confirmation, pong};
use crate::resp::{Args, Protocol, ReplyScanner, parse_i64};

/// In a transaction Redis has no way to tell a client of a shard channel that moves.
const NO_SHARDS: &[u8] = b"-ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client\r\n";

#[derive(Debug)]
enum Change {
    On(TopicKind, Vec<Box<[u8]>>),
    Off(TopicKind, Vec<Box<[u8]>>),
    /// PING's reply depends on what the client listens to at that point.
    Ping,
}

/// What a transaction has queued of SUBSCRIBE and its like.
#[derive(Debug, Default)]
pub(crate) struct QueuedTopics {
    /// By their place among all that is queued.
    changes: Vec<(usize, Change)>,
    /// Of names, and of changes without any.
    count: usize,
    bytes: usize,
}

/// What takes the place of a server's reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    Reply(Vec<u8>),
    /// The server's, to PING, in the form for a client with subscriptions.
    Pong,
}

/// What it comes to when the transaction is executed.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// What takes the place of the server's replies, by their place.
    pub(super) replies: Vec<(usize, Own)>,
    /// What the client listens to then.
    pub(super) topics: Vec<(TopicKind, Box<[u8]>)>,
}

impl QueuedTopics {
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many changes there are, and the bytes of their names.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.count, self.bytes)
    }

    /// A request for subscriptions is number `at` of what is queued.
    pub(super) fn subscribe(&mut self, at: usize, kind: TopicKind, args: Args<'_>) {
        let names = self.take(args);
        self.changes.push((at, Change::On(kind, names)));
    }

    /// The same for their end.
    pub(super) fn unsubscribe(&mut self, at: usize, kind: TopicKind, args: Args<'_>) {
        let names = self.take(args);
        self.changes.push((at, Change::Off(kind, names)));
    }

    /// A PING is: where nothing was subscribed to before, the server's reply holds.
    pub(super) fn ping(&mut self, at: usize) {
        if !self.is_empty() {
            self.count += 1;
            self.changes.push((at, Change::Ping));
        }
    }

    fn take(&mut self, args: Args<'_>) -> Vec<Box<[u8]>> {
        let names: Vec<Box<[u8]>> = args.iter().skip(1).map(Box::from).collect();
        self.count += names.len().max(1);
        self.bytes += names.iter().map(|name| name.len()).sum::<usize>();
        names
    }

    /// What comes of it, from no subscriptions at all.
    pub(super) fn outcome(&self, protocol: Protocol) -> Outcome {
        let mut now = Now {
            protocol,
            ..Now::default()
        };
        let mut replies = Vec::new();
        for (at, change) in &self.changes {
            if let Some(reply) = now.reply(change) {
                replies.push((*at, reply));
            }
        }
        let of =
            |(kind, names): (TopicKind, BTreeSet<Box<[u8]>>)| names.into_iter().map(move |name| (kind, name));
        let topics = [
            (TopicKind::Channel, now.channels),
            (TopicKind::Pattern, now.patterns),
        ];
        Outcome {
            replies,
            topics: topics.into_iter().flat_map(of).collect(),
        }
    }
}

/// What the client listens to at one point of the transaction. No shard channels: they are refused.
#[derive(Default)]
struct Now {
    protocol: Protocol,
    channels: BTreeSet<Box<[u8]>>,
    patterns: BTreeSet<Box<[u8]>>,
}

impl Now {
    fn reply(&mut self, change: &Change) -> Option<Own> {
        let reply = match change {
            Change::On(TopicKind::Shard, _) => NO_SHARDS.to_vec(),
            Change::On(kind, names) => self.confirm(*kind, true, names.iter()),
            Change::Off(kind, names) if names.is_empty() => {
                let all = self.of(*kind).map(|names| names.clone()).unwrap_or_default();
                self.confirm(*kind, false, all.iter())
            }
            Change::Off(kind, names) => self.confirm(*kind, false, names.iter()),
            Change::Ping => {
                let is_listening = !self.channels.is_empty() || !self.patterns.is_empty();
                return (is_listening && self.protocol == Protocol::Resp2).then_some(Own::Pong);
            }
        };
        Some(Own::Reply(reply))
    }

    fn of(&mut self, kind: TopicKind) -> Option<&mut BTreeSet<Box<[u8]>>> {
        match kind {
            TopicKind::Channel => Some(&mut self.channels),
            TopicKind::Pattern => Some(&mut self.patterns),
            TopicKind::Shard => None,
        }
    }

    fn confirm<'n>(
        &mut self,
        kind: TopicKind,
        is_on: bool,
        names: impl Iterator<Item = &'n Box<[u8]>>,
    ) -> Vec<u8> {
        let mut reply = Vec::new();
        for name in names {
            match self.of(kind) {
                Some(topics) if is_on => drop(topics.insert(name.clone())),
                Some(topics) => drop(topics.remove(name)),
                None => {}
            }
            confirmation(
                &mut reply,
                self.protocol,
                kind,
                is_on,
                Some(name),
                self.count(kind),
            );
        }
        if reply.is_empty() {
            confirmation(&mut reply, self.protocol, kind, is_on, None, self.count(kind));
        }
        reply
    }

    fn count(&self, kind: TopicKind) -> usize {
        match kind {
            TopicKind::Channel | TopicKind::Pattern => self.channels.len() + self.patterns.len(),
            TopicKind::Shard => 0,
        }
    }
}

/// EXEC's reply with `replies` in their places; `None` when it is not that of `queued` commands that were executed.
pub(super) fn splice(reply: &[u8], queued: usize, replies: &[(usize, Own)]) -> Option<Vec<u8>> {
    let end = memchr::memchr(b'\n', reply)? + 1;
    let count = parse_i64(reply.get(..end)?.strip_prefix(b"*")?.strip_suffix(b"\r\n")?)?;
    if usize::try_from(count).ok()? != queued {
        return None;
    }
    let (head, mut rest) = reply.split_at_checked(end)?;
    let mut spliced = head.to_vec();
    let mut scanner = ReplyScanner::new();
    let mut ours = replies.iter().peekable();
    for at in 0..queued {
        let (element, behind) = rest.split_at_checked(scanner.scan(rest).ok()??)?;
        match ours.next_if(|(place, _)| *place == at) {
            Some((_, Own::Reply(reply))) => spliced.extend_from_slice(reply),
            Some((_, Own::Pong)) => spliced.extend_from_slice(&listening_pong(element)),
            None => spliced.extend_from_slice(element),
        }
        rest = behind;
    }
    Some(spliced)
}

/// PING's reply, as a client with subscriptions gets it; an error stays one.
fn listening_pong(reply: &[u8]) -> Vec<u8> {
    match reply.first() {
        Some(b'$') => [b"*2\r\n$4\r\npong\r\n", reply].concat(),
        Some(b'+') => pong(b""),
        _ => reply.to_vec(),
    }
}

/// The reply to an EXEC of nothing but subscriptions: no server is asked.
pub(super) fn alone(replies: &[(usize, Own)]) -> Vec<u8> {
    let mut reply = format!("*{}\r\n", replies.len()).into_bytes();
    for (_, own) in replies {
        if let Own::Reply(own) = own {
            reply.extend_from_slice(own);
        }
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::with_args;

    fn queued(requests: &[&[&str]]) -> QueuedTopics {
        let mut topics = QueuedTopics::default();
        for (at, words) in requests.iter().enumerate() {
            with_args(words, |args| match words[0] {
                "SUBSCRIBE" => topics.subscribe(at, TopicKind::Channel, args),
                "PSUBSCRIBE" => topics.subscribe(at, TopicKind::Pattern, args),
                "SSUBSCRIBE" => topics.subscribe(at, TopicKind::Shard, args),
                "UNSUBSCRIBE" => topics.unsubscribe(at, TopicKind::Channel, args),
                "PING" => topics.ping(at),
                _ => {}
            });
        }
        topics
    }

    #[test]
    fn what_is_left_in_the_end_is_listened_to() {
        let requests: &[&[&str]] = &[
            &["SUBSCRIBE", "a", "b"],
            &["SSUBSCRIBE", "s"],
            &["UNSUBSCRIBE"],
            &["PSUBSCRIBE", "p*"],
            &["SUBSCRIBE", "c"],
            &["UNSUBSCRIBE", "c", "d"],
        ];
        let outcome = queued(requests).outcome(Protocol::Resp2);
        let names: Vec<&[u8]> = outcome.topics.iter().map(|(_, name)| &**name).collect();
        assert_eq!(names, [b"p*"]);
        assert_eq!(outcome.replies.len(), 6);
        assert_eq!(outcome.replies[1], (1, Own::Reply(NO_SHARDS.to_vec())));
    }

    #[test]
    fn the_servers_replies_are_replaced_in_their_places() {
        let requests: &[&[&str]] = &[&["PING"], &["GET"], &["SUBSCRIBE", "a"], &["PING", "x"]];
        let outcome = queued(requests).outcome(Protocol::Resp2);
        let spliced = splice(
            b"*4\r\n+PONG\r\n*1\r\n$1\r\n7\r\n+PONG\r\n$1\r\nx\r\n",
            4,
            &outcome.replies,
        );
        let expected = b"*4\r\n+PONG\r\n*1\r\n$1\r\n7\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*2\r\n$4\r\npong\r\n$1\r\nx\r\n";
        assert_eq!(
            spliced.unwrap().escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }

    #[test]
    fn a_transaction_that_was_not_executed_is_told_as_it_is() {
        for reply in [
            &b"*-1\r\n"[..],
            b"-EXECABORT x\r\n",
            b"*1\r\n+PONG\r\n",
            b"*2\r\n+PONG\r\n",
            b"*2\r\n",
        ] {
            assert_eq!(splice(reply, 2, &[]), None);
        }
    }
}
