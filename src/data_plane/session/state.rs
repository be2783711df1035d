//! What does a session know, and what do replies do to it?
//!
//! Shell: links call in here with replies, returned and lost commands. What is not written at the end of the turn
//! ([`super::writing`]) is the session's own task's ([`super::serve`]): it writes, sends again, and reads on.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use tracing::debug;

use super::client_tracking::Found;
use super::entry::Entry;
use super::input::Input;
use super::lane::Lane;
use super::learn::Learning;
use super::login::{Check, Standing};
use super::monitor::Monitor;
use super::replay::{Replay, Returned};
use super::replies::Replies;
use super::streaming::Streaming;
use super::subscriptions::Subscriptions;
use super::ticket::{Role, Ticket};
use super::tracking::Tracking;
use super::transaction::Transaction;
use super::tunnel::Tunnel;
use crate::cluster::Side;
use crate::data_plane::command::Spec;
use crate::data_plane::local_route::LocalRoute;
use crate::data_plane::pubsub::Hearers;
use crate::data_plane::reactor::{Owner, Socket};
use crate::data_plane::refusal::Refusal;
use crate::data_plane::upstream::{Link, Setting, Setup};
use crate::data_plane::wake::Wake;
use crate::limits::{PARKED_AFTER_LOOKS, PRIVATE_OUTPUT_BYTES, READ_BYTES, REFUSALS_MAX};
use crate::net::Wire;
use crate::resp::{parse_i64, write_command};
use crate::routing::{Epoch, Slot, Snapshot, Weight};

/// The two ends of a client's connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) addr: SocketAddr,
    pub(crate) laddr: SocketAddr,
    pub(crate) fd: RawFd,
}

impl Ends {
    /// Of a session without a client.
    pub(crate) const NONE: Self = {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Self {
            addr: nowhere,
            laddr: nowhere,
            fd: -1,
        }
    };
}

/// One app's connection.
pub(crate) struct Session {
    pub(crate) wake: Wake,
    pub(crate) id: u64,
    pub(crate) ends: Ends,
    pub(super) since: Instant,
    /// When it was last heard of or written to, in microseconds of the worker's clock.
    pub(super) last_micros: Cell<u64>,
    /// Bytes that it has sent and that are not dispatched yet.
    pub(super) queued_bytes: Cell<usize>,
    pub(crate) route: Rc<LocalRoute>,
    pub(crate) state: RefCell<State>,
    pub(super) closed: Cell<bool>,
    /// Looks for idle sessions since it has done anything.
    idle_looks: Cell<u8>,
    /// The client's connection, while it is open.
    pub(super) stream: RefCell<Option<Socket>>,
    /// What it has sent and what could not be dispatched, if there is anything.
    pub(super) input: RefCell<Option<Box<Input>>>,
    /// Its task waits for nothing but what the client sends next, and is not polled for that.
    pub(super) at_rest: Cell<bool>,
    /// Replies for it are written at the end of their link's turn.
    pub(super) to_write: Cell<bool>,
    /// Its task is woken for nothing else than to be parked.
    pub(super) asked_to_park: Cell<bool>,
}

/// A blocking command that is under way.
#[derive(Debug)]
pub(crate) struct Blocked {
    pub(crate) number: u64,
    pub(crate) side: Side,
    /// The slots of its keys.
    pub(crate) slots: Vec<Slot>,
    pub(crate) since: Instant,
    /// CLIENT UNBLOCK has been sent: a null reply means that nothing was taken, not that the time is over.
    pub(crate) recalling: bool,
}

