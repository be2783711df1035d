//! Where does a hub hear the messages of one side?
//!
//! Shell: on its one link to the side's master, or to a replica of the worker's own choice. When the node changes, the former
//! link goes on delivering until the present one has taken over.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::proof::StreamId;
use super::subscriber_link::{NodeRole, SubscriberLink};
use crate::cluster::{NodeAddr, Side};
use crate::config::SubscribeTo;
use crate::data_plane::upstream::Backoff;
use crate::limits::{MASTER_SETTLE_MAX, UNFIT_REPLICA};
use crate::routing::{Epoch, SideView};

/// Where a side is to be heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) node: Arc<NodeAddr>,
    pub(super) role: NodeRole,
}

/// A link that is being left.
pub(super) struct Former {
    pub(super) link: Rc<SubscriberLink>,
    /// What left it.
    pub(super) epoch: Epoch,
    pub(super) since: Instant,
    /// The fence that was asked of it, or the mark up to which it is heard, and when.
    pub(super) fence: Cell<Option<(u64, Instant)>>,
    /// Whether all that this process had published there was answered before the fence was asked for.
    pub(super) is_last_word: Cell<bool>,
    /// Since when messages may have been missed that are missed as well if it is taken up again.
    pub(super) outage: Cell<Option<Instant>>,
}

impl Former {
    /// Ends it. Returns since when it may have had messages to tell that nobody hears now; `None`: it has told all.
    pub(super) fn close(&self) -> Option<Instant> {
        self.link.close();
        let passed = self.link.passed.get();
        let has_passed = self.fence.get().is_some_and(|(number, _)| passed >= number);
        let has_told_all = has_passed && self.is_last_word.get();
        (!has_told_all).then(|| self.link.heard_all.get())
    }
}

/// One side's links.
pub(super) struct Feed {
    pub(super) side: Side,
    pub(super) target: RefCell<Option<Target>>,
    pub(super) present: RefCell<Option<Rc<SubscriberLink>>>,
    pub(super) former: RefCell<Option<Rc<Former>>>,
    /// The node that is being made master.
    pub(super) heir: RefCell<Option<Arc<NodeAddr>>>,
    /// The stream of replication that the present master begins.
    pub(super) followed: RefCell<Option<StreamId>>,
    /// The link to the heir.
    pub(super) prepared: RefCell<Option<Rc<SubscriberLink>>>,
    pub(super) backoff: RefCell<Backoff>,
    /// The last attempt failed: clients do not wait for it.
    pub(super) is_failing: Cell<bool>,
    /// Since when messages may have been missed.
    pub(super) outage: Cell<Option<Instant>>,
    /// Replicas that did not pass messages on, and until when they are avoided. One entry a node.
    unfit: RefCell<Vec<(Arc<NodeAddr>, Instant)>>,
    /// Where replicas are subscribed to: the node whose messages were delivered last.
    pub(super) heard_at: RefCell<Option<Arc<NodeAddr>>>,
    /// The mark with which a link that ended mute would have begun, and its node: the next one there begins with it.
    unheard: RefCell<Option<(Arc<NodeAddr>, u64)>>,
    /// Publishers went on with slots that have left the side while nothing could be heard here: what the next link tells of
    /// before may be out of order.
    pub(super) is_overtaken: Cell<bool>,
}

