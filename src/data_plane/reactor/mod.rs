//! What does a worker wait for, and who is told when it comes?
//!
//! Shell: one epoll for the sockets of a worker's clients and nodes, and for a bell that others ring. Whoever a socket belongs to is
//! told by a plain call. The runtime, whose timers and connections under way are looked after by another thread, has only tasks
//! polled here that have been woken: of a command that is forwarded it hears nothing. Waiting in the runtime itself, and being
//! woken by it, took a third of what a command takes of the processor outside of the kernel, and most of what a lone client's took.

mod bell;
mod sealed;
mod socket;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use slab::Slab;
use tokio::task::LocalSet;
use tracing::error;

use bell::Bell;
use sealed::SealedSocket;
pub(crate) use socket::{Socket, Watched};

use super::session::Session;
use super::upstream::Link;
use super::wake::Wake;
use crate::limits::EVENTS_A_TURN;

/// What the bell's events have for the number of a place.
const BELL: u64 = u64::MAX;

/// What a reactor is made of: it can be given to another thread.
pub(super) struct Parts {
    epoll: Epoll,
    bell: Arc<Bell>,
}

impl Parts {
    /// # Errors
    /// The operating system has none to give.
    pub(super) fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let bell = Arc::new(Bell::new()?);
        let wanted = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        epoll.add(bell.fd(), EpollEvent::new(wanted, BELL))?;
        Ok(Self { epoll, bell })
    }
}

/// Who is told of what a descriptor has.
pub(crate) enum Owner {
    /// The client's, whose connection it is.
    Session(Rc<Session>),
    /// The link's.
    Link(Rc<Link>),
    /// Whoever waits.
    Task(Rc<Wake>),
}

/// What is known of a descriptor. Told by the kernel only when it changes, so it is kept.
#[derive(Debug)]
struct Readiness {
    readable: Cell<bool>,
    writable: Cell<bool>,
    /// The other end says no more, or it is broken: there is always that to be read.
    ended: Cell<bool>,
}

struct Place {
    readiness: Rc<Readiness>,
    owner: Owner,
    /// Its TLS, which may have something that waits for room.
    sealed: Option<Rc<SealedSocket>>,
}

/// One worker's.
pub(crate) struct Reactor {
    parts: Parts,
    places: RefCell<Slab<Place>>,
    began: Instant,
    /// When the present turn began; and how many microseconds after `began` that was.
    woke: Cell<Instant>,
    clock: Cell<u64>,
    /// Links that are to be served at the end of this turn.
    due: RefCell<Vec<Rc<Link>>>,
    /// Clients that replies are to be written to then.
    replied: RefCell<Vec<Rc<Session>>>,
    /// Clients that messages are to be written to then.
    unwritten: RefCell<Vec<Rc<Session>>>,
}

impl Reactor {
    pub(super) fn new(parts: Parts) -> Rc<Self> {
        let now = Instant::now();
        Rc::new(Self {
            parts,
            places: RefCell::default(),
            began: now,
            woke: Cell::new(now),
            clock: Cell::new(0),
            due: RefCell::default(),
            replied: RefCell::default(),
            unwritten: RefCell::default(),
        })
    }

    /// Serves, and has tasks polled, until `main` is over.
    pub(super) fn run(&self, main: impl Future<Output = ()> + 'static) {
        let local = LocalSet::new();
        // What is told by a plain call may begin tasks.
        let _entered = local.enter();
        let main = local.spawn_local(main);
        let mut local = pin!(local);
        let waker = Waker::from(Arc::clone(&self.parts.bell));
        let mut context = Context::from_waker(&waker);
        let (mut due, mut clients) = (Vec::new(), Vec::new());
        let mut events = [EpollEvent::empty(); EVENTS_A_TURN];
        let mut is_over = || {
            self.parts.bell.has_rung() && {
                let _ = local.as_mut().poll(&mut context);
                main.is_finished()
            }
        };
        self.parts.bell.ring();
        while !is_over() {
            self.serve(&mut due);
            // Once all links have handed out what has come: the replies of both sides to one client are one write.
            self.write(&self.replied, &mut clients, Session::write);
            self.write(&self.unwritten, &mut clients, Session::write_messages);
            let count = self.wait(&mut events).unwrap_or_else(|error| {
                error!(%error, "a worker cannot wait for its sockets");
                0
            });
            for event in events.iter().take(count) {
                self.tell(event);
                // What one client has said comes before what another says behind it, whoever of them has a task to hear it.
                if is_over() {
                    return;
                }
            }
        }
    }

