//! Where does a request go, now?
//!
//! Shell: classifies, asks the snapshot for the owner, and enqueues on the session's link to it. When a request cannot
//! go yet it changes nothing and says why: the session then stops reading, which is the only queue there is.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::exec::{STAND_IN, drop_link};
use super::lane::Lane;
use super::login::Standing;
use super::state::{Blocked, Session, State};
use super::ticket::{Role, Ticket};
use super::{local, split};
use crate::cluster::Side;
use crate::config::{OnUncertain, RouteLimits};
use crate::data_plane::command::{Classified, Intent, Spec, classify, flags};
use crate::data_plane::pubsub::Hearers;
use crate::data_plane::refusal::Refusal;
use crate::data_plane::upstream::{Lease, Link, LinkKind};
use crate::limits::OWN_LINK_BYTES;
use crate::resp::{Args, Protocol};
use crate::routing::{Owners, Slot, Snapshot, Weight, majority_owner, owner};

/// What holds during one turn of a session.
pub(super) struct Turn {
    pub(super) snapshot: Rc<Snapshot>,
    pub(super) limits: Rc<RouteLimits>,
    pub(super) now_micros: u32,
}

/// A request, and whether it is new or has come back.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) bytes: &'a [u8],
    /// The same, when it is large enough to be passed on by reference.
    pub(super) large: Option<&'a Bytes>,
    pub(super) args: Args<'a>,
    pub(super) again: Option<Again>,
}

/// The slot of a request that was sent before.
#[derive(Clone, Copy)]
pub(super) struct Again {
    pub(super) number: u64,
    pub(super) role: Role,
    pub(super) refusals: u8,
}

/// Why a request has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stall {
    /// For replies that must come first.
    Replies,
    /// For a usable master of this side.
    Hold(Side),
    /// For room on a link.
    Room,
    /// For subscribers to have heard what was published before its channel moved.
    Settling,
    /// For CLIENT PAUSE to be over.
    Paused,
}

/// Why a request was not enqueued.
pub(super) enum Stop {
    /// Try again when something has changed.
    Stall(Stall),
    /// Answer this instead.
    Refuse(Refusal),
}

