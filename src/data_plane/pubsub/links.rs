//! What becomes of a hub's links: dialled, complete, lost, left?
//!
//! Shell. A lost link is dialled anew at once, and everything subscribed to again. What may have been missed is from when the
//! lost link had certainly told all until the last confirmation on the next; it is told when the side owned any of it meanwhile.
//!
//! A replica may stay where it is while its side's master changes: what it may not have got is told all the same.
//!
//! After a change of master the next link is subscribed first, and only then the former one left, behind a fence: all that
//! was published there through this process is heard. That is told as a gap all the same, as others may have published on the
//! new master between its promotion, which is noticed late, and our subscription; unless [`super::heir`] has proved that
//! nobody has.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tracing::{debug, info};

use super::feed::{Former, Target};
use super::gap::{Gap, wall_time};
use super::ground::causes;
use super::heir::Proof;
use super::hub::Hub;
use super::settling::Cause;
use super::subscriber_link::{self, NodeRole, SubscriberLink};
use super::topic::Stage;
use crate::cluster::Side;
use crate::data_plane::local_route::LocalRoute;
use crate::data_plane::upstream::{self, HandshakeError, Setting};
use crate::limits::{CONNECT_TIMEOUT, FOLLOW_INTERVAL, GAP_CHANNELS_MAX, GAP_TOLD_EVERY};
use crate::routing::{Epoch, Snapshot};

/// A link that ends sooner than this after it was ready counts as a failed attempt.
const SHORT_LIVED: Duration = Duration::from_secs(1);

impl Hub {
    /// The route's first snapshot.
    pub(crate) fn begin(&self, route: &LocalRoute, snapshot: &Snapshot) {
        let subscribe_to = self.subscribe_to(route);
        for side in Side::BOTH {
            let feed = self.feed(side);
            let chosen = snapshot
                .side(side)
                .and_then(|view| feed.choose(view, subscribe_to, self.worker, Instant::now()));
            *feed.target.borrow_mut() = chosen;
        }
    }

    /// The route has another snapshot, which `route` has already.
    pub(crate) fn apply(&self, route: &Rc<LocalRoute>, before: &Snapshot, after: &Snapshot) {
        let now = Instant::now();
        self.weights.borrow_mut().add(now, after.weight);
        for side in route.sides() {
            self.follow(route, side, after, now);
            self.expect(route, side, after.side(side).and_then(|view| view.heir.as_ref()));
        }
        let causes = causes(before, after);
        for cause in &causes {
            if matches!(cause, Cause::Master { .. }) && self.uses_marks(route) {
                self.suspect_replica(cause.side());
            }
        }
        let mut settling = self.settling.borrow_mut();
        settling.begin(after.epoch, causes, now, route.clock_micros());
        for side in Side::BOTH {
            if after.side(side).is_some_and(|view| view.abandoned) {
                settling.give_up(side);
            }
        }
        drop(settling);
        self.settle(route);
        self.look_at_all(route);
    }

    /// Replicas that were avoided may be tried again, and others may be needed.
    pub(super) fn retarget(&self, route: &Rc<LocalRoute>, now: Instant) {
        if self.uses_marks(route) {
            let snapshot = route.snapshot();
            for side in route.sides() {
                self.follow(route, side, &snapshot, now);
            }
        }
    }

