//! What does one worker know of one route?
//!
//! Shell: the snapshot it routes by, its links to both sides, and who waits for a usable master.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use rustc_hash::FxHashMap;

use super::besides::Besides;
use super::budget::{Budget, Reservation};
use super::clients::{Admission, ClientsShared, Pause};
use super::lot::{Lot, shrink};
use super::pubsub::{Hub, PubSubShared};
use super::reactor::Reactor;
use super::refusal::Refusal;
use super::scripts::{Scripts, SharedScripts};
use super::session::{Ends, MESSENGER, Role, Scratch, Session};
use super::upstream::{Door, Lease, Links, Setting};
use super::users::{Login, UserId, Users};
use crate::cluster::Side;
use crate::config::{OnUncertain, RouteConfig, RouteLimits, SubscribeTo, Unauthenticated};
use crate::limits::USERS_CHECKED;
use crate::routing::{Slot, Snapshot, Weight, owner};
use crate::stats::{LATENCY_BUCKETS, RouteStats, latency_bucket};
use crate::tls::{ListenerTls, SideTls};

/// What all workers share of a route. Written by the control plane, read by workers at their own pace.
#[derive(Debug)]
pub struct RouteShared {
    /// As configured at start; what can be reloaded is beside it.
    pub config: RouteConfig,
    /// May change while the proxy runs.
    pub limits: ArcSwap<RouteLimits>,
    /// Counters.
    pub stats: Arc<RouteStats>,
    /// For publishing and subscribing.
    pub pubsub: PubSubShared,
    /// Seen in SCRIPT LOAD.
    pub scripts: SharedScripts,
    /// The clients of all workers.
    pub clients: ClientsShared,
    /// Where they come from.
    pub(crate) admission: Admission,
    /// For large requests.
    budget: Arc<Budget>,
}

impl RouteShared {
    /// The process has no descriptors for more clients than this, whatever the limits say.
    pub(crate) fn admit_at_most(&self, clients: usize) {
        self.admission.at_most(clients);
    }

    /// Of a route as configured, with nothing counted yet.
    pub fn new(config: RouteConfig) -> Self {
        let stats = Arc::<RouteStats>::default();
        Self {
            limits: ArcSwap::from_pointee(config.limits.clone()),
            config,
            budget: Budget::new(Arc::clone(&stats)),
            stats,
            pubsub: PubSubShared::default(),
            scripts: SharedScripts::default(),
            clients: ClientsShared::default(),
            admission: Admission::default(),
        }
    }
}

/// One worker's share of a route.
pub(crate) struct LocalRoute {
    pub(crate) name: String,
    pub(crate) stats: Arc<RouteStats>,
    shared: Arc<RouteShared>,
    /// Of this worker's own, as counting who holds the shared one costs more where others count too.
    limits: RefCell<Rc<RouteLimits>>,
    snapshot: RefCell<Rc<Snapshot>>,
    links: [Links; 2],
    /// Of clients that have not authenticated.
    pub(crate) hub: Rc<Hub>,
    /// Of the others, by user; each made when it is first needed.
    hubs: RefCell<FxHashMap<UserId, Rc<Hub>>>,
    worker: usize,
    pub(crate) scripts: Scripts,
    besides: [Besides; 2],
    pub(crate) users: Users,
    /// What the route itself authenticates with, by side.
    logins: [Option<Rc<Login>>; 2],
    /// In whose name the proxy asks and publishes on links that clients share.
    messenger: OnceCell<Rc<Session>>,
    /// When users were last looked after.
    users_checked: Cell<Instant>,
    /// Sessions that wait for a usable master, by id.
    waiting: RefCell<FxHashMap<u64, Rc<Session>>>,
    sessions: RefCell<FxHashMap<u64, Rc<Session>>>,
    /// Clients without a session.
    pub(crate) lot: Lot,
    pub(crate) scratch: Rc<Scratch>,
    pub(crate) reactor: Rc<Reactor>,
    /// Those that track what they keep.
    tracking: RefCell<FxHashMap<u64, Rc<Session>>>,
    draining: Cell<bool>,
    pause: Cell<Option<Pause>>,
    counts: Counts,
}