impl From<Stall> for Stop {
    fn from(stall: Stall) -> Self {
        Self::Stall(stall)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}

/// Sends or answers one request.
///
/// # Errors
/// [`Stall`]: nothing has changed; to be called again with the same request.
pub(super) fn dispatch(
    session: &Rc<Session>,
    state: &mut State,
    turn: &Turn,
    request: Request<'_>,
) -> Result<(), Stall> {
    if state.is_waiting() || (request.again.is_none() && state.replies.open_count() >= turn.limits.in_flight)
    {
        return Err(Stall::Replies);
    }
    state.see(&turn.snapshot);
    let class = classify(request.args);
    if request.again.is_none() {
        let is_unknown = |spec: &&Spec| spec.has(flags::CONTAINER) && request.args.len() > 1;
        state.last = class.spec.filter(|spec| !is_unknown(spec));
    }
    if matches!(class.intent, Intent::Unknown) && is_http(request.args) {
        state.closing = true;
        return Ok(());
    }
    let mut sending = Sending {
        session,
        turn,
        request,
        class,
        told: Vec::new(),
    };
    let (keys, limit) = (sending.class.keys.len(), turn.limits.keys_per_command);
    if keys > limit && request.again.is_none() {
        state.transaction.refused |= state.transaction.open;
        answer(state, None, &Refusal::TooManyKeys { keys, limit }.line());
        return Ok(());
    }
    let is_paused = match session.route.pause() {
        None => false,
        Some(pause) => sending.is_paused(state, pause)?,
    };
    session.postpone(state, is_paused);
    if is_paused {
        session.route.wait(session);
        return Err(Stall::Paused);
    }
    // Of a subcommand it matters only between weights whether there is such a one.
    let is_learnt = matches!(sending.class.intent, Intent::Unknown)
        && (sending.class.spec.is_none() || is_between(turn.snapshot.weight));
    let placed = match is_learnt {
        true => sending.learn(state).and_then(|()| sending.place(state)),
        false => sending.place(state),
    };
    if is_learnt && !matches!(placed, Err(Stop::Stall(_))) {
        state.learning.forget();
    }
    match placed {
        Ok(()) => {
            if state.tracking.is_some() {
                sending.caching_is_over(state);
            }
            Ok(())
        }
        Err(Stop::Stall(stall)) => Err(stall),
        Err(Stop::Refuse(refusal)) => {
            // What came back was sent before the transaction was opened.
            if state.transaction.open && request.again.is_none() {
                state.transaction.refused = true;
            }
            if sending.class.is_publish {
                count_refused(session, request.args);
            }
            answer(state, request.again, &refusal.line());
            Ok(())
        }
    }
}

impl State {
    /// Something has to be answered before anything else goes.
    #[inline]
    pub(super) fn is_waiting(&self) -> bool {
        self.blocked.is_some()
            || self.asking
            || self.awaits_entry()
            || self.transaction.loading
            || self.learning.is_asked()
    }
}

/// A request the proxy answers with an error of its own: when it is a PUBLISH, its message is accounted for.
pub(super) fn count_refused(session: &Session, args: Args<'_>) {
    let class = classify(args);
    if class.is_publish {
        let weight = session.route.snapshot().weight;
        let side = owner(Slot::of(args.get(1).unwrap_or_default()), weight);
        session.route.stats.publish_failed[side.index()].fetch_add(1, Ordering::Relaxed);
    }
}

/// What Redis takes for HTTP, sent to it by mistake or malice: it hangs up without a word. Forwarded, it would have the
/// server hang up on a link that all share.
fn is_http(args: Args<'_>) -> bool {
    let name = args.get(0).unwrap_or_default();
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

/// Whether a client's address is one that only the proxy's own host can have.
fn is_on_this_host(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Gives a request its reply without a server.
pub(super) fn answer(state: &mut State, again: Option<Again>, reply: &[u8]) {
    match again {
        None => {
            let number = state.replies.open();
            state.replies.finish(number, reply);
        }
        Some(Again {
            number,
            role: Role::Part(index),
            ..
        }) => state.replies.part_finish(number, index, reply),
        Some(Again { number, .. }) => state.replies.finish(number, reply),
    }
}

/// One request on its way.
pub(super) struct Sending<'a> {
    pub(super) session: &'a Rc<Session>,
    pub(super) turn: &'a Turn,
    pub(super) request: Request<'a>,
    pub(super) class: Classified,
    /// The slots of keys that the server has told: of a command that the table does not have.
    pub(super) told: Vec<Slot>,
}

impl Sending<'_> {
    #[inline]
    fn place(&mut self, state: &mut State) -> Result<(), Stop> {
        if state.standing != Standing::Admitted
            && self.request.again.is_none()
            && let Some(reply) = self.at_the_door(state)?
        {
            answer(state, None, &reply);
            return Ok(());
        }
        if state.setting.protocol == Protocol::Resp2
            && !state.subscriptions.is_empty()
            && state.entry.is_none()
            && self.request.again.is_none()
            && let Some(reply) = self.in_subscribed_mode()
        {
            answer(state, None, &reply);
            return Ok(());
        }
        if self.class.is_publish {
            self.has_bearers(state)?;
        }
        if state.transaction.open && self.request.again.is_none() {
            return self.in_transaction(state);
        }
        let weight = self.turn.snapshot.weight;
        match self.class.intent {
            Intent::Forward => {
                let side = self.side()?;
                if self.class.is_publish {
                    self.wait_for_subscribers(side)?;
                }
                self.forward(state, side)
            }
            Intent::Split(kind) => match self.owners() {
                Owners::Both => split::by_owner(self, state, kind),
                Owners::One(side) => self.forward(state, side),
                Owners::None => self.forward(state, majority_owner(weight)),
            },
            Intent::Everywhere(kind) => split::everywhere(self, state, kind),
            Intent::Info => self.info(state),
            Intent::Keyspace(what) => self.keyspace(state, what),
            Intent::OneSideOnly | Intent::Unknown if is_between(weight) => Err(Refusal::BetweenWeights {
                name: self.name(),
                weight,
            }
            .into()),
            Intent::OneSideOnly | Intent::Unknown => self.forward(state, majority_owner(weight)),
            Intent::Libraries => self.libraries(state),
            Intent::Script(what) => self.script(state, what),
            Intent::Local(command) => local::answer(self, state, command),
            Intent::Multi => self.multi(state),
            // Outside a transaction these are answered by any server, in its own words.
            Intent::Exec | Intent::Discard => self.forward(state, majority_owner(weight)),
            Intent::Watch => self.watch(state),
            Intent::Unwatch => self.unwatch(state),
            Intent::Blocking => self.blocking(state),
            Intent::Wait => self.wait_for_replicas(state),
            Intent::Subscribe(kind) => self.subscribe(state, kind),
            Intent::Unsubscribe(kind) => self.unsubscribe(state, kind),
            Intent::Alone => {
                let side = self.side()?;
                self.alone(state, side)
            }
            Intent::Restricted(_) if self.is_allowed() => self.restricted(state),
            Intent::Unsupported(why) | Intent::Restricted(why) => Err(Refusal::Unsupported {
                name: self.name(),
                why,
            }
            .into()),
        }
    }

    /// Whether what is refused by default is passed on: the route allows it; or it is DEBUG, and the client is as near to the
    /// server as the proxy is. A server then decides by its `enable-debug-command`, of which `local` means its own host.
    pub(super) fn is_allowed(&self) -> bool {
        let session = self.session;
        let allows = |name: &str| {
            session.route.allows(name) || (name == "debug" && is_on_this_host(session.ends.addr.ip()))
        };
        self.class.spec.is_some_and(|spec| allows(spec.name))
    }

    /// What the route's operator has allowed.
    fn restricted(&self, state: &mut State) -> Result<(), Stop> {
        let weight = self.turn.snapshot.weight;
        if is_between(weight) {
            state.tunnel = None;
            let name = self.name();
            return Err(Refusal::BetweenWeights { name, weight }.into());
        }
        match self.is_of_a_replica() {
            true => self.enter_tunnel(state, majority_owner(weight)),
            false => self.alone(state, majority_owner(weight)),
        }
    }

    /// Sends the request on a link of the session's own, which stays its own: what it may change there is the session's.
    fn alone(&self, state: &mut State, side: Side) -> Result<(), Stop> {
        let link = self.private_link(state, side)?;
        state.lanes[side.index()].stateless = false;
        self.enqueue(state, &link, Role::Whole, self.request.bytes);
        Ok(())
    }

    /// The owners of the request's keys.
    #[inline]
    pub(super) fn owners(&self) -> Owners {
        let weight = self.turn.snapshot.weight;
        if weight == Weight::ZERO || weight == Weight::FULL {
            return Owners::One(majority_owner(weight));
        }
        let key_owner = |key| owner(Slot::of(key), weight);
        let told = self.told.iter().map(|slot| owner(*slot, weight));
        let keys = self.class.keys.bytes(self.request.args).map(key_owner);
        let mut owners = Owners::None;
        for side in keys.chain(told) {
            owners = owners.and(side);
            if owners == Owners::Both {
                break;
            }
        }
        owners
    }

    /// The slots of the request's keys.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> {
        let keys = self.class.keys.bytes(self.request.args).map(Slot::of);
        keys.chain(self.told.iter().copied())
    }

