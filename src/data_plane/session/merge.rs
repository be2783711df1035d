//! How do the replies of a request that was sent in parts become one reply?
//!
//! Pure. A part may itself be split again, when the weight changes before it could be sent: it then answers for fewer
//! of the request's keys, and a new part for the rest.

use std::collections::HashSet;

use super::cursor::Cursor;
use crate::cluster::Side;
use crate::data_plane::pubsub::{Correction, Listing, is_own};
use crate::resp::{ReplyScanner, parse_i64, whole_value, write_array};
use crate::routing::{Slot, Weight, owner};

/// What is made of the parts' replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MergeKind {
    /// Arrays whose elements go to the places of their keys: MGET.
    Places,
    /// Integers that add up: DEL, UNLINK, EXISTS, TOUCH, DBSIZE.
    Sum,
    /// The same answer from all, the first is told: MSET, FLUSHALL, SCRIPT LOAD.
    First,
    /// The smallest of integers: WAIT.
    Fewest,
    /// The first reply that is no error: SCRIPT KILL.
    Either,
    /// Arrays of integers of which each element is the smallest: SCRIPT EXISTS.
    Least,
    /// Arrays one after another, each element once, but for what is hidden, and more behind them: PUBSUB CHANNELS.
    Channels(Listing),
    /// Arrays of names and integers, which add up when each has been put right: PUBSUB NUMSUB.
    Subscribers(Vec<Correction>),
    /// Integers that add up when each has been put right: PUBSUB NUMPAT.
    Patterns(Correction),
    /// One part, of which the keys are told that its side owned when the scan began: SCAN.
    Scan(Cursor),
    /// Arrays of keys one after another, of each side those that it owned: KEYS.
    Keys { weight: Weight },
    /// A text in which clients are counted, and behind which another section may be told; a second part, if there is one, is of the
    /// other side, and counts those that block there: INFO.
    Info(Besides),
    /// One part, in which the client has another number than the link it came by: HELLO.
    Hello { id: u64 },
    /// One key of those that their sides own, of `first` if there is one, or null: RANDOMKEY.
    Random {
        weight: Weight,
        first: Side,
        null: &'static [u8],
    },
}

/// What INFO says that its server does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Besides {
    /// May be empty.
    pub(crate) section: String,
    /// Clients: the server counts links.
    pub(crate) connected: usize,
    /// Those of them that are paused, whose commands the server has not seen.
    pub(crate) paused: usize,
}

#[derive(Debug, Default)]
struct Part {
    reply: Option<Vec<u8>>,
    pieces: Vec<u8>,
}

/// The parts of one request.
#[derive(Debug)]
pub(crate) struct Merge {
    kind: MergeKind,
    parts: Vec<Part>,
    /// For each of the request's keys, where it was split by them, the number of the part that has it.
    order: Vec<u16>,
}

impl Merge {
    /// A request that was sent in so many parts.
    pub(crate) fn new(kind: MergeKind, parts: usize) -> Self {
        Self {
            kind,
            parts: (0..parts).map(|_| Part::default()).collect(),
            order: Vec::new(),
        }
    }

    /// A request whose keys have these owners, each of which has a part: old's is the first.
    pub(crate) fn of_keys(kind: MergeKind, owners: &[Side]) -> Self {
        let order = owners.iter().map(|owner| owner.index() as u16).collect();
        Self {
            order,
            ..Self::new(kind, Side::BOTH.len())
        }
    }

    /// Splits part `index` again, whose keys have these owners: it keeps old's; returns the number of the part that has the others.
    pub(crate) fn split(&mut self, index: u16, owners: &[Side]) -> Option<u16> {
        let other = u16::try_from(self.parts.len()).ok()?;
        self.restart(index);
        self.parts.push(Part::default());
        let of_part = self.order.iter_mut().filter(|of| **of == index);
        for (of, _) in of_part.zip(owners).filter(|(_, owner)| **owner == Side::New) {
            *of = other;
        }
        Some(other)
    }

