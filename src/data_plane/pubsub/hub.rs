//! Who listens to what on this worker, and is it subscribed to where it must be?
//!
//! Shell: sessions join and leave topics, links report confirmations and messages; every decision about a side's links is in
//! [`super::links`]. A client is confirmed once every side that could carry the topic's messages has confirmed. A side
//! that has no usable node and owns nothing of it is not waited for; one that owns it is, for as long as commands are
//! held. A topic nobody listens to any more stays for a moment, so that clients which come and go by the thousand do
//! not make the nodes subscribe and unsubscribe as often.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

use super::GAP_CHANNEL;
use super::audience::{Share, is_own};
use super::delivery::{Delivery, Head, message};
use super::feed::Feed;
use super::gap::Gap;
use super::heir::Proof;
use super::pending::Pending;
use super::settling::Settling;
use super::shared::Marks;
use super::subscriber_link::{Expected, NodeRole, SubscriberLink, garbage};
use super::topic::{Stage, Topic};
use super::weights::{Extremes, Weights};
use crate::cluster::Side;
use crate::data_plane::command::TopicKind;
use crate::data_plane::local_route::LocalRoute;
use crate::data_plane::refusal::Refusal;
use crate::data_plane::session::Session;
use crate::data_plane::users::UserId;
use crate::limits::{FORGOTTEN_A_TICK, SUBSCRIPTION_LINGER};
use crate::routing::{Epoch, Slot, Snapshot, majority_owner};

type Topics = HashMap<Rc<[u8]>, Rc<Topic>>;

/// One worker's hub for one route, and one user: the server decides who may hear what.
pub(crate) struct Hub {
    /// The worker's number.
    pub(super) worker: usize,
    /// By kind. Names come from clients: the hash is a keyed one.
    topics: [RefCell<Topics>; 3],
    /// Number of the last one made.
    last_topic: Cell<u64>,
    /// Topics that are not local.
    upstream_topics: Cell<usize>,
    pub(super) feeds: [Feed; 2],
    /// Requests that wait for a side, oldest first.
    pending: RefCell<VecDeque<Rc<Pending>>>,
    /// Topics without listeners, longest first.
    lingering: RefCell<VecDeque<Rc<Topic>>>,
    pub(super) weights: RefCell<Weights>,
    pub(super) settling: RefCell<Settling>,
    /// Something is unsettled: PUBLISH has to ask.
    pub(super) is_unsettled: Cell<bool>,
    /// The task that settles is running.
    pub(super) is_stepping: Cell<bool>,
    pub(super) marks: Arc<Marks>,
    /// The last fence or mark asked for.
    pub(super) last_number: Cell<u64>,
    /// Where this worker's marks are published, for links to replicas.
    pub(super) mark_channel: Vec<u8>,
    /// As whom it subscribes.
    pub(super) user: UserId,
    /// Nobody is that user any more.
    pub(super) is_over: Cell<bool>,
    me: Weak<Self>,
}

fn at(kind: TopicKind) -> usize {
    match kind {
        TopicKind::Channel => 0,
        TopicKind::Pattern => 1,
        TopicKind::Shard => 2,
    }
}

impl Hub {
    pub(crate) fn new(marks: Arc<Marks>, snapshot: &Snapshot, worker: usize, user: UserId) -> Rc<Self> {
        Rc::new_cyclic(|me| Self {
            worker,
            topics: Default::default(),
            last_topic: Cell::new(0),
            upstream_topics: Cell::new(0),
            feeds: Side::BOTH.map(Feed::new),
            pending: RefCell::default(),
            lingering: RefCell::default(),
            weights: RefCell::new(Weights::new(Instant::now(), snapshot.weight)),
            settling: RefCell::new(Settling::new(snapshot.epoch)),
            is_unsettled: Cell::new(false),
            is_stepping: Cell::new(false),
            marks,
            last_number: Cell::new(0),
            mark_channel: format!("__switchback:mark:{:016x}", fastrand::u64(..)).into_bytes(),
            user,
            is_over: Cell::new(false),
            me: Weak::clone(me),
        })
    }

    /// For a task that outlives this call; `None` when the hub is just being dropped.
    pub(super) fn rc(&self) -> Option<Rc<Self>> {
        self.me.upgrade()
    }

    pub(super) fn feed(&self, side: Side) -> &Feed {
        &self.feeds[side.index()]
    }

    /// Whether there is anything to be heard upstream.
    pub(super) fn is_needed(&self) -> bool {
        self.upstream_topics.get() > 0
    }

    /// A topic that somebody knows.
    pub(crate) fn find(&self, kind: TopicKind, name: &[u8]) -> Option<Rc<Topic>> {
        self.topics[at(kind)].borrow().get(name).map(Rc::clone)
    }

