//! What is one connection to a node, from dialling to its end?
//!
//! Shell: everything that was enqueued in a turn is written at its end, at once, and each reply is handed to the session at the front
//! of the pipeline. Sessions enqueue by a plain call; nothing is sent through channels. A link has a task for its life, from dialling on,
//! which hears of no command.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::handshake::Setting;
use super::pipeline::{Left, Pipeline};
use super::setup::Setup;
use crate::cluster::{NodeAddr, Side};
use crate::data_plane::local_route::LocalRoute;
use crate::data_plane::reactor::{Owner, Reactor, Socket};
use crate::data_plane::scripts::LoadedScripts;
use crate::data_plane::session::{Session, Ticket};
use crate::data_plane::wake::Wake;
use crate::limits::{
    LINK_BYTES_MAX, LINK_COMMANDS_MAX, READ_BYTES, REFUSALS_MAX, SCRIPT_LONG, STREAM_WINDOW_BYTES,
    WRITE_BYTES, WRITES_A_TURN,
};
use crate::net::Stream;
use crate::resp::ReplyScanner;
use crate::routing::Slot;

/// From this size of a bulk string on, a shared link takes no new sessions until the reply has passed.
const OCCUPIED_BYTES: u64 = 1024 * 1024;

/// Who may use a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkKind {
    /// Every session of the worker, for stateless commands.
    Shared,
    /// One session at a time, for state on the server.
    Private,
    /// Nobody yet: it becomes one of the others.
    Reserve,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Dialling,
    Ready,
    /// Takes no new commands; ends when the pipeline is empty, or after the drain time.
    Retired,
    Closed,
}

/// One connection to one node, for one database and protocol.
pub(crate) struct Link {
    pub(crate) side: Side,
    /// Of a private link a client may change it.
    pub(crate) setting: Cell<Setting>,
    kind: Cell<LinkKind>,
    /// What its node was told of the one session it is for.
    setup: RefCell<Option<Rc<Setup>>>,
    /// Its node has said something of keys before it was known that it was told to.
    passed_over: Cell<bool>,
    /// CLIENT ID, on the node, of the connection that hears for it.
    pub(super) ear: Cell<Option<i64>>,
    /// What its node said to that.
    refusal: RefCell<Option<String>>,
    pub(crate) node: Arc<NodeAddr>,
    itself: Weak<Self>,
    /// Of the task that it lives as.
    task: Wake,
    phase: Cell<Phase>,
    reactor: Rc<Reactor>,
    is_connected: Cell<bool>,
    io: RefCell<Option<LinkIo>>,
    /// It is to be served in this turn.
    is_due: Cell<bool>,
    /// What its connection has ended with.
    over: Cell<Option<io::Result<()>>>,
    /// A large reply is passing.
    occupied: Cell<bool>,
    /// It is not read until the client that it answers has taken more.
    is_paced: Cell<bool>,
    /// Scripts under way.
    running: Cell<usize>,
    /// A second one beside it has been asked for, for when a script occupies it.
    pub(super) wants_second: Cell<bool>,
    /// What came of that is known.
    pub(super) has_second: Cell<bool>,
    /// A reply said that the node is no longer the master: what else comes from it is not to be trusted.
    demoted: Cell<bool>,
    client_id: Cell<i64>,
    pipeline: RefCell<Pipeline<Ticket>>,
    /// The slots of the command that is, or was last, passed on while it came.
    streamed: RefCell<Vec<Slot>>,
    /// Scripts the node has been given here.
    pub(crate) scripts: RefCell<LoadedScripts>,
    /// The session whose output is asked for room before a private link reads on.
    reader: RefCell<Option<Rc<Session>>>,
    /// Sessions that wait for room in the pipeline, by id: they ask again whenever they are polled.
    waiting: RefCell<FxHashMap<u64, Rc<Session>>>,
}

