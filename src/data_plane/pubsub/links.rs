//! What becomes of a hub's links: dialled, complete, lost, left, silent?
//!
//! Shell. A lost link is dialled anew at once, and everything subscribed to again. What may have been missed is from the last
//! byte of the lost link until the last confirmation on the next; it is told when the side owned any of it meanwhile.
//!
//! After a change of master the next link is subscribed first, and only then the former one left, behind a fence: all that
//! was published there through this process is heard. That is told as a gap all the same: others may have published on the
//! new master between its promotion, which is noticed late, and our subscription.
//!
//! Where replicas are subscribed to, links are watched by marks, published on the master and heard on the replica. Every one
//! must come back, in order: a full resync drops what was published meanwhile without closing the link. What is lost
//! between two marks (250 ms apart) without a mark cannot be noticed. Two replicas of one master tell the same
//! messages: there the former link is heard up to a mark, and the present one from that mark on.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tracing::{debug, info};

use super::feed::{Former, Target};
use super::gap::{Gap, wall_time};
use super::hub::Hub;
use super::settling::{Cause, Fence, Ground};
use super::subscriber_link::{self, NodeRole, SubscriberLink, garbage};
use super::topic::Stage;
use crate::cluster::Side;
use crate::config::SubscribeTo;
use crate::data_plane::local_route::LocalRoute;
use crate::data_plane::session::Session;
use crate::data_plane::upstream::{self, Dial, Lease, Wanted};
use crate::limits::{
    CONNECT_TIMEOUT, FOLLOW_INTERVAL, GAP_CHANNELS_MAX, GAP_SLACK, LEFT_MASTER_WAIT, SETTLE_MAX, SETTLE_STEP,
    SUBSCRIBER_SILENT_CHECKS,
};
use crate::resp::write_command;
use crate::routing::{Epoch, SideView, Snapshot};

/// A link that ends sooner than this after it was ready counts as a failed attempt.
const SHORT_LIVED: Duration = Duration::from_secs(1);

impl Hub {
    /// The route's first snapshot.
    pub(crate) fn begin(&self, snapshot: &Snapshot, subscribe_to: SubscribeTo) {
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
        }
        let mut settling = self.settling.borrow_mut();
        settling.begin(after.epoch, causes(before, after), now, route.clock_micros());
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
        if route.subscribe_to() == SubscribeTo::Replica {
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
        let target = feed.choose(view, route.subscribe_to(), self.worker, now);
        if *feed.target.borrow() == target {
            return;
        }
        *feed.target.borrow_mut() = target.clone();
        feed.backoff.borrow_mut().reset();
        feed.is_failing.set(false);
        let Some(target) = target else { return };
        let present = feed.present.borrow().clone();
        if let Some(former) = feed.take_former(&target) {
            if let Some(link) = feed.present.take() {
                link.close();
            }
            self.take_up_again(route, &former);
            return;
        }
        if let Some(link) = present {
            if link.node == target.node && link.role == target.role {
                return;
            }
            if link.is_ready() {
                self.leave_link(link, snapshot.epoch, now);
            } else {
                link.close();
            }
            feed.present.take();
        }
        self.dial(route, side);
    }

    /// A link that was being left is the present one again: it has been heard all along.
    fn take_up_again(&self, route: &Rc<LocalRoute>, former: &Former) {
        let (link, feed) = (&former.link, self.feed(former.link.side));
        *feed.present.borrow_mut() = Some(Rc::clone(link));
        feed.outage.set(former.outage);
        link.is_muted.set(false);
        link.pause(false);
        self.subscribe_all(route, link);
    }