    /// The topic of that name, one of `of` in a request, subscribed to upstream if it was not.
    pub(crate) fn topic(&self, route: &Rc<LocalRoute>, kind: TopicKind, name: &[u8], of: usize) -> Rc<Topic> {
        if let Some(topic) = self.find(kind, name) {
            return topic;
        }
        let is_local = kind == TopicKind::Channel && name == GAP_CHANNEL;
        let share = (!is_local).then(|| Share::new(&route.pubsub().audience, kind, name));
        let topic = Topic::new(kind, name, share, self.next_topic());
        self.topics[at(kind)]
            .borrow_mut()
            .insert(Rc::clone(&topic.name), Rc::clone(&topic));
        if !is_local {
            self.upstream_topics.set(self.upstream_topics.get() + 1);
            if kind == TopicKind::Pattern {
                route.pubsub().ceiling.add_pattern(name);
            }
            for side in route.sides() {
                match self.feed(side).ready() {
                    Some(link) => {
                        self.ask(&link, &topic, false, of);
                        self.ask_for_patterns(route, &link);
                    }
                    None => self.dial(route, side),
                }
                self.ask_heir(route, side, &topic, of);
            }
        }
        topic
    }

    /// Has the node subscribe to a topic.
    pub(super) fn ask(&self, link: &SubscriberLink, topic: &Rc<Topic>, is_first: bool, of: usize) {
        link.subscribe(topic, is_first, of);
        topic.set_stage_on(link, Stage::Asked);
    }

    /// A session listens; returns its place.
    pub(crate) fn join(&self, topic: &Topic, session: &Rc<Session>, since: u64) -> usize {
        topic.join(session, since)
    }

    /// The session at `place` listens no more.
    pub(crate) fn leave(&self, topic: &Rc<Topic>, place: usize) {
        if topic.leave(place) {
            return;
        }
        if topic.is_local {
            self.topics[at(topic.kind)].borrow_mut().remove(&topic.name);
            return;
        }
        topic.idle_since.set(Some(Instant::now()));
        if !topic.is_lingering.replace(true) {
            self.lingering.borrow_mut().push_back(Rc::clone(topic));
        }
    }

    /// Whether every side that could carry the topic's messages has confirmed it.
    fn is_confirmed(&self, route: &LocalRoute, topic: &Topic) -> bool {
        let weight = Extremes::of(route.snapshot().weight);
        let is_fine = |side: Side| {
            let is_down = || self.feed(side).is_down() && !weight.owned(side, topic.slot);
            (topic.stage(side) == Stage::Confirmed && !self.awaits_heir(side, topic)) || is_down()
        };
        topic.is_local || route.sides().all(is_fine)
    }

    /// The client can be told that it listens to a topic: says so to the hub.
    pub(crate) fn confirm_if_ready(&self, route: &LocalRoute, topic: &Topic) -> bool {
        let is_ready = self.is_confirmed(route, topic);
        if is_ready {
            self.confirm(route, topic);
        }
        is_ready
    }

    /// Clients are told that they listen to a topic; where a side is down, they may miss what will be published there.
    fn confirm(&self, route: &LocalRoute, topic: &Topic) {
        for side in route.sides() {
            if !topic.is_local && topic.stage(side) != Stage::Confirmed {
                self.feed(side).misses(Instant::now());
            }
        }
    }

    /// A request waits for these topics.
    pub(crate) fn wait(&self, pending: &Rc<Pending>, topics: &[Rc<Topic>]) {
        for topic in topics {
            pending.waits();
            topic.wait(pending);
        }
        self.pending.borrow_mut().push_back(Rc::clone(pending));
    }

    /// Tells those who wait for `topic`, if it is confirmed by now.
    pub(super) fn look(&self, route: &LocalRoute, topic: &Topic) {
        if topic.has_waiting() && self.confirm_if_ready(route, topic) {
            for pending in topic.take_waiting() {
                pending.confirmed();
            }
        }
    }

    /// The link's messages are delivered from here on.
    pub(super) fn unmute(&self, route: &LocalRoute, link: &SubscriberLink) {
        link.is_muted.set(false);
        self.feed(link.side).heard(&link.node);
        for topic in self.all() {
            if topic.stage(link.side) == Stage::Muted {
                topic.set_stage(link.side, Stage::Confirmed);
                self.look(route, &topic);
            }
        }
    }

    /// Something has changed that others may wait for.
    pub(super) fn look_at_all(&self, route: &LocalRoute) {
        if !self.pending.borrow().is_empty() {
            for topic in self.all() {
                self.look(route, &topic);
            }
        }
    }

    /// Every topic that concerns the sides.
    pub(super) fn all(&self) -> Vec<Rc<Topic>> {
        let of = |topics: &RefCell<Topics>| -> Vec<Rc<Topic>> {
            let topics = topics.borrow();
            let upstream = topics.values().filter(|topic| !topic.is_local);
            upstream.map(Rc::clone).collect()
        };
        self.topics.iter().flat_map(of).collect()
    }

