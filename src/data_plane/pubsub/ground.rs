//! How does a worker take part in settling a change?
//!
//! Shell: what [`super::settling`] asks for, done with this worker's links; and the task that goes on with it until all has
//! settled and no former link is left.

use std::rc::Rc;
use std::time::Instant;

use tokio::time::sleep;

use super::feed::Feed;
use super::hub::Hub;
use super::settling::{Cause, Fence, Ground};
use super::subscriber_link::SubscriberLink;
use crate::cluster::Side;
use crate::data_plane::local_route::LocalRoute;
use crate::limits::{LEFT_MASTER_WAIT, SETTLE_MAX, SETTLE_STEP};
use crate::routing::{Epoch, SideView, Snapshot, Weight};

impl Hub {
    /// Goes on with what is unsettled, and keeps at it until nothing is.
    pub(super) fn settle(&self, route: &Rc<LocalRoute>) {
        if self.step(route)
            && !self.is_stepping.replace(true)
            && let Some(hub) = self.rc()
        {
            tokio::task::spawn_local(keep_stepping(hub, Rc::clone(route)));
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
            let is_idle = present.behind.get() == 0 && present.marks.borrow().is_empty();
            if self.uses_marks(route) && is_idle && !is_cut {
                // The link to the master may not have been ready before.
                self.mark(route, &present);
            }
            return;
        }
        // What two replicas tell is the same, and one may lag: the former is waited for. A former master may be dead.
        let patience = if self.uses_marks(route) {
            SETTLE_MAX
        } else {
            LEFT_MASTER_WAIT
        };
        let over_for = |since: Instant| now.saturating_duration_since(since) >= patience;
        match former.fence.get() {
            None if self.uses_marks(route) => self.mark(route, &present),
            None => {
                let taken_over = present.ready_at.get().unwrap_or(now).max(former.since);
                let is_drained = all_drained >= former.epoch;
                if is_drained || over_for(taken_over) {
                    former.is_last_word.set(is_drained);
                    let number = self.next_number();
                    former.link.ping(number);
                    former.fence.set(Some((number, now)));
                }
            }
            Some((number, since)) => {
                if former.link.passed.get() >= number || !former.link.is_ready() || over_for(since) {
                    feed.former.take();
                    self.former_over(route, &former);
                }
            }
        }
    }
}

/// What has moved between two snapshots.
pub(super) fn causes(before: &Snapshot, after: &Snapshot) -> Vec<Cause> {
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
            let weight = |steps| Weight::from_steps(steps).unwrap_or_default();
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
            feed.is_overtaken.set(true);
            return Fence::Passed;
        }
        match cause {
            Cause::Master { .. } if feed.target.borrow().is_none() => Fence::Passed,
            Cause::Master { .. } if self.hub.uses_marks(self.route) => {
                // The replica may have stayed: it has to hear its next master first.
                let is_heard = |link: Rc<SubscriberLink>| link.behind.get() == 0;
                let is_settled = feed.former.borrow().is_none() && feed.ready().is_some_and(is_heard);
                let number = is_settled.then(|| self.hub.fence_by_mark(self.route, feed.side));
                number.flatten().map_or(Fence::NotYet, Fence::Sent)
            }
            Cause::Master { .. } if feed.is_whole() => Fence::Passed,
            Cause::Master { .. } => Fence::NotYet,
            Cause::Moved { .. } if self.hub.uses_marks(self.route) => self.fence_by_mark(feed),
            Cause::Moved { .. } => self.fence_by_ping(feed),
        }
    }

    fn has_passed(&self, cause: &Cause, number: u64) -> bool {
        // The link it was sent on may be the former one by now.
        let feed = self.hub.feed(cause.side());
        let is_moved = matches!(cause, Cause::Moved { .. });
        let has_heard = |link: &SubscriberLink| link.passed.get() >= number;
        let former = feed.former.borrow();
        let is_waited_for = former.as_ref().filter(|former| former.link.is_ready());
        if is_waited_for.is_some_and(|former| !has_heard(&former.link)) {
            return false;
        }
        match feed.ready() {
            Some(link) if link.is_muted.get() && is_moved => {
                // What it will deliver begins behind the fence, or with a mark before it.
                has_heard(&link) || link.begins.get().is_none_or(|begins| begins >= number)
            }
            Some(link) => has_heard(&link),
            None => {
                feed.is_overtaken.set(feed.is_overtaken.get() || is_moved);
                true
            }
        }
    }

    fn overtake(&mut self, cause: &Cause) {
        let feed = self.hub.feed(cause.side());
        if let Some(former) = feed.former.borrow().as_ref() {
            former.link.close();
        }
        let Some(link) = feed.ready() else {
            feed.is_overtaken.set(true);
            return;
        };
        feed.misses(link.heard_all.get());
        if self.hub.uses_marks(self.route) {
            link.is_doubtful_before(self.hub.last_number.get() + 1);
        } else {
            let number = self.hub.next_number();
            link.is_doubtful_before(number);
            link.ping(number);
        }
    }
}

impl Here<'_> {
    /// A PING would only tell what the replica has heard so far.
    fn fence_by_mark(&self, feed: &Feed) -> Fence {
        if feed.former.borrow().is_none() && feed.ready().is_none() {
            feed.is_overtaken.set(true);
            return Fence::Passed;
        }
        let number = self.hub.fence_by_mark(self.route, feed.side);
        number.map_or(Fence::NotYet, Fence::Sent)
    }

    fn fence_by_ping(&self, feed: &Feed) -> Fence {
        if feed.former.borrow().is_some() {
            return Fence::NotYet;
        }
        let Some(link) = feed.ready() else {
            return Fence::Passed;
        };
        let number = self.hub.next_number();
        link.ping(number);
        Fence::Sent(number)
    }
}

async fn keep_stepping(hub: Rc<Hub>, route: Rc<LocalRoute>) {
    loop {
        sleep(SETTLE_STEP).await;
        if hub.is_over.get() || !hub.step(&route) {
            hub.is_stepping.set(false);
            return;
        }
    }
}