/// Added up here by plain stores, and flushed to the shared atomics many commands at a time.
#[derive(Default)]
struct Counts {
    commands: [Cell<u64>; 2],
    errors: [Cell<u64>; 2],
    published: [Cell<u64>; 2],
    delivered: Cell<u64>,
    latency: [[Cell<u32>; LATENCY_BUCKETS]; 2],
    latency_micros: [Cell<u64>; 2],
}

impl LocalRoute {
    /// For worker number `worker`, within its runtime.
    pub(crate) fn new(
        shared: Arc<RouteShared>,
        snapshot: Arc<Snapshot>,
        worker: usize,
        scratch: &Rc<Scratch>,
        reactor: &Rc<Reactor>,
    ) -> Rc<Self> {
        let marks = shared.pubsub.enter(snapshot.epoch);
        let login = |side| {
            let credentials = shared
                .config
                .side(side)
                .and_then(|endpoint| endpoint.node_auth.as_ref());
            credentials.map(|credentials| Rc::new(Login::from(credentials)))
        };
        let logins = Side::BOTH.map(login);
        let route = Self {
            name: shared.config.name.clone(),
            stats: Arc::clone(&shared.stats),
            limits: RefCell::new(Rc::new(RouteLimits::clone(&shared.limits.load()))),
            shared,
            snapshot: RefCell::new(Rc::new(Snapshot::clone(&snapshot))),
            links: Side::BOTH.map(Links::new),
            hub: Hub::new(marks, &snapshot, worker, UserId::FIRST),
            hubs: RefCell::default(),
            worker,
            scripts: Scripts::default(),
            besides: Default::default(),
            users: Users::default(),
            logins,
            messenger: OnceCell::new(),
            users_checked: Cell::new(Instant::now()),
            waiting: RefCell::default(),
            sessions: RefCell::default(),
            lot: Lot::new(reactor),
            scratch: Rc::clone(scratch),
            reactor: Rc::clone(reactor),
            tracking: RefCell::default(),
            draining: Cell::new(false),
            pause: Cell::new(None),
            counts: Counts::default(),
        };
        for side in Side::BOTH {
            route
                .links(side)
                .follow(snapshot.side(side).and_then(|view| view.master.as_ref()));
        }
        route.hub.begin(&route, &snapshot);
        Rc::new(route)
    }

    /// The sides the route has.
    pub(crate) fn sides(&self) -> impl Iterator<Item = Side> + use<> {
        let has_new = self.shared.config.new.is_some();
        Side::BOTH
            .into_iter()
            .filter(move |side| *side == Side::Old || has_new)
    }

    pub(crate) fn subscribe_to(&self) -> SubscribeTo {
        self.shared.config.subscribe_to
    }

    pub(crate) fn besides(&self, side: Side) -> &Besides {
        &self.besides[side.index()]
    }

    /// Whether a command that is refused by default may be passed on.
    pub(crate) fn allows(&self, name: &str) -> bool {
        self.shared.config.allow.contains(&name)
    }

    pub(crate) fn shared_scripts(&self) -> &SharedScripts {
        &self.shared.scripts
    }

    pub(crate) fn clients(&self) -> &ClientsShared {
        &self.shared.clients
    }

    /// For a large request, which holds nothing yet.
    pub(crate) fn reservation(&self) -> Reservation {
        Reservation::new(&self.shared.budget)
    }

    pub(crate) fn pubsub(&self) -> &PubSubShared {
        &self.shared.pubsub
    }

    /// The snapshot this worker routes by. Cost: a reference count.
    #[inline]
    pub(crate) fn snapshot(&self) -> Rc<Snapshot> {
        Rc::clone(&self.snapshot.borrow())
    }

    pub(crate) fn limits(&self) -> Rc<RouteLimits> {
        Rc::clone(&self.limits.borrow())
    }

    /// Whether a client on `side` begins as the server's default user, which may ask for a password.
    #[inline]
    pub(crate) fn asks_for_password(&self, side: Side) -> bool {
        self.logins[side.index()].is_none() || self.shared.config.unauthenticated == Unauthenticated::Default
    }

    /// How a user is called, as far as the proxy knows.
    pub(crate) fn name_of(&self, user: UserId) -> Vec<u8> {
        let of_route = || {
            self.own_login(Side::Old)
                .filter(|_| !self.asks_for_password(Side::Old))
        };
        let login = match user.has_logged_in() {
            true => self.users.login(user),
            false => of_route(),
        };
        let name = login.and_then(|login| login.name.clone());
        name.unwrap_or_else(|| b"default".to_vec())
    }

