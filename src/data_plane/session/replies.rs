//! In which order do replies leave a session?
//!
//! Pure: one slot a request, in request order. The reply of the oldest request goes straight to the output, also in
//! pieces; a later one waits in its slot until it is the oldest.

use std::collections::VecDeque;

use bytes::Bytes;

use super::merge::Merge;
use super::output::Output;
use crate::data_plane::pubsub::Delivery;
use crate::limits::LARGE_BYTES;
use crate::resp::Protocol;

/// Where a request stands.
#[derive(Debug)]
enum Slot {
    /// Nothing has come, or what came has gone on to the output (`started`).
    Waiting { started: bool },
    /// Pieces came before it was the oldest.
    Partial(Vec<u8>),
    /// The whole reply came before it was the oldest.
    Done(Vec<u8>),
    /// The same of one that is not large: it is among the [`Early`].
    Early { start: usize, length: usize },
    /// The request was split; its parts' replies are gathered.
    Merging(Box<Merge>),
}

/// Bytes of [`Early`] that are let go of before the others are moved together.
const GONE_BYTES_MAX: usize = LARGE_BYTES;
/// A buffer of them that is larger than this, in bytes, is given back when it empties.
const EARLY_KEEP_BYTES: usize = 4 * LARGE_BYTES;

/// Replies that came before it was their turn, as they do between weights: one buffer, as a buffer for each would be an
/// allocation for each.
#[derive(Debug, Default)]
struct Early {
    bytes: Vec<u8>,
    /// Of those, the ones that were let go of.
    gone: usize,
    /// Where the others are moved to, in turn.
    spare: Vec<u8>,
}

impl Early {
    #[inline]
    fn keep(&mut self, reply: &[u8]) -> Slot {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(reply);
        Slot::Early {
            start,
            length: reply.len(),
        }
    }

    #[inline]
    fn get(&self, start: usize, length: usize) -> &[u8] {
        self.bytes.get(start..start + length).unwrap_or_default()
    }

    /// A reply of this length has had its turn; `slots` are those whose replies have not.
    #[inline]
    fn let_go(&mut self, length: usize, slots: &mut VecDeque<Slot>) {
        self.gone += length;
        if self.gone == self.bytes.len() {
            self.bytes.clear();
            self.gone = 0;
            if self.bytes.capacity() > EARLY_KEEP_BYTES {
                *self = Self::default();
            }
        } else if self.gone > GONE_BYTES_MAX && self.gone > self.bytes.len() / 2 {
            self.move_together(slots);
        }
    }

    #[cold]
    fn move_together(&mut self, slots: &mut VecDeque<Slot>) {
        std::mem::swap(&mut self.bytes, &mut self.spare);
        self.bytes.clear();
        for slot in slots {
            if let Slot::Early { start, length } = slot {
                let reply = self.spare.get(*start..*start + *length).unwrap_or_default();
                *start = self.bytes.len();
                self.bytes.extend_from_slice(reply);
            }
        }
        self.gone = 0;
    }
}

#[derive(Debug)]
enum Message {
    Own(Protocol, Vec<u8>),
    Shared(Protocol, Bytes),
}

impl Message {
    fn of(delivery: &Delivery<'_>, protocol: Protocol) -> Self {
        match delivery {
            Delivery::Copied(bytes) => Self::Own(protocol, bytes.to_vec()),
            Delivery::Shared(bytes) => Self::Shared(protocol, (*bytes).clone()),
        }
    }

    fn delivery(&self) -> (Protocol, Delivery<'_>) {
        match self {
            Self::Own(protocol, bytes) => (*protocol, Delivery::Copied(bytes)),
            Self::Shared(protocol, bytes) => (*protocol, Delivery::Shared(bytes)),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Own(_, bytes) => bytes.len(),
            Self::Shared(_, bytes) => bytes.len(),
        }
    }
}

/// Which replies the client does not want to see: CLIENT REPLY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Muting {
    /// It wants them all.
    #[default]
    None,
    /// Not the next one.
    Next,
    /// None.
    All,
}

/// The ordered slots of a session, and what they have released.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    slots: VecDeque<Slot>,
    /// Number of the oldest slot.
    first: u64,
    /// Bytes of replies, whole or not, that wait for an older one; and of messages.
    held: usize,
    early: Option<Box<Early>>,
    /// Messages that wait for the reply to their subscription, or for the end of a reply that has begun; each with the
    /// number of that subscription's request.
    messages: VecDeque<(u64, Message)>,
    /// What is to be written to the client.
    pub(crate) output: Output,
    pub(crate) muting: Muting,
    /// Open slots whose replies are thrown away, oldest first.
    muted: VecDeque<u64>,
}