    /// The one side a request goes to.
    #[inline]
    pub(super) fn side(&self) -> Result<Side, Refusal> {
        let weight = self.turn.snapshot.weight;
        match self.owners() {
            Owners::One(side) => Ok(side),
            Owners::None => Ok(majority_owner(weight)),
            Owners::Both => Err(Refusal::CrossSide { weight }),
        }
    }

    /// Sends the request as it is on the session's link to `side`.
    #[inline]
    pub(super) fn forward(&self, state: &mut State, side: Side) -> Result<(), Stop> {
        let link = self.link_by_size(state, side)?;
        self.has_second(&link)?;
        let role = match self.request.again {
            Some(Again {
                role: Role::Part(index),
                ..
            }) => Role::Part(index),
            _ => Role::Whole,
        };
        self.enqueue(state, &link, role, self.request.bytes);
        Ok(())
    }

    /// Enqueues `bytes` under the request's slot, opening it if the request is new.
    #[inline]
    pub(super) fn enqueue(&self, state: &mut State, link: &Link, role: Role, bytes: &[u8]) {
        let number = match self.request.again {
            Some(again) => again.number,
            None => state.replies.open(),
        };
        match self.request.large {
            Some(large) if large.as_ptr() == bytes.as_ptr() => {
                let ticket = self.ticket(state, link, number, role);
                link.enqueue_large(ticket, large.clone());
            }
            _ => self.enqueue_as(state, link, number, role, bytes),
        }
    }

    /// Enqueues `bytes` under a slot that is already open.
    #[inline]
    pub(super) fn enqueue_as(&self, state: &mut State, link: &Link, number: u64, role: Role, bytes: &[u8]) {
        let ticket = self.ticket(state, link, number, role);
        link.enqueue(ticket, bytes);
    }

