//! What do clients learn of messages that they may have missed, when the process ends and their connections with it?
//!
//! Shell: a gap is told when the next link has taken over, and the end may come before that. So each link is asked whether all that was
//! published until now has been heard; where no answer comes in time, the gap is told as far as it goes by then.

use std::rc::Rc;
use std::time::Instant;

use super::feed::Feed;
use super::hub::Hub;
use super::subscriber_link::{NodeRole, SubscriberLink};
use crate::data_plane::local_route::LocalRoute;

impl Hub {
    /// Asks every link that somebody needs.
    pub(crate) fn ask_at_last(&self, route: &Rc<LocalRoute>) {
        for link in self.heard() {
            match link.role {
                NodeRole::Master => link.ping(0),
                NodeRole::Replica => self.mark(route, &link),
            }
        }
    }

    /// Whether every link has told all that was published before it was asked, at `asked` or later.
    pub(crate) fn has_heard_all(&self, asked: Instant) -> bool {
        self.heard().all(|link| link.heard_all.get() >= asked)
    }

    /// Tells the clients what they may have missed until now. Returns whether there is anything.
    pub(crate) fn tell_at_last(&self, route: &LocalRoute, asked: Instant) -> bool {
        let mut is_told = false;
        for feed in self.feeds.iter().filter(|_| self.is_needed()) {
            let heard = feed.delivering().map(|link| link.heard_all.get());
            let unheard = heard.filter(|heard| *heard < asked);
            if let Some(since) = unheard.chain(feed.outage.get()).min() {
                self.tell(route, feed.side, since);
                // What comes after is told as ever, to those that are still there.
                feed.outage.set(feed.outage.get().map(|_| Instant::now()));
                is_told = true;
            }
        }
        is_told
    }

    fn heard(&self) -> impl Iterator<Item = Rc<SubscriberLink>> {
        let feeds = self.feeds.iter().filter(|_| self.is_needed());
        feeds.flat_map(Feed::delivering)
    }
}

impl Feed {
    /// The links whose messages are delivered, or may have to be.
    fn delivering(&self) -> impl Iterator<Item = Rc<SubscriberLink>> + use<> {
        let former = self.former.borrow();
        let former = former.as_ref().map(|former| Rc::clone(&former.link));
        self.ready().into_iter().chain(former)
    }
}
