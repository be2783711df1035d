//! Which commands are under way on a connection, and which bytes of them has the socket taken?
//!
//! Pure: a FIFO of commands over one window of bytes. A command's bytes stay until it is answered, because a command
//! that provably did not run is sent again elsewhere. Keeping a copy per command was rejected: the window costs one
//! copy in all, and no allocation. A large command is not copied even once, but kept beside the window.
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
        }
    }
}

impl<T> Pipeline<T> {
    /// Adds a command. Cost: one copy of `request`; allocates only when the window grows.
    #[inline]
    pub(crate) fn push(&mut self, ticket: T, request: &[u8]) {
        if self.large.is_empty() && self.head > COMPACT_BYTES && self.head > self.bytes.len() / 2 {
            self.bytes.drain(..self.head);
            self.written -= self.head;
            self.head = 0;
        }
        self.bytes.extend_from_slice(request);
        self.entries.push_back((ticket, request.len()));
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
    }

    /// The command the next reply belongs to; `None` when no whole command is out, so that a reply has no owner.
    #[inline]
    pub(crate) fn front(&mut self) -> Option<&mut T> {
        let (ticket, length) = self.entries.front_mut()?;
        (self.head + *length <= self.written).then_some(ticket)
    }

    /// The oldest command has its answer.
    #[inline]
    pub(crate) fn answered(&mut self) -> Option<(T, &[u8])> {
        let (ticket, length) = self.entries.pop_front()?;
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
            if start < self.written {
                break;
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
                sent: end <= written,
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
        let unsent = self.entries.iter().rev().take_while(move |(_, length)| {
            let is_unsent = end > written;
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
