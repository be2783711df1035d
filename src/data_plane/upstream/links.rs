//! Which connection does a command take?
//!
//! Shell: one worker's links to the present master of one side. A link is dialled when first needed; a session waits
//! (held) until it is ready, so nothing is ever enqueued for a node that has not shown it is a master.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustc_hash::{FxHashMap, FxHashSet};
use tokio::time::timeout;
use tracing::{debug, info};

use super::backoff::Backoff;
use super::ear;
use super::handshake::{self, Dial, HandshakeError, Said, Setting, Wanted};
use super::link::{self, Link, LinkKind};
use super::reserve::Reserve;
use super::setup::Setup;
use crate::cluster::{NodeAddr, Side};
use crate::data_plane::local_route::LocalRoute;
use crate::data_plane::session::{Learnt, Ticket};
use crate::data_plane::users::UserId;
use crate::limits::{
    BUSY_REFUSAL, CONNECT_TIMEOUT, DOOR_LIFETIME, IDLE_PRIVATE_LINKS_MAX, LEARNT_NAMES_MAX, RESERVE_ROOM,
    SHARED_LINKS_MAX, USER_REFUSAL, USERS_MAX,
};
use crate::net::Stream;
use crate::resp::Protocol;
use crate::routing::Slot;

/// The answer to a wish for a link.
pub(crate) enum Lease {
    /// This one. A private link may still be dialled: it is to be kept until it is ready.
    Ready(Rc<Link>),
    /// None is ready; whoever waits on the route is woken when that may have changed.
    Wait,
    /// The node refuses this database, this protocol or this user, in these words.
    Refused(String),
}

/// Whether a node serves who connects to it without a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Open,
    /// It asks for one.
    Shut,
    /// It has been asked; whoever waits on the route is woken when it has answered.
    Unknown,
}

/// The links of one worker to one side.
pub(crate) struct Links {
    side: Side,
    node: RefCell<Option<Arc<NodeAddr>>>,
    shared: RefCell<FxHashMap<Setting, Vec<Rc<Link>>>>,
    idle: RefCell<FxHashMap<Setting, Vec<Rc<Link>>>>,
    reserve: Reserve,
    /// Every link that may still hold commands, of this node and of former ones.
    all: RefCell<Vec<Rc<Link>>>,
    /// The lowest database the node has refused, in its words: it has none above either. One entry, as a client may
    /// try every number there is.
    refused_database: RefCell<Option<(u32, String)>>,
    /// The node does not speak RESP3, in its words.
    refused_resp3: RefCell<Option<String>>,
    /// Commands that the node has and the table has not, by name.
    learnt: RefCell<FxHashMap<Vec<u8>, Learnt>>,
    /// What the node has just refused because of the user, or of what keeps it busy, in its words, and until when that is told.
    refused_for_now: RefCell<FxHashMap<Setting, (String, Instant)>>,
    /// Users this node has let in.
    accepted: RefCell<FxHashSet<UserId>>,
    /// Whether the door was open, and when.
    door: Cell<Option<(bool, Instant)>>,
    /// The node is being asked that, and for the how manieth time.
    knocking_since: Cell<Option<Instant>>,
    knocks: Cell<u64>,
    backoff: RefCell<Backoff>,
    /// The last dial failed: told once, not at every attempt.
    failing: Cell<bool>,
}

impl Links {
    pub(crate) fn new(side: Side) -> Self {
        Self {
            side,
            node: RefCell::default(),
            shared: RefCell::default(),
            idle: RefCell::default(),
            reserve: Reserve::default(),
            all: RefCell::default(),
            refused_database: RefCell::default(),
            refused_resp3: RefCell::default(),
            learnt: RefCell::default(),
            refused_for_now: RefCell::default(),
            accepted: RefCell::default(),
            door: Cell::new(None),
            knocking_since: Cell::new(None),
            knocks: Cell::new(0),
            backoff: RefCell::default(),
            failing: Cell::new(false),
        }
    }