    /// Bytes kept of the parts' replies.
    pub(crate) fn bytes(&self) -> usize {
        let of = |part: &Part| part.pieces.len() + part.reply.as_ref().map_or(0, Vec::len);
        self.parts.iter().map(of).sum()
    }

    /// A piece of a part's reply.
    pub(crate) fn piece(&mut self, index: u16, bytes: &[u8]) {
        if let Some(part) = self.parts.get_mut(usize::from(index)) {
            part.pieces.extend_from_slice(bytes);
        }
    }

    /// A part's whole reply, or its last piece. The reply to the request, once all parts have theirs: the last of them is not kept.
    pub(crate) fn finish(&mut self, index: u16, bytes: &[u8]) -> Option<Vec<u8>> {
        let index = usize::from(index);
        let mut others = self.parts.iter().enumerate().filter(|(at, _)| *at != index);
        let is_last = others.all(|(_, part)| part.reply.is_some());
        let part = self.parts.get_mut(index)?;
        if is_last && part.pieces.is_empty() {
            return self.complete(index, bytes);
        }
        part.pieces.extend_from_slice(bytes);
        let reply = std::mem::take(&mut part.pieces);
        if is_last {
            return self.complete(index, &reply);
        }
        part.reply = Some(reply);
        None
    }

    /// A part is to be sent again: forgets its pieces.
    pub(crate) fn restart(&mut self, index: u16) {
        if let Some(part) = self.parts.get_mut(usize::from(index)) {
            part.pieces.clear();
        }
    }

    /// What changes nothing: the reply of a part that needs no server any more, as its side was left.
    pub(crate) fn empty_reply(&self) -> &'static [u8] {
        match self.kind {
            MergeKind::Sum => b":0\r\n",
            MergeKind::Places
            | MergeKind::Least
            | MergeKind::Channels(_)
            | MergeKind::Subscribers(_)
            | MergeKind::Patterns(_) => b"*0\r\n",
            // Their parts are never without a server: see `keyspace`.
            MergeKind::First
            | MergeKind::Fewest
            | MergeKind::Either
            | MergeKind::Info(_)
            | MergeKind::Hello { .. }
            | MergeKind::Scan(_)
            | MergeKind::Keys { .. }
            | MergeKind::Random { .. } => b"",
        }
    }

    /// The reply, once all parts have theirs, but `last`, whose reply is this. The first error of any part is the whole's.
    fn complete(&self, last: usize, reply: &[u8]) -> Option<Vec<u8>> {
        let parts = self.parts.iter().enumerate();
        let replies: Option<Vec<&[u8]>> = parts
            .map(|(at, part)| {
                if at == last {
                    Some(reply)
                } else {
                    part.reply.as_deref()
                }
            })
            .collect();
        let replies = replies?;
        let is_error = |reply: &&&[u8]| reply.first() == Some(&b'-');
        // What the other side would have said of its clients is not told without the rest.
        let needed = match self.kind {
            MergeKind::Info(_) => replies.get(..1).unwrap_or_default(),
            _ => replies.as_slice(),
        };
        if let Some(error) = needed.iter().find(is_error)
            && (self.kind != MergeKind::Either || replies.iter().all(|reply| is_error(&reply)))
        {
            return Some(error.to_vec());
        }
        let merged = match &self.kind {
            MergeKind::Sum => sum(&replies),
            MergeKind::Fewest => fewest(&replies),
            MergeKind::Either => replies
                .iter()
                .find(|reply| !is_error(reply))
                .map(|reply| reply.to_vec()),
            MergeKind::First => replies
                .iter()
                .find(|reply| !reply.is_empty())
                .map(|reply| reply.to_vec()),
            MergeKind::Least => least(&replies),
            MergeKind::Channels(listing) => channels(&replies, listing),
            MergeKind::Subscribers(corrections) => subscribers(&replies, corrections),
            MergeKind::Patterns(correction) => patterns(&replies, correction),
            MergeKind::Places => self.place(&replies),
            MergeKind::Info(besides) => told_besides(&replies, besides),
            MergeKind::Hello { id } => replies.first().map(|reply| greeting(reply, *id)),
            MergeKind::Scan(cursor) => replies.first().and_then(|reply| scanned(*cursor, reply)),
            MergeKind::Keys { weight } => self.keys(&replies, *weight),
            MergeKind::Random { weight, first, null } => Some(self.random(&replies, *weight, *first, null)),
        };
        Some(merged.unwrap_or_else(|| b"-ERR the sides' replies do not fit together\r\n".to_vec()))
    }

    /// The side that part `index` is for; `None` where its keys or the present weight tell.
    pub(crate) fn side_of(&self, index: u16) -> Option<Side> {
        let is_first_half = usize::from(index) < self.parts.len() / 2;
        match self.kind {
            MergeKind::Scan(cursor) => Some(cursor.side),
            MergeKind::Keys { .. } | MergeKind::Random { .. } | MergeKind::Fewest if is_first_half => {
                Some(Side::Old)
            }
            MergeKind::Keys { .. } | MergeKind::Random { .. } | MergeKind::Fewest => Some(Side::New),
            _ => None,
        }
    }

    fn keys(&self, replies: &[&[u8]], weight: Weight) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        for (index, reply) in (0..).zip(replies) {
            all.extend(owned(elements(reply)?, self.side_of(index)?, weight));
        }
        Some(array(&all))
    }

    fn random(&self, replies: &[&[u8]], weight: Weight, first: Side, null: &[u8]) -> Vec<u8> {
        let of = |side| {
            let keys = (0..)
                .zip(replies)
                .filter(move |(index, _)| self.side_of(*index) == Some(side));
            keys.map(|(_, reply)| *reply)
                .find(move |reply| is_owned(reply, side, weight))
        };
        of(first).or_else(|| of(first.other())).unwrap_or(null).to_vec()
    }

    /// The keys of each part are in the request's order, so that the next element is the next of the part that has it.
    fn place(&self, replies: &[&[u8]]) -> Option<Vec<u8>> {
        let parts: Option<Vec<Elements<'_>>> = replies.iter().map(|reply| Elements::of(reply)).collect();
        let mut parts = parts?;
        let mut merged = Vec::with_capacity(replies.iter().map(|reply| reply.len()).sum());
        write_array(&mut merged, self.order.len());
        for in_a_row in self.order.chunk_by(PartialEq::eq) {
            let part = parts.get_mut(usize::from(*in_a_row.first()?))?;
            merged.extend_from_slice(part.take(in_a_row.len())?);
        }
        parts.iter().all(Elements::is_over).then_some(merged)
    }
}