impl Replies {
    /// Everything before this request is answered.
    pub(crate) fn of_requests_since(number: u64) -> Self {
        Self {
            first: number,
            ..Self::default()
        }
    }

    /// A slot for the next request; returns its number.
    #[inline]
    pub(crate) fn open(&mut self) -> u64 {
        self.open_as(Slot::Waiting { started: false })
    }

    /// A slot for a request that was split.
    pub(crate) fn open_merge(&mut self, merge: Merge) -> u64 {
        self.open_as(Slot::Merging(Box::new(merge)))
    }

    #[inline]
    fn open_as(&mut self, slot: Slot) -> u64 {
        let number = self.next_number();
        self.slots.push_back(slot);
        if self.muting != Muting::None {
            self.mute(number);
        }
        number
    }

    #[cold]
    fn mute(&mut self, number: u64) {
        self.muted.push_back(number);
        if self.muting == Muting::Next {
            self.muting = Muting::None;
        }
    }

    /// A slot whose reply is seen in any case: Redis does not withhold what tells of subscriptions.
    pub(crate) fn open_seen(&mut self) -> u64 {
        let number = self.open();
        if self.muted.back() == Some(&number) {
            self.muted.pop_back();
        }
        number
    }

    /// The reply to this open slot is seen, whatever was asked for before it.
    pub(crate) fn unmute(&mut self, number: u64) {
        if let Ok(at) = self.muted.binary_search(&number) {
            self.muted.remove(at);
        }
    }

    #[inline]
    fn is_muted(&self, number: u64) -> bool {
        !self.muted.is_empty() && self.muted.binary_search(&number).is_ok()
    }

    /// The oldest slot has its whole reply.
    #[inline]
    fn pass(&mut self) {
        self.slots.pop_front();
        if self.muted.front() == Some(&self.first) {
            self.muted.pop_front();
        }
        self.first += 1;
        self.release_messages();
    }

    /// Makes an open request one that is split.
    pub(crate) fn make_merge(&mut self, number: u64, merge: Merge) {
        if let Some(slot) = self.slot(number) {
            *slot = Slot::Merging(Box::new(merge));
        }
    }

    /// The number that the next slot will have.
    pub(crate) fn next_number(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// The subscriptions of request number `since` were never made.
    pub(crate) fn forget_messages(&mut self, since: u64) {
        let held = &mut self.held;
        self.messages.retain(|(of, message)| {
            let stays = *of != since;
            if !stays {
                *held -= message.len();
            }
            stays
        });
    }

    /// Number of the newest slot.
    pub(crate) fn last_number(&self) -> u64 {
        (self.first + self.slots.len() as u64).saturating_sub(1)
    }

    /// The newest request that has not its whole reply.
    pub(crate) fn last_open(&self) -> Option<u64> {
        (!self.slots.is_empty()).then(|| self.last_number())
    }

    /// Whether everything up to this request is answered.
    pub(crate) fn has_answered(&self, number: u64) -> bool {
        number < self.first
    }

    /// Nothing is under way or waits.
    pub(crate) fn is_quiet(&self) -> bool {
        self.slots.is_empty() && self.bytes() == 0 && self.messages.is_empty() && self.muted.is_empty()
    }

    /// Gives memory back when nothing is under way.
    pub(crate) fn release_memory(&mut self) {
        if self.slots.is_empty() {
            self.slots = VecDeque::new();
            self.early = None;
            self.output.release();
        }
    }

    /// The client is closed: what was to be written is not.
    pub(crate) fn discard_output(&mut self) {
        self.output = Output::default();
        self.held -= self
            .messages
            .drain(..)
            .map(|(_, message)| message.len())
            .sum::<usize>();
    }

    /// Bytes kept for the client: those that can be written, and those that wait for an older reply.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.held + self.output.len()
    }

    /// Whether what comes of the reply to `number` is the next thing the client is to read.
    #[inline]
    pub(crate) fn is_next(&self, number: u64) -> bool {
        number == self.first && self.output.is_empty() && !self.is_muted(number)
    }

    /// Requests without their whole reply.
    #[inline]
    pub(crate) fn open_count(&self) -> usize {
        self.slots.len()
    }