    /// When the present turn began: looking at the clock for each command would cost as much as finding where it goes.
    #[inline]
    pub(super) fn woke(&self) -> Instant {
        self.woke.get()
    }

    /// The same, in microseconds since the worker began.
    #[inline]
    pub(super) fn clock(&self) -> u64 {
        self.clock.get()
    }

    /// Has a link served at the end of this turn.
    #[inline]
    pub(super) fn serves(&self, link: Rc<Link>) {
        self.due.borrow_mut().push(link);
    }

    /// Has replies written to a client at the end of this turn.
    #[inline]
    pub(super) fn writes_replies(&self, session: Rc<Session>) {
        self.replied.borrow_mut().push(session);
    }

    /// Has messages written to a client at the end of this turn.
    #[inline]
    pub(super) fn writes_messages(&self, session: Rc<Session>) {
        self.unwritten.borrow_mut().push(session);
    }

    /// Writes to those `of` this turn; `clients` is empty, and is so again.
    fn write(
        &self,
        of: &RefCell<Vec<Rc<Session>>>,
        clients: &mut Vec<Rc<Session>>,
        write: impl Fn(&Session, u64),
    ) {
        std::mem::swap(&mut *of.borrow_mut(), clients);
        let now = self.clock();
        for session in clients.drain(..) {
            if !contained(|| write(&session, now)) {
                session.fail();
            }
        }
    }

    /// Serves those that are due; `due` is empty, and is so again.
    fn serve(&self, due: &mut Vec<Rc<Link>>) {
        std::mem::swap(&mut *self.due.borrow_mut(), due);
        for link in due.drain(..) {
            if !contained(|| link.serve()) {
                contained(|| link.fail());
            }
        }
    }

    fn wait(&self, events: &mut [EpollEvent]) -> io::Result<usize> {
        let Parts { epoll, bell } = &self.parts;
        let timeout =
            match self.due.borrow().is_empty() && self.unwritten.borrow().is_empty() && bell.sleeps() {
                true => EpollTimeout::NONE,
                false => EpollTimeout::ZERO,
            };
        let waited = epoll.wait(events, timeout);
        bell.is_awake();
        let now = Instant::now();
        self.woke.set(now);
        self.clock
            .set(now.saturating_duration_since(self.began).as_micros() as u64);
        match waited {
            Err(Errno::EINTR) => Ok(0),
            waited => Ok(waited?),
        }
    }

    fn tell(&self, event: &EpollEvent) {
        if event.data() == BELL {
            return;
        }
        let places = self.places.borrow();
        // An event may be of one that has ended since, and its place another's: who finds nothing has lost nothing.
        let Some(place) = usize::try_from(event.data()).ok().and_then(|at| places.get(at)) else {
            return;
        };
        place.readiness.add(event.events());
        if let Some(sealed) = &place.sealed {
            sealed.leave(&place.readiness);
        }
        match &place.owner {
            Owner::Session(session) => {
                let session = Rc::clone(session);
                drop(places);
                if !contained(|| session.on_socket()) {
                    session.fail();
                }
            }
            Owner::Link(link) => link.wake(),
            Owner::Task(wake) => wake.wake(),
        }
    }

    fn add(
        &self,
        fd: impl AsFd,
        owner: Owner,
        sealed: Option<Rc<SealedSocket>>,
    ) -> io::Result<(usize, Rc<Readiness>)> {
        let wanted =
            EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        let readiness = Rc::new(Readiness::default());
        let mut places = self.places.borrow_mut();
        let vacant = places.vacant_entry();
        let at = vacant.key();
        self.parts.epoll.add(fd, EpollEvent::new(wanted, at as u64))?;
        vacant.insert(Place {
            readiness: Rc::clone(&readiness),
            owner,
            sealed,
        });
        Ok((at, readiness))
    }

