//! What is still to be written to a client?
//!
//! Pure: a queue of chunks. One growing buffer was rejected: a slow reader of a large value would have it copied at
//! each doubling, and be held twice meanwhile. A large message is a chunk that all its subscribers share.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::limits::LARGE_BYTES;

#[derive(Debug)]
enum Chunk {
    Own(Vec<u8>),
    Shared(Bytes),
}

impl Chunk {
    #[inline]
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// Bytes for a client, in order.
#[derive(Debug, Default)]
pub(crate) struct Output {
    chunks: VecDeque<Chunk>,
    /// Bytes of the first chunk that have been written.
    written: usize,
    bytes: usize,
}

impl Output {
    /// Adds bytes. Cost: one copy; allocates only when a chunk grows or is full.
    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.bytes += bytes.len();
        match self.chunks.back_mut() {
            Some(Chunk::Own(last)) if last.len() + bytes.len() <= LARGE_BYTES || last.is_empty() => {
                last.extend_from_slice(bytes);
            }
            _ => self.chunks.push_back(Chunk::Own(bytes.to_vec())),
        }
    }

    /// Adds bytes that others hold too. Cost: a reference count.
    pub(crate) fn push_shared(&mut self, bytes: &Bytes) {
        self.bytes += bytes.len();
        // What has been written leaves nothing behind that would come before.
        if self.bytes == bytes.len() {
            self.chunks.clear();
        }
        self.chunks.push_back(Chunk::Shared(bytes.clone()));
    }

    /// Bytes for the next write; empty when there is nothing to write.
    #[inline]
    pub(crate) fn front(&self) -> &[u8] {
        self.chunks
            .front()
            .and_then(|chunk| chunk.bytes().get(self.written..))
            .unwrap_or_default()
    }

    /// The socket took the first `count` bytes of [`Self::front`].
    #[inline]
    pub(crate) fn wrote(&mut self, count: usize) {
        self.bytes -= count;
        self.written += count;
        let more = self.chunks.len() > 1;
        let Some(front) = self.chunks.front_mut() else {
            return;
        };
        if self.written < front.bytes().len() {
            return;
        }
        self.written = 0;
        match front {
            Chunk::Own(bytes) if !more && bytes.capacity() <= LARGE_BYTES => bytes.clear(),
            Chunk::Own(_) | Chunk::Shared(_) => {
                self.chunks.pop_front();
            }
        }
    }

    /// Bytes waiting.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes
    }

    /// Chunks that wait.
    pub(crate) fn chunks(&self) -> usize {
        if self.bytes == 0 { 0 } else { self.chunks.len() }
    }

    /// Nothing waits.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Gives the memory of an idle client back.
    pub(crate) fn release(&mut self) {
        if self.bytes == 0 {
            self.chunks = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_leave_in_the_order_they_came(
            pieces in proptest::collection::vec((0usize..100_000, 1usize..90_000, any::<bool>()), 1..40)
        ) {
            let mut output = Output::default();
            let mut expected = Vec::new();
            let mut seen = Vec::new();
            for (index, (push, take, is_shared)) in pieces.into_iter().enumerate() {
                let bytes = vec![index as u8; push];
                if is_shared {
                    output.push_shared(&Bytes::from(bytes.clone()));
                } else {
                    output.push(&bytes);
                }
                expected.extend_from_slice(&bytes);
                let count = take.min(output.front().len());
                seen.extend_from_slice(&output.front()[..count]);
                output.wrote(count);
            }
            while !output.is_empty() {
                let front = output.front().to_vec();
                output.wrote(front.len());
                seen.extend_from_slice(&front);
            }
            prop_assert_eq!(seen, expected);
        }
    }
}
