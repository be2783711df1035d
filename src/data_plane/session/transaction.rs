//! What does a session's transaction rest on, and can it still be executed?
//!
//! Pure: MULTI is answered before a side is known; the first queued command (or an earlier WATCH) decides it. A
//! transaction whose side changes is never moved: what was queued or watched there means nothing elsewhere.

use std::borrow::Cow;

use super::queued::Queued;
use crate::cluster::Side;
use crate::data_plane::refusal::Refusal;
use crate::resp::Protocol;
use crate::routing::{Slot, Weight};

/// WATCH, MULTI and what came of them.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    /// Between MULTI and EXEC.
    pub(crate) open: bool,
    /// MULTI as the client spells it, for who watches by MONITOR.
    pub(crate) multi: [u8; 5],
    /// The side that watches or queues.
    pub(crate) side: Option<Side>,
    /// MULTI has been sent to that side.
    pub(crate) begun: bool,
    /// There are watched keys: an EXEC that cannot be executed is told as a change of theirs, which apps retry.
    pub(crate) watching: bool,
    /// A command of it may write.
    pub(crate) may_write: bool,
    /// The proxy refused a command of it.
    pub(crate) refused: bool,
    /// Its connection is gone, or its slots have moved.
    pub(crate) lost: bool,
    /// Commands it has queued, and those of them that are the session's business.
    pub(crate) queued: usize,
    pub(crate) own: Queued,
    /// What stands for the latter and is not on the server, as there is no side yet.
    pub(crate) kept_back: Vec<Box<[u8]>>,
    /// A script that its next command names is being given to the node.
    pub(crate) loading: bool,
    /// SCRIPT FLUSH is among the queued.
    pub(crate) flushes_scripts: bool,
    /// Bytes of the messages it publishes: they are published at once.
    pub(crate) published_bytes: usize,
    /// Lowest and highest rank of the slots it touches.
    ranks: Option<(u16, u16)>,
}

impl Transaction {
    /// Nothing is on the server.
    pub(crate) fn is_empty(&self) -> bool {
        !self.open && !self.watching
    }

    /// What is sent to `side` on the session's own link would be queued.
    pub(crate) fn is_queueing_on(&self, side: Side) -> bool {
        self.open && self.begun && !self.lost && self.side == Some(side)
    }

    /// The transaction uses this slot.
    pub(crate) fn touch(&mut self, slot: Slot) {
        let rank = slot.rank();
        let (low, high) = self.ranks.unwrap_or((rank, rank));
        self.ranks = Some((low.min(rank), high.max(rank)));
    }

    /// Marks it lost when a slot it touches belongs to the other side by now, or, if it touches none, all of them do.
    pub(crate) fn check_owner(&mut self, weight: Weight) {
        let Some(side) = self.side else {
            return;
        };
        let owned = match (side, self.ranks) {
            (Side::Old, Some((low, _))) => low >= weight.ranks(),
            (Side::New, Some((_, high))) => high < weight.ranks(),
            (Side::Old, None) => weight < Weight::FULL,
            (Side::New, None) => weight > Weight::ZERO,
        };
        self.lost |= !owned;
    }

    /// Its connection is gone.
    pub(crate) fn connection_lost(&mut self) {
        self.lost |= self.side.is_some();
    }

    /// The answer to MULTI that the proxy sent: an error means that nothing is being queued.
    pub(crate) fn own_reply(&mut self, reply: &[u8]) {
        if reply.first() == Some(&b'-') {
            self.connection_lost();
        }
    }

    /// What EXEC is answered when the transaction is lost: with watched keys, as if one had changed.
    pub(crate) fn lost_reply(&self, protocol: Protocol) -> Vec<u8> {
        if self.watching {
            protocol.null_array().to_vec()
        } else {
            Refusal::ExecAbort.line()
        }
    }

    /// The app's view of EXEC's reply: a node demoted meanwhile has dropped the transaction.
    pub(crate) fn exec_reply<'a>(&self, reply: &'a [u8]) -> Cow<'a, [u8]> {
        const DEMOTED: &[u8] = b"-EXECABORT Transaction discarded because of: READONLY";
        if reply.starts_with(DEMOTED) {
            Cow::Owned(Refusal::ExecAbort.line())
        } else {
            Cow::Borrowed(reply)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_lost_when_any_of_its_slots_moves() {
        let slots: Vec<Slot> = [b"a", b"b", b"c"].iter().map(|key| Slot::of(*key)).collect();
        let highest = slots.iter().map(|slot| slot.rank()).max().unwrap();
        let mut transaction = Transaction {
            side: Some(Side::New),
            ..Transaction::default()
        };
        slots.iter().for_each(|slot| transaction.touch(*slot));
        transaction.check_owner(Weight::FULL);
        assert!(!transaction.lost);
        let weight = (0..=10_000)
            .filter_map(Weight::from_steps)
            .rfind(|weight| weight.ranks() <= highest)
            .unwrap();
        transaction.check_owner(weight);
        assert!(transaction.lost);
        assert_eq!(
            transaction.lost_reply(Protocol::Resp2),
            b"-EXECABORT transaction dropped because its side changed\r\n"
        );
    }

    #[test]
    fn losing_a_connection_means_nothing_to_a_transaction_without_a_side() {
        let mut transaction = Transaction {
            open: true,
            ..Transaction::default()
        };
        transaction.connection_lost();
        assert!(!transaction.lost);
    }
}
