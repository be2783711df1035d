//! What is one connection to a node that only subscribes, from dialling to its end?
//!
//! Shell: requests leave in one write per turn; their answers come in order, between messages, and are matched by a FIFO.
//! A message is handed to the hub where it was read; a large one is cut out of the buffer and shared. What is larger
//! than any client may hold is not kept at all.
//!
//! A node that says nothing is asked (PING), and given up after a second without an answer. The time is counted in looks at
//! the socket, so that a process that was stalled itself reads what came meanwhile before it judges.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Buf, BytesMut};
use rustc_hash::FxHashMap;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::audience::Counted;
use super::delivery::{Delivery, head};
use super::heir::Proof;
use super::hub::Hub;
use super::large::ASK_ALLOWANCE;
use super::patterns::Wishes;
use super::topic::Topic;
use crate::cluster::{NodeAddr, Side};
use crate::data_plane::command::TopicKind;
use crate::data_plane::local_route::LocalRoute;
use crate::data_plane::reactor::{Owner, Socket};
use crate::data_plane::wake::Wake;
use crate::limits::{
    BULK_BYTES_MAX, READ_BYTES, SHARED_MESSAGE_BYTES, SUBSCRIBER_CHECK, SUBSCRIBER_SILENT_CHECKS,
};
use crate::net::Stream;
use crate::resp::{ReplyScanner, write_command};

/// Reads before the link lets others have their turn.
const READS_A_TURN: usize = 16;

/// Which kind of node a link goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeRole {
    Master,
    Replica,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Dialling,
    Ready,
    Closed,
}

/// What the next answer is to.
pub(super) enum Expected {
    /// `is_first`: one of those that the link began with.
    Subscribed {
        topic: Rc<Topic>,
        is_first: bool,
    },
    Unsubscribed {
        is_pattern: bool,
        /// The topic's.
        number: u64,
    },
    Pong {
        number: u64,
        asked: Instant,
    },
    /// The subscription to this worker's marks.
    Marks,
    /// The question how much may wait for a subscriber.
    Allowance,
}

/// One connection for subscriptions.
pub(super) struct SubscriberLink {
    pub(super) side: Side,
    pub(super) node: Arc<NodeAddr>,
    pub(super) role: NodeRole,
    wake: Rc<Wake>,
    phase: Cell<Phase>,
    out: RefCell<Vec<u8>>,
    expected: RefCell<VecDeque<Expected>>,
    /// Patterns it has yet to ask for.
    pub(super) wishes: RefCell<Wishes>,
    /// Of what the link began with, how much is not confirmed.
    pub(super) behind: Cell<usize>,
    /// Everything it began with is confirmed: nothing is missed from here on.
    pub(super) is_complete: Cell<bool>,
    /// Its messages are another link's to deliver, or too old.
    pub(super) is_muted: Cell<bool>,
    /// The first mark published for it: what comes after is its to deliver.
    pub(super) begins: Cell<Option<u64>>,
    /// With this fence or mark it is complete again: before it, messages may have been missed.
    pub(super) whole_from: Cell<u64>,
    /// It is not read on: another link has to tell first what comes before.
    is_paused: Cell<bool>,
    pub(super) ready_at: Cell<Option<Instant>>,
    /// Everything published on the side's master before this has been heard. Of a master: when it was asked for the last
    /// answer, as that comes after what it had published. Of a replica, which may answer and follow nobody: when the last mark
    /// that has come through was sent. When a byte was last read says nothing: what was read may have waited for long.
    pub(super) heard_all: Cell<Instant>,
    /// The highest fence that has been answered.
    pub(super) passed: Cell<u64>,
    /// What the node lets wait for a subscriber, if it says.
    pub(super) allowance: Cell<Option<usize>>,
    /// It leads to the node that is being made master, and is not the present link yet.
    pub(super) is_prepared: Cell<bool>,
    /// Whether such a link has missed nothing.
    pub(super) proof: Cell<Proof>,
    /// Marks published on the master that have not come through, oldest first.
    pub(super) marks: RefCell<VecDeque<Mark>>,
    /// The topics on which its node counts it, by number.
    counted: RefCell<FxHashMap<u64, Counted>>,
}