    /// The link goes on delivering until the next one has taken over.
    fn leave_link(&self, link: Rc<SubscriberLink>, epoch: Epoch, now: Instant) {
        let feed = self.feed(link.side);
        self.unconfirm(link.side);
        let outage = feed.outage.get();
        if self.is_needed() {
            feed.misses(now.checked_sub(FOLLOW_INTERVAL).unwrap_or(now));
        }
        let former = Former {
            link,
            epoch,
            fence: Cell::new(None),
            outage,
        };
        if let Some(older) = feed.former.replace(Some(Rc::new(former))) {
            older.link.close();
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
        if uses_marks(route) {
            // Marks are published on it.
            let _ = route.links(side).shared(route, 0);
        }
        let link = SubscriberLink::new(side, node, role, self.last_number.get());
        *feed.present.borrow_mut() = Some(Rc::clone(&link));
        tokio::task::spawn_local(live(link, Rc::clone(route)));
    }

    /// A link can be used: everything that is listened to is subscribed to.
    pub(super) fn link_ready(&self, route: &Rc<LocalRoute>, link: &Rc<SubscriberLink>) {
        let feed = self.feed(link.side);
        feed.is_failing.set(false);
        link.is_muted
            .set(uses_marks(route) && feed.former.borrow().is_some());
        self.subscribe_all(route, link);
    }

    fn subscribe_all(&self, route: &Rc<LocalRoute>, link: &Rc<SubscriberLink>) {
        let mut behind = 0;
        if uses_marks(route) {
            link.subscribe_marks(&self.mark_channel);
            behind += 1;
        }
        for topic in self.all() {
            if topic.is_wanted() {
                self.ask(link, &topic, true);
                behind += 1;
            } else {
                topic.set_stage(link.side, Stage::Absent);
                self.forget(&topic);
            }
        }
        link.behind.set(behind);
        if behind == 0 {
            self.caught_up(route, link);
        }
    }

    /// Everything a link began with is confirmed.
    pub(super) fn caught_up(&self, route: &Rc<LocalRoute>, link: &Rc<SubscriberLink>) {
        if uses_marks(route) && !link.is_complete.get() {
            // Until a mark has come through, nothing says that the replica hears its master.
            self.mark(route, link);
        } else {
            self.complete(route, link);
        }
    }

    fn complete(&self, route: &Rc<LocalRoute>, link: &Rc<SubscriberLink>) {
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

    /// Messages of `side` may have been missed from `since` until now: says so where that can be.
    fn tell(&self, route: &LocalRoute, side: Side, since: Instant) {
        let now = Instant::now();
        let from = since.checked_sub(GAP_SLACK).unwrap_or(since);
        let owned = self.weights.borrow().since(from);
        let concerned = self.concerned(side, owned);
        if concerned.is_empty() {
            return;
        }
        route.stats.gaps[side.index()].fetch_add(1, Ordering::Relaxed);
        let names = || concerned.iter().map(|topic| topic.name.to_vec()).collect();
        route.pubsub().tell(Gap {
            route: route.name.clone(),
            side,
            channels: (concerned.len() <= GAP_CHANNELS_MAX).then(names),
            from: wall_time(from, now),
            to: wall_time(now, now),
        });
    }

    /// A link is over; returns how long to wait before the next attempt.
    fn link_ended(&self, route: &Rc<LocalRoute>, link: &Rc<SubscriberLink>) -> Duration {
        let feed = self.feed(link.side);
        let is_former = |former: &Rc<Former>| Rc::ptr_eq(&former.link, link);
        if feed.former.borrow().as_ref().is_some_and(is_former) {
            feed.former.take();
            if let Some(present) = feed.ready() {
                present.is_muted.set(false);
                present.pause(false);
            }
            // Its place may not have been taken yet.
            if !feed.ready().is_some_and(|present| present.is_complete.get()) {
                feed.misses(link.heard.get());
            }
            return Duration::ZERO;
        }
        if !feed.is_present(link) {
            return Duration::ZERO;
        }
        feed.present.take();
        self.unconfirm(link.side);
        if link.ready_at.get().is_some() && self.is_needed() {
            feed.misses(link.heard.get());
        }
        let now = Instant::now();
        let is_short = |since: Instant| now.saturating_duration_since(since) < SHORT_LIVED;
        if link.ready_at.get().is_some_and(|since| !is_short(since)) {
            return Duration::ZERO;
        }
        feed.is_failing.set(true);
        if link.role == NodeRole::Replica {
            feed.avoid(&link.node, now);
            self.retarget(route, now);
        }
        feed.backoff.borrow_mut().failed(now, fastrand::f64())
    }

    /// Whether the link's replica still hears its master.
    pub(super) fn check(&self, route: &Rc<LocalRoute>, link: &Rc<SubscriberLink>) -> io::Result<()> {
        if !uses_marks(route) || link.behind.get() > 0 || !self.feed(link.side).is_present(link) {
            return Ok(());
        }
        if link.marks.borrow().len() >= SUBSCRIBER_SILENT_CHECKS as usize {
            self.feed(link.side).avoid(&link.node, Instant::now());
            return Err(garbage("the replica does not pass messages on"));
        }
        self.mark(route, link);
        Ok(())
    }

    /// Publishes a mark on the side's master, if that can be done.
    fn mark(&self, route: &Rc<LocalRoute>, link: &SubscriberLink) {
        let Some(number) = self.publish_mark(route, link.side) else {
            return;
        };
        link.marks.borrow_mut().push_back(number);
        if let Some(former) = self.feed(link.side).former.borrow().as_ref()
            && former.fence.get().is_none()
        {
            former.fence.set(Some((number, Instant::now())));
        }
    }

    fn publish_mark(&self, route: &Rc<LocalRoute>, side: Side) -> Option<u64> {
        let Lease::Ready(master) = route.links(side).shared(route, 0) else {
            return None;
        };
        let number = self.next_number();
        let mut request = Vec::new();
        let mut digits = itoa::Buffer::new();
        write_command(
            &mut request,
            &[b"PUBLISH", &self.mark_channel, digits.format(number).as_bytes()],
        );
        let marker = self.marker.get_or_init(|| Session::new(0, Rc::clone(route)));
        marker.send_own(&master, &request);
        Some(number)
    }

    pub(super) fn next_number(&self) -> u64 {
        self.last_number.set(self.last_number.get() + 1);
        self.last_number.get()
    }

    /// A mark has come through a replica.
    pub(super) fn marked(&self, route: &Rc<LocalRoute>, link: &Rc<SubscriberLink>, message: &[u8]) {
        let Some(number) = mark_number(message) else {
            return;
        };
        link.passed.set(link.passed.get().max(number));
        let feed = self.feed(link.side);
        let former = feed.former.borrow().clone();
        if let Some(former) = former
            && let Some((cut, _)) = former.fence.get()
            && number >= cut
        {
            // From here on it is the present link's to deliver, once the former one has got here too.
            let is_former = Rc::ptr_eq(&former.link, link);
            link.is_muted.set(is_former);
            if is_former {
                return;
            }
            link.pause(former.link.passed.get() < cut && former.link.is_ready());
        }
        let is_lost = {
            let mut marks = link.marks.borrow_mut();
            let earlier = marks.iter().take_while(|mark| **mark < number).count();
            let is_known = marks.get(earlier) == Some(&number);
            marks.drain(..earlier + usize::from(is_known));
            earlier > 0
        };
        if is_lost {
            // Marks before this one never came: the replica was resynchronized past them.
            feed.misses(link.marked.get());
        }
        let is_whole = link.behind.get() == 0 && !link.is_muted.get();
        if is_whole && (is_lost || !link.is_complete.get()) {
            self.complete(route, link);
        }
        link.marked.set(Instant::now());
    }

    /// Goes on with what is unsettled, and keeps at it until nothing is.
    pub(super) fn settle(&self, route: &Rc<LocalRoute>) {
        if self.step(route) && !self.is_stepping.replace(true) {
            tokio::task::spawn_local(keep_stepping(Rc::clone(route)));
        }
    }

    /// `false` once all is settled.
    fn step(&self, route: &Rc<LocalRoute>) -> bool {
        let now = Instant::now();
        let all = route.pubsub().reached();
        for side in Side::BOTH {
            self.step_former(route, side, all.0, now);
        }
        let mut ground = Here { hub: self, route };
        let mut settling = self.settling.borrow_mut();
        let before = settling.len();
        let (drained, passed) = settling.step(now, all, &mut ground);
        self.marks.set(drained, passed);
        let after = settling.len();
        drop(settling);
        let is_unsettled = after > 0;
        self.is_unsettled.set(is_unsettled);
        if after < before {
            route.wake_waiting();
        }
        is_unsettled || self.feeds.iter().any(|feed| feed.former.borrow().is_some())
    }

    /// Lets a former link go, once the present one has taken over and it has told all it had to.
    fn step_former(&self, route: &Rc<LocalRoute>, side: Side, all_drained: Epoch, now: Instant) {
        let feed = self.feed(side);
        let Some(former) = feed.former.borrow().clone() else {
            return;
        };
        let Some(present) = feed.ready() else { return };
        if !present.is_complete.get() {
            let is_cut = former.fence.get().is_some();
            if uses_marks(route) && present.behind.get() == 0 && !is_cut {
                // The link to the master may not have been ready before.
                self.mark(route, &present);
            }
            return;
        }
        // What two replicas tell is the same, so that the former one may be waited for; a former master may be dead.
        let patience = if uses_marks(route) {
            SETTLE_MAX
        } else {
            LEFT_MASTER_WAIT
        };
        let over_for = |since: Instant| now.saturating_duration_since(since) >= patience;
        match former.fence.get() {
            None if uses_marks(route) => self.mark(route, &present),
            None => {
                let taken_over = present.ready_at.get().unwrap_or(now);
                if all_drained >= former.epoch || over_for(taken_over) {
                    let number = self.next_number();
                    former.link.ping(number);
                    former.fence.set(Some((number, now)));
                }
            }
            Some((number, since)) => {
                if former.link.passed.get() >= number || !former.link.is_ready() || over_for(since) {
                    former.link.close();
                    feed.former.take();
                    present.pause(false);
                }
            }
        }
    }
}

/// Whether links may be to replicas: what was published on the master is then told by marks.
fn uses_marks(route: &LocalRoute) -> bool {
    route.subscribe_to() == SubscribeTo::Replica
}

/// What has moved between two snapshots.
fn causes(before: &Snapshot, after: &Snapshot) -> Vec<Cause> {
    let master = |view: Option<&SideView>| view.and_then(|view| view.master.clone());
    let mut causes = Vec::new();
    for side in Side::BOTH {
        let (was, is) = (master(before.side(side)), master(after.side(side)));
        if is.is_some() && was != is {
            causes.push(Cause::Master { side });
        }
    }
    if after.new.is_none() {
        return causes;
    }
    if after.epoch > before.epoch.next() {
        // Changes were missed that others may have published by.
        for (from, to) in [(0, 10_000), (10_000, 0)] {
            let weight = |steps| crate::routing::Weight::from_steps(steps).unwrap_or_default();
            causes.extend(Cause::moved(weight(from), weight(to)));
        }
    } else {
        causes.extend(Cause::moved(before.weight, after.weight));
    }
    causes
}

/// What a change is settled on.
struct Here<'a> {
    hub: &'a Hub,
    route: &'a Rc<LocalRoute>,
}

impl Ground for Here<'_> {
    fn is_drained(&self, side: Side, at_micros: u32) -> bool {
        !self.route.links(side).has_publish_before(at_micros)
    }