    /// Counts a command that is about to be sent.
    #[inline]
    pub(super) fn ticket(&self, state: &mut State, link: &Link, number: u64, role: Role) -> Ticket {
        let route = &self.session.route;
        let private = link.kind() == LinkKind::Private && !matches!(role, Role::Whole | Role::Part(_));
        let reads = self.class.may_retry && !private;
        if state.tracking.is_some() && self.goes_before(state, role) {
            self.tell_caching(state, link);
        }
        // Another node knows nothing of the writes that a WAIT is about.
        let policy = || {
            route.on_uncertain(self.class.is_publish) == OnUncertain::Retry
                && self.class.intent != Intent::Wait
        };
        let is_publish = self.class.is_publish;
        let lane = &mut state.lanes[link.side.index()];
        lane.share.sends(self.request.bytes.len());
        let ticket = Ticket {
            session: Rc::clone(self.session),
            side: link.side,
            sequence: lane.sent_one(),
            number,
            role,
            reads,
            is_script: self.class.is_script,
            is_publish,
            is_streamed: false,
            hearers: match is_publish && role == Role::Whole {
                true => self.hearers(link.side),
                false => Hearers::default(),
            },
            retry: reads || (!private && policy()),
            refusals: self.request.again.map_or(0, |again| again.refusals),
            at_micros: self.turn.now_micros,
        };
        if role.is_counted() {
            route.sent(link.side, is_publish);
        }
        ticket
    }

    /// The session's link to `side`: one of its own for a large request, behind which nobody shall wait.
    #[inline]
    pub(super) fn link_by_size(&self, state: &mut State, side: Side) -> Result<Rc<Link>, Stop> {
        if self.request.bytes.len() < OWN_LINK_BYTES {
            return self.link(state, side);
        }
        self.link_beside(state, side)
    }

    /// A link of the session's own for this one request.
    pub(super) fn link_beside(&self, state: &mut State, side: Side) -> Result<Rc<Link>, Stop> {
        self.keep_out(state, side);
        let link = self.private_link(state, side)?;
        state.lanes[side.index()].stateless = state.transaction.is_empty();
        Ok(link)
    }

    /// A script waits for a link beside its own: what may end it has to get past it.
    #[inline]
    pub(super) fn has_second(&self, link: &Link) -> Result<(), Stall> {
        let route = &self.session.route;
        match self.class.is_script && !route.links(link.side).has_second(route, link) {
            true => Err(Stall::Hold(link.side)),
            false => Ok(()),
        }
    }

    /// Only a command that came back asks for a link while a transaction is open: it must not become a part of it.
    #[inline]
    fn keep_out(&self, state: &mut State, side: Side) {
        if state.transaction.is_queueing_on(side) {
            state.transaction.connection_lost();
            drop_link(state, side);
        }
    }

    /// The session's link to `side`, ready and with room.
    #[inline]
    pub(super) fn link(&self, state: &mut State, side: Side) -> Result<Rc<Link>, Stop> {
        self.fence(state, side)?;
        self.keep_out(state, side);
        if state.setup.is_some() {
            return self.private_link(state, side);
        }
        let setting = state.setting;
        let lane = &mut state.lanes[side.index()];
        if let Some(link) = &lane.link {
            let usable = link.is_ready()
                && link.setting.get() == setting
                && !link.is_set_up()
                && match link.kind() {
                    LinkKind::Private => !(lane.stateless && lane.in_flight() == 0),
                    LinkKind::Shared => lane.in_flight() > 0 || !link.is_occupied(),
                    LinkKind::Reserve => false,
                };
            if usable && link.kind() == LinkKind::Shared && !lane.share.has_room(lane.in_flight()) {
                return Err(Stall::Replies.into());
            }
            if usable {
                return with_room(link, self.session);
            }
        }
        self.leave_link(state, side)?;
        match self
            .session
            .route
            .links(side)
            .shared_by_client(&self.session.route, setting)
        {
            Lease::Ready(link) => {
                state.lanes[side.index()].link = Some(Rc::clone(&link));
                with_room(&link, self.session)
            }
            Lease::Wait => Err(Stall::Hold(side).into()),
            Lease::Refused(text) => Err(Refusal::Redis(text.into_bytes()).into()),
        }
    }

    /// A link of the session's own to `side`, ready and with room.
    pub(super) fn private_link(&self, state: &mut State, side: Side) -> Result<Rc<Link>, Stop> {
        self.fence(state, side)?;
        let setting = state.setting;
        let setup = state.setup.clone();
        let suits = |link: &&Rc<Link>| {
            link.kind() == LinkKind::Private && link.setting.get() == setting && link.setup() == setup
        };
        if let Some(link) = state.lanes[side.index()].link.as_ref().filter(suits) {
            if link.is_ready() {
                return with_room(link, self.session);
            }
            if link.is_dialling() {
                return Err(Stall::Hold(side).into());
            }
            if let Some(text) = link.take_refusal() {
                return Err(Refusal::Redis(text.into_bytes()).into());
            }
        }
        state.keep_hearing(side);
        self.leave_link(state, side)?;
        let links = self.session.route.links(side);
        let link = match links.private(&self.session.route, setting, setup) {
            Lease::Ready(link) => link,
            Lease::Wait => return Err(Stall::Hold(side).into()),
            Lease::Refused(text) => return Err(Refusal::Redis(text.into_bytes()).into()),
        };
        link.set_reader(Some(Rc::clone(self.session)));
        let lane = &mut state.lanes[side.index()];
        lane.link = Some(Rc::clone(&link));
        lane.stateless = false;
        if link.is_ready() {
            with_room(&link, self.session)
        } else {
            Err(Stall::Hold(side).into())
        }
    }