/// A mark that is under way.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    pub(super) number: u64,
    pub(super) sent: Instant,
    /// It was sent to see whether the replica hears its master, not as a fence.
    pub(super) is_look: bool,
}

impl SubscriberLink {
    /// `passed`: fences up to this number mean nothing to it.
    pub(super) fn new(side: Side, node: Arc<NodeAddr>, role: NodeRole, passed: u64) -> Rc<Self> {
        Rc::new(Self {
            side,
            node,
            role,
            wake: Rc::default(),
            phase: Cell::new(Phase::Dialling),
            out: RefCell::default(),
            expected: RefCell::default(),
            wishes: RefCell::default(),
            behind: Cell::new(0),
            is_complete: Cell::new(false),
            is_muted: Cell::new(false),
            begins: Cell::new(None),
            whole_from: Cell::new(0),
            is_paused: Cell::new(false),
            ready_at: Cell::new(None),
            heard_all: Cell::new(Instant::now()),
            passed: Cell::new(passed),
            allowance: Cell::new(None),
            is_prepared: Cell::new(false),
            proof: Cell::new(Proof::Unasked),
            marks: RefCell::default(),
            counted: RefCell::default(),
        })
    }

    pub(super) fn is_ready(&self) -> bool {
        self.phase.get() == Phase::Ready
    }

    pub(super) fn is_closed(&self) -> bool {
        self.phase.get() == Phase::Closed
    }

    /// Whether what follows what it has just told has to wait.
    pub(super) fn pause(&self, is_paused: bool) {
        self.is_paused.set(is_paused);
        self.wake.wake();
    }

    /// The node counts it among the topic's subscribers.
    pub(super) fn count(&self, topic: &Rc<Topic>) {
        let mut counted = self.counted.borrow_mut();
        if !counted.contains_key(&topic.number) {
            counted.extend(Counted::new(topic, self.side, self.role).map(|it| (topic.number, it)));
        }
    }

    /// It does so no more.
    pub(super) fn uncount(&self, number: u64) {
        self.counted.borrow_mut().remove(&number);
    }

    /// What its node counts is of no interest any more.
    pub(super) fn uncount_all(&self) {
        self.counted.take();
    }

    /// Ends it; what still comes is not read.
    pub(super) fn close(&self) {
        self.uncount_all();
        self.phase.set(Phase::Closed);
        self.wake.wake();
    }

    /// Has the node subscribe to a topic, which is one of `of` in a request; patterns in their turn.
    pub(super) fn subscribe(&self, topic: &Rc<Topic>, is_first: bool, of: usize) {
        match topic.kind {
            TopicKind::Pattern => self.wishes.borrow_mut().subscribe(topic, is_first, of),
            TopicKind::Channel | TopicKind::Shard => self.send_subscribe(topic, is_first),
        }
    }

    /// Has the node leave it.
    pub(super) fn unsubscribe(&self, topic: &Rc<Topic>) {
        match topic.kind {
            TopicKind::Pattern => self.wishes.borrow_mut().unsubscribe(topic),
            TopicKind::Channel | TopicKind::Shard => self.send_unsubscribe(topic),
        }
    }

    pub(super) fn send_subscribe(&self, topic: &Rc<Topic>, is_first: bool) {
        let word: &[u8] = match topic.kind {
            TopicKind::Channel => b"SUBSCRIBE",
            TopicKind::Pattern => b"PSUBSCRIBE",
            TopicKind::Shard => b"SSUBSCRIBE",
        };
        let topic = Rc::clone(topic);
        let name = Rc::clone(&topic.name);
        self.send(&[word, &name], Expected::Subscribed { topic, is_first });
    }

