//! In what way does a session use a side?
//!
//! Pure: which link, how many commands are in flight there, and up to where they must be answered before slots that
//! left the side may be used on the other. A session changes its link only when nothing is in flight on it; that one
//! rule keeps its commands in order through failovers, large replies and private links.

use std::rc::Rc;

use crate::data_plane::upstream::Link;

/// A session's use of one side.
#[derive(Default)]
pub(crate) struct Lane {
    pub(crate) link: Option<Rc<Link>>,
    /// The private link goes back when nothing is in flight on it: there is no state on the server any more.
    pub(crate) stateless: bool,
    sent: u64,
    done: u64,
    fence: u64,
}

impl Lane {
    /// Commands sent and not yet answered, taken back or given up.
    #[inline]
    pub(crate) fn in_flight(&self) -> u64 {
        self.sent - self.done
    }

    #[inline]
    pub(crate) fn sent_one(&mut self) {
        self.sent += 1;
    }

    #[inline]
    pub(crate) fn done_one(&mut self) {
        debug_assert!(self.done < self.sent);
        self.done += 1;
    }

    /// Slots have left this side: what has been sent here so far comes before anything on the other side.
    pub(crate) fn raise_fence(&mut self) {
        self.fence = self.sent;
    }

    /// Whether all that had been sent here before slots left has its answer.
    #[inline]
    pub(crate) fn fence_passed(&self) -> bool {
        self.done >= self.fence
    }

    /// The session's connection to this side carries state of its own.
    pub(crate) fn is_private(&self) -> bool {
        self.link
            .as_ref()
            .is_some_and(|link| link.kind == crate::data_plane::upstream::LinkKind::Private)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_covers_what_was_sent_before_it_and_nothing_later() {
        let mut lane = Lane::default();
        lane.sent_one();
        lane.raise_fence();
        lane.sent_one();
        assert!(!lane.fence_passed());
        lane.done_one();
        assert!(lane.fence_passed());
        assert_eq!(lane.in_flight(), 1);
    }
}