/// The mutable part of a session. Borrowed for the length of one call, never across an await.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) replies: Replies,
    pub(crate) replay: Replay,
    pub(crate) lanes: [Lane; 2],
    pub(crate) transaction: Transaction,
    /// CLIENT TRACKING.
    pub(super) tracking: Option<Box<Tracking>>,
    /// What it has set for its connection by subcommands of CLIENT that the proxy does not know.
    pub(super) unknown: Vec<Vec<Vec<u8>>>,
    /// With it, all its commands go on links of its own, which were told this.
    pub(super) setup: Option<Rc<Setup>>,
    /// By side: a link that hears a broadcast until one that hears more is there.
    pub(super) former: [Option<Rc<Link>>; 2],
    pub(super) found: Option<Found>,
    /// MONITOR.
    pub(super) monitor: Option<Monitor>,
    /// SYNC and PSYNC.
    pub(super) tunnel: Option<Tunnel>,
    pub(crate) blocked: Option<Blocked>,
    /// Its next request, when that is passed on while it comes.
    pub(super) stream: Option<Streaming>,
    /// CLIENT UNBLOCK is under way. The session blocks on nothing else meanwhile, or that would be hit.
    pub(crate) unblocking: bool,
    /// It is an app's, and not the proxy's own.
    pub(super) unblock_asked: bool,
    /// What its next request asks for, when the table does not know.
    pub(crate) learning: Learning,
    /// What its commands need of a link.
    pub(crate) setting: Setting,
    pub(crate) name: Vec<u8>,
    /// The command it sent last.
    pub(crate) last: Option<&'static Spec>,
    /// CLIENT NO-EVICT: shown, and of no effect, as no client is evicted for the memory of others.
    pub(crate) no_evict: bool,
    /// The workers have been asked something about their clients: nothing else goes before the answer.
    pub(crate) asking: bool,
    /// Bytes of a question about clients that it is being answered: to a server they are still in its buffer then.
    pub(super) question_bytes: usize,
    /// Its next request waits for CLIENT PAUSE to be over.
    pub(crate) postponed: bool,
    /// The request whose blocking a CLIENT UNBLOCK of an app has ended.
    pub(super) unblocked: Option<u64>,
    /// CLIENT KILL is for it, as soon as what it blocks on has ended.
    pub(super) dying: bool,
    /// CLIENT KILL: its connection is closed.
    pub(crate) killed: bool,
    pub(crate) standing: Standing,
    /// Since when it waits for servers to say what it may do.
    pub(super) unheard_since: Option<Instant>,
    /// The servers are being asked whether it may be who it says.
    pub(crate) check: Option<Check>,
    /// HELLO waits for links of its protocol: none of the former one is to be dialled in their place.
    pub(super) switches_links: bool,
    /// How many of HELLO's arguments have been dealt with.
    pub(super) hello_at: usize,
    /// Its user has been deleted, or may not listen any more to what it listens to: its connection is closed.
    pub(crate) disowned: bool,
    /// The snapshot the session last sent by.
    pub(crate) seen: (Epoch, Weight),
    pub(crate) subscriptions: Subscriptions,
    /// A transaction that subscribes is being executed.
    pub(crate) entry: Option<Box<Entry>>,
    /// One that has been executed is changing it: of how many commands.
    pub(super) executing: Option<usize>,
    /// Since when more than the soft limit waits for a client with subscriptions.
    pub(super) slow_since: Option<Instant>,
    /// It did not keep up with its messages: its connection is closed.
    pub(crate) evicted: bool,
    /// A reply was cut short: the client's connection can only be closed.
    pub(crate) broken: bool,
    /// No more requests are taken; closes once everything is answered and written.
    pub(crate) closing: bool,
}

impl Session {
    /// One that is not connected.
    pub(crate) fn new(id: u64, route: Rc<LocalRoute>, ends: Ends) -> Rc<Self> {
        Rc::new(Self::made(id, route, ends))
    }

    /// This is its client's connection.
    ///
    /// # Errors
    /// The operating system's: the connection is closed.
    pub(crate) fn connect(self: &Rc<Self>, wire: Wire) -> io::Result<()> {
        wire.stream.set_nonblocking(true)?;
        let owner = Owner::Session(Rc::clone(self));
        let socket = Socket::new(&self.route.reactor, wire, owner)?;
        *self.stream.borrow_mut() = Some(socket);
        Ok(())
    }

    pub(super) fn made(id: u64, route: Rc<LocalRoute>, ends: Ends) -> Self {
        let snapshot = route.snapshot();
        let state = State {
            seen: (snapshot.epoch, snapshot.weight),
            standing: Standing::first(&route),
            unheard_since: None,
            ..State::default()
        };
        Self {
            wake: Wake::default(),
            id,
            ends,
            since: Instant::now(),
            last_micros: Cell::new(route.clock()),
            queued_bytes: Cell::new(0),
            route,
            state: RefCell::new(state),
            closed: Cell::new(false),
            idle_looks: Cell::new(0),
            stream: RefCell::default(),
            input: RefCell::default(),
            at_rest: Cell::new(false),
            to_write: Cell::new(false),
            asked_to_park: Cell::new(false),
        }
    }