    /// The side's master is now `node`. Links to another one are retired; those to the same one stay.
    pub(crate) fn follow(&self, node: Option<&Arc<NodeAddr>>) {
        if self.node.borrow().as_ref() == node {
            return;
        }
        *self.node.borrow_mut() = node.map(Arc::clone);
        self.shared.borrow_mut().clear();
        self.idle.borrow_mut().clear();
        self.reserve.clear();
        self.forget_refusals();
        self.refused_for_now.take();
        self.accepted.take();
        self.door.set(None);
        self.knocking_since.set(None);
        self.knocks.set(self.knocks.get() + 1);
        self.backoff.borrow_mut().reset();
        self.failing.set(false);
        for link in self.snapshot_of_all() {
            link.retire();
        }
    }

    /// The side is given up: what is in flight is lost now instead of being waited for.
    pub(crate) fn abandon(&self) {
        self.shared.borrow_mut().clear();
        self.idle.borrow_mut().clear();
        self.reserve.clear();
        for link in self.snapshot_of_all() {
            link.close();
        }
    }

    /// Takes back every command that no byte of has been handed to a socket. Commands of transactions stay: their
    /// sessions end them in their own way.
    pub(crate) fn recall_unsent(&self) {
        for link in self.snapshot_of_all() {
            if link.kind() == LinkKind::Shared {
                link.recall_unsent();
            }
        }
    }

    /// A shared link for stateless commands in `setting`.
    #[inline]
    pub(crate) fn shared(&self, route: &Rc<LocalRoute>, setting: Setting) -> Lease {
        let mut pools = self.shared.borrow_mut();
        let pool = pools.entry(setting).or_default();
        if let Some(link) = pool.iter().find(|link| link.is_ready() && !link.is_occupied()) {
            return Lease::Ready(Rc::clone(link));
        }
        // Scripts that take their usual time are worth no further connection.
        if pool.len() > 1 {
            let now = route.clock_micros();
            if let Some(link) = pool.iter().find(|link| link.is_ready() && !link.is_stuck(now)) {
                return Lease::Ready(Rc::clone(link));
            }
        }
        // Of a user who has another password by now, there may be one that is occupied.
        if let Some(text) = self.refusal(setting)
            && !pool.iter().any(|link| link.is_ready())
        {
            return Lease::Refused(text);
        }
        pool.retain(|link| link.is_ready() || link.is_dialling());
        let dialling = pool.iter().any(|link| link.is_dialling());
        if !dialling
            && pool.len() < SHARED_LINKS_MAX
            && let Some(link) = self.further(route, setting)
        {
            pool.push(Rc::clone(&link));
            if link.is_ready() {
                return Lease::Ready(link);
            }
        }
        // While a further link is dialled, an occupied one serves: late is better than not.
        match pool.iter().find(|link| link.is_ready()) {
            Some(link) => Lease::Ready(Rc::clone(link)),
            None => Lease::Wait,
        }
    }

    /// The same for a client, which may need one of its own in that setting next.
    #[inline]
    pub(crate) fn shared_by_client(&self, route: &Rc<LocalRoute>, setting: Setting) -> Lease {
        let lease = self.shared(route, setting);
        if let Lease::Wait = lease {
            self.expect(route, setting);
        }
        lease
    }

    /// Whether a script may be sent on `link`: a second one is there for when it takes long, or cannot be had. While it does, a node
    /// does not let anybody choose a database, so that none could be opened then. Told once for each link, by its first script.
    #[inline]
    pub(crate) fn has_second(&self, route: &Rc<LocalRoute>, link: &Link) -> bool {
        if link.kind() == LinkKind::Private || link.has_second.get() {
            return true;
        }
        let setting = link.setting.get();
        let mut pools = self.shared.borrow_mut();
        let pool = pools.entry(setting).or_default();
        pool.retain(|link| link.is_ready() || link.is_dialling());
        if pool.iter().any(|link| link.is_dialling()) {
            return false;
        }
        // One dial: a node may have no room for more.
        if pool.len() > 1 || link.wants_second.replace(true) {
            link.has_second.set(true);
            return true;
        }
        let second = self.further(route, setting);
        link.has_second
            .set(second.as_ref().is_none_or(|second| second.is_ready()));
        pool.extend(second);
        link.has_second.get()
    }