impl Feed {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            target: RefCell::default(),
            present: RefCell::default(),
            former: RefCell::default(),
            heir: RefCell::default(),
            followed: RefCell::default(),
            prepared: RefCell::default(),
            backoff: RefCell::default(),
            is_failing: Cell::new(false),
            outage: Cell::new(None),
            unfit: RefCell::default(),
            heard_at: RefCell::default(),
            unheard: RefCell::default(),
            is_overtaken: Cell::new(false),
        }
    }

    /// The present link, when requests may be sent on it.
    pub(super) fn ready(&self) -> Option<Rc<SubscriberLink>> {
        let present = self.present.borrow();
        present.as_ref().filter(|link| link.is_ready()).map(Rc::clone)
    }

    /// The link that is prepared, when requests may be sent on it.
    pub(super) fn prepared(&self) -> Option<Rc<SubscriberLink>> {
        let prepared = self.prepared.borrow();
        prepared.as_ref().filter(|link| link.is_ready()).map(Rc::clone)
    }

    /// The link that is being left, if it goes where `target` says and the present one has not taken over from it.
    pub(super) fn take_former(&self, target: &Target) -> Option<Rc<Former>> {
        let leads_there = |former: &mut Rc<Former>| {
            let link = &former.link;
            link.node == target.node && link.role == target.role && self.is_still_heard(link)
        };
        self.former.borrow_mut().take_if(leads_there)
    }

    /// Whether a former link still delivers, and the present one not in its place.
    fn is_still_heard(&self, former: &SubscriberLink) -> bool {
        let has_begun = |link: &Rc<SubscriberLink>| link.begins.get().is_some() && !link.is_muted.get();
        former.is_ready() && !former.is_muted.get() && !self.present.borrow().as_ref().is_some_and(has_begun)
    }

    /// The present link has not taken over, and another one is to: the former one goes on. `false` if there is none.
    pub(super) fn keep_former(&self) -> bool {
        let former = self.former.borrow();
        let still_heard = former.as_ref().filter(|former| self.is_still_heard(&former.link));
        if let Some(former) = still_heard {
            former.fence.set(None);
        }
        still_heard.is_some()
    }

    /// Ends all its links.
    pub(super) fn close(&self) {
        let former = self.former.take().map(|former| Rc::clone(&former.link));
        let links = [self.present.take(), self.prepared.take(), former];
        links.iter().flatten().for_each(|link| link.close());
        self.target.take();
        self.heir.take();
    }

    /// Whether `link` is the present one.
    pub(super) fn is_present(&self, link: &Rc<SubscriberLink>) -> bool {
        self.present
            .borrow()
            .as_ref()
            .is_some_and(|present| Rc::ptr_eq(present, link))
    }

    /// Whether nothing can be subscribed to here now, nor presumably in a moment.
    pub(super) fn is_down(&self) -> bool {
        match self.present.borrow().as_ref() {
            // A replica that does not hear its master is not waited for either.
            Some(link) if link.is_ready() => {
                let is_long = |since: Instant| since.elapsed() >= MASTER_SETTLE_MAX;
                link.is_muted.get() && link.ready_at.get().is_some_and(is_long)
            }
            _ => self.is_failing.get() || self.target.borrow().is_none(),
        }
    }

    /// Messages may be missed from `since` on.
    pub(super) fn misses(&self, since: Instant) {
        self.misses_unless_taken_up(since);
        if let Some(former) = self.former.borrow().as_ref() {
            former.outage.set(Some(earlier(former.outage.get(), since)));
        }
    }

    /// The same, but not if the former link, which is still heard, becomes the present one again.
    pub(super) fn misses_unless_taken_up(&self, since: Instant) {
        self.outage.set(Some(earlier(self.outage.get(), since)));
    }

    /// Whether clients may have been told already what a replica tells that is only just subscribed to, or what came after.
    /// One that was heard before goes on where it was.
    pub(super) fn has_told_more_than(&self, node: &Arc<NodeAddr>) -> bool {
        let is_other = self.heard_at.borrow().as_ref().is_some_and(|heard| heard != node);
        is_other || self.is_overtaken.get() || self.former.borrow().is_some()
    }

    /// A present link has ended, perhaps as its replica was given another master, which tells it the mark yet.
    pub(super) fn ended(&self, link: &SubscriberLink) {
        let begins = link.begins.get().filter(|_| link.is_muted.get());
        *self.unheard.borrow_mut() = begins.map(|number| (Arc::clone(&link.node), number));
    }

    /// The mark with which a new link begins that was published for one before it.
    pub(super) fn begins(&self, node: &Arc<NodeAddr>) -> Option<u64> {
        let unheard = self.unheard.take().filter(|(of, _)| of == node);
        let is_new = self.is_overtaken.get() || self.former.borrow().is_some();
        unheard.filter(|_| !is_new).map(|(_, number)| number)
    }

    /// The present link's messages are delivered from here on.
    pub(super) fn heard(&self, node: &Arc<NodeAddr>) {
        *self.heard_at.borrow_mut() = Some(Arc::clone(node));
        self.is_overtaken.set(false);
    }

    /// Everything is heard of the present link, and nothing is to come from a former one.
    pub(super) fn is_whole(&self) -> bool {
        let complete = |link: &Rc<SubscriberLink>| link.is_ready() && link.is_complete.get();
        self.former.borrow().is_none() && self.present.borrow().as_ref().is_some_and(complete)
    }

    /// Where worker number `worker` hears the side: the replica it has stays as long as there is one.
    pub(super) fn choose(
        &self,
        view: &SideView,
        subscribe_to: SubscribeTo,
        worker: usize,
        now: Instant,
    ) -> Option<Target> {
        let master = || {
            view.master.as_ref().map(|node| Target {
                node: Arc::clone(node),
                role: NodeRole::Master,
            })
        };
        if subscribe_to == SubscribeTo::Master {
            return master();
        }
        let unfit = self.unfit.borrow();
        let is_fit = |node: &&NodeAddr| {
            !unfit
                .iter()
                .any(|(avoided, until)| **avoided == **node && now < *until)
        };
        let fit: Vec<&NodeAddr> = view.replicas.iter().filter(is_fit).collect();
        let present = self.target.borrow();
        let stays = |target: &&Target| target.role == NodeRole::Replica && fit.contains(&&*target.node);
        if let Some(target) = present.as_ref().filter(stays) {
            return Some(target.clone());
        }
        match fit.len() {
            0 => master(),
            count => fit.get(worker % count).map(|node| Target {
                node: Arc::new((*node).clone()),
                role: NodeRole::Replica,
            }),
        }
    }

    /// The replica heard until now does not pass messages on.
    pub(super) fn avoid(&self, node: &Arc<NodeAddr>, now: Instant) {
        let mut unfit = self.unfit.borrow_mut();
        unfit.retain(|(avoided, until)| avoided != node && now < *until);
        unfit.push((Arc::clone(node), now + UNFIT_REPLICA));
    }
}