    /// The client is gone: replies that still come are dropped, private links are closed.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.at_rest.set(false);
        self.stream.take();
        let mut state = self.state.borrow_mut();
        self.postpone(&mut state, false);
        self.unsubscribe_all(&mut state);
        for (lane, side) in state.lanes.iter_mut().zip(Side::BOTH) {
            let private = lane.is_private();
            let link = lane.link.take();
            if let Some(link) = &link {
                link.forget(self);
                link.has_taken();
            }
            if let Some(link) = link
                && private
            {
                if lane.stateless && lane.in_flight() == 0 {
                    self.route.links(side).give_back(link);
                } else {
                    link.close();
                }
            }
        }
        state.leave_former();
        state.monitor = None;
        state.stream = None;
        self.route.users.leave(state.setting.user);
        state.replies = Replies::default();
        state.replay = Replay::default();
    }

    /// The session's task is being polled, at this moment of the worker's clock.
    #[inline]
    pub(crate) fn touched(&self, now_micros: u64) {
        self.idle_looks.set(0);
        self.last_micros.set(now_micros);
    }

    /// Gives back the memory of a session that has done nothing since the last call; whether it has done nothing for long enough to be
    /// parked, and can be.
    pub(crate) fn release_if_idle(self: &Rc<Self>) -> bool {
        let looks = self.idle_looks.get().saturating_add(1);
        self.idle_looks.set(looks);
        if looks > 1 {
            self.state.borrow_mut().replies.release_memory();
        }
        self.is_long_idle() && self.can_park()
    }

    /// Closes a client that has stopped within a large request, for whose room others wait.
    pub(crate) fn look_whether_stalled(&self) {
        let gives_up = |input: &mut Box<Input>| input.gives_up(self);
        if self.input.borrow_mut().as_mut().is_some_and(gives_up) {
            debug!(
                route = self.route.name,
                client = self.id,
                "stopped within a large request"
            );
            self.wake.wake();
        }
    }

    fn is_long_idle(&self) -> bool {
        self.idle_looks.get() > PARKED_AFTER_LOOKS
    }

    /// Has its task park it, if it has done nothing since it was found idle.
    pub(crate) fn ask_to_park(&self) {
        if self.is_long_idle() {
            self.asked_to_park.set(true);
            self.wake.wake();
        }
    }

    /// When the session is blocked on `link` and `moved` says so of its slots, has the server end that without taking
    /// an element; the null reply then brings the command back. `by` is another link to the same node.
    pub(crate) fn recall_blocked(self: &Rc<Self>, link: &Link, by: &Link, moved: impl Fn(&[Slot]) -> bool) {
        let mut state = self.state.borrow_mut();
        let State {
            blocked: Some(blocked),
            lanes,
            unblocking,
            ..
        } = &mut *state
        else {
            return;
        };
        if *unblocking
            || blocked.recalling
            || blocked.side != link.side
            || link.client_id() == 0
            || !moved(&blocked.slots)
        {
            return;
        }
        let lane = &mut lanes[link.side.index()];
        if !lane.link.as_ref().is_some_and(|own| std::ptr::eq(&**own, link)) {
            // A link it has left and that is about to end.
            return;
        }
        blocked.recalling = true;
        *unblocking = true;
        let (number, sequence) = (blocked.number, lane.sent_one());
        self.send_unblock((link, by), number, sequence, &[]);
    }

    /// Has the node end what it blocks on `link` for; `by` is another link to it.
    pub(super) fn send_unblock(
        self: &Rc<Self>,
        (link, by): (&Link, &Link),
        number: u64,
        sequence: u64,
        how: &[&[u8]],
    ) {
        let ticket = self.bare_ticket(link.side, sequence, Role::Unblock, number);
        let mut request = Vec::new();
        let id = link.client_id().to_string();
        write_command(
            &mut request,
            &[&[b"CLIENT".as_slice(), b"UNBLOCK", id.as_bytes()], how].concat(),
        );
        by.enqueue(ticket, &request);
    }

    /// Whether it is on this link that it sends what goes to its side.
    pub(crate) fn uses(&self, link: &Link) -> bool {
        let lane = &self.state.borrow().lanes[link.side.index()];
        lane.link.as_ref().is_some_and(|used| std::ptr::eq(&**used, link))
    }

    /// Whether the client keeps up with what is read for it alone. One with requests that wait may read nothing before it has sent them
    /// all, as it could from a server: it has room for as long as it is read from; but it is not read for until it has to be closed.
    pub(crate) fn has_room(&self) -> bool {
        let most = self.route.limits().output_buffer_bytes / 4;
        let room = match self.queued_bytes.get() {
            0 => PRIVATE_OUTPUT_BYTES.min(most),
            _ => most,
        };
        self.closed.get() || self.state.borrow().replies.output.len() < room
    }

    /// Whether it blocks on `side` on slots of which `moved` holds, and has not been recalled yet.
    pub(crate) fn is_stray(&self, side: Side, moved: impl Fn(&[Slot]) -> bool) -> bool {
        let state = self.state.borrow();
        let stray = |blocked: &Blocked| blocked.side == side && !blocked.recalling && moved(&blocked.slots);
        state.blocked.as_ref().is_some_and(stray)
    }

    /// Sends something in the proxy's own name; its reply is not looked at.
    pub(crate) fn send_own(self: &Rc<Self>, link: &Link, request: &[u8]) {
        self.send_as(link, Role::Aside, 0, request);
    }

    /// Sends something in the proxy's own name.
    pub(super) fn send_as(self: &Rc<Self>, link: &Link, role: Role, number: u64, request: &[u8]) {
        let sequence = self.state.borrow_mut().lanes[link.side.index()].sent_one();
        let ticket = self.bare_ticket(link.side, sequence, role, number);
        link.enqueue(ticket, request);
    }

    /// Of a command of which nothing is to be known but its place.
    #[inline]
    pub(super) fn bare_ticket(self: &Rc<Self>, side: Side, sequence: u64, role: Role, number: u64) -> Ticket {
        Ticket {
            session: Rc::clone(self),
            side,
            sequence,
            number,
            role,
            is_script: false,
            is_publish: false,
            hearers: Hearers::default(),
            is_streamed: false,
            reads: false,
            retry: false,
            refusals: 0,
            at_micros: self.route.clock_micros(),
        }
    }

    /// A piece of a reply; more will come.
    pub(crate) fn piece(&self, ticket: &Ticket, bytes: &[u8]) {
        if self.closed.get() {
            return;
        }
        let mut state = self.state.borrow_mut();
        match ticket.role {
            Role::Exec if state.is_entry(ticket) => {
                state.take_entry_piece(bytes, self.route.limits().output_buffer_bytes);
            }
            Role::Whole | Role::Blocking | Role::Queued | Role::Exec => {
                state.lanes[ticket.side.index()].share.comes(bytes.len());
                let rest = self.write_through(&state, ticket, bytes);
                state.replies.piece(ticket.number, rest);
            }
            Role::Part(index) => {
                state.lanes[ticket.side.index()].share.comes(bytes.len());
                state.replies.part_piece(ticket.number, index, bytes);
            }
            Role::Learn => state.learning.piece(bytes),
            Role::Own | Role::Aside | Role::Script | Role::Unblock | Role::Check | Role::Knock => {}
        }
        let is_written = state.replies.bytes() == 0;
        drop(state);
        if !is_written || !self.at_rest.get() {
            self.wake.wake();
        }
    }

    /// A reply, `whole` or the last piece of one. `true`: [`Self::write`] is to be called of the session once links have handed out
    /// what else has come in this turn.
    #[inline]
    pub(crate) fn replied(&self, ticket: &Ticket, bytes: &[u8], whole: bool) -> bool {
        if self.closed.get() {
            return false;
        }
        let mut state = self.state.borrow_mut();
        let can_rest = self.can_rest(&state, ticket);
        state.lanes[ticket.side.index()].share.ends(bytes.len());
        let bytes = match ticket.is_publish {
            true => bytes,
            false => self.write_through(&state, ticket, bytes),
        };
        if ticket.is_streamed {
            state.take_stream(ticket);
        }
        let lane = &mut state.lanes[ticket.side.index()];
        lane.done_one(ticket.sequence);
        lane.has_answered(ticket.number);
        if ticket.publishes() && bytes.first() == Some(&b'-') {
            self.route.stats.publish_failed[ticket.side.index()].fetch_add(1, Ordering::Relaxed);
        }
        match ticket.role {
            Role::Whole if ticket.hearers != Hearers::default() => match corrected(bytes, ticket.hearers) {
                Some(count) => state.replies.finish_integer(ticket.number, count),
                None => state.replies.finish(ticket.number, bytes),
            },
            Role::Whole => state.replies.finish(ticket.number, bytes),
            Role::Part(index) => state.replies.part_finish(ticket.number, index, bytes),
            Role::Blocking => {
                state.blocked = None;
                if state.dying && is_null(bytes) {
                    // It has taken nothing, and need not read so.
                    state.killed = true;
                } else {
                    state.replies.finish(ticket.number, bytes);
                }
            }
            Role::Exec if state.is_entry(ticket) => self.finish_entry(&mut state, ticket, bytes),
            Role::Exec if whole => {
                let bytes = state.transaction.exec_reply(bytes);
                state.replies.finish(ticket.number, &bytes);
            }
            Role::Queued | Role::Exec => state.replies.finish(ticket.number, bytes),
            Role::Own => state.transaction.own_reply(bytes),
            Role::Aside => {}
            Role::Learn => self.learnt(&mut state, ticket, bytes),
            Role::Script => state.transaction.loading = false,
            Role::Unblock => {
                if bytes == b":1\r\n" && state.unblock_asked {
                    state.unblocked = Some(ticket.number);
                }
                state.unblock_over(ticket.number, bytes == b":0\r\n");
            }
            Role::Check => state.checked(ticket, bytes),
            Role::Knock => self.knocked(ticket, Some(!bytes.starts_with(b"-NOAUTH"))),
        }
        // Its task looks at limits.
        let is_little = state.replies.bytes() <= READ_BYTES;
        drop(state);
        if can_rest && is_little {
            return !self.to_write.replace(true);
        }
        self.wake.wake();
        false
    }

    /// A blocking command whose client is being moved has come back without an element.
    pub(crate) fn came_back_empty(&self, ticket: &Ticket, reply: &[u8]) -> bool {
        ticket.role == Role::Blocking
            && is_null(reply)
            && self
                .state
                .borrow()
                .blocked
                .as_ref()
                .is_some_and(|blocked| blocked.recalling)
    }

    /// The command was not executed: it is sent again, before anything newer.
    pub(crate) fn recalled(&self, ticket: Ticket, bytes: Bytes) {
        if self.closed.get() {
            return;
        }
        let mut state = self.state.borrow_mut();
        state.lanes[ticket.side.index()].done_one(ticket.sequence);
        self.leave_entry_with(&mut state, &ticket);
        match ticket.role {
            Role::Knock => self.knocked(&ticket, None),
            Role::Check => state.unchecked(&ticket),
            _ if ticket.is_streamed => state.tell_cut_short(&ticket),
            _ => state.take_back(ticket, bytes),
        }
        drop(state);
        self.wake.wake();
    }

    /// The command was sent, and its link ended before the reply.
    pub(crate) fn lost(&self, ticket: Ticket, bytes: Bytes) {
        if self.closed.get() {
            return;
        }
        let mut state = self.state.borrow_mut();
        let side = ticket.side;
        state.lanes[side.index()].done_one(ticket.sequence);
        self.leave_entry_with(&mut state, &ticket);
        match ticket.role {
            Role::Knock => self.knocked(&ticket, None),
            Role::Check => state.unchecked(&ticket),
            Role::Unblock => state.unblock_over(ticket.number, true),
            Role::Own => state.transaction.connection_lost(),
            Role::Aside => {}
            Role::Learn => state.learning.forget(),
            Role::Script => state.transaction.loading = false,
            Role::Queued => state.take_back(ticket, bytes),
            // Bounded: a command that kills its master must not go on to kill the next.
            _ if ticket.retry && ticket.refusals < REFUSALS_MAX => {
                let stats = &self.route.stats;
                stats.uncertain_retried[side.index()].fetch_add(1, Ordering::Relaxed);
                let publishes = u64::from(ticket.is_publish);
                stats.publish_retried[side.index()].fetch_add(publishes, Ordering::Relaxed);
                let refusals = ticket.refusals + 1;
                state.take_back(Ticket { refusals, ..ticket }, bytes);
            }
            _ => {
                let stats = &self.route.stats;
                stats.uncertain_told[side.index()].fetch_add(1, Ordering::Relaxed);
                let publishes = u64::from(ticket.is_publish);
                stats.publish_uncertain[side.index()].fetch_add(publishes, Ordering::Relaxed);
                state.tell_uncertain(&ticket);
            }
        }
        drop(state);
        self.wake.wake();
    }
}