    /// A further link that is to be shared: one that nobody uses, or a new one.
    fn further(&self, route: &Rc<LocalRoute>, setting: Setting) -> Option<Rc<Link>> {
        let Some(link) = self.spare(setting, LinkKind::Shared) else {
            return self.dial(route, setting, LinkKind::Shared, None);
        };
        self.expect(route, setting);
        Some(link)
    }

    /// One that nobody uses.
    fn spare(&self, setting: Setting, kind: LinkKind) -> Option<Rc<Link>> {
        let idle = || {
            let mut idle = self.idle.borrow_mut();
            let pool = idle.get_mut(&setting)?;
            std::iter::from_fn(|| pool.pop()).find(|link| link.is_ready())
        };
        let link = idle().or_else(|| self.reserve.take(setting))?;
        link.becomes(kind);
        Some(link)
    }

    /// A client may soon need a link of its own in this setting.
    fn expect(&self, route: &Rc<LocalRoute>, setting: Setting) {
        self.reserve.expect(setting);
        self.keep_reserve(route);
    }

    /// Sees to it that there is a link that nobody uses.
    pub(crate) fn keep_reserve(&self, route: &Rc<LocalRoute>) {
        let Some(setting) = self.reserve.missing(Instant::now()) else {
            return;
        };
        let idle = self.idle.borrow();
        let is_idle = |pool: &Vec<Rc<Link>>| pool.iter().any(|link| link.is_ready());
        if !idle.get(&setting).is_some_and(is_idle)
            && self.refusal(setting).is_none()
            && let Some(link) = self.dial(route, setting, LinkKind::Reserve, None)
        {
            self.reserve.put(link);
        }
    }

    /// A link for one session's own use, from those that lie idle or a new one.
    pub(crate) fn private(
        &self,
        route: &Rc<LocalRoute>,
        setting: Setting,
        setup: Option<Rc<Setup>>,
    ) -> Lease {
        if let Some(text) = self.refusal(setting) {
            return Lease::Refused(text);
        }
        if setup.is_some() {
            let link = self.dial(route, setting, LinkKind::Private, setup);
            return link.map_or(Lease::Wait, Lease::Ready);
        }
        let link = self
            .spare(setting, LinkKind::Private)
            .or_else(|| self.dial(route, setting, LinkKind::Private, None));
        self.expect(route, setting);
        link.map_or(Lease::Wait, Lease::Ready)
    }

    #[inline]
    fn refusal(&self, setting: Setting) -> Option<String> {
        let of_database = self.refused_database.borrow();
        let of_database = of_database
            .as_ref()
            .filter(|(lowest, _)| setting.database >= *lowest)
            .map(|(_, text)| text.clone());
        let of_protocol = || match setting.protocol {
            Protocol::Resp2 => None,
            Protocol::Resp3 => self.refused_resp3.borrow().clone(),
        };
        let for_now = || {
            let refused = self.refused_for_now.borrow();
            let (text, until) = refused.get(&setting)?;
            (Instant::now() < *until).then(|| text.clone())
        };
        of_database.or_else(of_protocol).or_else(for_now)
    }

    /// What the node has said of a command.
    pub(crate) fn learnt(&self, name: &[u8]) -> Option<Learnt> {
        self.learnt.borrow().get(name).copied()
    }

    /// Keeps it. A node with more commands than are kept is asked anew.
    pub(crate) fn keep_learnt(&self, name: Vec<u8>, learnt: Learnt) {
        let mut all = self.learnt.borrow_mut();
        if all.len() >= LEARNT_NAMES_MAX {
            all.clear();
        }
        all.insert(name, learnt);
    }

    fn forget_refusals(&self) {
        self.learnt.take();
        self.refused_database.take();
        self.refused_resp3.take();
    }

