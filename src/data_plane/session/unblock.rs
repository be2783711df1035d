//! How is a client's blocking command ended from outside?
//!
//! Shell: by the node's own CLIENT UNBLOCK, so that an element that comes at that moment is either taken and told, or left. A
//! command that is between two nodes is not on any, and is ended here.

use std::rc::Rc;

use super::replay::Returned;
use super::state::{Session, State};
use crate::data_plane::refusal::Refusal;
use crate::data_plane::upstream::{Lease, Link};

/// How far that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unblocking {
    /// Over: whether this has ended it.
    Done(bool),
    /// To be looked at again.
    UnderWay,
}

impl Session {
    /// Goes on ending the blocking command number `of`, which the first call finds out.
    pub(crate) fn unblock(self: &Rc<Self>, of: &mut Option<u64>, with_error: bool) -> Unblocking {
        if self.closed.get() {
            return Unblocking::Done(false);
        }
        let mut state = self.state.borrow_mut();
        let now = state.blocking_number();
        let Some(number) = of.or(now) else {
            return Unblocking::Done(false);
        };
        *of = Some(number);
        if state.unblocked == Some(number) {
            return Unblocking::Done(true);
        }
        if state.unblocking {
            return Unblocking::UnderWay;
        }
        if now != Some(number) {
            return Unblocking::Done(false);
        }
        if let Some(returned) = state.replay.remove(number) {
            let reply = ended(&state, &returned, with_error);
            state.replies.finish(number, &reply);
            drop(state);
            self.wake.wake();
            return Unblocking::Done(true);
        }
        self.have_unblocked(&mut state, number, with_error)
    }

    fn have_unblocked(self: &Rc<Self>, state: &mut State, number: u64, with_error: bool) -> Unblocking {
        let Some(blocked) = &state.blocked else {
            return Unblocking::Done(false);
        };
        let lane = &mut state.lanes[blocked.side.index()];
        let Some(link) = lane.link.as_ref().filter(|_| !blocked.recalling).map(Rc::clone) else {
            return Unblocking::UnderWay;
        };
        if link.client_id() == 0 {
            // The node does not tell who we are: nobody there can be named.
            return Unblocking::Done(false);
        }
        if let Some(by) = self.other_link(&link) {
            state.unblocking = true;
            state.unblock_asked = true;
            let how: &[&[u8]] = if with_error { &[b"ERROR"] } else { &[] };
            let sequence = lane.sent_one();
            self.send_unblock((&link, &by), number, sequence, how);
        }
        Unblocking::UnderWay
    }

    /// One to the same node that is not blocked.
    fn other_link(&self, link: &Link) -> Option<Rc<Link>> {
        let links = self.route.links(link.side);
        let by = links.any_shared().or_else(|| {
            match links.shared(&self.route, self.route.own_setting(link.side)) {
                Lease::Ready(link) => Some(link),
                Lease::Wait | Lease::Refused(_) => None,
            }
        });
        by.filter(|by| by.node == link.node)
    }

    /// CLIENT KILL. `false`: it blocks, and that has to be ended first; it sends nothing more.
    pub(crate) fn kill(&self) -> bool {
        let is_blocking = {
            let mut state = self.state.borrow_mut();
            state.dying = state.is_blocking();
            state.closing |= state.dying;
            state.dying
        };
        if !is_blocking {
            self.kill_now();
        }
        !is_blocking
    }

    /// Closes its connection, without what it has not read yet.
    pub(crate) fn kill_now(&self) {
        if !self.closed.get() {
            let mut state = self.state.borrow_mut();
            state.killed = true;
            self.hang_up(&mut state);
            drop(state);
            self.wake.wake();
        }
    }
}

impl State {
    /// The blocking command that is under way, on a node or between two.
    fn blocking_number(&self) -> Option<u64> {
        let blocked = self.blocked.as_ref().map(|blocked| blocked.number);
        blocked.or_else(|| self.replay.blocking())
    }

    pub(super) fn is_blocking(&self) -> bool {
        self.blocking_number().is_some()
    }
}

/// What a node would answer.
fn ended(state: &State, returned: &Returned, with_error: bool) -> Vec<u8> {
    let is_wait = returned
        .bytes
        .get(..12)
        .is_some_and(|head| head.eq_ignore_ascii_case(b"*3\r\n$4\r\nwait"));
    match (with_error, is_wait) {
        (true, _) => Refusal::Redis(b"UNBLOCKED client unblocked via CLIENT UNBLOCK".to_vec()).line(),
        (false, true) => b":0\r\n".to_vec(),
        (false, false) => state.setting.protocol.null_array().to_vec(),
    }
}
