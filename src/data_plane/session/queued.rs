//! What has a transaction queued that is the session's own business, and what does it come to?
//!
//! Pure. On the server something stands for each of them, so that errors, order and the number of replies are its own: a
//! PING for what the proxy answers, or what is as much forbidden and does nothing, whose reply is replaced in EXEC's by what
//! Redis 7.0 says there; AUTH, SELECT and HELLO themselves. A subscription is confirmed for each channel, as it would be outside,
//! which makes EXEC's reply longer than the array it says it is. That is Redis's doing.

use std::collections::BTreeSet;

use super::cursor::Cursor;
use super::subscriptions::Subscriptions;
use crate::data_plane::command::{LocalCommand, TopicKind};
use crate::data_plane::pubsub::{confirmation, pong};
use crate::data_plane::users::Login;
use crate::resp::{Args, Protocol, ReplyScanner, parse_i64};

/// In a transaction Redis has no way to tell a client of a shard channel that moves.
const NO_SHARDS: &[u8] = b"-ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client\r\n";

/// What becomes of one queued command when it is executed.
#[derive(Debug)]
pub(super) enum Change {
    /// SUBSCRIBE (`true`) and its like, and their opposites.
    Listen(TopicKind, bool, Vec<Box<[u8]>>),
    /// PING's reply depends on what the client listens to at that point.
    Ping,
    /// Answered by the session, or by all workers: the request. What stands for it may be refused by the server.
    Client(LocalCommand, Box<[u8]>),
    /// To this user, if the server says OK.
    Auth(Login),
    /// To this database, if it does.
    Select(u32),
    /// To this protocol, if the server does not object; what the options do holds as far as it came.
    Hello {
        protocol: Option<Protocol>,
        options: Vec<HelloOption>,
        /// What the server says when it comes to what is wrong with them.
        error: Option<Vec<u8>>,
    },
    /// CLIENT TRACKING; whether the node is told the same there.
    Track { is_told: bool, request: Box<[u8]> },
    /// What the proxy does not know of CLIENT and a server may set for its connection: words after CLIENT.
    Unknown(Vec<Vec<u8>>),
    /// SCAN's reply gets another cursor.
    Scan(Cursor),
}

/// What HELLO does on its way.
#[derive(Debug)]
pub(super) enum HelloOption {
    Name(Box<[u8]>),
    Auth(Login),
}

/// All of these, by their place among all that is queued.
#[derive(Debug, Default)]
pub(crate) struct Queued {
    changes: Vec<(usize, Change)>,
    /// Of names, and of changes without any.
    count: usize,
    bytes: usize,
}

impl Queued {
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many changes there are, and their bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.count, self.bytes)
    }

    /// Whether the client may listen to something else afterwards.
    pub(super) fn listens(&self) -> bool {
        self.changes
            .iter()
            .any(|(_, change)| matches!(change, Change::Listen(..)))
    }

    /// Whether the client may be another user afterwards.
    pub(super) fn logs_in(&self) -> bool {
        let is_auth = |option: &HelloOption| matches!(option, HelloOption::Auth(_));
        let logs_in = |change: &Change| match change {
            Change::Auth(_) => true,
            Change::Hello { options, .. } => options.iter().any(is_auth),
            _ => false,
        };
        self.changes.iter().any(|(_, change)| logs_in(change))
    }

    /// Whether its links may be of another setting afterwards.
    pub(super) fn resets_links(&self) -> bool {
        let resets = |change: &Change| {
            matches!(
                change,
                Change::Auth(_)
                    | Change::Select(_)
                    | Change::Hello { .. }
                    | Change::Track { .. }
                    | Change::Unknown(_)
            )
        };
        self.changes.iter().any(|(_, change)| resets(change))
    }

    /// Whether the node may track afterwards.
    pub(super) fn tracks(&self) -> bool {
        let tracks = |change: &Change| matches!(change, Change::Track { is_told: true, .. });
        self.changes.iter().any(|(_, change)| tracks(change))
    }

    /// The protocol that is spoken afterwards, when it may be another.
    pub(super) fn protocol(&self) -> Option<Protocol> {
        self.changes.iter().rev().find_map(|(_, change)| match change {
            Change::Hello { protocol, .. } => *protocol,
            _ => None,
        })
    }

    /// Whether all of so many commands are of these.
    pub(super) fn is_all(&self, count: usize) -> bool {
        self.changes.len() == count
    }

    /// A request for subscriptions, or for their end, is number `at` of what is queued.
    pub(super) fn listen(&mut self, at: usize, kind: TopicKind, is_on: bool, args: Args<'_>) {
        let names: Vec<Box<[u8]>> = args.iter().skip(1).map(Box::from).collect();
        self.count += names.len().max(1);
        self.bytes += names.iter().map(|name| name.len()).sum::<usize>();
        self.changes.push((at, Change::Listen(kind, is_on, names)));
    }

    /// A PING is: where nothing of this kind was before, the server's reply holds.
    pub(super) fn ping(&mut self, at: usize) {
        if !self.is_empty() {
            self.add(at, Change::Ping, 0);
        }
    }

    /// Any other is; of as many bytes.
    pub(super) fn add(&mut self, at: usize, change: Change, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
        self.changes.push((at, change));
    }

    /// What becomes of number `at` of what is queued, if that is the session's business.
    pub(super) fn change(&self, at: usize) -> Option<&Change> {
        let found = self.changes.binary_search_by_key(&at, |(place, _)| *place).ok()?;
        self.changes.get(found).map(|(_, change)| change)
    }
}

