//! In what way does a session use a side?
//!
//! Pure: which link, how many commands are in flight there, and up to where they must be answered before slots that
//! left the side may be used on the other. A session changes its link only when nothing is in flight on it; that one
//! rule keeps its commands in order through failovers, large replies and private links.

use std::rc::Rc;

use super::share::Share;
use crate::data_plane::upstream::Link;

/// A session's use of one side.
#[derive(Default)]
pub(crate) struct Lane {
    pub(crate) link: Option<Rc<Link>>,
    /// The private link goes back when nothing is in flight on it: there is no state on the server any more.
    pub(crate) stateless: bool,
    /// How much of the link it may have under way, where others use it too.
    pub(crate) share: Share,
    /// The newest request that was answered here, if only in part.
    answered: u64,
    sent: u64,
    done: u64,
    /// What has been sent before this sequence number comes before anything on the other side.
    fence: u64,
    /// How much of that is still in flight.
    before_fence: u64,
}

impl Lane {
    /// Commands sent and not yet answered, taken back or given up.
    #[inline]
    pub(crate) fn in_flight(&self) -> u64 {
        self.sent - self.done
    }

    /// Counts a command that is being sent; returns its sequence number.
    #[inline]
    pub(crate) fn sent_one(&mut self) -> u64 {
        self.sent += 1;
        self.sent - 1
    }

    /// Counts a command of this length that is being sent on the present link; returns that, and its sequence number.
    #[inline]
    pub(crate) fn sends(&mut self, bytes: usize) -> Option<(&Link, u64)> {
        let link = self.link.as_deref()?;
        self.share.sends(bytes);
        self.sent += 1;
        Some((link, self.sent - 1))
    }

    /// A command is done with. Not always the oldest: of a failover's, the unsent are back first.
    #[inline]
    pub(crate) fn done_one(&mut self, sequence: u64) {
        debug_assert!(self.done < self.sent);
        self.done += 1;
        if sequence < self.fence {
            self.before_fence = self.before_fence.saturating_sub(1);
        }
    }

    /// Something of request `number` was answered here.
    #[inline]
    pub(crate) fn has_answered(&mut self, number: u64) {
        self.answered = self.answered.max(number);
    }

    /// What a node says now comes behind the reply to this request.
    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }

    /// Slots have left this side: what has been sent here so far comes before anything on the other side.
    pub(crate) fn raise_fence(&mut self) {
        self.fence = self.sent;
        self.before_fence = self.in_flight();
    }

    /// Whether all that had been sent here before slots left has its answer.
    #[inline]
    pub(crate) fn fence_passed(&self) -> bool {
        self.before_fence == 0
    }

    /// The session's connection to this side carries state of its own.
    pub(crate) fn is_private(&self) -> bool {
        self.link
            .as_ref()
            .is_some_and(|link| link.kind() == crate::data_plane::upstream::LinkKind::Private)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_covers_what_was_sent_before_it_and_nothing_later() {
        let mut lane = Lane::default();
        let before = lane.sent_one();
        lane.raise_fence();
        let later = lane.sent_one();
        assert!(!lane.fence_passed());
        lane.done_one(later);
        assert!(!lane.fence_passed(), "the later one came back first");
        lane.done_one(before);
        assert!(lane.fence_passed());
        lane.sent_one();
        assert!(lane.fence_passed());
        assert_eq!(lane.in_flight(), 1);
    }
}