    /// Has clients that block on this side moved away, where `moved` says so of their slots or their node is no longer
    /// the master. `by` is a link to a node: to any other, a client's id there would mean somebody else. Those that `by`
    /// cannot help are tried again at the next call.
    pub(crate) fn recall_blocked(&self, by: Option<&Rc<Link>>, moved: impl Fn(&[Slot]) -> bool) {
        let Some(by) = by else { return };
        for link in self.snapshot_of_all() {
            if link.kind() == LinkKind::Private
                && link.node == by.node
                && let Some(session) = link.reader()
            {
                session.recall_blocked(&link, by, |slots| link.is_retired() || moved(slots));
            }
        }
    }

    /// Ends what is still passed on to this side, as it comes, for slots that have left it: it has not been executed.
    pub(crate) fn cut_streams(&self, moved: impl Fn(&[Slot]) -> bool) {
        for link in self.snapshot_of_all() {
            link.cut_stream_if(&moved);
        }
    }

    /// Whether a client blocks here on slots that have left.
    pub(crate) fn has_strays(&self, moved: impl Fn(&[Slot]) -> bool) -> bool {
        let stray = |link: &Rc<Link>| {
            link.reader()
                .is_some_and(|session| session.is_stray(self.side, |slots| link.is_retired() || moved(slots)))
        };
        self.all.borrow().iter().any(stray)
    }

    /// A shared link that is ready: of one that clients begin as or the proxy's own, if there is one.
    pub(crate) fn any_shared(&self) -> Option<Rc<Link>> {
        let shared = self.shared.borrow();
        let links = || shared.values().flatten().filter(|link| link.is_ready());
        let of_proxy = links().find(|link| matches!(link.setting.get().user, UserId::FIRST | UserId::OWN));
        let of_anybody = || links().find(|link| link.setting.get().user.has_logged_in());
        of_proxy.or_else(of_anybody).map(Rc::clone)
    }

    /// Takes back a private link without state on it.
    pub(crate) fn give_back(&self, link: Rc<Link>) {
        link.set_reader(None);
        let mut idle = self.idle.borrow_mut();
        let setting = link.setting.get();
        let is_in_use = || setting.user == UserId::FIRST || self.accepted.borrow().contains(&setting.user);
        let pool = idle.entry(setting).or_default();
        if !link.is_set_up()
            && link.is_ready()
            && link.is_idle()
            && pool.len() + usize::from(self.reserve.is_there(setting)) < IDLE_PRIVATE_LINKS_MAX
            && is_in_use()
        {
            pool.push(link);
        } else {
            link.close();
        }
    }

    /// Whether a PUBLISH enqueued before this moment of the worker's clock is not answered yet.
    pub(crate) fn has_publish_before(&self, at_micros: u32) -> bool {
        self.has_before(at_micros, Ticket::publishes)
    }

    /// Whether a command like this, enqueued before this moment of the worker's clock, is not answered yet.
    pub(crate) fn has_before(&self, at_micros: u32, is_it: impl Fn(&Ticket) -> bool) -> bool {
        let links = self.all.borrow();
        links.iter().any(|link| link.has_before(at_micros, &is_it))
    }

    /// How many commands of apps, and how many PUBLISHes among them, no socket has taken yet.
    pub(crate) fn unsent(&self) -> (u64, u64) {
        let links = self.all.borrow();
        links.iter().fold((0, 0), |(commands, publishes), link| {
            let of_link = link.unsent();
            (commands + of_link.0, publishes + of_link.1)
        })
    }

    fn snapshot_of_all(&self) -> Vec<Rc<Link>> {
        self.all.borrow().clone()
    }

    fn dial(
        &self,
        route: &Rc<LocalRoute>,
        setting: Setting,
        kind: LinkKind,
        setup: Option<Rc<Setup>>,
    ) -> Option<Rc<Link>> {
        let node = self.node.borrow().clone()?;
        if !self.backoff.borrow().allows(Instant::now()) {
            return None;
        }
        let link = Link::new(&route.reactor, self.side, setting, kind, setup, node);
        self.all.borrow_mut().push(Rc::clone(&link));
        tokio::task::spawn_local(live(Rc::clone(&link), Rc::clone(route)));
        Some(link)
    }