impl Link {
    pub(super) fn new(
        reactor: &Rc<Reactor>,
        side: Side,
        setting: Setting,
        kind: LinkKind,
        setup: Option<Rc<Setup>>,
        node: Arc<NodeAddr>,
    ) -> Rc<Self> {
        Rc::new_cyclic(|itself| Self {
            itself: Weak::clone(itself),
            reactor: Rc::clone(reactor),
            is_connected: Cell::new(false),
            io: RefCell::default(),
            is_due: Cell::new(false),
            over: Cell::new(None),
            setup: RefCell::new(setup),
            passed_over: Cell::new(false),
            ear: Cell::new(None),
            refusal: RefCell::default(),
            side,
            setting: Cell::new(setting),
            kind: Cell::new(kind),
            node,
            task: Wake::default(),
            phase: Cell::new(Phase::Dialling),
            occupied: Cell::new(false),
            is_paced: Cell::new(false),
            running: Cell::new(0),
            wants_second: Cell::new(false),
            has_second: Cell::new(false),
            demoted: Cell::new(false),
            client_id: Cell::new(0),
            pipeline: RefCell::default(),
            streamed: RefCell::default(),
            scripts: RefCell::default(),
            reader: RefCell::default(),
            waiting: RefCell::default(),
        })
    }

    /// Has it write what was added, read on, and see to what has become of it: at the end of this turn, once.
    #[inline]
    pub(crate) fn wake(&self) {
        if self.is_due.get() {
            return;
        }
        if self.is_connected.get()
            && let Some(itself) = self.itself.upgrade()
        {
            self.is_due.set(true);
            self.reactor.serves(itself);
        } else {
            self.task.wake();
        }
    }

    /// To be called in each turn in which it was woken.
    pub(crate) fn serve(&self) {
        self.is_due.set(false);
        let polled = match &mut *self.io.borrow_mut() {
            Some(io) => io.poll(self),
            None => return,
        };
        if let Poll::Ready(result) = polled {
            self.is_over(result);
        } else if self.phase.get() != Phase::Ready {
            self.task.wake();
        }
    }

    /// There is a fault in serving it: what has come of it is not to be trusted.
    pub(crate) fn fail(&self) {
        self.is_over(Err(io::Error::other("a fault of the proxy's")));
    }

    fn is_over(&self, result: io::Result<()>) {
        self.disconnect();
        self.over.set(Some(result));
        self.task.wake();
    }

    /// Who may use it.
    #[inline]
    pub(crate) fn kind(&self) -> LinkKind {
        self.kind.get()
    }

    /// From now on it is theirs. To be called of one that nobody uses.
    pub(super) fn becomes(&self, kind: LinkKind) {
        self.kind.set(kind);
    }

    /// Whether commands may be enqueued.
    #[inline]
    pub(crate) fn is_ready(&self) -> bool {
        self.phase.get() == Phase::Ready
    }

    /// The dial has not ended yet.
    pub(crate) fn is_dialling(&self) -> bool {
        self.phase.get() == Phase::Dialling
    }

    /// Whether a session with nothing in flight had better take another link: whatever follows a script waits for it, however long
    /// it takes.
    #[inline]
    pub(crate) fn is_occupied(&self) -> bool {
        self.occupied.get() || self.running.get() > 0
    }

    /// Whether it ought not to be taken while there is any other, at this moment of the worker's clock.
    pub(super) fn is_stuck(&self, now_micros: u32) -> bool {
        const LONG: i32 = SCRIPT_LONG.as_micros() as i32;
        let pipeline = self.pipeline.borrow();
        let is_long = |ticket: &Ticket| {
            // The clock wraps.
            ticket.is_script && now_micros.wrapping_sub(ticket.at_micros) as i32 > LONG
        };
        self.occupied.get() || pipeline.tickets().next().is_some_and(is_long)
    }

    /// CLIENT ID on the node; 0 when the node would not tell.
    pub(crate) fn client_id(&self) -> i64 {
        self.client_id.get()
    }