fn array(elements: &[&[u8]]) -> Vec<u8> {
    let mut reply = Vec::new();
    write_array(&mut reply, elements.len());
    for element in elements {
        reply.extend_from_slice(element);
    }
    reply
}

/// A server's reply to SCAN as the client gets it.
pub(super) fn scanned(cursor: Cursor, reply: &[u8]) -> Option<Vec<u8>> {
    let parts = elements(reply)?;
    let (server, keys) = match parts.as_slice() {
        [server, keys] => (payload(server)?, elements(keys)?),
        _ => return None,
    };
    let next = match cursor.next(std::str::from_utf8(server).ok()?.parse().ok()?) {
        Some(next) => next.to_string(),
        None => {
            return Some(b"-ERR the server's cursor is too large to keep the weight beside it\r\n".to_vec());
        }
    };
    let told = owned(keys, cursor.side, cursor.weight);
    let head = format!("*2\r\n${}\r\n{next}\r\n", next.len()).into_bytes();
    Some([head, array(&told)].concat())
}

/// How many clients of a server block.
const BLOCKED: &[u8] = b"\r\nblocked_clients:";

/// INFO's reply, a bulk string or in RESP3 a verbatim one, put right.
fn told_besides(replies: &[&[u8]], besides: &Besides) -> Option<Vec<u8>> {
    let (reply, of_other) = replies.split_first()?;
    let mut blocked_there = 0;
    for text in of_other {
        with_field(text, BLOCKED, |blocked| {
            blocked_there += blocked;
            blocked
        });
    }
    let section = &besides.section;
    let start = memchr::memchr(b'\n', reply)? + 1;
    let (kind, text) = (*reply.first()?, reply.get(start..)?.strip_suffix(b"\r\n")?);
    let is_empty = match kind {
        b'$' => text.is_empty(),
        b'=' => text == b"txt:",
        _ => return None,
    };
    let text = with_field(text, b"\r\nconnected_clients:", |_| besides.connected);
    let text = with_field(&text, BLOCKED, |blocked| blocked + blocked_there + besides.paused);
    let gap: &[u8] = if is_empty || section.is_empty() {
        b""
    } else {
        b"\r\n"
    };
    let length = text.len() + gap.len() + section.len();
    let head = [&[kind], length.to_string().as_bytes(), b"\r\n"].concat();
    Some([&head, &text[..], gap, section.as_bytes(), b"\r\n"].concat())
}