    /// A user's connection to the present master beside the links; `None`: not now.
    pub(crate) async fn open_beside(
        &self,
        route: &LocalRoute,
        user: UserId,
    ) -> Option<(Arc<NodeAddr>, Stream)> {
        let node = self.node.borrow().clone()?;
        let dial = Dial {
            node: &node,
            auth: route.login(self.side, user)?,
            tls: route.tls(self.side),
            setting: Setting::of(user),
            name: "switchback",
            wanted: Wanted::Master,
            asks_room: false,
        };
        let opened = timeout(CONNECT_TIMEOUT, handshake::open(&dial)).await.ok()?;
        let (stream, _) = opened.ok()?;
        Some((node, stream))
    }

    /// Whether `node` is still the one that is meant: what a former one does says nothing of it.
    pub(crate) fn is_present(&self, node: &NodeAddr) -> bool {
        self.node.borrow().as_deref() == Some(node)
    }

    fn dialled(&self, route: &Rc<LocalRoute>, link: &Link, said: Said) {
        if self.is_present(&link.node) {
            if link.kind() == LinkKind::Shared && !self.reserve.is_expected() {
                self.expect(route, link.setting.get());
            }
            self.backoff.borrow_mut().reset();
            self.failing.set(false);
            let user = link.setting.get().user;
            if user == UserId::ASKING || (user == UserId::FIRST && route.asks_for_password(self.side)) {
                self.knocked(Some(!said.wants_password));
            } else {
                self.accepts(user);
            }
        }
    }

    fn ended(&self, link: &Rc<Link>) {
        self.all.borrow_mut().retain(|other| !Rc::ptr_eq(other, link));
        self.reserve.ended(link);
    }

    /// The node refuses a database.
    fn refuse_database(&self, setting: Setting, text: String) {
        let mut refused = self.refused_database.borrow_mut();
        if refused
            .as_ref()
            .is_none_or(|(lowest, _)| setting.database < *lowest)
        {
            *refused = Some((setting.database, text));
        }
        self.shared.borrow_mut().remove(&setting);
    }

    /// The node refuses a user. Returns whether it had let that one in before, and has no connection of it any more: then the user
    /// has been deleted, or has another password.
    pub(crate) fn refuse_user(&self, route: &LocalRoute, setting: Setting, text: String) -> bool {
        if setting.user == UserId::FIRST && route.asks_for_password(self.side) && text.starts_with("NOAUTH ")
        {
            self.knocked(Some(false));
        }
        let is_of_password = !text.starts_with("NOPERM ");
        self.refuse_for(setting, text, USER_REFUSAL);
        let is_there = |link: &Rc<Link>| link.setting.get().user == setting.user && link.is_ready();
        let has_links = self.all.borrow().iter().any(is_there);
        is_of_password
            && setting.user.has_logged_in()
            && !has_links
            && self.accepted.borrow_mut().remove(&setting.user)
    }

    /// The node refuses this now, and may not in a moment. Whoever waits for the same is told the same.
    fn refuse_for(&self, setting: Setting, text: String, time: Duration) {
        let now = Instant::now();
        let mut refused = self.refused_for_now.borrow_mut();
        if refused.len() >= USERS_MAX {
            refused.retain(|_, (_, until)| now < *until);
        }
        refused.insert(setting, (text, now + time));
    }

    /// The present node has let this user in.
    pub(crate) fn accepts(&self, user: UserId) {
        self.accepted.borrow_mut().insert(user);
        self.refused_for_now
            .borrow_mut()
            .retain(|setting, _| setting.user != user);
    }