    /// Nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.pipeline.borrow().len() == 0
    }

    /// Whether a command like this, enqueued before this moment of the worker's clock, is not answered yet.
    pub(super) fn has_before(&self, at_micros: u32, is_it: impl Fn(&Ticket) -> bool) -> bool {
        let pipeline = self.pipeline.borrow();
        if pipeline.is_open() {
            // It has not been sent: whoever does not want that keeps its last byte back.
            return false;
        }
        // The clock wraps.
        let is_older = |ticket: &&Ticket| (at_micros.wrapping_sub(ticket.at_micros)) as i32 >= 0;
        pipeline.tickets().take_while(is_older).any(is_it)
    }

    /// How many commands of apps, and how many PUBLISHes among them, the socket has not taken yet.
    pub(super) fn unsent(&self) -> (u64, u64) {
        let pipeline = self.pipeline.borrow();
        let counted = pipeline.unsent().filter(|ticket| ticket.role.is_counted());
        counted.fold((0, 0), |(commands, publishes), ticket| {
            (commands + 1, publishes + u64::from(ticket.is_publish))
        })
    }

    /// Whose output a private link paces itself by.
    pub(crate) fn set_reader(&self, session: Option<Rc<Session>>) {
        *self.reader.borrow_mut() = session;
    }

    /// Whether it is one that clients share, of this setting, ready and with room.
    #[inline]
    pub(crate) fn takes(&self, setting: Setting) -> bool {
        self.is_ready()
            && self.kind() == LinkKind::Shared
            && self.setting.get() == setting
            && !self.is_set_up()
            && self.is_free()
    }

    #[inline]
    fn is_free(&self) -> bool {
        let pipeline = self.pipeline.borrow();
        pipeline.bytes_held() < LINK_BYTES_MAX && pipeline.len() < LINK_COMMANDS_MAX
    }

    /// Whether there is room; when not, the session is woken once there is.
    #[inline]
    pub(crate) fn has_room(&self, session: &Rc<Session>) -> bool {
        if self.is_free() {
            return true;
        }
        self.waiting.borrow_mut().insert(session.id, Rc::clone(session));
        false
    }

    /// A session that is over waits for nothing.
    pub(crate) fn forget(&self, session: &Session) {
        self.waiting.borrow_mut().remove(&session.id);
    }

    /// Has those who wait for room look again, once there is plenty.
    fn wake_waiting(&self) {
        if self.waiting.borrow().is_empty() {
            return;
        }
        let pipeline = self.pipeline.borrow();
        if pipeline.bytes_held() < LINK_BYTES_MAX / 2 && pipeline.len() < LINK_COMMANDS_MAX / 2 {
            for session in self.waiting.borrow_mut().drain().map(|(_, session)| session) {
                session.wake.wake();
            }
        }
    }

    /// Adds a command; it leaves with everything else of this turn. Cost: a copy and a flag.
    #[inline]
    pub(crate) fn enqueue(&self, ticket: Ticket, request: &[u8]) {
        self.enqueue_with(ticket, |bytes| bytes.extend_from_slice(request));
    }

    /// The same of one that is written into place.
    #[inline]
    pub(crate) fn enqueue_with(&self, ticket: Ticket, write: impl FnOnce(&mut Vec<u8>)) {
        debug_assert!(matches!(self.phase.get(), Phase::Ready | Phase::Retired));
        self.running
            .set(self.running.get() + usize::from(ticket.is_script));
        self.pipeline.borrow_mut().push_with(ticket, write);
        self.wake();
    }

    /// Adds a large command: no copy when nothing else is under way.
    pub(crate) fn enqueue_large(&self, ticket: Ticket, request: Bytes) {
        self.running
            .set(self.running.get() + usize::from(ticket.is_script));
        self.pipeline.borrow_mut().push_large(ticket, request);
        self.wake();
    }

    /// Adds a command that is passed on while it comes. Nothing else may be under way.
    pub(crate) fn begin_stream(&self, ticket: Ticket, slots: Vec<Slot>) {
        *self.streamed.borrow_mut() = slots;
        self.pipeline.borrow_mut().begin_stream(ticket);
    }

    /// How many bytes of it may be added now; its session is woken when there is room for a read.
    pub(crate) fn stream_room(&self) -> usize {
        STREAM_WINDOW_BYTES.saturating_sub(self.pipeline.borrow().bytes_held())
    }

    /// Adds some of it.
    pub(crate) fn push_piece(&self, piece: &[u8]) {
        self.pipeline.borrow_mut().push_piece(piece);
        self.wake();
    }

    /// All of it has been added, at this moment of the worker's clock.
    pub(crate) fn end_stream(&self, at_micros: u32) {
        if let Some(ticket) = self.pipeline.borrow_mut().end_stream() {
            ticket.at_micros = at_micros;
        }
        self.wake();
    }

    /// Ends the link when the last byte of such a command has not left and `moved` says so of its slots.
    pub(super) fn cut_stream_if(&self, moved: impl Fn(&[Slot]) -> bool) {
        if self.pipeline.borrow().is_streaming() && moved(&self.streamed.borrow()) {
            self.close();
        }
    }

    /// Takes back what no byte of has been handed to the socket; but not, while its node is the master, what the proxy says of itself:
    /// nobody would say it again.
    pub(crate) fn recall_unsent(&self) {
        let mut recalled = self.pipeline.borrow_mut().recall_unsent();
        if self.is_ready() {
            let is_own = |left: &mut Left<Ticket>| left.ticket.is_messengers();
            for Left { ticket, bytes, .. } in recalled.extract_if(.., is_own) {
                self.pipeline.borrow_mut().push(ticket, &bytes);
            }
        }
        if !recalled.is_empty() {
            self.scripts.borrow_mut().forget();
        }
        let scripts = recalled.iter().filter(|left| left.ticket.is_script).count();
        self.running.set(self.running.get() - scripts);
        give_back(recalled);
        // There may be nothing left whose reply would do it.
        self.wake_waiting();
    }

    /// No new commands; what is unsent goes back, what is sent is waited for (bounded by the drain time).
    pub(crate) fn retire(&self) {
        if self.phase.get() == Phase::Ready && self.pipeline.borrow().is_streaming() {
            self.phase.set(Phase::Closed);
        } else if self.phase.get() == Phase::Ready {
            self.phase.set(Phase::Retired);
            self.recall_unsent();
            self.is_stale();
        } else if self.phase.get() == Phase::Dialling {
            self.phase.set(Phase::Closed);
        }
        self.wake();
    }

    /// No new commands; ends once what is under way is answered (bounded by the drain time).
    pub(crate) fn finish(&self) {
        if self.phase.get() == Phase::Ready {
            self.phase.set(Phase::Retired);
        }
        self.wake();
    }

    /// The node it goes to is not this side's master any more.
    pub(crate) fn is_retired(&self) -> bool {
        self.phase.get() == Phase::Retired
    }

    /// The session a private link serves.
    pub(crate) fn reader(&self) -> Option<Rc<Session>> {
        self.reader.borrow().clone()
    }

    /// Ends the link now; what is in flight is lost.
    pub(crate) fn close(&self) {
        self.phase.set(Phase::Closed);
        self.wake();
    }

    /// Gives back everything that is in flight: its connection is over, or there never was one.
    fn disconnect(&self) {
        self.is_connected.set(false);
        self.io.take();
        self.phase.set(Phase::Closed);
        let left = self.pipeline.borrow_mut().drain();
        give_back(left);
        for session in self.waiting.take().into_values() {
            session.wake.wake();
        }
        self.is_stale();
        *self.reader.borrow_mut() = None;
    }

    /// Whether it is set up for one session.
    #[inline]
    pub(crate) fn is_set_up(&self) -> bool {
        self.setup.borrow().is_some()
    }

    /// What its node was told of the one session it is for.
    pub(crate) fn setup(&self) -> Option<Rc<Setup>> {
        self.setup.borrow().clone()
    }

    /// Takes on another set-up without a new connection, so that nothing of what has been read here is missed: the request
    /// that tells its node. `None`: it takes a new connection.
    pub(crate) fn take_on(&self, next: &Rc<Setup>) -> Option<Vec<u8>> {
        let mut setup = self.setup.borrow_mut();
        let can_follow = setup.as_ref().is_some_and(|present| next.can_follow(present));
        let ear = self.ear.get().filter(|_| next.has_ear);
        if !self.is_ready() || !can_follow || next.has_ear != ear.is_some() {
            return None;
        }
        *setup = Some(Rc::clone(next));
        Some(next.tracking_request(ear))
    }

    /// Whether its node has said something of keys that nobody was known to be told.
    pub(crate) fn has_passed_over(&self) -> bool {
        self.passed_over.take()
    }

    /// Its node has been told this, by what its session has sent.
    pub(crate) fn has_been_told(&self, setup: Option<Rc<Setup>>) {
        *self.setup.borrow_mut() = setup;
    }

    /// Its node tells which of the keys that were read here change.
    pub(crate) fn is_tracking(&self) -> bool {
        let setup = self.setup.borrow();
        self.is_ready() && setup.as_ref().is_some_and(|setup| setup.tracking.is_some())
    }

    /// The node does not accept what the link is for.
    pub(super) fn refuse(&self, text: String) {
        *self.refusal.borrow_mut() = Some(text);
    }

    /// What the node had against it.
    pub(crate) fn take_refusal(&self) -> Option<String> {
        self.refusal.take()
    }

    /// The node has said something that is no reply.
    pub(super) fn heard(&self, push: &[u8]) {
        let tracks = |setup: &Rc<Setup>| setup.tracking.is_some();
        if !self.setup.borrow().as_ref().is_some_and(tracks) {
            self.passed_over.set(true);
        } else if let Some(session) = self.reader() {
            session.heard(self, push);
        }
    }

    /// What the node says of keys is not all there is to be heard.
    pub(super) fn is_stale(&self) {
        if self.is_set_up()
            && let Some(session) = self.reader()
        {
            session.is_stale(self);
        }
    }
}