/// A server's reply to HELLO as the client gets it: with the number that CLIENT ID tells.
pub(super) fn greeting(reply: &[u8], id: u64) -> Vec<u8> {
    // What comes before it says nothing that a client chooses.
    with_field(reply, b"\r\n$2\r\nid\r\n:", |_| id as usize)
}

/// A text with another number in one of its fields, if it has that.
fn with_field(text: &[u8], field: &[u8], change: impl FnOnce(usize) -> usize) -> Vec<u8> {
    let changed = || {
        let start = memchr::memmem::find(text, field)? + field.len();
        let (before, rest) = text.split_at_checked(start)?;
        let end = memchr::memchr(b'\r', rest)?;
        let (number, after) = rest.split_at_checked(end)?;
        let number = std::str::from_utf8(number).ok()?.parse().ok()?;
        Some([before, change(number).to_string().as_bytes(), after].concat())
    };
    changed().unwrap_or_else(|| text.to_vec())
}

/// Those of a side's keys, as bulk strings, that it owned.
fn owned(mut keys: Vec<&[u8]>, side: Side, weight: Weight) -> Vec<&[u8]> {
    keys.retain(|key| is_owned(key, side, weight));
    keys
}

fn is_owned(key: &[u8], side: Side, weight: Weight) -> bool {
    payload(key).is_some_and(|key| owner(Slot::of(key), weight) == side)
}

/// What a bulk string holds.
pub(super) fn payload(bulk: &[u8]) -> Option<&[u8]> {
    let start = memchr::memchr(b'\n', bulk)? + 1;
    let held = bulk.get(start..)?.strip_suffix(b"\r\n")?;
    (bulk.first() == Some(&b'$')).then_some(held)
}