    /// Hears `side` where the snapshot says.
    fn follow(&self, route: &Rc<LocalRoute>, side: Side, snapshot: &Snapshot, now: Instant) {
        let feed = self.feed(side);
        let Some(view) = snapshot.side(side) else { return };
        let target = feed.choose(view, self.subscribe_to(route), self.worker, now);
        if *feed.target.borrow() == target {
            return;
        }
        *feed.target.borrow_mut() = target.clone();
        feed.backoff.borrow_mut().reset();
        feed.is_failing.set(false);
        let Some(target) = target else { return };
        let present = feed.present.borrow().clone();
        if let Some(former) = feed.take_former(&target) {
            let left = feed.present.take();
            if let Some(link) = &left {
                link.close();
            }
            // What a replica told was told by the other one too; a master's own nobody hears any more.
            let unheard = left.filter(|link| link.ready_at.get().is_some() && !self.uses_marks(route));
            self.take_up_again(route, &former, unheard.map(|link| link.heard_all.get()));
            return;
        }
        let is_there = |link: &Rc<SubscriberLink>| link.node == target.node && link.role == target.role;
        if present.as_ref().is_some_and(is_there) {
            return;
        }
        let heir = self.take_heir(&target, side);
        if let Some(link) = present {
            let has_nothing = !link.is_ready() || (link.is_muted.get() && feed.keep_former());
            if has_nothing {
                link.close();
            } else {
                let is_proven = heir.as_ref().is_some_and(|heir| heir.proof.get() == Proof::Given);
                self.leave_link(link, snapshot.epoch, now, is_proven);
            }
            feed.present.take();
        }
        match heir {
            Some(link) => self.adopt(route, link),
            None => self.dial(route, side),
        }
    }

    /// The replica subscribed to has another master, or one that was away: it may have been resynchronized, and what was
    /// published meanwhile may not have reached it.
    fn suspect_replica(&self, side: Side) {
        let feed = self.feed(side);
        let former = feed
            .former
            .borrow()
            .as_ref()
            .map(|former| Rc::clone(&former.link));
        for link in feed.ready().into_iter().chain(former) {
            if self.is_needed() {
                feed.misses(link.heard_all.get());
            }
            link.is_doubtful_before(self.last_number.get() + 1);
        }
    }

    /// A link that was being left is the present one again: it has been heard all along. `unheard`: from when on another was
    /// present, and has not told all.
    fn take_up_again(&self, route: &Rc<LocalRoute>, former: &Former, unheard: Option<Instant>) {
        let (link, feed) = (&former.link, self.feed(former.link.side));
        *feed.present.borrow_mut() = Some(Rc::clone(link));
        feed.outage.set(former.outage.get());
        if let Some(since) = unheard {
            feed.misses(since);
        }
        link.pause(false);
        self.subscribe_all(route, link);
    }

    /// The link goes on delivering until the next one has taken over. `is_proven`: which has missed nothing.
    fn leave_link(&self, link: Rc<SubscriberLink>, epoch: Epoch, now: Instant, is_proven: bool) {
        let feed = self.feed(link.side);
        self.unconfirm(link.side);
        link.uncount_all();
        link.wishes.borrow_mut().clear();
        let outage = feed.outage.get();
        if self.is_needed() && !is_proven {
            let promoted = now.checked_sub(FOLLOW_INTERVAL).unwrap_or(now);
            feed.misses(promoted.min(link.heard_all.get()));
        }
        let former = Former {
            link,
            epoch,
            since: now,
            fence: Cell::new(None),
            is_last_word: Cell::new(true),
            outage: Cell::new(outage),
        };
        // The present link's place is empty by now, or about to be: the next one tells.
        if let Some(older) = feed.former.replace(Some(Rc::new(former)))
            && let Some(since) = older.close().filter(|_| self.is_needed())
        {
            feed.misses(since);
        }
    }

    /// A former link is over.
    pub(super) fn former_over(&self, route: &Rc<LocalRoute>, former: &Former) {
        let feed = self.feed(former.link.side);
        if let Some(present) = feed.ready() {
            present.pause(false);
            if present.is_muted.get() && present.begins.get().is_none() && present.behind.get() == 0 {
                self.mark(route, &present);
            }
        }
        let Some(since) = former.close().filter(|_| self.is_needed()) else {
            return;
        };
        match feed.ready().is_some_and(|present| present.is_complete.get()) {
            true => self.tell(route, former.link.side, since),
            false => feed.misses(since),
        }
    }

    fn unconfirm(&self, side: Side) {
        for topic in self.all() {
            topic.set_stage(side, Stage::Absent);
        }
    }

