//! Which commands are under way on a connection, and which bytes of them has the socket taken?
//!
//! Pure: a FIFO of commands over one window of bytes. A command's bytes stay until it is answered, because a command
//! that provably did not run is sent again elsewhere. Keeping a copy per command was rejected: the window costs one
//! copy in all, and no allocation. A large command is not copied even once, but kept beside the window. Of one that is streamed, as
//! it comes, what has been written is let go of: it cannot be sent again.
//!
//! Shape: take `large` and `bytes`, one after the other, for one window. `window[head..written]` was handed to the
//! socket, `window[written..]` was not; the entries' lengths add up to `window[head..]`. When there is a large command
//! it is the oldest.

use std::collections::VecDeque;

use bytes::Bytes;

/// The window shrinks to nothing when it empties above this size, in bytes: what one burst took is given back.
const KEEP_BYTES: usize = 256 * 1024;
/// Answered bytes at the front are moved over when there are this many, and more than half of the window.
const COMPACT_BYTES: usize = 64 * 1024;

/// Commands enqueued and not yet answered, oldest first, each with its `T`.
#[derive(Debug)]
pub(crate) struct Pipeline<T> {
    /// A large command that is under way; otherwise empty.
    large: Bytes,
    /// The large command that was answered last, until [`Self::settle`].
    answered: Bytes,
    bytes: Vec<u8>,
    head: usize,
    written: usize,
    entries: VecDeque<(T, usize)>,
    /// Of the oldest command.
    stream: Stream,
}

/// How far a command has come that is streamed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stream {
    /// It is not.
    #[default]
    None,
    /// There is more to come. `begun`: the socket has taken some of it.
    Open { begun: bool },
    /// All of it is in the window, or has been.
    Complete { begun: bool },
}

/// A command that left the pipeline without an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Left<T> {
    /// What it was enqueued with.
    pub(crate) ticket: T,
    /// The request.
    pub(crate) bytes: Bytes,
    /// The socket took all of it: it may have been executed.
    pub(crate) sent: bool,
}

impl<T> Default for Pipeline<T> {
    fn default() -> Self {
        Self {
            large: Bytes::new(),
            answered: Bytes::new(),
            bytes: Vec::new(),
            head: 0,
            written: 0,
            entries: VecDeque::new(),
            stream: Stream::None,
        }
    }
}

impl<T> Pipeline<T> {
    /// Adds a command. Cost: one copy of `request`; allocates only when the window grows.
    #[inline]
    pub(crate) fn push(&mut self, ticket: T, request: &[u8]) {
        self.push_with(ticket, |bytes| bytes.extend_from_slice(request));
    }

    /// The same of one that `write` adds to the bytes it is given.
    #[inline]
    pub(crate) fn push_with(&mut self, ticket: T, write: impl FnOnce(&mut Vec<u8>)) {
        if self.large.is_empty() && self.head > COMPACT_BYTES && self.head > self.bytes.len() / 2 {
            self.bytes.drain(..self.head);
            self.written -= self.head;
            self.head = 0;
        }
        let before = self.bytes.len();
        write(&mut self.bytes);
        self.entries.push_back((ticket, self.bytes.len() - before));
    }

    /// Adds a large command, by reference when nothing else is under way.
    pub(crate) fn push_large(&mut self, ticket: T, request: Bytes) {
        if !self.entries.is_empty() {
            return self.push(ticket, &request);
        }
        self.settle();
        self.entries.push_back((ticket, request.len()));
        self.large = request;
    }

    /// Adds a command whose bytes are still coming: nothing else may be under way, nor be added before [`Self::end_stream`].
    pub(crate) fn begin_stream(&mut self, ticket: T) {
        debug_assert!(self.entries.is_empty());
        self.settle();
        self.entries.push_back((ticket, 0));
        self.stream = Stream::Open { begun: false };
    }

    /// Adds some of its bytes.
    pub(crate) fn push_piece(&mut self, piece: &[u8]) {
        debug_assert!(matches!(self.stream, Stream::Open { .. }));
        if let Some((_, length)) = self.entries.front_mut() {
            self.bytes.extend_from_slice(piece);
            *length += piece.len();
        }
    }

    /// All of them have been added. The command, which is under way from now on as any other is.
    pub(crate) fn end_stream(&mut self) -> Option<&mut T> {
        if let Stream::Open { begun } = self.stream {
            self.stream = Stream::Complete { begun };
        }
        self.entries.front_mut().map(|(ticket, _)| ticket)
    }