    fn remove(&self, at: usize) {
        let place = self.places.borrow_mut().try_remove(at);
        // Its owner may end with it, and others' places with that one.
        drop(place);
        let mut places = self.places.borrow_mut();
        if places.capacity() > 4 * places.len() + PLACES_KEPT {
            places.shrink_to_fit();
        }
    }
}

/// Calls what serves one client or one link; `false`: there is a fault in it. It is to end that one and nobody else, as it would were
/// it a task's: the panic has been reported.
fn contained(serve: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(serve)).is_ok()
}

/// Room for places that is not worth giving back.
const PLACES_KEPT: usize = 256;

impl Default for Readiness {
    /// There may be something: nobody has looked yet.
    fn default() -> Self {
        Self {
            readable: Cell::new(true),
            writable: Cell::new(true),
            ended: Cell::new(false),
        }
    }
}

impl Readiness {
    #[inline]
    fn add(&self, events: EpollFlags) {
        const ENDED: EpollFlags = EpollFlags::EPOLLRDHUP
            .union(EpollFlags::EPOLLHUP)
            .union(EpollFlags::EPOLLERR);
        let has_ended = events.intersects(ENDED);
        if has_ended {
            self.ended.set(true);
        }
        if has_ended || events.contains(EpollFlags::EPOLLIN) {
            self.readable.set(true);
        }
        if has_ended || events.contains(EpollFlags::EPOLLOUT) {
            self.writable.set(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use crate::data_plane::local_route::LocalRoute;
    use crate::data_plane::session::Ends;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    /// Waits for what is there, and tells it.
    fn turn(reactor: &Reactor) {
        let mut events = [EpollEvent::empty(); EVENTS_A_TURN];
        let count = reactor.parts.epoll.wait(&mut events, 10_000u16).unwrap();
        assert!(count > 0, "nothing came");
        events.iter().take(count).for_each(|event| reactor.tell(event));
    }

    #[test]
    fn a_fault_in_serving_a_client_ends_that_client_alone() {
        let route = LocalRoute::idle();
        let sessions = [7, 8].map(|id| Session::new(id, Rc::clone(&route), Ends::NONE));
        let mut clients = sessions.each_ref().map(|session| {
            let (client, stream) = pair();
            session.connect(stream.into()).unwrap();
            client
        });
        turn(&route.reactor);
        // What is read is read into this.
        let held = route.scratch.space();
        sessions[0].rests();
        clients[0].write_all(b"PING\r\n").unwrap();
        turn(&route.reactor);
        drop(held);
        assert!(sessions[0].state.borrow().broken);

        sessions[1].rests();
        clients[1].write_all(b"PI").unwrap();
        turn(&route.reactor);
        assert!(!sessions[1].state.borrow().broken);
    }

    #[test]
    fn a_place_that_is_given_up_is_nobodys() {
        let reactor = Reactor::new(Parts::new().unwrap());
        let (mut client, stream) = pair();
        stream.set_nonblocking(true).unwrap();
        let wake = Rc::new(Wake::default());
        let socket = Socket::new(&reactor, stream.into(), Owner::Task(Rc::clone(&wake))).unwrap();
        let mut space = [0; 8];
        assert_eq!(socket.read(&mut space).unwrap(), None);
        client.write_all(b"ab").unwrap();
        turn(&reactor);
        assert!(wake.is_told() && socket.is_readable());
        assert_eq!(socket.read(&mut space).unwrap(), Some(2));
        assert!(!socket.is_readable(), "a byte less than there was room for");
        drop(client);
        turn(&reactor);
        assert_eq!(socket.read(&mut space).unwrap(), Some(0));
        assert_eq!(socket.read(&mut space).unwrap(), Some(0), "the end stays");
        drop(socket);
        assert!(reactor.places.borrow().is_empty());
        reactor.tell(&EpollEvent::new(EpollFlags::EPOLLIN, 0));
    }
}