    /// Whether the node serves a client that has not authenticated: asked of it now, or a moment ago.
    pub(crate) fn door(&self, route: &Rc<LocalRoute>) -> Door {
        if let Some((is_open, at)) = self.door.get()
            && at.elapsed() < DOOR_LIFETIME
        {
            return if is_open { Door::Open } else { Door::Shut };
        }
        let first = Setting::default();
        let is_ready = |link: &Rc<Link>| link.is_ready();
        let has_link = self
            .shared
            .borrow()
            .get(&first)
            .is_some_and(|pool| pool.iter().any(is_ready));
        if !has_link {
            // It is needed anyway, if the door is open.
            let _ = self.shared(route, first);
        } else if let Lease::Ready(link) = self.shared(route, Setting::ASKING)
            && self.knocking_since.get().is_none()
        {
            self.knocking_since.set(Some(Instant::now()));
            self.knocks.set(self.knocks.get() + 1);
            let waiting = Rc::clone(route);
            tokio::task::spawn_local(async move {
                tokio::time::sleep(DOOR_LIFETIME).await;
                waiting.wake_waiting();
            });
            route.messenger().knock(&link, self.knocks.get());
        }
        Door::Unknown
    }

    /// Whether the question of [`Self::door`] is under way.
    pub(crate) fn is_being_asked(&self) -> bool {
        let shared = self.shared.borrow();
        let links = |setting| shared.get(&setting).into_iter().flatten();
        // A frozen node does not answer.
        let is_new = |since: Instant| since.elapsed() < DOOR_LIFETIME;
        let is_dialled = |setting| links(setting).any(|link: &Rc<Link>| link.is_dialling());
        self.knocking_since.get().is_some_and(is_new)
            || is_dialled(Setting::default())
            || is_dialled(Setting::ASKING)
    }

    /// Question number `number` is answered, which another node may have been asked.
    pub(crate) fn answered_knock(&self, number: u64, is_open: Option<bool>) {
        if number == self.knocks.get() {
            self.knocked(is_open);
        }
    }

    /// The node has answered whether its door is open; `None`: it has not.
    fn knocked(&self, is_open: Option<bool>) {
        self.knocking_since.set(None);
        if let Some(is_open) = is_open {
            self.door.set(Some((is_open, Instant::now())));
        }
    }

    /// Sees to it that each of these users has a link here: the node ends it with the user.
    pub(crate) fn keep(&self, route: &Rc<LocalRoute>, users: &[UserId]) {
        if users.is_empty() {
            return;
        }
        let with_link: FxHashSet<UserId> = self
            .all
            .borrow()
            .iter()
            .filter(|link| link.kind() == LinkKind::Shared && (link.is_ready() || link.is_dialling()))
            .map(|link| link.setting.get().user)
            .collect();
        for user in users.iter().filter(|user| !with_link.contains(user)) {
            let _ = self.shared(route, Setting::of(*user));
        }
    }

    /// Ends the links of users that nobody is any more.
    pub(crate) fn forget_users(&self, is_known: impl Fn(UserId) -> bool) {
        self.accepted.borrow_mut().retain(|user| is_known(*user));
        self.refused_for_now
            .borrow_mut()
            .retain(|setting, _| is_known(setting.user));
        for pools in [&self.shared, &self.idle] {
            pools.borrow_mut().retain(|setting, pool| {
                let stays = is_known(setting.user);
                if !stays {
                    pool.iter().for_each(|link| link.finish());
                }
                stays
            });
        }
    }

    /// The node does not speak RESP3.
    fn refuse_resp3(&self, text: String) {
        *self.refused_resp3.borrow_mut() = Some(text);
        let mut shared = self.shared.borrow_mut();
        shared.retain(|setting, _| setting.protocol == Protocol::Resp2);
    }
}