    pub(super) fn send_unsubscribe(&self, topic: &Topic) {
        let word: &[u8] = match topic.kind {
            TopicKind::Channel => b"UNSUBSCRIBE",
            TopicKind::Pattern => b"PUNSUBSCRIBE",
            TopicKind::Shard => b"SUNSUBSCRIBE",
        };
        let expected = Expected::Unsubscribed {
            is_pattern: topic.kind == TopicKind::Pattern,
            number: topic.number,
        };
        self.send(&[word, &topic.name], expected);
    }

    /// Asks what the node lets wait for a subscriber; not allowed once there is a subscription.
    pub(super) fn ask_allowance(&self) {
        self.send(&ASK_ALLOWANCE, Expected::Allowance);
    }

    pub(super) fn subscribe_marks(&self, channel: &[u8]) {
        self.send(&[b"SUBSCRIBE", channel], Expected::Marks);
    }

    /// Asks for an answer that comes after everything the node has published until it gets there.
    pub(super) fn ping(&self, number: u64) {
        let mut digits = itoa::Buffer::new();
        self.send(
            &[b"PING", digits.format(number).as_bytes()],
            Expected::Pong {
                number,
                asked: Instant::now(),
            },
        );
    }

    /// Adds a request; it leaves with everything else of this turn.
    fn send(&self, request: &[&[u8]], expected: Expected) {
        write_command(&mut self.out.borrow_mut(), request);
        self.expected.borrow_mut().push_back(expected);
        self.wake.wake();
    }

    /// A mark has been published that it has to hear.
    pub(super) fn expects(&self, number: u64, is_look: bool) {
        self.marks.borrow_mut().push_back(Mark {
            number,
            sent: Instant::now(),
            is_look,
        });
    }

    /// Up to fence or mark `number`, what it has yet to tell may be out of order or missing.
    pub(super) fn is_doubtful_before(&self, number: u64) {
        self.is_complete.set(false);
        self.whole_from.set(self.whole_from.get().max(number));
    }

    /// What the answer that has just come is to.
    pub(super) fn answered(&self) -> Option<Expected> {
        self.expected.borrow_mut().pop_front()
    }
}

/// A link's life once it is connected.
pub(super) async fn drive(
    link: &Rc<SubscriberLink>,
    hub: &Hub,
    route: &Rc<LocalRoute>,
    stream: Stream,
) -> io::Result<()> {
    if link.phase.get() == Phase::Closed {
        return Ok(());
    }
    let owner = Owner::Task(Rc::clone(&link.wake));
    let watched = stream
        .into_wire()
        .and_then(|stream| Socket::new(&route.reactor, stream, owner));
    let socket = match watched {
        Ok(socket) => socket,
        Err(error) => {
            link.close();
            return Err(error);
        }
    };
    let now = Instant::now();
    link.phase.set(Phase::Ready);
    link.ready_at.set(Some(now));
    link.heard_all.set(now);
    hub.link_ready(route, link);
    let mut checks = interval(SUBSCRIBER_CHECK);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut io = LinkIo {
        socket,
        buffer: BytesMut::new(),
        scanner: ReplyScanner::new(),
        skips: false,
        written: 0,
        checks,
        silent_checks: 0,
    };
    let result = std::future::poll_fn(|cx| {
        link.wake.polled(cx);
        io.poll(link, hub, route, cx)
    })
    .await;
    link.close();
    result
}

struct LinkIo {
    socket: Socket,
    buffer: BytesMut,
    scanner: ReplyScanner,
    /// The present message is too large for anybody: it is thrown away as it comes.
    skips: bool,
    /// Bytes of `out` the socket has taken.
    written: usize,
    checks: Interval,
    silent_checks: u32,
}