fn give_back(left: Vec<Left<Ticket>>) {
    for Left { ticket, bytes, sent } in left {
        let session = Rc::clone(&ticket.session);
        if sent {
            session.lost(ticket, bytes);
        } else {
            if ticket.role.is_counted() {
                session.route.unsent(ticket.side, ticket.is_publish);
            }
            session.recalled(ticket, bytes);
        }
    }
}

/// A link's life once it is connected. Returns when it is over; everything in flight has been given back.
pub(super) async fn drive(
    link: &Rc<Link>,
    route: &Rc<LocalRoute>,
    stream: Stream,
    client_id: i64,
) -> io::Result<()> {
    link.client_id.set(client_id);
    if link.phase.get() != Phase::Dialling {
        link.disconnect();
        return Ok(());
    }
    let connected = Connected(link);
    let owner = Owner::Link(Rc::clone(link));
    let socket = Socket::new(&route.reactor, stream.into_wire()?, owner)?;
    *link.io.borrow_mut() = Some(LinkIo {
        socket,
        route: Rc::clone(route),
        buffer: vec![0; READ_BYTES],
        start: 0,
        end: 0,
        scanner: ReplyScanner::new(),
        passed: 0,
        began_micros: 0,
        is_in_push: false,
    });
    link.is_connected.set(true);
    link.phase.set(Phase::Ready);
    if link.is_set_up()
        && let Some(session) = link.reader()
    {
        session.hears_again(link);
    }
    link.wake();
    let over = std::future::poll_fn(|cx| {
        link.task.polled(cx);
        link.over.take().map_or(Poll::Pending, Poll::Ready)
    });
    let retired = async {
        std::future::poll_fn(|_| match link.phase.get() {
            Phase::Retired => Poll::Ready(()),
            _ => Poll::Pending,
        })
        .await;
        tokio::time::sleep(route.limits().drain).await;
    };
    let result = tokio::select! {
        biased;
        result = over => result,
        () = retired => Err(io::ErrorKind::TimedOut.into()),
    };
    drop(connected);
    result
}