/// A link from dial to end.
async fn live(link: Rc<Link>, route: Rc<LocalRoute>) {
    let (side, node) = (link.side, &link.node);
    let links = route.links(side);
    let gauge = &route.stats.upstream_connections[side.index()];
    let user = link.setting.get().user;
    let Some(login) = route.login(side, user) else {
        // Nobody is this user any more.
        link.close();
        return links.ended(&link);
    };
    let dial = Dial {
        node,
        auth: login,
        tls: route.tls(side),
        setting: link.setting.get(),
        name: "switchback",
        wanted: match user {
            UserId::ASKING => Wanted::Unasked,
            _ => Wanted::Master,
        },
        asks_room: link.kind() == LinkKind::Reserve,
    };
    let setup = link.setup();
    let opened = timeout(CONNECT_TIMEOUT, open(&dial, setup.as_deref())).await;
    let opened = opened.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()));
    match opened {
        Ok((stream, said, ear)) => {
            // None in reserve is to be the node's last.
            if link.kind() == LinkKind::Reserve && said.room.is_some_and(|room| room < RESERVE_ROOM) {
                links.reserve.refused(&link);
            }
            links.dialled(&route, &link, said);
            link.ear.set(ear.as_ref().map(|(_, id)| *id));
            let ear = ear.map(|(stream, _)| tokio::task::spawn_local(ear::listen(stream, Rc::clone(&link))));
            gauge.fetch_add(1, Ordering::Relaxed);
            let over = link::drive(&link, &route, stream, said.client_id);
            route.wake_waiting();
            if let Err(error) = over.await {
                debug!(route = route.name, %side, %node, %error, "link ended");
            }
            if let Some(ear) = ear {
                ear.abort();
            }
            gauge.fetch_sub(1, Ordering::Relaxed);
            links.ended(&link);
            // A node that comes back may have more databases than it had, or be of a later version.
            links.forget_refusals();
        }
        Err(error) if link.kind() == LinkKind::Reserve => {
            debug!(route = route.name, %side, %node, %error, "no link in reserve");
            link.close();
            links.reserve.refused(&link);
            links.ended(&link);
        }
        Err(error) => {
            link.close();
            links.ended(&link);
            failed(&route, &link, error).await;
        }
    }
    route.wake_waiting();
}

/// Connects, and tells the node what the link is for; with the connection that hears for it.
async fn open(
    dial: &Dial<'_>,
    setup: Option<&Setup>,
) -> Result<(Stream, Said, Option<(Stream, i64)>), HandshakeError> {
    let Some(setup) = setup else {
        let (stream, said) = handshake::open(dial).await?;
        return Ok((stream, said, None));
    };
    let ear = match setup.has_ear {
        true => {
            let setting = Setting {
                protocol: Protocol::Resp3,
                ..dial.setting
            };
            let (auth, tls) = (dial.auth.clone(), dial.tls.clone());
            Some(
                handshake::open(&Dial {
                    setting,
                    auth,
                    tls,
                    ..*dial
                })
                .await?,
            )
        }
        false => None,
    };
    let (mut stream, said) = handshake::open(dial).await?;
    handshake::set_up(&mut stream, setup, ear.as_ref().map(|(_, said)| said.client_id)).await?;
    Ok((stream, said, ear.map(|(stream, said)| (stream, said.client_id))))
}

/// Waits out the node's backoff, so that whoever waits on the route dials again after it.
async fn failed(route: &Rc<LocalRoute>, link: &Link, error: HandshakeError) {
    let (links, node) = (route.links(link.side), &link.node);
    if !links.is_present(node) {
        return;
    }
    match error {
        HandshakeError::Database(text) => return links.refuse_database(link.setting.get(), text),
        HandshakeError::Protocol(text) => return links.refuse_resp3(text),
        HandshakeError::Busy(text) => return links.refuse_for(link.setting.get(), text, BUSY_REFUSAL),
        HandshakeError::Setup(text) => return link.refuse(text),
        // What the proxy itself was configured with may be right in a moment: commands are held as for a node that is not there.
        HandshakeError::User(text)
            if link.setting.get().user.has_logged_in()
                || route.asks_for_password(link.side)
                || text.starts_with("NOPERM ") =>
        {
            return route.user_refused(link.side, link.setting.get(), text);
        }
        _ => {}
    }
    // It may be that the node takes no more connections.
    links.reserve.give_up();
    if !links.failing.replace(true) {
        info!(route = route.name, side = %link.side, %node, %error, "node is not usable; commands are held");
    }
    let wait = links.backoff.borrow_mut().failed(Instant::now(), fastrand::f64());
    tokio::time::sleep(wait).await;
}