/// What a client listens to at one point of a transaction.
#[derive(Clone, Debug, Default)]
pub(super) struct Listening {
    channels: BTreeSet<Box<[u8]>>,
    patterns: BTreeSet<Box<[u8]>>,
    shards: BTreeSet<Box<[u8]>>,
}

impl Listening {
    pub(super) fn of(subscriptions: &Subscriptions) -> Self {
        let names = |kind| {
            let topics = subscriptions.of(kind).into_iter();
            topics.map(|topic| Box::from(&*topic.name)).collect()
        };
        Self {
            channels: names(TopicKind::Channel),
            patterns: names(TopicKind::Pattern),
            shards: names(TopicKind::Shard),
        }
    }

    /// What it listens to at the end of a transaction.
    pub(super) fn after(&self, queued: &Queued) -> Self {
        let mut after = self.clone();
        for (_, change) in &queued.changes {
            if let Change::Listen(kind, is_on, names) = change {
                after.listen(Protocol::Resp2, *kind, *is_on, names);
            }
        }
        after
    }

    pub(super) fn has(&self, kind: TopicKind, name: &[u8]) -> bool {
        self.names(kind).contains(name)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = (TopicKind, &[u8])> {
        [TopicKind::Channel, TopicKind::Pattern, TopicKind::Shard]
            .into_iter()
            .flat_map(|kind| self.names(kind).iter().map(move |name| (kind, &**name)))
    }

    /// Listens to more or to less; how that is confirmed.
    pub(super) fn listen(
        &mut self,
        protocol: Protocol,
        kind: TopicKind,
        is_on: bool,
        names: &[Box<[u8]>],
    ) -> Vec<u8> {
        if is_on && kind == TopicKind::Shard {
            return NO_SHARDS.to_vec();
        }
        let all: Vec<Box<[u8]>> = match names.is_empty() {
            true => self.names(kind).iter().cloned().collect(),
            false => names.to_vec(),
        };
        let mut reply = Vec::new();
        for name in all {
            match is_on {
                true => drop(self.names_mut(kind).insert(name.clone())),
                false => drop(self.names_mut(kind).remove(&name)),
            }
            confirmation(&mut reply, protocol, kind, is_on, Some(&name), self.count(kind));
        }
        if reply.is_empty() {
            confirmation(&mut reply, protocol, kind, is_on, None, self.count(kind));
        }
        reply
    }

    /// PING's reply, as a client with subscriptions gets it in RESP2; an error stays one.
    pub(super) fn pong(&self, protocol: Protocol, reply: &[u8]) -> Vec<u8> {
        match reply.first() {
            _ if protocol != Protocol::Resp2 || self.is_empty() => reply.to_vec(),
            Some(b'$') => [b"*2\r\n$4\r\npong\r\n", reply].concat(),
            Some(b'+') => pong(b""),
            _ => reply.to_vec(),
        }
    }

    fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty() && self.shards.is_empty()
    }