    /// What a connection to `side` authenticates with to be this user's; `None`: nobody is that user any more.
    pub(crate) fn login(&self, side: Side, user: UserId) -> Option<Option<Rc<Login>>> {
        match user {
            UserId::ASKING => Some(None),
            UserId::FIRST if self.asks_for_password(side) => Some(None),
            UserId::FIRST | UserId::OWN => Some(self.own_login(side)),
            user => self.users.login(user).map(Some),
        }
    }

    /// Within what the nodes of `side` are spoken to.
    pub(crate) fn tls(&self, side: Side) -> Option<SideTls> {
        self.shared.config.side(side)?.tls.clone()
    }

    /// Within what clients are.
    pub(crate) fn client_tls(&self) -> Option<&ListenerTls> {
        self.shared.config.tls.as_ref()
    }

    fn own_login(&self, side: Side) -> Option<Rc<Login>> {
        self.logins[side.index()].clone()
    }

    /// Of links on which the proxy itself asks and publishes.
    pub(crate) fn own_setting(&self, side: Side) -> Setting {
        match self.asks_for_password(side) && self.logins[side.index()].is_some() {
            true => Setting::of(UserId::OWN),
            false => Setting::of(UserId::FIRST),
        }
    }

    /// Whether the servers serve a client that has not authenticated; [`Door::Unknown`]: of this side that is not known yet.
    pub(crate) fn door(self: &Rc<Self>) -> Result<Door, Side> {
        let weight = self.snapshot().weight;
        let asked = self
            .owning_sides(weight)
            .filter(|side| self.asks_for_password(*side));
        let mut all = Door::Open;
        for side in asked {
            match self.links(side).door(self) {
                Door::Open => {}
                Door::Shut => all = Door::Shut,
                Door::Unknown => return Err(side),
            }
        }
        Ok(all)
    }

    /// The sides that own anything at `weight`.
    pub(crate) fn owning_sides(&self, weight: Weight) -> impl Iterator<Item = Side> + use<> {
        let owns = move |side: &Side| match side {
            Side::Old => weight != Weight::FULL,
            Side::New => weight != Weight::ZERO,
        };
        Side::BOTH.into_iter().filter(owns)
    }

    /// In whose name the proxy asks and publishes on links that clients share.
    pub(crate) fn messenger(self: &Rc<Self>) -> Rc<Session> {
        Rc::clone(
            self.messenger
                .get_or_init(|| Session::new(MESSENGER, Rc::clone(self), Ends::NONE)),
        )
    }

    /// A user has been deleted: its clients are closed, as by the server.
    pub(crate) fn end_user(&self, user: UserId) {
        for session in self.sessions.borrow().values() {
            session.end_if(user);
        }
        self.lot.end(self, |parked| parked.user() == user);
    }

    /// The hub of a user.
    pub(crate) fn hub_of(&self, user: UserId) -> Rc<Hub> {
        if user == UserId::FIRST {
            return Rc::clone(&self.hub);
        }
        let make = || {
            let snapshot = self.snapshot();
            let marks = self.shared.pubsub.enter(snapshot.epoch);
            let hub = Hub::new(marks, &snapshot, self.worker, user);
            hub.begin(self, &snapshot);
            hub
        };
        Rc::clone(self.hubs.borrow_mut().entry(user).or_insert_with(make))
    }

    /// Tells the hub of each user. Called many times a second: with none but the first it allocates nothing.
    pub(crate) fn each_hub(&self, tell: impl Fn(&Hub)) {
        tell(&self.hub);
        if !self.hubs.borrow().is_empty() {
            let others: Vec<Rc<Hub>> = self.hubs.borrow().values().map(Rc::clone).collect();
            others.iter().for_each(|hub| tell(hub));
        }
    }

    /// A node refuses a user: when it had let that one in before, its clients are closed.
    pub(crate) fn user_refused(&self, side: Side, setting: Setting, text: String) {
        if self.links(side).refuse_user(self, setting, text) {
            self.end_user(setting.user);
        }
    }