fn is_null(reply: &[u8]) -> bool {
    matches!(reply, b"*-1\r\n" | b"$-1\r\n" | b"_\r\n")
}

impl State {
    /// Goes over to a newer snapshot: what is in flight on the side that lost slots comes first.
    #[inline]
    pub(crate) fn see(&mut self, snapshot: &Snapshot) {
        if self.seen.0 == snapshot.epoch {
            return;
        }
        if snapshot.weight > self.seen.1 {
            self.lanes[Side::Old.index()].raise_fence();
        } else if snapshot.weight < self.seen.1 {
            self.lanes[Side::New.index()].raise_fence();
        }
        self.seen = (snapshot.epoch, snapshot.weight);
    }

    fn take_back(&mut self, ticket: Ticket, bytes: Bytes) {
        let Ticket {
            number,
            role,
            refusals,
            ..
        } = ticket;
        match role {
            Role::Own => self.transaction.connection_lost(),
            Role::Aside => {}
            Role::Learn => self.learning.forget(),
            Role::Script => self.transaction.loading = false,
            Role::Unblock => self.unblock_over(number, true),
            Role::Check | Role::Knock => {}
            // The transaction cannot go on elsewhere; EXEC will say so.
            Role::Queued => {
                self.transaction.connection_lost();
                self.replies.finish(number, b"+QUEUED\r\n");
            }
            Role::Exec => self.replies.finish(number, &Refusal::ExecAbort.line()),
            Role::Whole | Role::Blocking | Role::Part(_) => {
                let blocked = self.blocked.take_if(|_| role == Role::Blocking);
                if let Role::Part(index) = role {
                    self.replies.part_restart(number, index);
                } else if !self.replies.restart(number) {
                    self.broken = true;
                    return;
                }
                let blocked_since = blocked.map(|blocked| blocked.since);
                self.replay.insert(Returned {
                    number,
                    role,
                    refusals,
                    bytes,
                    blocked_since,
                });
            }
        }
    }