    /// The reply to `number`, whole or (after pieces) its last piece.
    #[inline]
    pub(crate) fn finish(&mut self, number: u64, bytes: &[u8]) {
        let is_muted = self.is_muted(number);
        let bytes = if is_muted { &[] } else { bytes };
        if number == self.first {
            self.output.push(bytes);
            self.pass();
            self.release();
            return;
        }
        let Some(index) = self.index(number) else { return };
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        *slot = match std::mem::replace(slot, Slot::Waiting { started: false }) {
            Slot::Partial(mut reply) => {
                reply.extend_from_slice(bytes);
                Slot::Done(reply)
            }
            _ if bytes.len() < LARGE_BYTES => self.early.get_or_insert_default().keep(bytes),
            _ => Slot::Done(bytes.to_vec()),
        };
        self.held += bytes.len();
    }

    /// The same, of a number.
    pub(crate) fn finish_integer(&mut self, number: u64, value: i64) {
        let mut digits = itoa::Buffer::new();
        let parts = [&b":"[..], digits.format(value).as_bytes(), b"\r\n"];
        let mut line = [0; 32];
        let bytes = parts.iter().flat_map(|part| part.iter());
        let length = line.iter_mut().zip(bytes).map(|(to, byte)| *to = *byte).count();
        self.finish(number, line.get(..length).unwrap_or_default());
    }

    /// A piece of the reply to `number`; more will come.
    pub(crate) fn piece(&mut self, number: u64, bytes: &[u8]) {
        if self.is_muted(number) {
            return;
        }
        let oldest = number == self.first;
        let Some(slot) = self.slot(number) else { return };
        match slot {
            Slot::Waiting { started } if oldest => {
                *started = true;
                self.output.push(bytes);
            }
            Slot::Partial(reply) => {
                reply.extend_from_slice(bytes);
                self.held += bytes.len();
            }
            Slot::Waiting { .. } => {
                *slot = Slot::Partial(bytes.to_vec());
                self.held += bytes.len();
            }
            Slot::Done(_) | Slot::Early { .. } | Slot::Merging(_) => {
                debug_assert!(false, "a piece for a slot that takes none")
            }
        }
    }

    /// The request is to be sent again: forgets its pieces. `false` when some have already gone to the client, whose
    /// connection can then only be closed.
    pub(crate) fn restart(&mut self, number: u64) -> bool {
        match self.slot(number) {
            Some(Slot::Waiting { started }) => !*started,
            Some(slot @ Slot::Partial(_)) => {
                if let Slot::Partial(reply) = std::mem::replace(slot, Slot::Waiting { started: false }) {
                    self.held -= reply.len();
                }
                true
            }
            _ => true,
        }
    }

    /// A piece of the reply to part `index` of a request that was split.
    pub(crate) fn part_piece(&mut self, number: u64, index: u16, bytes: &[u8]) {
        self.change_merge(number, |merge| merge.piece(index, bytes));
    }

    /// The reply to part `index`, whole or its last piece; with the last part's, the request is answered.
    pub(crate) fn part_finish(&mut self, number: u64, index: u16, bytes: &[u8]) {
        let Some(merge) = self.merge(number) else { return };
        let before = merge.bytes();
        let reply = merge.finish(index, bytes);
        let after = merge.bytes();
        self.held = self.held + after - before;
        if let Some(reply) = reply {
            self.held -= after;
            if let Some(slot) = self.slot(number) {
                *slot = Slot::Waiting { started: false };
            }
            self.finish(number, &reply);
        }
    }

    /// Part `index` is to be sent again: forgets its pieces.
    pub(crate) fn part_restart(&mut self, number: u64, index: u16) {
        self.change_merge(number, |merge| merge.restart(index));
    }

    fn change_merge(&mut self, number: u64, change: impl FnOnce(&mut Merge)) {
        let Some(merge) = self.merge(number) else { return };
        let before = merge.bytes();
        change(merge);
        let after = merge.bytes();
        self.held = self.held + after - before;
    }

    /// The merge of a split request; `None` when `number` is not one or is already answered.
    pub(crate) fn merge(&mut self, number: u64) -> Option<&mut Merge> {
        match self.slot(number)? {
            Slot::Merging(merge) => Some(merge),
            _ => None,
        }
    }