/// A link that has a connection, or is about to: its task may end at any time.
struct Connected<'a>(&'a Link);

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.disconnect();
    }
}

struct LinkIo {
    socket: Socket,
    route: Rc<LocalRoute>,
    /// Replies are in `buffer[start..end]`. Zeroed once, so that it can be read into without `unsafe`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    scanner: ReplyScanner,
    /// Bytes of the present reply that have been passed on before it was complete.
    passed: u64,
    /// When the first of them were, on the worker's clock: its client may take its time over the others.
    began_micros: u32,
    /// A list of keys that is larger than the buffer is passing: its end will say that all keys are stale.
    is_in_push: bool,
}

impl LinkIo {
    fn poll(&mut self, link: &Link) -> Poll<io::Result<()>> {
        if link.phase.get() == Phase::Closed {
            return Poll::Ready(Ok(()));
        }
        let written = self.write(link);
        // A node that refuses a command of which it has seen only the beginning says why, and closes: that comes first.
        if !link.pipeline.borrow().has_begun() {
            written?;
        }
        // Bounded, so that one busy node does not keep the worker from its clients.
        for _ in 0..READS_A_TURN {
            if !link.may_read() {
                return Poll::Pending;
            }
            match self.read(link)? {
                true => self.take_replies(link)?,
                false => {
                    return if link.phase.get() == Phase::Retired && link.is_idle() {
                        Poll::Ready(Ok(()))
                    } else {
                        Poll::Pending
                    };
                }
            }
        }
        link.wake();
        Poll::Pending
    }