    fn fence(&mut self, cause: &Cause) -> Fence {
        let feed = self.hub.feed(cause.side());
        if !self.hub.is_needed() {
            return Fence::Passed;
        }
        if let Cause::Master { .. } = cause {
            if feed.target.borrow().is_none() {
                return Fence::Passed;
            }
            if !feed.is_whole() {
                return Fence::NotYet;
            }
            if !uses_marks(self.route) {
                return Fence::Passed;
            }
            // The replica may have stayed: it has to hear its next master first.
        }
        let has_former = feed.former.borrow().is_some();
        let present = feed.ready();
        if uses_marks(self.route) && (has_former || present.is_some()) {
            // A PING would only tell what the replica has heard so far. Every link gets to hear the mark.
            let number = self.hub.publish_mark(self.route, feed.side);
            return number.map_or(Fence::NotYet, Fence::Sent);
        }
        if has_former {
            return Fence::NotYet;
        }
        let Some(link) = present else {
            return Fence::Passed;
        };
        let number = self.hub.next_number();
        link.ping(number);
        Fence::Sent(number)
    }

    fn has_passed(&self, cause: &Cause, number: u64) -> bool {
        // The link it was sent on may be the former one by now.
        let feed = self.hub.feed(cause.side());
        let has_passed = |link: &SubscriberLink| !link.is_ready() || link.passed.get() >= number;
        let former = feed.former.borrow();
        former.as_ref().is_none_or(|former| has_passed(&former.link))
            && feed.ready().is_none_or(|link| has_passed(&link))
    }
}