    /// Sees to it that a user's end is noticed, and forgets users that nobody is any more.
    pub(crate) fn look_after_users(self: &Rc<Self>) {
        let now = Instant::now();
        if now.saturating_duration_since(self.users_checked.get()) < USERS_CHECKED {
            return;
        }
        self.users_checked.set(now);
        let present = self.users.present();
        let weight = self.snapshot().weight;
        for side in self.owning_sides(weight) {
            self.links(side).keep(self, &present);
        }
        if self.users.forget_idle(now) {
            let over = self
                .hubs
                .borrow_mut()
                .extract_if(|user, _| !self.users.is_known(*user))
                .collect::<Vec<_>>();
            over.iter().for_each(|(_, hub)| hub.close(self));
            for side in Side::BOTH {
                self.links(side).forget_users(|user| self.users.is_known(user));
            }
        }
    }

    /// Sees to it that each side that clients use has a link in reserve.
    pub(crate) fn keep_reserves(self: &Rc<Self>) {
        for side in Side::BOTH {
            self.links(side).keep_reserve(self);
        }
    }

    pub(crate) fn on_uncertain(&self, is_publish: bool) -> OnUncertain {
        if is_publish {
            self.shared.config.uncertain_publish
        } else {
            self.shared.config.uncertain
        }
    }

    #[inline]
    pub(crate) fn links(&self, side: Side) -> &Links {
        &self.links[side.index()]
    }

    /// From the return of this call on, nothing is sent by an older snapshot: what had not been handed to a socket
    /// of a side that lost slots has gone back to its sessions.
    pub(crate) fn apply(self: &Rc<Self>, snapshot: Arc<Snapshot>) {
        let before = self.snapshot.replace(Rc::new(Snapshot::clone(&snapshot)));
        for side in Side::BOTH {
            let links = self.links(side);
            let view = snapshot.side(side);
            let former = links.any_shared();
            links.follow(view.and_then(|view| view.master.as_ref()));
            links.recall_blocked(former.as_ref(), |slots| moved(slots, side, snapshot.weight));
            links.cut_streams(|slots| moved(slots, side, snapshot.weight));
            if view.is_some_and(|view| view.abandoned)
                && before.side(side).is_some_and(|view| !view.abandoned)
            {
                links.abandon();
            }
        }
        if snapshot.weight > before.weight {
            self.links(Side::Old).recall_unsent();
        } else if snapshot.weight < before.weight {
            self.links(Side::New).recall_unsent();
        }
        if snapshot.weight != before.weight {
            let tracking: Vec<Rc<Session>> = self.tracking.borrow().values().cloned().collect();
            tracking.iter().for_each(Session::owners_changed);
        }
        self.each_hub(|hub| hub.apply(self, &before, &snapshot));
        self.wake_waiting();
    }

    /// Moves clients that block on slots which have left their side, as far as [`Self::apply`] could not.
    pub(crate) fn move_blocked(self: &Rc<Self>) {
        let snapshot = self.snapshot();
        for side in Side::BOTH {
            let links = self.links(side);
            if links.has_strays(|slots| moved(slots, side, snapshot.weight)) {
                let by = match links.shared(self, self.own_setting(side)) {
                    Lease::Ready(link) => Some(link),
                    // The user who blocks may be allowed to help itself.
                    Lease::Wait | Lease::Refused(_) => links.any_shared(),
                };
                links.recall_blocked(by.as_ref(), |slots| moved(slots, side, snapshot.weight));
            }
        }
    }

