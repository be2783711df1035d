//! Which commands came back unexecuted, and in which order are they sent again?
//!
//! Pure: sorted by request and part, before anything newer.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::ticket::Role;

/// A command to be sent again.
#[derive(Debug)]
pub(crate) struct Returned {
    /// The request's slot.
    pub(crate) number: u64,
    pub(crate) role: Role,
    pub(crate) refusals: u8,
    pub(crate) bytes: Bytes,
    /// For a blocking command: since when it has been blocking.
    pub(crate) blocked_since: Option<Instant>,
}

impl Returned {
    fn order(&self) -> (u64, u16) {
        match self.role {
            Role::Part(index) => (self.number, index),
            _ => (self.number, 0),
        }
    }
}

/// Commands that came back, oldest request first.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    queue: VecDeque<Returned>,
}

impl Replay {
    /// Takes a command back. Cost: constant when they come back in order, as from one link they do.
    pub(crate) fn insert(&mut self, returned: Returned) {
        let order = returned.order();
        let index = self.queue.partition_point(|other| other.order() < order);
        self.queue.insert(index, returned);
    }

    /// The command that is to be sent first.
    pub(crate) fn pop(&mut self) -> Option<Returned> {
        self.queue.pop_front()
    }

    /// The number of a blocking command among them.
    pub(crate) fn blocking(&self) -> Option<u64> {
        let blocks = |returned: &&Returned| returned.role == Role::Blocking;
        self.queue.iter().find(blocks).map(|returned| returned.number)
    }

    /// Takes request `number` out: it is not to be sent again.
    pub(crate) fn remove(&mut self, number: u64) -> Option<Returned> {
        let at = self.queue.iter().position(|returned| returned.number == number)?;
        self.queue.remove(at)
    }

    /// Nothing came back.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn commands_are_sent_again_in_request_order(order in Just((0u64..20).collect::<Vec<_>>()).prop_shuffle()) {
            let mut replay = Replay::default();
            for number in order {
                replay.insert(Returned { number, role: Role::Whole, refusals: 0, bytes: Bytes::new(), blocked_since: None });
            }
            let numbers: Vec<u64> = std::iter::from_fn(|| replay.pop()).map(|returned| returned.number).collect();
            prop_assert_eq!(numbers, (0..20).collect::<Vec<_>>());
        }
    }
}