    /// CLIENT UNBLOCK is over. `missed`: it came before the command it was for, or not at all, and is to be tried again.
    fn unblock_over(&mut self, number: u64, missed: bool) {
        self.unblocking = false;
        self.unblock_asked = false;
        if let Some(blocked) = self.blocked.as_mut().filter(|blocked| blocked.number == number) {
            blocked.recalling &= !missed;
        }
    }

    /// A command has not been executed that came while it was passed on.
    fn tell_cut_short(&mut self, ticket: &Ticket) {
        let told = self.take_stream(ticket).and_then(|stream| stream.fault);
        let line = told.unwrap_or_else(|| Refusal::CutShort { side: ticket.side }.line());
        if self.replies.restart(ticket.number) {
            self.replies.finish(ticket.number, &line);
        } else {
            self.broken = true;
        }
    }

    fn tell_uncertain(&mut self, ticket: &Ticket) {
        let line = Refusal::Uncertain { side: ticket.side }.line();
        if ticket.role == Role::Blocking {
            self.blocked = None;
        }
        if let Role::Part(index) = ticket.role {
            self.replies.part_restart(ticket.number, index);
            self.replies.part_finish(ticket.number, index, &line);
        } else if self.replies.restart(ticket.number) {
            self.replies.finish(ticket.number, &line);
        } else {
            self.broken = true;
        }
    }
}

/// The reply to a PUBLISH, as a number of clients; `None`: it stays as it is.
fn corrected(reply: &[u8], hearers: Hearers) -> Option<i64> {
    let digits = reply.strip_prefix(b":")?.strip_suffix(b"\r\n")?;
    parse_i64(digits).map(|count| hearers.correct(count))
}