    /// Slots that have left the other side bring nothing here before what they left behind there is answered.
    #[inline]
    fn fence(&self, state: &State, side: Side) -> Result<(), Stall> {
        let other = side.other();
        if state.lanes[other.index()].fence_passed() {
            return Ok(());
        }
        let abandoned = self.turn.snapshot.side(other).is_some_and(|view| view.abandoned);
        if abandoned { Ok(()) } else { Err(Stall::Replies) }
    }

    /// Lets go of the session's link to `side`, once nothing is in flight there.
    fn leave_link(&self, state: &mut State, side: Side) -> Result<(), Stall> {
        let State {
            lanes, transaction, ..
        } = state;
        let lane: &mut Lane = &mut lanes[side.index()];
        if lane.in_flight() > 0 {
            return Err(Stall::Replies);
        }
        let private = lane.is_private();
        if let Some(link) = lane.link.take()
            && private
        {
            if lane.stateless {
                self.session.route.links(side).give_back(link);
            } else {
                link.close();
                if transaction.side == Some(side) {
                    transaction.connection_lost();
                }
            }
        }
        lane.stateless = false;
        Ok(())
    }

    /// WAIT: a node counts from the last command of a connection. Writes share connections, so this one has a command of its
    /// own, after all that the client has been answered.
    fn wait_for_replicas(&self, state: &mut State) -> Result<(), Stop> {
        if state.unblocking || (self.request.again.is_none() && state.replies.open_count() > 0) {
            return Err(Stall::Replies.into());
        }
        let weight = self.turn.snapshot.weight;
        let is_part = self
            .request
            .again
            .is_some_and(|again| matches!(again.role, Role::Part(_)));
        if is_between(weight) || is_part {
            return split::wait_for_replicas(self, state);
        }
        let link = self.private_link(state, majority_owner(weight))?;
        self.enqueue_as(state, &link, 0, Role::Aside, STAND_IN);
        self.block(state, &link);
        Ok(())
    }

    fn blocking(&self, state: &mut State) -> Result<(), Stop> {
        if state.unblocking {
            return Err(Stall::Replies.into());
        }
        let side = self.side()?;
        let link = self.private_link(state, side)?;
        self.block(state, &link);
        Ok(())
    }

    fn block(&self, state: &mut State, link: &Link) {
        let side = link.side;
        // Moving it away later takes a second link to the same node: one that is not blocked.
        let route = &self.session.route;
        let _ = route.links(side).shared(route, route.own_setting(side));
        self.enqueue(state, link, Role::Blocking, self.request.bytes);
        let number = state.replies.last_number();
        let slots = self.slots().collect();
        state.blocked = Some(Blocked {
            number: self.request.again.map_or(number, |again| again.number),
            side,
            slots,
            since: std::time::Instant::now(),
            recalling: false,
        });
        state.lanes[side.index()].stateless = state.transaction.is_empty();
    }

    /// The command's name as the client wrote it, bounded and printable.
    pub(super) fn name(&self) -> String {
        let of = |at: usize| {
            let word = self.request.args.get(at).unwrap_or_default();
            word.get(..64).unwrap_or(word).escape_ascii().to_string()
        };
        let container = self.class.spec.is_some_and(|spec| spec.name.contains('|'));
        if container {
            format!("{} {}", of(0), of(1))
        } else {
            of(0)
        }
    }
}

/// Whether both sides own slots.
pub(super) fn is_between(weight: Weight) -> bool {
    weight != Weight::ZERO && weight != Weight::FULL
}

#[inline]
pub(super) fn with_room(link: &Rc<Link>, session: &Rc<Session>) -> Result<Rc<Link>, Stop> {
    if link.has_room(session) {
        Ok(Rc::clone(link))
    } else {
        Err(Stall::Room.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_this_host() {
        for (address, is) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("10.0.0.1", false),
            ("0.0.0.0", false),
            ("::ffff:10.0.0.1", false),
            ("fe80::1", false),
        ] {
            assert_eq!(is_on_this_host(address.parse().unwrap()), is, "{address}");
        }
    }
}