async fn keep_stepping(route: Rc<LocalRoute>) {
    loop {
        sleep(SETTLE_STEP).await;
        if !route.hub.step(&route) {
            route.hub.is_stepping.set(false);
            return;
        }
    }
}

/// A link from dial to end, and the attempt after it.
async fn live(link: Rc<SubscriberLink>, route: Rc<LocalRoute>) {
    let (side, node) = (link.side, &link.node);
    let dial = Dial {
        node,
        auth: route
            .endpoint(side)
            .and_then(|endpoint| endpoint.node_auth.as_ref()),
        database: 0,
        name: "switchback-subscriber",
        wanted: match link.role {
            NodeRole::Master => Wanted::Master,
            NodeRole::Replica => Wanted::Replica,
        },
    };
    let opened = timeout(CONNECT_TIMEOUT, upstream::open(&dial)).await;
    let opened = opened.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()));
    match opened {
        Ok((stream, _)) => {
            let gauge = &route.stats.upstream_connections[side.index()];
            gauge.fetch_add(1, Ordering::Relaxed);
            if let Err(error) = subscriber_link::drive(&link, &route, stream).await {
                debug!(route = route.name, %side, %node, %error, "subscriber link ended");
            }
            gauge.fetch_sub(1, Ordering::Relaxed);
        }
        Err(error) => {
            link.close();
            let feed = route.hub.feed(side);
            if feed.is_present(&link) && !feed.is_failing.get() {
                info!(route = route.name, %side, %node, %error, "node cannot be subscribed to");
            }
        }
    }
    let wait = route.hub.link_ended(&route, &link);
    route.hub.look_at_all(&route);
    if !wait.is_zero() {
        sleep(wait).await;
    }
    route.hub.dial(&route, side);
}

/// The number in a mark.
fn mark_number(message: &[u8]) -> Option<u64> {
    let text = message.strip_suffix(b"\r\n")?;
    let start = text.iter().rposition(|byte| *byte == b'\n')? + 1;
    std::str::from_utf8(text.get(start..)?).ok()?.parse().ok()
}
