//! Where are the clients that have had nothing to say for a while?
//!
//! Shell: most connections of most apps say nothing most of the time, and a session with its task is some 2.5 KB.
//! So one that has done nothing for some seconds is given up for a [`Parked`] of some 200 bytes; one epoll of the kernel's, which the
//! reactor watches, holds all of their sockets, and tells which client has something to say or has gone. That one has a session again.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use rustc_hash::FxHashMap;
use tracing::{debug, warn};

use super::local_route::LocalRoute;
use super::reactor::{Reactor, Watched};
use super::session::{Parked, Session, serve as serve_session};
use crate::config::Patience;
use crate::limits::{PARKED_A_TICK, UNPARKED_A_TURN};
use crate::stats::Closed;

/// Wait after the kernel would not tell which clients have something to say.
const RETRY: Duration = Duration::from_millis(50);
/// Room in a table that is not worth giving back.
const TABLE_KEPT: usize = 256;

/// One worker's parked clients of one route.
pub(crate) struct Lot {
    /// `None`: the kernel has none to give, and nobody is parked.
    watch: Option<Watched<Watch>>,
    clients: RefCell<FxHashMap<u64, Box<Parked>>>,
    /// Numbers of idle clients that are to be parked.
    due: RefCell<Vec<u64>>,
}

struct Watch(Epoll);

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}

impl Watch {
    #[allow(
        deprecated,
        reason = "its successor is unsafe, for the sake of types that do not own what they name; this one does"
    )]
    fn new(reactor: &Rc<Reactor>) -> io::Result<Watched<Self>> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Watched::new(reactor, Self(epoll))
    }
}

impl Lot {
    pub(super) fn new(reactor: &Rc<Reactor>) -> Self {
        let watch = Watch::new(reactor).inspect_err(|error| warn!(%error, "idle clients cannot be parked"));
        Self {
            watch: watch.ok(),
            clients: RefCell::default(),
            due: RefCell::default(),
        }
    }

    /// Clients that are parked.
    pub(super) fn len(&self) -> usize {
        self.clients.borrow().len()
    }

    /// Whether this client is.
    pub(crate) fn has(&self, id: u64) -> bool {
        self.clients.borrow().contains_key(&id)
    }

    /// These are idle, and nobody else is.
    pub(super) fn are_due(&self, due: Vec<u64>) {
        *self.due.borrow_mut() = due;
    }

    /// Some of those that are due: a moment's work.
    pub(super) fn next_due(&self) -> Vec<u64> {
        let mut due = self.due.borrow_mut();
        let rest = due.len().saturating_sub(PARKED_A_TICK);
        let next = due.split_off(rest);
        if due.is_empty() {
            *due = Vec::new();
        }
        next
    }

    /// Takes in the client of a session that is over with this. `false`: the session is to go on.
    pub(super) fn park(&self, session: &Session) -> bool {
        let Some(watch) = &self.watch else { return false };
        let wanted = EpollEvent::new(EpollFlags::EPOLLIN, session.id);
        match session.park(|socket| Ok(watch.get().0.add(socket, wanted)?)) {
            Ok(parked) => {
                self.clients.borrow_mut().insert(session.id, Box::new(parked));
                true
            }
            Err(error) => {
                debug!(client = session.id, %error, "an idle client could not be parked");
                false
            }
        }
    }

    /// Gives a parked client a session again; `None`: there is no such client.
    pub(crate) fn unpark(&self, route: &Rc<LocalRoute>, id: u64) -> Option<Rc<Session>> {
        let parked = self.clients.borrow_mut().remove(&id)?;
        let (user, address) = (parked.user(), parked.address());
        // What could not be taken off the watch is closed, which does it too: the watch is of nobody else.
        let watch = self.watch.as_ref()?.get();
        let unwatched = watch.0.delete(&*parked).map_err(io::Error::from);
        match unwatched.and_then(|()| parked.unpark(route)) {
            Ok(session) => {
                route.joined(&session);
                serve_session(Rc::clone(&session));
                Some(session)
            }
            Err(error) => {
                warn!(route = route.name, client = id, %error, "an idle client was lost");
                route.is_gone(user, address);
                None
            }
        }
    }

    /// Shows each parked client as a session, which is not to be kept.
    pub(crate) fn each(&self, route: &Rc<LocalRoute>, mut look: impl FnMut(&Session)) {
        for parked in self.clients.borrow().values() {
            look(&parked.seen(route));
        }
    }

    /// Closes the connections of parked clients; how many.
    pub(crate) fn end(&self, route: &LocalRoute, are_meant: impl Fn(&Parked) -> bool) -> usize {
        let mut clients = self.clients.borrow_mut();
        let ended = clients.extract_if(|_, parked| are_meant(parked));
        ended
            .map(|(_, parked)| route.is_gone(parked.user(), parked.address()))
            .count()
    }

    /// Closes clients that have been idle for too long, and wakes those that have not done in time what they have to do first: they are
    /// told.
    pub(super) fn look_whether_late(&self, route: &Rc<LocalRoute>, patience: &Patience) {
        if *patience == Patience::default() {
            return;
        }
        let now = route.clock();
        self.end(route, |parked| {
            let is_idle = parked.is_idle_for(patience.idle, now);
            if is_idle {
                route.stats.closed(Closed::Idle);
            }
            is_idle
        });
        let clients = self.clients.borrow();
        let late = clients.iter().filter(|(_, parked)| parked.may_be_late(patience));
        let late: Vec<u64> = late.map(|(id, _)| *id).take(PARKED_A_TICK).collect();
        drop(clients);
        for id in late {
            self.unpark(route, id);
        }
    }

    /// Gives back what room there is for many more clients than there are.
    pub(super) fn release_memory(&self) {
        shrink(&mut self.clients.borrow_mut());
    }
}

/// Has clients served again that have something to say, or have gone, as long as the route is.
pub(super) async fn serve(route: Rc<LocalRoute>) {
    let Some(watch) = &route.lot.watch else { return };
    let mut events = [EpollEvent::empty(); UNPARKED_A_TURN];
    loop {
        let ready = watch.readable(|watch| match watch.0.wait(&mut events, EpollTimeout::ZERO)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        });
        match ready.await {
            Ok(count) => {
                for event in events.iter().take(count) {
                    route.lot.unpark(&route, event.data());
                }
                // Others have their turn: there may be thousands.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                warn!(route = route.name, %error, "idle clients cannot be looked after");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Gives back most of a table that has become far too large.
pub(super) fn shrink<T>(table: &mut FxHashMap<u64, T>) {
    if table.capacity() > 4 * table.len() + TABLE_KEPT {
        table.shrink_to(2 * table.len());
    }
}