pub(super) fn integer(reply: &[u8]) -> Option<i64> {
    let digits = reply.strip_prefix(b":")?.strip_suffix(b"\r\n")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn sum(replies: &[&[u8]]) -> Option<Vec<u8>> {
    let mut total = 0i64;
    for reply in replies {
        total = total.checked_add(integer(reply)?)?;
    }
    Some(format!(":{total}\r\n").into_bytes())
}

fn fewest(replies: &[&[u8]]) -> Option<Vec<u8>> {
    let told = replies.iter().filter(|reply| !reply.is_empty());
    let counts: Option<Vec<i64>> = told.map(|reply| integer(reply)).collect();
    let fewest = counts?.into_iter().min()?;
    Some(format!(":{fewest}\r\n").into_bytes())
}

fn least(replies: &[&[u8]]) -> Option<Vec<u8>> {
    let mut least: Option<Vec<&[u8]>> = None;
    for reply in replies {
        let these = elements(reply)?;
        least = Some(match least {
            None => these,
            Some(before) if these.is_empty() => before,
            Some(before) if before.is_empty() => these,
            Some(before) if before.len() != these.len() => return None,
            Some(before) => {
                let smaller = |(a, b): (_, _)| if integer(a) <= integer(b) { a } else { b };
                before.into_iter().zip(these).map(smaller).collect()
            }
        });
    }
    Some(array(&least?))
}

/// A side's count without our links there; a side that was left (`*0`) counts for nothing.
fn others(side: usize, count: i64, correction: &Correction) -> i64 {
    let links = correction.links.get(side).copied().unwrap_or(0);
    count.saturating_sub(links).max(0)
}

fn subscribers(replies: &[&[u8]], corrections: &[Correction]) -> Option<Vec<u8>> {
    let mut names: Vec<&[u8]> = Vec::new();
    let mut counts: Vec<i64> = corrections.iter().map(|correction| correction.clients).collect();
    for (side, reply) in replies
        .iter()
        .enumerate()
        .filter(|(_, reply)| **reply != b"*0\r\n")
    {
        let elements = elements(reply)?;
        let (pairs, _) = elements.as_chunks::<2>();
        if pairs.len() != corrections.len() {
            return None;
        }
        for (count, ([_, told], correction)) in counts.iter_mut().zip(pairs.iter().zip(corrections)) {
            *count += others(side, integer(told)?, correction);
        }
        names = pairs.iter().map(|[name, _]| *name).collect();
    }
    let counts: Vec<Vec<u8>> = counts
        .iter()
        .map(|count| format!(":{count}\r\n").into_bytes())
        .collect();
    let pairs = names
        .iter()
        .zip(&counts)
        .flat_map(|(name, count)| [*name, &**count]);
    Some(array(&pairs.collect::<Vec<_>>()))
}

fn patterns(replies: &[&[u8]], correction: &Correction) -> Option<Vec<u8>> {
    let mut total = correction.clients;
    for (side, reply) in replies
        .iter()
        .enumerate()
        .filter(|(_, reply)| **reply != b"*0\r\n")
    {
        total += others(side, integer(reply)?, correction);
    }
    Some(format!(":{total}\r\n").into_bytes())
}

fn channels(replies: &[&[u8]], listing: &Listing) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    let mut seen = HashSet::new();
    for reply in replies {
        for element in elements(reply)? {
            let name = bulk(element)?;
            if !is_own(name) && !listing.hidden.contains(name) && seen.insert(name) {
                all.push(element);
            }
        }
    }
    let more = listing.more.iter().filter(|name| !seen.contains(&***name));
    let more: Vec<Vec<u8>> = more
        .map(|name| [format!("${}\r\n", name.len()).as_bytes(), name, b"\r\n"].concat())
        .collect();
    all.extend(more.iter().map(Vec::as_slice));
    Some(array(&all))
}

/// What a bulk string holds.
fn bulk(element: &[u8]) -> Option<&[u8]> {
    let header = memchr::memchr(b'\n', element)? + 1;
    element.get(header..)?.strip_suffix(b"\r\n")
}

/// The elements of an array reply, each as its bytes.
pub(super) fn elements(reply: &[u8]) -> Option<Vec<&[u8]>> {
    let mut elements = Elements::of(reply)?;
    let mut all = Vec::new();
    while elements.left > 0 {
        all.push(elements.next()?);
    }
    elements.is_over().then_some(all)
}

