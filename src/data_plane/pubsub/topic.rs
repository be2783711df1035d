//! Who listens to one channel or pattern, and is it subscribed to upstream?
//!
//! Shell: a list of sessions, and for each side how far its subscription is. A session knows its place in the list, so
//! that one of ten thousand leaves without a search.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use super::audience::Share;
use super::delivery::Delivery;
use super::pending::Pending;
use super::subscriber_link::SubscriberLink;
use crate::cluster::Side;
use crate::config::PubSubOutput;
use crate::data_plane::command::TopicKind;
use crate::data_plane::session::Session;
use crate::routing::Slot;

/// How far a topic's subscription on a side is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not asked for on the present link.
    Absent,
    /// Asked for.
    Asked,
    /// The node has confirmed it, on a link whose messages are not delivered yet.
    Muted,
    /// The node has confirmed it, and its messages are delivered.
    Confirmed,
}

struct Listener {
    session: Rc<Session>,
    /// The slot of the request that subscribed: what is delivered comes after its reply.
    since: u64,
}

/// One channel, pattern or shard channel that clients of this worker listen to.
pub(crate) struct Topic {
    pub(crate) kind: TopicKind,
    pub(crate) name: Rc<[u8]>,
    /// They are numbered as they are made.
    pub(crate) number: u64,
    /// `None` for a pattern: it matches channels of any slot.
    pub(crate) slot: Option<Slot>,
    /// The proxy's own: no side is asked.
    pub(crate) is_local: bool,
    /// By side: on the present link.
    stages: [Cell<Stage>; 2],
    /// By side: on the link that is prepared.
    prepared: [Cell<Stage>; 2],
    listeners: RefCell<Vec<Listener>>,
    waiting: RefCell<Vec<Rc<Pending>>>,
    /// Since when nobody listens.
    pub(super) idle_since: Cell<Option<Instant>>,
    /// It is in the queue of those that linger.
    pub(super) is_lingering: Cell<bool>,
    /// What it adds to the audience of all workers; `None` when it is local.
    pub(super) share: Option<Share>,
}

impl Topic {
    /// Without a `share` it is the proxy's own.
    pub(super) fn new(kind: TopicKind, name: &[u8], share: Option<Share>, number: u64) -> Rc<Self> {
        let slot = (kind != TopicKind::Pattern).then(|| Slot::of(name));
        Rc::new(Self {
            kind,
            name: Rc::from(name),
            number,
            slot,
            is_local: share.is_none(),
            stages: [Stage::Absent, Stage::Absent].map(Cell::new),
            prepared: [Stage::Absent, Stage::Absent].map(Cell::new),
            listeners: RefCell::default(),
            waiting: RefCell::default(),
            idle_since: Cell::new(None),
            is_lingering: Cell::new(false),
            share,
        })
    }

    pub(super) fn stage(&self, side: Side) -> Stage {
        self.stages[side.index()].get()
    }

    pub(super) fn set_stage(&self, side: Side, stage: Stage) {
        self.stages[side.index()].set(stage);
    }

    /// The same, on a link.
    pub(super) fn stage_on(&self, link: &SubscriberLink) -> Stage {
        self.stages_of(link)[link.side.index()].get()
    }

    pub(super) fn set_stage_on(&self, link: &SubscriberLink, stage: Stage) {
        self.stages_of(link)[link.side.index()].set(stage);
    }

    fn stages_of(&self, link: &SubscriberLink) -> &[Cell<Stage>; 2] {
        match link.is_prepared.get() {
            true => &self.prepared,
            false => &self.stages,
        }
    }

    /// The link that was prepared is the present one; or is none any more, which goes for the topic too then.
    pub(super) fn take_over(&self, side: Side, is_present: bool) {
        let stage = self.prepared[side.index()].replace(Stage::Absent);
        if is_present {
            self.set_stage(side, stage);
        }
    }

    /// Adds a listener; returns its place.
    pub(super) fn join(&self, session: &Rc<Session>, since: u64) -> usize {
        let mut listeners = self.listeners.borrow_mut();
        listeners.push(Listener {
            session: Rc::clone(session),
            since,
        });
        self.idle_since.set(None);
        if let Some(share) = &self.share {
            share.change(1);
        }
        listeners.len() - 1
    }

    /// Removes the listener at `place`; the last one takes it. Returns whether somebody still listens.
    pub(super) fn leave(self: &Rc<Self>, place: usize) -> bool {
        let mut listeners = self.listeners.borrow_mut();
        if place < listeners.len() {
            listeners.swap_remove(place);
            if let Some(share) = &self.share {
                share.change(-1);
            }
        }
        if let Some(moved) = listeners.get(place) {
            moved.session.has_moved(self, place);
        }
        if listeners.is_empty() {
            listeners.shrink_to(4);
        }
        !listeners.is_empty()
    }

    /// Whether anybody listens.
    pub(super) fn has_listeners(&self) -> bool {
        !self.listeners.borrow().is_empty()
    }

    /// Whether somebody listens, or did when a request that waits for it was made.
    pub(super) fn is_wanted(&self) -> bool {
        self.has_listeners() || self.has_waiting()
    }

    /// Hands a message to every listener; returns to how many. Cost: for each a copy of the bytes or a reference, and a
    /// flag that has it written at the end of the turn.
    #[inline]
    pub(crate) fn deliver(&self, message: &Delivery<'_>, limits: &PubSubOutput) -> usize {
        let listeners = self.listeners.borrow();
        for listener in listeners.iter() {
            listener.session.deliver(listener.since, message, limits);
        }
        listeners.len()
    }

    /// Closes every listener: a message came that is larger than any of them may hold.
    pub(super) fn evict_all(&self) {
        for listener in self.listeners.borrow().iter() {
            listener.session.evict();
        }
    }

    /// Closes every listener: none of them may listen any more.
    pub(super) fn disown_all(&self) {
        for listener in self.listeners.borrow().iter() {
            listener.session.may_not_listen();
        }
    }

    /// A request that waits for this topic's confirmation.
    pub(super) fn wait(&self, pending: &Rc<Pending>) {
        self.waiting.borrow_mut().push(Rc::clone(pending));
    }

    /// Whether a request does; those that were refused or whose client has gone wait no more.
    pub(super) fn has_waiting(&self) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        waiting.retain(|pending| !pending.is_over());
        !waiting.is_empty()
    }

    /// Those that wait; they are told once.
    pub(super) fn take_waiting(&self) -> Vec<Rc<Pending>> {
        self.waiting.take()
    }
}