    /// No new clients, and those there are end when they are idle.
    pub(crate) fn drain(&self) {
        self.draining.set(true);
        for session in self.sessions.borrow().values() {
            session.wake.wake();
        }
        self.lot.end(self, |_| true);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// The pause there is, or was until just now.
    #[inline]
    pub(crate) fn pause(&self) -> Option<Pause> {
        self.pause.get()
    }

    pub(crate) fn set_pause(&self, pause: Option<Pause>) {
        self.pause.set(pause);
        self.wake_waiting();
    }

    /// Whether something sent before this moment of the worker's clock is not answered yet, but for what blocks.
    pub(crate) fn has_sent_before(&self, at_micros: u32) -> bool {
        self.links
            .iter()
            .any(|links| links.has_before(at_micros, |ticket| ticket.role != Role::Blocking))
    }

    /// Clients of this worker.
    pub(crate) fn client_count(&self) -> usize {
        self.sessions.borrow().len() + self.lot.len()
    }

    pub(crate) fn joined(&self, session: &Rc<Session>) {
        self.sessions.borrow_mut().insert(session.id, Rc::clone(session));
    }

    pub(crate) fn left(&self, session: &Session) {
        self.sessions.borrow_mut().remove(&session.id);
        self.waits_no_more(session);
        self.tracking.borrow_mut().remove(&session.id);
        self.leaves(session.ends.addr.ip());
    }

    /// A parked client has gone: its user, and its address.
    pub(crate) fn is_gone(&self, user: UserId, address: IpAddr) {
        self.users.leave(user);
        self.leaves(address);
    }

    /// A client of this address comes in.
    pub(super) fn enters(&self, address: IpAddr) -> Result<(), Refusal> {
        let limits = self.shared.limits.load();
        self.shared.admission.enter(address, &self.stats.clients, &limits)
    }

    /// One has gone.
    pub(super) fn leaves(&self, address: IpAddr) {
        self.shared.admission.leave(address, &self.stats.clients);
    }

    /// Parks the client of a session that can be parked, which is over with that. `false`: it is to go on.
    pub(crate) fn park(&self, session: &Session) -> bool {
        let is_parked = !self.is_draining() && self.lot.park(session);
        if is_parked {
            self.sessions.borrow_mut().remove(&session.id);
        }
        is_parked
    }

    /// It is told when owners change, or not any more.
    pub(crate) fn tracks(&self, session: &Rc<Session>, is_on: bool) {
        let mut tracking = self.tracking.borrow_mut();
        match is_on {
            true => tracking.insert(session.id, Rc::clone(session)),
            false => tracking.remove(&session.id),
        };
    }

    /// The session of a client of this worker that is not parked.
    pub(crate) fn session(&self, id: u64) -> Option<Rc<Session>> {
        self.sessions.borrow().get(&id).cloned()
    }

    /// Sessions of this worker, oldest first.
    pub(crate) fn sessions_that(&self, are_meant: impl Fn(&Session) -> bool) -> Vec<Rc<Session>> {
        let sessions = self.sessions.borrow();
        let meant = sessions.values().filter(|session| are_meant(session));
        let mut meant: Vec<Rc<Session>> = meant.cloned().collect();
        meant.sort_unstable_by_key(|session| session.id);
        meant
    }

    /// It is closed as soon as may be, and not told of any more.
    pub(crate) fn delist(&self, session: &Session) {
        self.sessions.borrow_mut().remove(&session.id);
    }

    /// Looks at every client, once a second: gives back the memory of those that have done nothing since, of whom those who can be parked
    /// are to be; ends those that others wait for.
    pub(crate) fn release_idle(self: &Rc<Self>) {
        self.lot.look_whether_late(self, &self.limits().patience);
        let limits = self.limits();
        let mut due = Vec::new();
        for session in self.sessions.borrow().values() {
            session.look_whether_slow(&limits.pubsub_output);
            session.look_whether_stalled();
            session.look_whether_late(&limits.patience);
            if session.release_if_idle() {
                due.push(session.id);
            }
        }
        self.lot.are_due(due);
        self.lot.release_memory();
        shrink(&mut self.sessions.borrow_mut());
    }

    /// Has some of those parked.
    pub(crate) fn park_idle(&self) {
        let sessions = self.sessions.borrow();
        let due = self.lot.next_due();
        due.iter()
            .filter_map(|id| sessions.get(id))
            .for_each(|session| session.ask_to_park());
    }

    /// The session is woken when a link or the snapshot has changed.
    pub(crate) fn wait(&self, session: &Rc<Session>) {
        self.waiting.borrow_mut().insert(session.id, Rc::clone(session));
    }

    /// It is not to be woken for what it waited for.
    pub(crate) fn waits_no_more(&self, session: &Session) {
        self.waiting.borrow_mut().remove(&session.id);
    }

    pub(crate) fn wake_waiting(&self) {
        for session in self.waiting.take().into_values() {
            session.wake.wake();
        }
    }

    /// Microseconds since the worker started, as the present turn began.
    #[inline]
    pub(crate) fn clock(&self) -> u64 {
        self.reactor.clock()
    }

    /// The same, wrapping after an hour: for latencies.
    #[inline]
    pub(crate) fn clock_micros(&self) -> u32 {
        self.clock() as u32
    }

    #[inline]
    pub(crate) fn sent(&self, side: Side, is_publish: bool) {
        let counts = &self.counts;
        bump(&counts.commands[side.index()]);
        if is_publish {
            bump(&counts.published[side.index()]);
        }
    }

    /// A command that was counted as sent has come back without a byte of it having left.
    pub(crate) fn unsent(&self, side: Side, is_publish: bool) {
        let counts = &self.counts;
        take_one(&counts.commands[side.index()]);
        if is_publish {
            take_one(&counts.published[side.index()]);
        }
    }

    /// A message has been handed to this many clients.
    #[inline]
    pub(crate) fn delivered(&self, count: u64) {
        let delivered = &self.counts.delivered;
        delivered.set(delivered.get() + count);
    }

    #[inline]
    pub(crate) fn answered(&self, side: Side, micros: u32, is_error: bool) {
        let latency = &self.counts.latency[side.index()][latency_bucket(micros)];
        latency.set(latency.get() + 1);
        let sum = &self.counts.latency_micros[side.index()];
        sum.set(sum.get() + u64::from(micros));
        if is_error {
            bump(&self.counts.errors[side.index()]);
        }
    }

    /// Moves what was counted here to the counters everyone reads. Called many times a second by the worker.
    pub(crate) fn flush_counts(&self) {
        let move_but = |kept: u64, from: &Cell<u64>, to: &AtomicU64| {
            let count = from.get().saturating_sub(kept);
            if count > 0 {
                from.set(from.get() - count);
                to.fetch_add(count, Ordering::Relaxed);
            }
        };
        let move_over = |from: &Cell<u64>, to: &AtomicU64| move_but(0, from, to);
        move_over(&self.counts.delivered, &self.stats.delivered);
        for side in Side::BOTH {
            // What may still come back is not told yet: the counters everyone reads never go down.
            let (commands, publishes) = match self.counts.commands[side.index()].get() {
                0 => (0, 0),
                _ => self.links(side).unsent(),
            };
            let side = side.index();
            move_but(commands, &self.counts.commands[side], &self.stats.commands[side]);
            move_but(
                publishes,
                &self.counts.published[side],
                &self.stats.published[side],
            );
            move_over(&self.counts.errors[side], &self.stats.errors[side]);
            move_over(
                &self.counts.latency_micros[side],
                &self.stats.latency[side].micros,
            );
            for (from, to) in self.counts.latency[side]
                .iter()
                .zip(&self.stats.latency[side].counts)
            {
                let count = from.take();
                if count > 0 {
                    to.fetch_add(u64::from(count), Ordering::Relaxed);
                }
            }
        }
        let limits = self.shared.limits.load();
        if **limits != **self.limits.borrow() {
            *self.limits.borrow_mut() = Rc::new(RouteLimits::clone(&limits));
        }
    }
}

/// Whether any of the slots belongs to the other side by now.
fn moved(slots: &[Slot], side: Side, weight: Weight) -> bool {
    slots.iter().any(|slot| owner(*slot, weight) != side)
}

#[inline]
fn bump(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

fn take_one(counter: &Cell<u64>) {
    counter.set(counter.get().saturating_sub(1));
}

impl LocalRoute {
    /// Of a worker for which nobody waits, with no masters: for tests and benches, which have nothing to report where that cannot be.
    #[allow(clippy::unwrap_used)]
    pub(crate) fn idle() -> Rc<Self> {
        let text = "[[route]]\nname = 'r'\nlisten = ['127.0.0.1:6400']\nold = 'redis://127.0.0.1:1'\nnew = 'redis://127.0.0.1:2'\n";
        let mut config = crate::config::parse(text, &crate::config::Surroundings::real()).unwrap();
        let shared = Arc::new(RouteShared::new(config.routes.remove(0)));
        let snapshot = Snapshot {
            epoch: crate::routing::Epoch(1),
            weight: Weight::ZERO,
            old: crate::routing::SideView::default(),
            new: Some(crate::routing::SideView::default()),
        };
        let reactor = Reactor::new(super::reactor::Parts::new().unwrap());
        Self::new(shared, Arc::new(snapshot), 0, &Rc::new(Scratch::new()), &reactor)
    }
}