    fn index(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    fn slot(&mut self, number: u64) -> Option<&mut Slot> {
        let index = self.index(number)?;
        self.slots.get_mut(index)
    }

    /// A message for a subscription whose request is number `since`: it comes after that one's reply, and never within a
    /// reply. Cost: one copy or a reference.
    #[inline]
    pub(crate) fn deliver(&mut self, since: u64, delivery: &Delivery<'_>, protocol: Protocol) {
        let is_free = since < self.first && self.messages.is_empty() && !self.has_begun();
        if is_free {
            put(&mut self.output, delivery, protocol);
        } else {
            self.held += delivery.bytes().len();
            self.messages.push_back((since, Message::of(delivery, protocol)));
            self.release_messages();
        }
    }

    /// The oldest reply is half told.
    #[inline]
    fn has_begun(&self) -> bool {
        matches!(self.slots.front(), Some(Slot::Waiting { started: true }))
    }

    /// Lets out the messages that need not wait any more, in their order.
    #[inline]
    fn release_messages(&mut self) {
        if self.messages.is_empty() || self.has_begun() {
            return;
        }
        for (since, message) in std::mem::take(&mut self.messages) {
            if since >= self.first {
                self.messages.push_back((since, message));
                continue;
            }
            self.held -= message.len();
            let (protocol, delivery) = message.delivery();
            put(&mut self.output, &delivery, protocol);
        }
    }

    /// Lets out what had to wait for the oldest.
    #[inline]
    fn release(&mut self) {
        loop {
            match self.slots.front_mut() {
                Some(Slot::Done(reply)) => {
                    self.held -= reply.len();
                    self.output.push(reply);
                    self.pass();
                }
                Some(&mut Slot::Early { start, length }) => {
                    self.held -= length;
                    if let Some(early) = &self.early {
                        self.output.push(early.get(start, length));
                    }
                    self.pass();
                    if let Some(early) = &mut self.early {
                        early.let_go(length, &mut self.slots);
                    }
                }
                Some(slot @ Slot::Partial(_)) => {
                    if let Slot::Partial(reply) = std::mem::replace(slot, Slot::Waiting { started: true }) {
                        self.held -= reply.len();
                        self.output.push(&reply);
                    }
                    return;
                }
                _ => return,
            }
        }
    }
}

/// Appends a message: in RESP3 it is a push, which only its first byte tells.
#[inline]
fn put(output: &mut Output, delivery: &Delivery<'_>, protocol: Protocol) {
    match (protocol, delivery) {
        (Protocol::Resp2, Delivery::Copied(bytes)) => output.push(bytes),
        (Protocol::Resp2, Delivery::Shared(bytes)) => output.push_shared(bytes),
        (Protocol::Resp3, Delivery::Copied(bytes)) => {
            output.push(&[protocol.push()]);
            output.push(bytes.get(1..).unwrap_or_default());
        }
        (Protocol::Resp3, Delivery::Shared(bytes)) => {
            output.push(&[protocol.push()]);
            output.push_shared(&bytes.slice(1.min(bytes.len())..));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_plane::session::merge::MergeKind;
    use proptest::prelude::*;

    fn written(replies: &mut Replies) -> Vec<u8> {
        let mut all = Vec::new();
        while !replies.output.is_empty() {
            let front = replies.output.front().to_vec();
            replies.output.wrote(front.len());
            all.extend_from_slice(&front);
        }
        all
    }

    proptest! {
        #[test]
        fn replies_leave_in_request_order_whatever_order_they_come_in(
            order in Just((0u64..8).collect::<Vec<_>>()).prop_shuffle(), pieces in proptest::collection::vec(any::<bool>(), 8)
        ) {
            let mut replies = Replies::default();
            for _ in 0..8 {
                replies.open();
            }
            for number in order {
                let (head, tail) = (format!("<{number}"), format!("{number}>"));
                if pieces[number as usize] {
                    replies.piece(number, head.as_bytes());
                    replies.finish(number, tail.as_bytes());
                } else {
                    replies.finish(number, format!("{head}{tail}").as_bytes());
                }
            }
            prop_assert_eq!(written(&mut replies), b"<00><11><22><33><44><55><66><77>".to_vec());
            prop_assert_eq!(replies.open_count(), 0);
            prop_assert_eq!(replies.bytes(), 0);
        }
    }

    proptest! {
        #[test]
        fn replies_that_come_early_stay_whole_while_others_are_let_go_of(
            steps in proptest::collection::vec((1usize..12, 0usize..30_000), 1..200)
        ) {
            let mut replies = Replies::default();
            let (mut open, mut seen, mut expected) = (Vec::new(), Vec::new(), Vec::new());
            let mut steps = steps.into_iter();
            loop {
                match steps.next() {
                    Some((behind, size)) => {
                        let number = replies.open();
                        open.push((number, size));
                        expected.extend(vec![number as u8; size]);
                        if open.len() < behind {
                            continue;
                        }
                    }
                    None if open.is_empty() => break,
                    None => {}
                }
                // Now the newest, now the oldest: between them some are always early.
                let (number, size) = open.remove(if open.len() % 3 == 0 { 0 } else { open.len() - 1 });
                replies.finish(number, &vec![number as u8; size]);
                seen.extend(written(&mut replies));
                if let Some(early) = &replies.early {
                    prop_assert_eq!(replies.bytes(), early.bytes.len() - early.gone);
                    prop_assert!(early.gone <= GONE_BYTES_MAX.max(early.bytes.len() / 2) + 30_000);
                }
            }
            prop_assert!(seen == expected);
            prop_assert_eq!(replies.bytes(), 0);
        }
    }

    #[test]
    fn what_waits_for_an_older_reply_is_counted_until_it_is_gone() {
        let mut replies = Replies::default();
        let (first, second) = (replies.open(), replies.open());
        let split = replies.open_merge(Merge::new(MergeKind::Sum, 2));
        replies.piece(second, b"half");
        assert_eq!(replies.bytes(), 4);
        assert!(replies.restart(second));
        assert_eq!(replies.bytes(), 0);
        replies.piece(second, b"half");
        replies.finish(second, b"half");
        replies.part_piece(split, 0, b":1");
        replies.part_restart(split, 0);
        replies.part_piece(split, 0, b":1");
        replies.part_finish(split, 0, b"\r\n");
        assert_eq!(replies.bytes(), 12);
        replies.part_finish(split, 1, b":1\r\n");
        replies.finish(first, b"first");
        assert_eq!(replies.bytes(), replies.output.len());
        assert_eq!(written(&mut replies), b"firsthalfhalf:2\r\n");
        assert_eq!(replies.bytes(), 0);
    }

    #[test]
    fn messages_come_after_their_subscriptions_reply_and_never_within_another() {
        let mut replies = Replies::default();
        let (get, first, second) = (replies.open(), replies.open(), replies.open());
        replies.finish(second, b"+second");
        replies.deliver(second, &Delivery::Copied(b"[2a]"), Protocol::Resp2);
        replies.piece(get, b"+g");
        replies.deliver(first, &Delivery::Copied(b"[1a]"), Protocol::Resp2);
        replies.finish(get, b"et");
        replies.deliver(
            second,
            &Delivery::Shared(&Bytes::from_static(b"[2b]")),
            Protocol::Resp2,
        );
        assert_eq!(written(&mut replies), b"+get");
        replies.finish(first, b"+first");
        let later = replies.open();
        replies.deliver(first, &Delivery::Copied(b"[1b]"), Protocol::Resp2);
        replies.piece(later, b"+la");
        replies.deliver(first, &Delivery::Copied(b"[1c]"), Protocol::Resp2);
        replies.finish(later, b"ter");
        assert_eq!(written(&mut replies), b"+first[1a]+second[2a][2b][1b]+later[1c]");
        assert_eq!(replies.bytes(), 0);
    }

    #[test]
    fn replies_that_are_not_wanted_leave_no_byte_whatever_way_they_come() {
        let mut replies = Replies::default();
        let first = replies.open();
        replies.muting = Muting::Next;
        let (skipped, seen) = (replies.open(), replies.open());
        replies.muting = Muting::All;
        let (late, split) = (replies.open(), replies.open_merge(Merge::new(MergeKind::Sum, 2)));
        let subscription = replies.open_seen();
        replies.muting = Muting::None;
        let last = replies.open();
        replies.piece(late, b"half");
        assert!(replies.restart(late));
        replies.finish(late, b"+late");
        replies.finish(seen, b"+seen");
        replies.finish(skipped, b"+skipped");
        replies.part_finish(split, 0, b":1\r\n");
        replies.finish(first, b"+first");
        replies.finish(subscription, b"+subscription");
        replies.part_finish(split, 1, b":1\r\n");
        replies.finish(last, b"+last");
        assert_eq!(written(&mut replies), b"+first+seen+subscription+last");
        assert_eq!((replies.bytes(), replies.open_count()), (0, 0));
        assert!(replies.muted.is_empty());
    }

    #[test]
    fn a_reply_half_told_cannot_start_again() {
        let mut replies = Replies::default();
        let (first, second) = (replies.open(), replies.open());
        replies.piece(second, b"half");
        assert!(replies.restart(second));
        replies.piece(first, b"half");
        assert!(!replies.restart(first));
    }
}