    /// There is a command of which the socket has not taken the last byte: ended now, it has not been executed.
    pub(crate) fn is_streaming(&self) -> bool {
        let is_left = || self.entries.front().is_some_and(|(_, length)| *length > 0);
        match self.stream {
            Stream::None => false,
            Stream::Open { .. } => true,
            Stream::Complete { .. } => is_left(),
        }
    }

    /// The node has answered the oldest command before all of it was there, and reads no further: it is over, and so is the link.
    pub(crate) fn cut_short(&mut self) -> Option<T> {
        if !self.has_begun() || self.front().is_some() {
            return None;
        }
        self.stream = Stream::None;
        let (ticket, length) = self.entries.pop_front()?;
        if std::mem::take(&mut self.large).is_empty() {
            self.head += length;
        }
        self.written = self.head;
        self.settle();
        Some(ticket)
    }

    /// The socket has taken some of the oldest command, or all.
    pub(crate) fn has_begun(&self) -> bool {
        match self.stream {
            Stream::None => self.written > self.head,
            Stream::Open { begun } | Stream::Complete { begun } => begun,
        }
    }

    /// There is a command of which more is to come.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.stream, Stream::Open { .. })
    }

    /// Lets go of what the socket has taken of a command that is streamed.
    fn let_go(&mut self) {
        let Some((_, length)) = self.entries.front_mut() else {
            return;
        };
        let gone = self.written.min(*length);
        *length -= gone;
        self.written -= gone;
        self.bytes.drain(..gone);
        if let Stream::Open { begun } | Stream::Complete { begun } = &mut self.stream {
            *begun |= gone > 0;
        }
    }

    /// Bytes for the next write.
    #[inline]
    pub(crate) fn unwritten(&self) -> &[u8] {
        match self.large.get(self.written..) {
            Some(unwritten) if !unwritten.is_empty() => unwritten,
            _ => self
                .bytes
                .get(self.written - self.large.len()..)
                .unwrap_or_default(),
        }
    }

    /// The socket took the first `count` bytes of [`Self::unwritten`].
    #[inline]
    pub(crate) fn wrote(&mut self, count: usize) {
        self.written = (self.written + count).min(self.large.len() + self.bytes.len());
        if self.stream != Stream::None {
            self.let_go();
        }
    }

    /// The command the next reply belongs to; `None` when no whole command is out, so that a reply has no owner.
    #[inline]
    pub(crate) fn front(&mut self) -> Option<&mut T> {
        let is_open = self.is_open();
        let (ticket, length) = self.entries.front_mut()?;
        (self.head + *length <= self.written && !is_open).then_some(ticket)
    }

    /// The oldest command has its answer.
    #[inline]
    pub(crate) fn answered(&mut self) -> Option<(T, &[u8])> {
        let (ticket, length) = self.entries.pop_front()?;
        self.stream = Stream::None;
        if !self.large.is_empty() {
            self.written -= length;
            self.answered = std::mem::take(&mut self.large);
            return Some((ticket, &self.answered));
        }
        let start = self.head;
        self.head += length;
        Some((ticket, self.bytes.get(start..self.head).unwrap_or_default()))
    }

    /// To be called when a batch of answers has been taken: gives memory back.
    #[inline]
    pub(crate) fn settle(&mut self) {
        self.answered = Bytes::new();
        if self.entries.is_empty() {
            self.head = 0;
            self.written = 0;
            self.bytes.clear();
            if self.bytes.capacity() > KEEP_BYTES {
                self.bytes = Vec::new();
                self.entries.shrink_to(1024);
            }
        }
    }

    /// Takes back, oldest first, the commands of which the socket took no byte.
    pub(crate) fn recall_unsent(&mut self) -> Vec<Left<T>> {
        let mut recalled = Vec::new();
        while let Some(&(_, length)) = self.entries.back() {
            let start = self.large.len() + self.bytes.len() - length;
            // Of a stream, what was written is not here any more.
            let is_stream = self.entries.len() == 1 && self.stream != Stream::None;
            if start < self.written || (is_stream && self.has_begun()) {
                break;
            }
            if is_stream {
                self.stream = Stream::None;
            }
            let bytes = match start.checked_sub(self.large.len()) {
                Some(start) => self.bytes.split_off(start).into(),
                None => std::mem::take(&mut self.large),
            };
            if let Some((ticket, _)) = self.entries.pop_back() {
                recalled.push(Left {
                    ticket,
                    bytes,
                    sent: false,
                });
            }
        }
        recalled.reverse();
        recalled
    }

    /// Empties the pipeline, oldest first: the connection is gone.
    pub(crate) fn drain(&mut self) -> Vec<Left<T>> {
        let mut position = self.head;
        let mut is_cut = matches!(std::mem::take(&mut self.stream), Stream::Open { .. });
        let written = self.written;
        let mut large = std::mem::take(&mut self.large);
        let before = large.len();
        let bytes = std::mem::take(&mut self.bytes);
        self.head = 0;
        self.written = 0;
        let take = |(ticket, length): (T, usize)| {
            let end = position + length;
            let request = match std::mem::take(&mut large) {
                large if !large.is_empty() => large,
                _ => Bytes::copy_from_slice(bytes.get(position - before..end - before).unwrap_or_default()),
            };
            position = end;
            Left {
                ticket,
                bytes: request,
                sent: end <= written && !std::mem::take(&mut is_cut),
            }
        };
        self.entries.drain(..).map(take).collect()
    }

    /// Those under way, oldest first.
    pub(crate) fn tickets(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|(ticket, _)| ticket)
    }

    /// Those of which the socket has not taken the last byte yet, newest first.
    pub(crate) fn unsent(&self) -> impl Iterator<Item = &T> {
        let mut end = self.large.len() + self.bytes.len();
        let written = self.written;
        let is_open = self.is_open();
        let unsent = self.entries.iter().rev().take_while(move |(_, length)| {
            let is_unsent = end > written || is_open;
            end -= length;
            is_unsent
        });
        unsent.map(|(ticket, _)| ticket)
    }

    /// Commands under way.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes held, unanswered ones included.
    #[inline]
    pub(crate) fn bytes_held(&self) -> usize {
        self.large.len() + self.bytes.len() - self.head
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reply_without_a_sent_command_has_no_owner() {
        let mut pipeline = Pipeline::default();
        pipeline.push(1, b"PING");
        assert_eq!(pipeline.front(), None);
        pipeline.wrote(3);
        assert_eq!(pipeline.front(), None);
        pipeline.wrote(1);
        assert_eq!(pipeline.front(), Some(&mut 1));
    }

    #[test]
    fn only_untouched_commands_are_recalled() {
        let mut pipeline = Pipeline::default();
        for (ticket, request) in [(1, "aa"), (2, "bb"), (3, "cc"), (4, "dd")] {
            pipeline.push(ticket, request.as_bytes());
        }
        pipeline.wrote(3);
        assert!(pipeline.unsent().eq(&[4, 3, 2]));
        let recalled: Vec<_> = pipeline
            .recall_unsent()
            .into_iter()
            .map(|left| (left.ticket, left.bytes))
            .collect();
        assert_eq!(
            recalled,
            [(3, Bytes::from_static(b"cc")), (4, Bytes::from_static(b"dd"))]
        );
        assert_eq!(pipeline.unwritten(), b"b");
    }

    #[test]
    fn a_command_cut_by_the_end_of_the_connection_was_not_sent() {
        let mut pipeline = Pipeline::default();
        pipeline.push(1, b"aa");
        pipeline.push(2, b"bb");
        pipeline.wrote(3);
        let sent: Vec<_> = pipeline
            .drain()
            .into_iter()
            .map(|left| (left.ticket, left.sent))
            .collect();
        assert_eq!(sent, vec![(1, true), (2, false)]);
    }

    #[test]
    fn what_is_written_of_a_stream_is_let_go_of_and_it_is_sent_when_all_of_it_is() {
        let mut pipeline = Pipeline::default();
        pipeline.begin_stream(1);
        assert!(pipeline.is_streaming());
        pipeline.push_piece(b"abc");
        pipeline.wrote(3);
        assert_eq!(pipeline.front(), None);
        assert_eq!(pipeline.bytes_held(), 0);
        assert!(pipeline.unsent().eq(&[1]));
        assert!(pipeline.recall_unsent().is_empty(), "the node has some of it");
        pipeline.push_piece(b"de");
        assert_eq!(pipeline.end_stream(), Some(&mut 1));
        pipeline.push(2, b"next");
        pipeline.wrote(1);
        assert_eq!(pipeline.front(), None);
        assert!(pipeline.is_streaming() && pipeline.unsent().eq(&[2, 1]));
        pipeline.wrote(3);
        assert!(!pipeline.is_streaming() && pipeline.unsent().eq(&[2]));
        assert_eq!(pipeline.front(), Some(&mut 1));
        assert_eq!(pipeline.answered(), Some((1, &b""[..])));
        pipeline.wrote(2);
        assert_eq!(pipeline.answered(), Some((2, &b"next"[..])));
    }

    #[test]
    fn a_stream_is_unsent_until_its_last_byte_and_sent_then() {
        let sent = |last: usize, is_ended: bool| {
            let mut pipeline = Pipeline::default();
            pipeline.begin_stream(1);
            pipeline.push_piece(b"abcd");
            if is_ended {
                pipeline.end_stream();
                pipeline.push(2, b"e");
            }
            pipeline.wrote(last);
            let left = pipeline.drain().into_iter();
            left.map(|left| (left.ticket, left.sent)).collect::<Vec<_>>()
        };
        assert_eq!(sent(4, false), [(1, false)]);
        assert_eq!(sent(3, true), [(1, false), (2, false)]);
        assert_eq!(sent(4, true), [(1, true), (2, false)]);
        assert_eq!(sent(5, true), [(1, true), (2, true)]);
    }

    #[test]
    fn a_stream_of_which_nothing_was_written_is_recalled_and_one_that_is_answered_early_is_over() {
        let mut pipeline = Pipeline::default();
        pipeline.begin_stream(1);
        pipeline.push_piece(b"abcd");
        assert_eq!(pipeline.recall_unsent().len(), 1);
        assert!(!pipeline.is_streaming() && pipeline.unwritten().is_empty());
        pipeline.begin_stream(2);
        pipeline.push_piece(b"abcd");
        pipeline.wrote(2);
        assert_eq!(pipeline.cut_short(), Some(2));
        assert_eq!(pipeline.cut_short(), None);
        assert_eq!(pipeline.bytes_held(), 0);
        pipeline.push(3, b"x");
        assert_eq!(pipeline.unwritten(), b"x");
    }

    #[test]
    fn what_is_behind_a_command_that_was_answered_early_is_unsent() {
        for is_large in [false, true] {
            let mut pipeline = Pipeline::default();
            match is_large {
                true => pipeline.push_large(1, Bytes::from_static(b"abcd")),
                false => pipeline.push(1, b"abcd"),
            }
            pipeline.push(2, b"ef");
            assert_eq!(pipeline.cut_short(), None);
            pipeline.wrote(2);
            assert_eq!(pipeline.cut_short(), Some(1));
            let left = pipeline.drain();
            let behind = Left {
                ticket: 2,
                bytes: Bytes::from_static(b"ef"),
                sent: false,
            };
            assert_eq!(left, [behind]);
        }
    }

    proptest! {
        #[test]
        fn commands_come_out_as_they_went_in(steps in proptest::collection::vec((0u8..6, 1usize..40_000), 1..200)) {
            let mut pipeline = Pipeline::default();
            let mut expected = VecDeque::new();
            let mut next = 0u32;
            for (step, size) in steps {
                match step {
                    0 | 1 => {
                        let request = vec![next as u8; size];
                        pipeline.push(next, &request);
                        expected.push_back((next, request));
                        next += 1;
                    }
                    4 => {
                        let request = vec![next as u8; size];
                        pipeline.push_large(next, request.clone().into());
                        expected.push_back((next, request));
                        next += 1;
                    }
                    5 => {
                        let recalled = pipeline.recall_unsent();
                        let kept = expected.len() - recalled.len();
                        for (left, due) in recalled.into_iter().zip(expected.split_off(kept)) {
                            prop_assert_eq!((left.ticket, left.bytes.to_vec()), due);
                        }
                    }
                    2 => {
                        let count = size.min(pipeline.unwritten().len());
                        pipeline.wrote(count);
                    }
                    _ => {
                        if pipeline.front().is_some() {
                            let (ticket, bytes) = pipeline.answered().unwrap();
                            prop_assert_eq!(Some((ticket, bytes.to_vec())), expected.pop_front());
                            pipeline.settle();
                        }
                    }
                }
            }
            let held: usize = expected.iter().map(|(_, request)| request.len()).sum();
            prop_assert_eq!(pipeline.bytes_held(), held);
            let left: Vec<_> = pipeline.drain().into_iter().map(|left| (left.ticket, left.bytes.to_vec())).collect();
            prop_assert_eq!(left, Vec::from(expected));
        }
    }
}
