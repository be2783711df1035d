//! What is kept of a client that has had nothing to say for a while?
//!
//! Shell: its socket, and what it has set or others may ask of it. The rest of a session is room for what its client may ask for
//! next, ten times as much: it is made again then, and is as it was, as only a session is parked that nothing else is known to.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::late::{is_over, micros};
use super::login::Standing;
use super::replies::{Muting, Replies};
use super::state::{Ends, Session, State};
use crate::config::Patience;
use crate::data_plane::command::Spec;
use crate::data_plane::local_route::LocalRoute;
use crate::data_plane::reactor::Socket;
use crate::data_plane::upstream::Setting;
use crate::data_plane::users::UserId;
use crate::net::Wire;

/// Who holds a session that only its own worker's list, its own task and its socket's place know.
const HOLDERS: usize = 3;

/// A client without a session.
pub(crate) struct Parked {
    wire: Wire,
    kept: Kept,
}

/// What it was, and is again.
struct Kept {
    id: u64,
    ends: Ends,
    since: Instant,
    last_micros: u64,
    /// Of its next request.
    number: u64,
    setting: Setting,
    name: Box<[u8]>,
    last: Option<&'static Spec>,
    standing: Standing,
    no_evict: bool,
}

impl Session {
    /// Whether it can be parked: everything that came is answered, and what there is besides its socket is in [`Parked`].
    pub(crate) fn can_park(self: &Rc<Self>) -> bool {
        if !self.at_rest.get() || !self.is_bare() || self.has_unsent() {
            return false;
        }
        self.waits_for_nothing();
        Rc::strong_count(self) == HOLDERS
    }

    /// Takes it off the lists of those who are to be woken: what it waited for when it was put there is over.
    fn waits_for_nothing(&self) {
        self.route.waits_no_more(self);
        for lane in &self.state.borrow().lanes {
            if let Some(link) = &lane.link {
                link.forget(self);
            }
        }
    }

    /// Whether nothing is under way, and nothing set that is not kept.
    fn is_bare(&self) -> bool {
        let State {
            replies,
            replay,
            lanes,
            transaction,
            tracking,
            unknown,
            setup,
            former,
            // Of the request that asked.
            found: _,
            monitor,
            tunnel,
            blocked,
            stream,
            unblocking,
            unblock_asked,
            learning,
            setting: _,
            name: _,
            last: _,
            no_evict: _,
            asking,
            question_bytes: _,
            postponed,
            // Of requests that are over.
            unblocked: _,
            dying,
            killed,
            standing: _,
            unheard_since: _,
            check,
            switches_links,
            hello_at,
            disowned,
            // Nothing is under way that a later snapshot would have to wait for.
            seen: _,
            subscriptions,
            entry,
            executing,
            slow_since: _,
            evicted,
            broken,
            closing,
        } = &*self.state.borrow();
        let is_quiet = replies.is_quiet()
            && replies.muting == Muting::None
            && replay.is_empty()
            && lanes
                .iter()
                .all(|lane| lane.in_flight() == 0 && !lane.is_private());
        let is_plain = transaction.is_empty()
            && transaction.side.is_none()
            && tracking.is_none()
            && unknown.is_empty()
            && setup.is_none()
            && former.iter().all(Option::is_none)
            && monitor.is_none()
            && tunnel.is_none()
            && subscriptions.is_empty()
            && entry.is_none()
            && executing.is_none();
        let is_waiting = blocked.is_some()
            || stream.is_some()
            || *unblocking
            || *unblock_asked
            || learning.is_asked()
            || *asking
            || *postponed
            || check.is_some()
            || *switches_links
            || *hello_at > 0;
        let is_ending = *dying || *killed || *disowned || *evicted || *broken || *closing;
        is_quiet && is_plain && !is_waiting && !is_ending
    }

    /// Makes it what is kept of it, with its connection, which `watch` has been given: nobody is to use the session any more.
    ///
    /// # Errors
    /// The operating system's, or `watch`'s: it goes on as it was.
    pub(crate) fn park(&self, watch: impl FnOnce(&Socket) -> io::Result<()>) -> io::Result<Parked> {
        let mut place = self.stream.borrow_mut();
        let socket = place.take().ok_or(io::ErrorKind::NotConnected)?;
        if let Err(error) = watch(&socket) {
            *place = Some(socket);
            return Err(error);
        }
        // Where this fails the connection is closed, and the session's task finds it so.
        let wire = socket.into_wire()?;
        let mut state = self.state.borrow_mut();
        let kept = Kept {
            id: self.id,
            ends: self.ends,
            since: self.since,
            last_micros: self.last_micros.get(),
            number: state.replies.next_number(),
            setting: state.setting,
            name: std::mem::take(&mut state.name).into_boxed_slice(),
            last: state.last,
            standing: state.standing,
            no_evict: state.no_evict,
        };
        Ok(Parked { wire, kept })
    }
}

impl Parked {
    pub(crate) fn user(&self) -> UserId {
        self.kept.setting.user
    }

    pub(crate) fn address(&self) -> IpAddr {
        self.kept.ends.addr.ip()
    }

    /// Whether it has said nothing for this long, which is not zero.
    pub(crate) fn is_idle_for(&self, limit: Duration, now_micros: u64) -> bool {
        is_over(limit, now_micros.saturating_sub(self.kept.last_micros))
    }

    /// Whether its session is to be asked for what it has not done yet.
    pub(crate) fn may_be_late(&self, patience: &Patience) -> bool {
        let age = micros(self.kept.since.elapsed());
        (self.kept.number == 0 && self.kept.last.is_none() && is_over(patience.first_request, age))
            || (self.kept.standing != Standing::Admitted && is_over(patience.auth, age))
    }

    /// Its session, but for the connection: to be looked at, and not to be kept.
    pub(crate) fn seen(&self, route: &Rc<LocalRoute>) -> Rc<Session> {
        Rc::new(self.kept.session(route))
    }

    /// Its session.
    ///
    /// # Errors
    /// The operating system's: the client's connection is closed.
    pub(crate) fn unpark(self, route: &Rc<LocalRoute>) -> io::Result<Rc<Session>> {
        let session = Rc::new(self.kept.session(route));
        session.connect(self.wire)?;
        Ok(session)
    }
}

impl AsFd for Parked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wire.stream.as_fd()
    }
}

impl Kept {
    fn session(&self, route: &Rc<LocalRoute>) -> Session {
        let mut session = Session::made(self.id, Rc::clone(route), self.ends);
        session.since = self.since;
        session.last_micros.set(self.last_micros);
        let state = session.state.get_mut();
        state.replies = Replies::of_requests_since(self.number);
        state.setting = self.setting;
        state.name = self.name.to_vec();
        state.last = self.last;
        state.standing = self.standing;
        state.no_evict = self.no_evict;
        session
    }
}