/// The elements of an array reply, one after another.
struct Elements<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Elements<'a> {
    fn of(reply: &'a [u8]) -> Option<Self> {
        let header = memchr::memchr(b'\n', reply)? + 1;
        let digits = reply.get(..header)?.strip_prefix(b"*")?.strip_suffix(b"\r\n")?;
        let left = usize::try_from(parse_i64(digits)?).ok()?;
        let rest = reply.get(header..)?;
        Some(Self { rest, left })
    }

    /// The next one; `None` when there is none, or what is there is none.
    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.take(1)
    }

    /// As many, one after another.
    #[inline]
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(count)?;
        let mut end = 0;
        for _ in 0..count {
            end = match whole_value(self.rest, end) {
                Some(end) => end,
                None => end + ReplyScanner::new().scan(self.rest.get(end..)?).ok()??,
            };
        }
        let (these, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        Some(these)
    }

    /// Nothing is left, as there should be at the end.
    fn is_over(&self) -> bool {
        self.left == 0 && self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(kind: MergeKind, parts: &[(&[u32], &str)]) -> String {
        let mut merge = Merge::new(kind, parts.len());
        merge.order = vec![0; parts.iter().map(|(places, _)| places.len()).sum()];
        for ((places, _), index) in parts.iter().zip(0..) {
            for place in *places {
                merge.order[*place as usize] = index;
            }
        }
        let mut merged = None;
        for (index, (_, reply)) in parts.iter().enumerate() {
            assert_eq!(merged, None);
            merged = merge.finish(index as u16, reply.as_bytes());
        }
        String::from_utf8(merged.unwrap()).unwrap()
    }

    #[test]
    fn fewest_replicas_count_and_of_two_only_one_need_have_had_a_script_to_kill() {
        assert_eq!(
            merged(MergeKind::Fewest, &[(&[], ":2\r\n"), (&[], ":1\r\n")]),
            ":1\r\n"
        );
        let (done, idle) = ("+OK\r\n", "-NOTBUSY No scripts in execution right now.\r\n");
        for (old, new, expected) in [(idle, done, done), (done, idle, done), (idle, idle, idle)] {
            assert_eq!(merged(MergeKind::Either, &[(&[], old), (&[], new)]), expected);
        }
    }

    #[test]
    fn elements_go_to_the_places_of_their_keys() {
        let parts: [(&[u32], &str); 2] = [(&[0, 2], "*2\r\n$1\r\na\r\n$-1\r\n"), (&[1], "*1\r\n$1\r\nb\r\n")];
        assert_eq!(
            merged(MergeKind::Places, &parts),
            "*3\r\n$1\r\na\r\n$1\r\nb\r\n$-1\r\n"
        );
    }

    #[test]
    fn a_part_split_again_answers_for_fewer_keys() {
        let owners = [Side::Old, Side::New, Side::Old, Side::Old];
        let mut merge = Merge::of_keys(MergeKind::Places, &owners);
        assert_eq!(merge.split(0, &[Side::Old, Side::New, Side::Old]), Some(2));
        assert_eq!(merge.finish(0, b"*2\r\n:0\r\n:3\r\n"), None);
        assert_eq!(merge.finish(1, b"*1\r\n:1\r\n"), None);
        let merged = merge.finish(2, b"*1\r\n:2\r\n").unwrap();
        assert_eq!(merged, b"*4\r\n:0\r\n:1\r\n:2\r\n:3\r\n");
    }

    #[test]
    fn an_error_of_one_part_is_the_error_of_all() {
        let parts: [(&[u32], &str); 2] = [(&[0], ":1\r\n"), (&[1], "-OOM no\r\n")];
        assert_eq!(merged(MergeKind::Sum, &parts), "-OOM no\r\n");
    }

    #[test]
    fn sums_and_lists_and_firsts() {
        assert_eq!(
            merged(MergeKind::Sum, &[(&[], ":1\r\n"), (&[], ":41\r\n")]),
            ":42\r\n"
        );
        assert_eq!(
            merged(MergeKind::First, &[(&[], ""), (&[], "+OK\r\n")]),
            "+OK\r\n"
        );
        assert_eq!(
            merged(
                MergeKind::Least,
                &[(&[], "*2\r\n:1\r\n:1\r\n"), (&[], "*2\r\n:0\r\n:1\r\n")]
            ),
            "*2\r\n:0\r\n:1\r\n"
        );
    }

    #[test]
    fn the_proxy_s_links_are_left_out_and_its_clients_counted_once() {
        let numsub = |count| format!("*4\r\n$1\r\na\r\n:{count}\r\n$1\r\nb\r\n:0\r\n");
        let corrections = || {
            let of_a = Correction {
                links: [2, 1],
                clients: 5,
            };
            MergeKind::Subscribers(vec![of_a, Correction::default()])
        };
        assert_eq!(
            merged(corrections(), &[(&[], &numsub(3)), (&[], &numsub(1))]),
            numsub(6)
        );
        assert_eq!(
            merged(corrections(), &[(&[], &numsub(3)), (&[], "*0\r\n")]),
            numsub(6)
        );
        let of_patterns = MergeKind::Patterns(Correction {
            links: [3, 0],
            clients: 2,
        });
        assert_eq!(merged(of_patterns, &[(&[], ":3\r\n"), (&[], "*0\r\n")]), ":2\r\n");
        let listing = Listing {
            hidden: [b"c".to_vec()].into(),
            more: vec![b"a".to_vec(), b"d".to_vec()],
        };
        let parts: [(&[u32], &str); 2] = [
            (&[], "*2\r\n$1\r\na\r\n$17\r\n__switchback:mark\r\n"),
            (&[], "*3\r\n$1\r\nc\r\n$1\r\na\r\n$1\r\nb\r\n"),
        ];
        assert_eq!(
            merged(MergeKind::Channels(listing), &parts),
            "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nd\r\n"
        );
    }

    #[test]
    fn keys_are_told_by_the_side_that_owns_them() {
        let weight = Weight::from_steps(5_000).unwrap();
        let key_of = |side| {
            let mut keys = (0..).map(|number| format!("k{number}"));
            keys.find(|key| owner(Slot::of(key.as_bytes()), weight) == side)
                .unwrap()
        };
        let bulk = |key: String| format!("${}\r\n{key}\r\n", key.len());
        let (old, new) = (bulk(key_of(Side::Old)), bulk(key_of(Side::New)));
        let both = format!("*2\r\n{old}{new}");
        assert_eq!(
            merged(MergeKind::Keys { weight }, &[(&[], &both), (&[], &both)]),
            both
        );
        let random = |first, parts: [&str; 4]| {
            let null = b"$-1\r\n";
            let kind = MergeKind::Random { weight, first, null };
            merged(kind, &parts.map(|part| (&[][..], part)))
        };
        let null = "$-1\r\n";
        assert_eq!(random(Side::Old, [&new, &old, &old, &new]), old);
        assert_eq!(random(Side::New, [&new, &old, &old, &new]), new);
        assert_eq!(random(Side::New, [null, &old, &old, null]), old);
        assert_eq!(random(Side::New, [&new, null, &old, &old]), null);
        let cursor = Cursor::begin(0, weight);
        let next = cursor.next(17).unwrap().to_string();
        let scanned = merged(
            MergeKind::Scan(cursor),
            &[(&[], &format!("*2\r\n$2\r\n17\r\n{both}"))],
        );
        assert_eq!(scanned, format!("*2\r\n${}\r\n{next}\r\n*1\r\n{old}", next.len()));
    }

    #[test]
    fn a_section_more_is_told_in_either_protocol() {
        let info = |reply: &str| {
            let besides = Besides {
                section: "# S\r\n".to_owned(),
                connected: 12,
                paused: 3,
            };
            let mut merge = Merge::new(MergeKind::Info(besides), 2);
            let of_other = b"$20\r\n\r\nblocked_clients:2\r\n\r\n";
            assert_eq!(merge.finish(1, of_other), None);
            String::from_utf8(merge.finish(0, reply.as_bytes()).unwrap()).unwrap()
        };
        assert_eq!(info("$5\r\n# A\r\n\r\n"), "$12\r\n# A\r\n\r\n# S\r\n\r\n");
        assert_eq!(info("$0\r\n\r\n"), "$5\r\n# S\r\n\r\n");
        assert_eq!(info("=4\r\ntxt:\r\n"), "=9\r\ntxt:# S\r\n\r\n");
        assert_eq!(info("-NOPERM x\r\n"), "-NOPERM x\r\n");
        let clients = "# C\r\nconnected_clients:1\r\nmaxclients:9\r\nblocked_clients:0\r\n";
        let told = "# C\r\nconnected_clients:12\r\nmaxclients:9\r\nblocked_clients:5\r\n\r\n# S\r\n";
        assert_eq!(
            info(&format!("${}\r\n{clients}\r\n", clients.len())),
            format!("${}\r\n{told}\r\n", told.len())
        );
    }

    #[test]
    fn replies_that_do_not_fit_are_told() {
        assert!(merged(MergeKind::Sum, &[(&[], "+OK\r\n"), (&[], ":1\r\n")]).starts_with("-ERR the sides'"));
        assert!(
            merged(
                MergeKind::Places,
                &[(&[0, 1], "*1\r\n:1\r\n"), (&[2], "*1\r\n:1\r\n")]
            )
            .starts_with("-ERR the sides'")
        );
    }
}