fn earlier(outage: Option<Instant>, since: Instant) -> Instant {
    outage.map_or(since, |outage| outage.min(since))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(replicas: &[u16]) -> SideView {
        SideView {
            master: Some(Arc::new(NodeAddr::new("m", 1))),
            replicas: replicas
                .iter()
                .map(|port| NodeAddr::new("r", *port))
                .collect::<Vec<_>>()
                .into(),
            ..SideView::default()
        }
    }

    fn chosen(feed: &Feed, view: &SideView, worker: usize, now: Instant) -> (NodeRole, u16) {
        let target = feed.choose(view, SubscribeTo::Replica, worker, now).unwrap();
        let chosen = (target.role, target.node.port);
        *feed.target.borrow_mut() = Some(target);
        chosen
    }

    #[test]
    fn workers_are_spread_over_replicas_and_stay_where_they_are() {
        let now = Instant::now();
        let (first, second) = (Feed::new(Side::Old), Feed::new(Side::Old));
        assert_eq!(chosen(&first, &view(&[5, 6]), 0, now), (NodeRole::Replica, 5));
        assert_eq!(chosen(&second, &view(&[5, 6]), 1, now), (NodeRole::Replica, 6));
        assert_eq!(chosen(&second, &view(&[4, 5, 6]), 1, now), (NodeRole::Replica, 6));
        assert_eq!(chosen(&second, &view(&[4, 5]), 1, now), (NodeRole::Replica, 5));
        assert_eq!(chosen(&second, &view(&[]), 1, now), (NodeRole::Master, 1));
        assert_eq!(chosen(&second, &view(&[7]), 1, now), (NodeRole::Replica, 7));
    }

    #[test]
    fn a_replica_that_does_not_pass_messages_on_is_left_for_a_while() {
        let now = Instant::now();
        let feed = Feed::new(Side::Old);
        assert_eq!(chosen(&feed, &view(&[5]), 0, now), (NodeRole::Replica, 5));
        feed.avoid(&Arc::new(NodeAddr::new("r", 5)), now);
        assert_eq!(chosen(&feed, &view(&[5]), 0, now), (NodeRole::Master, 1));
        assert_eq!(chosen(&feed, &view(&[5, 6]), 0, now), (NodeRole::Replica, 6));
        feed.avoid(&Arc::new(NodeAddr::new("r", 6)), now);
        assert_eq!(chosen(&feed, &view(&[5, 6]), 0, now), (NodeRole::Master, 1));
        let later = now + UNFIT_REPLICA;
        assert_eq!(chosen(&feed, &view(&[5]), 0, later), (NodeRole::Replica, 5));
    }
}