    /// Opens the side's link, if there is none, somebody listens and its node may be dialled.
    pub(super) fn dial(&self, route: &Rc<LocalRoute>, side: Side) {
        let feed = self.feed(side);
        let Some(Target { node, role }) = feed.target.borrow().clone() else {
            return;
        };
        if feed.present.borrow().is_some()
            || !self.is_needed()
            || !feed.backoff.borrow().allows(Instant::now())
        {
            return;
        }
        if self.uses_marks(route) {
            // Marks are published on it.
            let _ = route.links(side).shared(route, route.own_setting(side));
        }
        // A master tells nothing that it published before; a replica may, until its first mark comes through.
        let passed = if self.uses_marks(route) {
            0
        } else {
            self.last_number.get()
        };
        let Some(hub) = self.rc() else { return };
        let link = SubscriberLink::new(side, node, role, passed);
        *feed.present.borrow_mut() = Some(Rc::clone(&link));
        tokio::task::spawn_local(live(link, hub, Rc::clone(route)));
    }

    /// A link can be used: everything that is listened to is subscribed to.
    pub(super) fn link_ready(&self, route: &Rc<LocalRoute>, link: &Rc<SubscriberLink>) {
        link.ask_allowance();
        let feed = self.feed(link.side);
        if feed.is_present(link) {
            feed.is_failing.set(false);
        }
        if self.uses_marks(route) {
            link.is_muted.set(feed.has_told_more_than(&link.node));
            match link.is_muted.get() {
                true => link.begins.set(feed.begins(&link.node)),
                false => feed.heard(&link.node),
            }
        }
        self.subscribe_all(route, link);
    }

    fn subscribe_all(&self, route: &Rc<LocalRoute>, link: &Rc<SubscriberLink>) {
        let mut behind = 0;
        if self.uses_marks(route) {
            link.subscribe_marks(&self.mark_channel);
            behind += 1;
        }
        let mut topics = self.all();
        topics.sort_unstable_by_key(|topic| topic.number);
        for topic in topics {
            if topic.is_wanted() || link.is_prepared.get() {
                self.ask(link, &topic, true, usize::MAX);
                behind += 1;
            } else {
                topic.set_stage(link.side, Stage::Absent);
                self.forget(route, &topic);
            }
        }
        link.behind.set(behind);
        self.ask_for_patterns(route, link);
        if behind == 0 {
            self.caught_up(route, link);
        }
    }

    /// Everything a link began with is confirmed.
    pub(super) fn caught_up(&self, route: &Rc<LocalRoute>, link: &Rc<SubscriberLink>) {
        if link.is_prepared.get() {
            self.prove(route, link);
        } else if self.uses_marks(route) && !link.is_complete.get() {
            // Until a mark has come through, nothing says that the replica hears its master.
            self.mark(route, link);
        } else {
            self.complete(route, link);
        }
    }

    pub(super) fn complete(&self, route: &Rc<LocalRoute>, link: &Rc<SubscriberLink>) {
        let feed = self.feed(link.side);
        link.is_complete.set(true);
        if feed.is_present(link) {
            feed.backoff.borrow_mut().reset();
            if let Some(since) = feed.outage.take() {
                self.tell(route, link.side, since);
            }
            self.settle(route);
        }
    }

    /// A side that does not come back soon, or never: what may have been missed until now is told meanwhile.
    pub(super) fn tell_outages(&self, route: &LocalRoute, now: Instant) {
        for feed in &self.feeds {
            let is_due = |since: &Instant| now.saturating_duration_since(*since) >= GAP_TOLD_EVERY;
            if let Some(since) = feed.outage.get().filter(is_due) {
                self.tell(route, feed.side, since);
                feed.outage.set(Some(now));
            }
        }
    }