    /// A node has answered a request of the link's.
    pub(super) fn answered(
        &self,
        route: &Rc<LocalRoute>,
        link: &Rc<SubscriberLink>,
        reply: &[u8],
    ) -> io::Result<()> {
        let expected = link.answered();
        let is_error = reply.first() == Some(&b'-');
        match expected.ok_or_else(|| garbage("an answer that nobody asked for"))? {
            Expected::Unsubscribed { is_pattern, number } => {
                link.uncount(number);
                self.pattern_answered(route, link, is_pattern);
            }
            Expected::Pong { number, asked } => {
                link.passed.set(link.passed.get().max(number));
                if link.role == NodeRole::Master {
                    link.heard_all.set(asked);
                }
                let is_whole = link.is_complete.get() || link.behind.get() > 0;
                if !is_whole && !self.uses_marks(route) && number >= link.whole_from.get() {
                    self.complete(route, link);
                }
            }
            Expected::Marks if is_error => {
                return Err(garbage("the node refuses the channel of this worker's marks"));
            }
            Expected::Marks => self.behind_less(route, link),
            Expected::Allowance => self.learn(route, link, reply),
            Expected::Subscribed { topic, is_first } => {
                if is_error && link.is_prepared.get() {
                    link.proof.set(Proof::Refused);
                    topic.set_stage_on(link, Stage::Absent);
                } else if is_error {
                    self.refused(route, link, &topic, reply);
                } else if link.is_prepared.get() || self.feed(link.side).is_present(link) {
                    if !link.is_prepared.get() {
                        link.count(&topic);
                    }
                    if link.is_muted.get() {
                        topic.set_stage_on(link, Stage::Muted);
                    } else {
                        topic.set_stage_on(link, Stage::Confirmed);
                        self.look(route, &topic);
                    }
                }
                if is_first {
                    self.behind_less(route, link);
                }
                self.pattern_answered(route, link, topic.kind == TopicKind::Pattern);
            }
        }
        Ok(())
    }

    fn pattern_answered(&self, route: &Rc<LocalRoute>, link: &Rc<SubscriberLink>, is_pattern: bool) {
        if is_pattern {
            link.wishes.borrow_mut().answered();
            self.ask_for_patterns(route, link);
        }
    }

    fn next_topic(&self) -> u64 {
        self.last_topic.set(self.last_topic.get() + 1);
        self.last_topic.get()
    }

    pub(super) fn behind_less(&self, route: &Rc<LocalRoute>, link: &Rc<SubscriberLink>) {
        let behind = link.behind.get().saturating_sub(1);
        link.behind.set(behind);
        if behind == 0 {
            self.caught_up(route, link);
        }
    }

    /// A node refuses a topic, by ACL: those who wait are told so. Others listen already, and may not any more: they are closed,
    /// as by Redis.
    fn refused(&self, route: &Rc<LocalRoute>, link: &SubscriberLink, topic: &Rc<Topic>, reply: &[u8]) {
        topic.set_stage_on(link, Stage::Absent);
        for pending in topic.take_waiting() {
            pending.refuse(reply);
        }
        topic.disown_all();
        // The next one who asks for it is to hear the node's answer, too.
        self.forget(route, topic);
    }

    /// Side `side` refuses the hub's user: those who wait for it are told so.
    pub(super) fn user_refused(&self, route: &LocalRoute, side: Side, text: &str) {
        let line = Refusal::Redis(text.as_bytes().to_vec()).line();
        let weight = Extremes::of(route.snapshot().weight);
        for topic in self.all() {
            if topic.has_waiting() && weight.owned(side, topic.slot) {
                topic
                    .take_waiting()
                    .iter()
                    .for_each(|pending| pending.refuse(&line));
            }
        }
    }

    /// A message has come. Cost: one lookup; for each client that listens, a copy or a reference.
    #[inline]
    pub(super) fn deliver(
        &self,
        route: &Rc<LocalRoute>,
        link: &Rc<SubscriberLink>,
        head: Head<'_>,
        delivery: &Delivery<'_>,
    ) {
        if link.is_muted.get() && head.topic != self.mark_channel {
            return;
        }
        // Heartbeats and marks are no app's, not even of one that asks for everything.
        if head.kind == TopicKind::Pattern && is_own(head.channel) {
            return;
        }
        let topics = self.topics[at(head.kind)].borrow();
        match topics.get(head.topic) {
            // What a client subscribed to under that name is heard from the proxy only.
            Some(topic) if topic.is_local => {}
            Some(topic) => {
                let count = topic.deliver(delivery, &route.limits().pubsub_output);
                route.delivered(count as u64);
            }
            None if head.kind == TopicKind::Channel && head.topic == self.mark_channel => {
                drop(topics);
                self.marked(route, link, delivery.bytes());
            }
            None => {}
        }
    }