    fn names(&self, kind: TopicKind) -> &BTreeSet<Box<[u8]>> {
        match kind {
            TopicKind::Channel => &self.channels,
            TopicKind::Pattern => &self.patterns,
            TopicKind::Shard => &self.shards,
        }
    }

    fn names_mut(&mut self, kind: TopicKind) -> &mut BTreeSet<Box<[u8]>> {
        match kind {
            TopicKind::Channel => &mut self.channels,
            TopicKind::Pattern => &mut self.patterns,
            TopicKind::Shard => &mut self.shards,
        }
    }

    fn count(&self, kind: TopicKind) -> usize {
        match kind {
            TopicKind::Channel | TopicKind::Pattern => self.channels.len() + self.patterns.len(),
            TopicKind::Shard => self.shards.len(),
        }
    }
}

/// The replies in EXEC's; `None` when it is not that of `queued` commands that were executed.
pub(super) fn executed(reply: &[u8], queued: usize) -> Option<Vec<&[u8]>> {
    let end = memchr::memchr(b'\n', reply)? + 1;
    let count = parse_i64(reply.get(..end)?.strip_prefix(b"*")?.strip_suffix(b"\r\n")?)?;
    if usize::try_from(count).ok()? != queued {
        return None;
    }
    let mut rest = reply.get(end..)?;
    let mut scanner = ReplyScanner::new();
    let mut elements = Vec::new();
    for _ in 0..queued {
        let (element, behind) = rest.split_at_checked(scanner.scan(rest).ok()??)?;
        elements.push(element);
        rest = behind;
    }
    Some(elements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::with_args;

    fn queued(requests: &[&[&str]]) -> Queued {
        let mut queued = Queued::default();
        for (at, words) in requests.iter().enumerate() {
            with_args(words, |args| match words[0] {
                "SUBSCRIBE" => queued.listen(at, TopicKind::Channel, true, args),
                "PSUBSCRIBE" => queued.listen(at, TopicKind::Pattern, true, args),
                "SSUBSCRIBE" => queued.listen(at, TopicKind::Shard, true, args),
                "UNSUBSCRIBE" => queued.listen(at, TopicKind::Channel, false, args),
                _ => queued.ping(at),
            });
        }
        queued
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
        let mut before = Listening::default();
        before.listen(Protocol::Resp3, TopicKind::Channel, true, &[Box::from(*b"z")]);
        let queued = queued(requests);
        let after = before.after(&queued);
        let names: Vec<&[u8]> = after.all().map(|(_, name)| name).collect();
        assert_eq!(names, [b"p*"]);
        assert_eq!(queued.size(), (8, 8));
        assert!(queued.listens() && !queued.resets_links());
    }

    #[test]
    fn confirmations_are_those_of_the_protocol_at_that_point() {
        let mut listening = Listening::default();
        let a = [Box::from(*b"a")];
        assert_eq!(
            listening.listen(Protocol::Resp3, TopicKind::Channel, true, &a),
            b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
        );
        assert_eq!(
            listening.pong(Protocol::Resp2, b"$1\r\nx\r\n"),
            b"*2\r\n$4\r\npong\r\n$1\r\nx\r\n"
        );
        assert_eq!(listening.pong(Protocol::Resp3, b"+PONG\r\n"), b"+PONG\r\n");
        assert_eq!(
            listening.listen(Protocol::Resp2, TopicKind::Channel, false, &[]),
            b"*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n"
        );
        assert_eq!(listening.pong(Protocol::Resp2, b"+PONG\r\n"), b"+PONG\r\n");
    }

    #[test]
    fn a_transaction_that_was_not_executed_has_no_replies() {
        assert_eq!(
            executed(b"*2\r\n+PONG\r\n*1\r\n:1\r\n", 2).unwrap(),
            [&b"+PONG\r\n"[..], b"*1\r\n:1\r\n"]
        );
        for reply in [
            &b"*-1\r\n"[..],
            b"-EXECABORT x\r\n",
            b"*1\r\n+PONG\r\n",
            b"*2\r\n+PONG\r\n",
            b"*2\r\n",
        ] {
            assert_eq!(executed(reply, 2), None);
        }
    }
}