    /// Messages of `side` may have been missed from `since` until now: says so where that can be.
    pub(super) fn tell(&self, route: &LocalRoute, side: Side, since: Instant) {
        let now = Instant::now();
        let owned = self.weights.borrow().since(since);
        let concerned = self.concerned(side, owned);
        if concerned.is_empty() {
            return;
        }
        route.stats.gaps[side.index()].fetch_add(1, Ordering::Relaxed);
        let names = || concerned.iter().map(|topic| topic.name.to_vec()).collect();
        // Whoever listens for gaps need not be allowed to know what other users listen to.
        let is_named = !self.user.has_logged_in() && concerned.len() <= GAP_CHANNELS_MAX;
        route.pubsub().tell(Gap {
            route: route.name.clone(),
            side,
            channels: is_named.then(names),
            from: wall_time(since, now),
            to: wall_time(now, now),
        });
    }

    /// A link is over; returns how long to wait before the next attempt.
    fn link_ended(&self, route: &Rc<LocalRoute>, link: &Rc<SubscriberLink>) -> Duration {
        let feed = self.feed(link.side);
        let is_former = |former: &mut Rc<Former>| Rc::ptr_eq(&former.link, link);
        let former = feed.former.borrow_mut().take_if(is_former);
        if let Some(former) = former {
            self.former_over(route, &former);
            return Duration::ZERO;
        }
        if link.is_prepared.get() {
            self.heir_ended(route, link);
        }
        if !feed.is_present(link) {
            return Duration::ZERO;
        }
        feed.present.take();
        feed.ended(link);
        self.unconfirm(link.side);
        if link.ready_at.get().is_some() && self.is_needed() {
            let since = link.heard_all.get();
            if feed.keep_former() {
                feed.misses_unless_taken_up(since);
            } else {
                feed.misses(since);
            }
        }
        let now = Instant::now();
        let is_short = |since: Instant| now.saturating_duration_since(since) < SHORT_LIVED;
        if link.ready_at.get().is_some_and(|since| !is_short(since)) {
            // It may be one that is avoided from now on.
            self.retarget(route, now);
            return Duration::ZERO;
        }
        feed.is_failing.set(true);
        if link.role == NodeRole::Replica {
            feed.avoid(&link.node, now);
            self.retarget(route, now);
        }
        feed.backoff.borrow_mut().failed(now, fastrand::f64())
    }
}

/// A link from dial to end, and the attempt after it.
pub(super) async fn live(link: Rc<SubscriberLink>, hub: Rc<Hub>, route: Rc<LocalRoute>) {
    let (side, node) = (link.side, &link.node);
    let Some(dial) = hub.dial_as(&route, side, node, link.role) else {
        return link.close();
    };
    let opened = timeout(CONNECT_TIMEOUT, upstream::open(&dial)).await;
    let opened = opened.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()));
    match opened {
        Ok((stream, _)) => {
            let gauge = &route.stats.upstream_connections[side.index()];
            gauge.fetch_add(1, Ordering::Relaxed);
            if let Err(error) = subscriber_link::drive(&link, &hub, &route, stream).await {
                debug!(route = route.name, %side, %node, %error, "subscriber link ended");
            }
            gauge.fetch_sub(1, Ordering::Relaxed);
        }
        Err(HandshakeError::User(text)) if hub.user.has_logged_in() || route.asks_for_password(side) => {
            link.close();
            if hub.feed(side).is_present(&link) {
                hub.user_refused(&route, side, &text);
                route.user_refused(side, Setting::of(hub.user), text);
            }
        }
        Err(error) => {
            link.close();
            let feed = hub.feed(side);
            if feed.is_present(&link) && !feed.is_failing.get() {
                info!(route = route.name, %side, %node, %error, "node cannot be subscribed to");
            }
        }
    }
    if hub.is_over.get() {
        return;
    }
    let wait = hub.link_ended(&route, &link);
    hub.look_at_all(&route);
    if !wait.is_zero() {
        sleep(wait).await;
    }
    if !hub.is_over.get() {
        hub.dial(&route, side);
    }
}