    /// A message is coming that no client may hold.
    pub(super) fn too_large(&self, head: Head<'_>) {
        if let Some(topic) = self.find(head.kind, head.topic) {
            topic.evict_all();
        }
    }

    /// Tells the clients that want to know of a gap.
    pub(crate) fn tell_gap(&self, route: &LocalRoute, gap: &Gap) {
        if let Some(topic) = self.find(TopicKind::Channel, GAP_CHANNEL) {
            let message = message(GAP_CHANNEL, gap.json().as_bytes());
            topic.deliver(&Delivery::Copied(&message), &route.limits().pubsub_output);
        }
    }

    /// Whether a PUBLISH to `side` has to wait until all hubs have heard what was published before.
    #[inline]
    pub(crate) fn holds(&self, side: Side, channel: &[u8]) -> bool {
        self.is_unsettled.get() && self.settling.borrow().holds(side, Slot::of(channel))
    }

    /// The worker ends: others do not wait for it.
    pub(crate) fn end(&self) {
        self.marks.set(Epoch(u64::MAX), Epoch(u64::MAX));
    }

    /// Nobody is its user any more.
    pub(crate) fn close(&self, route: &LocalRoute) {
        self.is_over.set(true);
        for topic in self.all() {
            if topic.kind == TopicKind::Pattern {
                route.pubsub().ceiling.drop_pattern(&topic.name);
            }
        }
        self.topics.iter().for_each(|topics| topics.borrow_mut().clear());
        self.upstream_topics.set(0);
        self.feeds.iter().for_each(Feed::close);
        self.end();
        route.pubsub().leave(&self.marks);
    }

    /// Looks after what time does: topics that have lingered long enough, requests that have waited too long.
    pub(crate) fn tick(&self, route: &Rc<LocalRoute>) {
        let now = Instant::now();
        self.forget_idle(route, now);
        self.refuse_due(route, now);
        self.retarget(route, now);
        self.look_at_all(route);
        self.tell_outages(route, now);
    }

    fn forget_idle(&self, route: &Rc<LocalRoute>, now: Instant) {
        let count = self.lingering.borrow().len();
        for _ in 0..count.min(FORGOTTEN_A_TICK) {
            let Some(topic) = self.lingering.borrow_mut().pop_front() else {
                return;
            };
            match topic.idle_since.get() {
                None => topic.is_lingering.set(false),
                Some(since)
                    if !topic.is_wanted() && now.saturating_duration_since(since) >= SUBSCRIPTION_LINGER =>
                {
                    self.forget(route, &topic);
                }
                Some(_) if topic.is_wanted() => self.lingering.borrow_mut().push_back(topic),
                // Those behind it have lingered for less, but for a few that it keeps a moment longer.
                Some(_) => return self.lingering.borrow_mut().push_front(topic),
            }
        }
    }

    /// Nobody has listened for a while.
    pub(super) fn forget(&self, route: &Rc<LocalRoute>, topic: &Rc<Topic>) {
        let mut topics = self.topics[at(topic.kind)].borrow_mut();
        // It may be gone already, and another one of that name there.
        let is_it = |other: &Rc<Topic>| Rc::ptr_eq(other, topic);
        if !topics.get(&topic.name).is_some_and(is_it) {
            return;
        }
        topics.remove(&topic.name);
        drop(topics);
        self.upstream_topics
            .set(self.upstream_topics.get().saturating_sub(1));
        if topic.kind == TopicKind::Pattern {
            route.pubsub().ceiling.drop_pattern(&topic.name);
        }
        for feed in &self.feeds {
            for link in [feed.ready(), feed.prepared()].into_iter().flatten() {
                if topic.stage_on(&link) != Stage::Absent {
                    link.unsubscribe(topic);
                    self.ask_for_patterns(route, &link);
                }
            }
        }
    }

    fn refuse_due(&self, route: &LocalRoute, now: Instant) {
        loop {
            let first = {
                let mut pending = self.pending.borrow_mut();
                pending.pop_front_if(|pending| pending.is_over() || pending.is_due(now))
            };
            let Some(pending) = first else { return };
            if !pending.is_over() {
                let waited_ms = u64::try_from(route.limits().hold.time.as_millis()).unwrap_or(u64::MAX);
                let side = majority_owner(route.snapshot().weight);
                pending.refuse(&Refusal::NoUpstream { side, waited_ms }.line());
            }
        }
    }

    /// What still listens, for the loss of a link: each topic that `side` could have carried messages of.
    pub(super) fn concerned(&self, side: Side, owned: Extremes) -> Vec<Rc<Topic>> {
        let mut topics = self.all();
        topics.retain(|topic| topic.has_listeners() && owned.owned(side, topic.slot));
        topics
    }
}