impl LinkIo {
    fn poll(
        &mut self,
        link: &Rc<SubscriberLink>,
        hub: &Hub,
        route: &Rc<LocalRoute>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        // Bounded, so that one busy node does not keep the worker from its clients.
        for _ in 0..READS_A_TURN {
            if link.phase.get() == Phase::Closed {
                return Poll::Ready(Ok(()));
            }
            self.take(link, hub, route)?;
            // After it: what was read may have been answered.
            self.write(link)?;
            if link.is_paused.get() {
                self.silent_checks = 0;
                return self.poll_checks(link, hub, route, cx);
            }
            if !self.read(route)? {
                return self.poll_checks(link, hub, route, cx);
            }
            self.silent_checks = 0;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn write(&mut self, link: &SubscriberLink) -> io::Result<()> {
        let mut out = link.out.borrow_mut();
        while self.written < out.len() {
            let rest = out.get(self.written..).unwrap_or_default();
            match self.socket.write(rest)? {
                Some(count) => self.written += count,
                None => return Ok(()),
            }
        }
        self.written = 0;
        out.clear();
        if out.capacity() > READ_BYTES {
            out.shrink_to(READ_BYTES);
        }
        Ok(())
    }

    /// Whether there was anything.
    fn read(&mut self, route: &LocalRoute) -> io::Result<bool> {
        let mut space = route.scratch.space();
        let Some(count) = self.socket.read(&mut space)? else {
            return Ok(false);
        };
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // A large message is gathered where it will be shared from: it is not moved any more.
        let missing = usize::try_from(self.scanner.bulk_left()).unwrap_or(usize::MAX);
        if !self.skips && missing > count {
            self.buffer.reserve(missing);
        }
        self.buffer
            .extend_from_slice(space.get(..count).unwrap_or_default());
        Ok(true)
    }

    fn take(&mut self, link: &Rc<SubscriberLink>, hub: &Hub, route: &Rc<LocalRoute>) -> io::Result<()> {
        while !self.buffer.is_empty() && !link.is_paused.get() {
            let scanned = self.scanner.scan(&self.buffer);
            let scanned = scanned.map_err(|error| garbage(&error.to_string()))?;
            let Some(length) = scanned else {
                self.skip_if_too_large(hub, route)?;
                return Ok(());
            };
            if std::mem::take(&mut self.skips) {
                self.buffer.advance(length);
                continue;
            }
            if length >= SHARED_MESSAGE_BYTES {
                let bytes = self.buffer.split_to(length).freeze();
                match head(&bytes) {
                    Some(head) => hub.deliver(route, link, head, &Delivery::Shared(&bytes)),
                    None => hub.answered(route, link, &bytes)?,
                }
                continue;
            }
            let bytes = self.buffer.get(..length).unwrap_or_default();
            match head(bytes) {
                Some(head) => hub.deliver(route, link, head, &Delivery::Copied(bytes)),
                None => hub.answered(route, link, bytes)?,
            }
            self.buffer.advance(length);
        }
        Ok(())
    }

    /// The buffer ends within a value: when it is larger than any client may hold, it is not waited for.
    fn skip_if_too_large(&mut self, hub: &Hub, route: &Rc<LocalRoute>) -> io::Result<()> {
        let hard_bytes = route.limits().pubsub_output.hard_bytes;
        let most = if hard_bytes == 0 {
            BULK_BYTES_MAX
        } else {
            hard_bytes
        };
        if !self.skips && self.scanner.bulk_left() > most as u64 {
            let head = head(self.buffer.get(..self.scanner.scanned()).unwrap_or_default());
            let head = head.ok_or_else(|| garbage("an answer that is too large"))?;
            hub.too_large(head);
            self.skips = true;
        }
        if self.skips {
            let scanned = self.scanner.scanned();
            self.scanner.forget(scanned);
            self.buffer.advance(scanned);
        }
        Ok(())
    }

    /// Looks whether the node is still there. Nothing has been read in this turn.
    fn poll_checks(
        &mut self,
        link: &Rc<SubscriberLink>,
        hub: &Hub,
        route: &Rc<LocalRoute>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.checks.poll_tick(cx).is_ready() {
            self.silent_checks += 1;
            if self.silent_checks >= SUBSCRIBER_SILENT_CHECKS {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            if self.silent_checks == 1 {
                link.ping(0);
            }
            hub.check(route, link)?;
            self.write(link)?;
        }
        Poll::Pending
    }
}

pub(super) fn garbage(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}