    fn write(&self, link: &Link) -> io::Result<()> {
        let mut pipeline = link.pipeline.borrow_mut();
        let mut wrote = false;
        let mut writes = 0;
        while !pipeline.unwritten().is_empty() {
            if writes == WRITES_A_TURN {
                link.wake();
                break;
            }
            writes += 1;
            let unwritten = pipeline.unwritten();
            let piece = unwritten.get(..WRITE_BYTES).unwrap_or(unwritten);
            let Some(count) = self.socket.write(piece)? else {
                break;
            };
            pipeline.wrote(count);
            wrote = true;
        }
        if wrote {
            if pipeline.is_streaming()
                && pipeline.bytes_held() + READ_BYTES <= STREAM_WINDOW_BYTES
                && let Some(session) = link.reader.borrow().as_ref()
            {
                session.wake.wake();
            }
            let route = &self.route;
            let sent = route.reactor.woke().saturating_duration_since(route.stats.origin);
            let nanos = u64::try_from(sent.as_nanos()).unwrap_or(u64::MAX);
            route.stats.last_sent_nanos[link.side.index()].fetch_max(nanos, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether there was anything.
    fn read(&mut self, link: &Link) -> io::Result<bool> {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        } else if self.end == self.buffer.len() {
            self.make_room(link)?;
        }
        let space = self.buffer.get_mut(self.end..).unwrap_or_default();
        match self.socket.read(space)? {
            Some(0) => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            Some(count) => {
                self.end += count;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// The buffer is full of a reply that is not complete: passes on what is known to belong to it.
    fn make_room(&mut self, link: &Link) -> io::Result<()> {
        let scanned = self.scanner.scanned();
        if self.passed == 0 && !self.is_in_push && self.buffer.get(self.start) == Some(&b'>') {
            if !link.is_set_up() {
                return Err(garbage("a large message that nobody asked for"));
            }
            self.is_in_push = scanned > 0;
        }
        if scanned > 0 && self.is_in_push {
            self.scanner.forget(scanned);
            self.start += scanned;
        } else if scanned > 0 {
            let piece = self
                .buffer
                .get(self.start..self.start + scanned)
                .unwrap_or_default();
            let mut pipeline = link.pipeline.borrow_mut();
            let ticket = pipeline
                .front()
                .ok_or_else(|| garbage("a reply that nobody asked for"))?;
            if self.passed == 0 {
                self.began_micros = self.route.clock_micros();
            }
            self.passed += scanned as u64;
            if self.scanner.bulk_left().max(self.passed) > OCCUPIED_BYTES {
                link.occupied.set(true);
            }
            ticket.session.piece(ticket, piece);
            self.scanner.forget(scanned);
            self.start += scanned;
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        } else {
            // The scanner lets go of everything but a count, and bounds that.
            return Err(garbage("a line without end"));
        }
        Ok(())
    }

    fn take_replies(&mut self, link: &Link) -> io::Result<()> {
        let route = &self.route;
        let now = route.clock_micros();
        let mut pipeline = link.pipeline.borrow_mut();
        loop {
            let unseen = self.buffer.get(self.start..self.end).unwrap_or_default();
            if unseen.is_empty() {
                break;
            }
            let scanned = self
                .scanner
                .scan(unseen)
                .map_err(|error| garbage(&error.to_string()))?;
            let Some(length) = scanned else { break };
            let reply = unseen.get(..length).unwrap_or_default();
            if std::mem::take(&mut self.is_in_push) {
                link.is_stale();
                self.start += length;
                continue;
            }
            if reply.first() == Some(&b'>') && self.passed == 0 {
                // In RESP3 a node may say more than it was asked for. Nothing has asked for this, but for tracking.
                link.heard(reply);
                self.start += length;
                continue;
            }
            if pipeline.front().is_none() {
                if reply.first() == Some(&b'-')
                    && self.passed == 0
                    && let Some(ticket) = pipeline.cut_short()
                {
                    drop(pipeline);
                    link.running
                        .set(link.running.get() - usize::from(ticket.is_script));
                    link.close();
                    if ticket.session.replied(&ticket, reply, true) {
                        route.reactor.writes_replies(ticket.session);
                    }
                    return Ok(());
                }
                return Err(garbage("a reply that nobody asked for"));
            }
            let Some((ticket, request)) = pipeline.answered() else {
                break;
            };
            link.running
                .set(link.running.get() - usize::from(ticket.is_script));
            let whole = std::mem::take(&mut self.passed) == 0;
            let is_error = whole && reply.first() == Some(&b'-');
            if ticket.role.is_timed() {
                let answered = if whole { now } else { self.began_micros };
                route.answered(link.side, answered.wrapping_sub(ticket.at_micros), is_error);
            }
            if whole {
                if let Some(session) = deliver(link, ticket, request, reply) {
                    route.reactor.writes_replies(session);
                }
            } else {
                // What came before it has been told: whatever these bytes look like, they are the end of a reply.
                if ticket.session.replied(&ticket, reply, false) {
                    route.reactor.writes_replies(ticket.session);
                }
            }
            self.start += length;
            link.occupied.set(false);
        }
        pipeline.settle();
        drop(pipeline);
        link.wake_waiting();
        Ok(())
    }
}

/// Reads before the link lets others have their turn.
const READS_A_TURN: usize = 16;

impl Link {
    /// A private link reads at its client's pace. So does a shared one while a large reply passes and nobody else waits behind it, but
    /// when it is to end: its node is let go of as soon as it has answered.
    fn may_read(&self) -> bool {
        let may_read = match self.kind() {
            LinkKind::Shared => {
                !self.occupied.get()
                    || !self.is_ready()
                    || self.only_asks().is_none_or(|session| session.has_room())
            }
            LinkKind::Private | LinkKind::Reserve => self
                .reader
                .borrow()
                .as_ref()
                .is_none_or(|session| session.has_room()),
        };
        self.is_paced.set(!may_read);
        may_read
    }

    /// The session that everything under way is of, if there is one that looks after this link.
    fn only_asks(&self) -> Option<Rc<Session>> {
        let pipeline = self.pipeline.borrow();
        let mut sessions = pipeline.tickets().map(|ticket| &ticket.session);
        let first = sessions.next()?;
        let is_only = sessions.all(|session| Rc::ptr_eq(session, first)) && first.uses(self);
        is_only.then(|| Rc::clone(first))
    }

    /// Its client has taken some of what waited, or is gone.
    pub(crate) fn has_taken(&self) {
        if self.is_paced.get() {
            self.wake();
        }
    }
}

/// Hands a whole reply to its session, which is returned if it is to write at the end of the turn; or takes the command back when the
/// node is no longer the master.
#[inline]
fn deliver(link: &Link, ticket: Ticket, request: &[u8], reply: &[u8]) -> Option<Rc<Session>> {
    if reply.starts_with(b"-NOSCRIPT ") {
        link.scripts.borrow_mut().forget();
    }
    if reply.first() == Some(&b'-') && did_not_run(reply) && ticket.refusals < REFUSALS_MAX {
        link.demoted.set(true);
        link.phase.set(Phase::Retired);
        let session = Rc::clone(&ticket.session);
        let refusals = ticket.refusals + 1;
        session.recalled(Ticket { refusals, ..ticket }, Bytes::copy_from_slice(request));
        return None;
    }
    if ticket.session.came_back_empty(&ticket, reply) {
        let session = Rc::clone(&ticket.session);
        session.recalled(ticket, Bytes::copy_from_slice(request));
        return None;
    }
    if link.demoted.get() && ticket.repeatable() {
        // A read answered by a node that has lost its mastership may be stale, and may overtake a write taken back.
        let session = Rc::clone(&ticket.session);
        session.recalled(ticket, Bytes::copy_from_slice(request));
        return None;
    }
    let is_to_write = ticket.session.replied(&ticket, reply, true);
    is_to_write.then_some(ticket.session)
}

/// Errors that say: this node is not (or not yet) a usable master, and the command was not executed.
///
/// In Redis's own words and no others: a script may begin any text of its own with READONLY after it has written, and
/// sending it again would write twice.
fn did_not_run(reply: &[u8]) -> bool {
    const WORDS: [&[u8]; 3] = [
        b"-READONLY You can't write against a read only ",
        b"-MASTERDOWN Link with MASTER is down and ",
        b"-UNBLOCKED force unblock from blocking operation, ",
    ];
    // Redis or Valkey is loading.
    let loading =
        reply.starts_with(b"-LOADING ") && reply.ends_with(b" is loading the dataset in memory\r\n");
    loading || WORDS.iter().any(|words| reply.starts_with(words))
}

fn garbage(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_plane::session::Ends;

    fn link(route: &LocalRoute) -> Rc<Link> {
        let node = Arc::new(NodeAddr::new("127.0.0.1", 1));
        let link = Link::new(
            &route.reactor,
            Side::Old,
            Setting::default(),
            LinkKind::Shared,
            None,
            node,
        );
        link.phase.set(Phase::Ready);
        link
    }

    #[test]
    fn what_the_proxy_says_itself_stays_when_owners_change_and_goes_with_the_master() {
        let route = LocalRoute::idle();
        let link = link(&route);
        let client = Session::new(7, Rc::clone(&route), Ends::NONE);
        route.messenger().send_own(&link, b"mark 1");
        client.send_own(&link, b"aside");
        route.messenger().send_own(&link, b"mark 2");
        link.recall_unsent();
        assert_eq!(link.pipeline.borrow().unwritten(), b"mark 1mark 2");
        link.retire();
        assert_eq!(link.pipeline.borrow().unwritten(), b"");
    }

    #[test]
    fn a_link_with_a_fault_gives_back_what_is_under_way() {
        let route = LocalRoute::idle();
        let link = link(&route);
        let client = Session::new(7, Rc::clone(&route), Ends::NONE);
        client.send_own(&link, b"aside");
        link.fail();
        assert!(!link.is_ready() && link.is_idle());
        assert!(link.over.take().is_some_and(|over| over.is_err()));
        assert_eq!(client.state.borrow().lanes[0].in_flight(), 0);
    }
}
