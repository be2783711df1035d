//! How fast is a node asked for patterns?
//!
//! Shell. A Redis looks through all patterns of a client for each that it subscribes to or leaves, and does nothing else
//! meanwhile; all clients of a worker are one client to it. A hundred thousand asked for in one write keep it busy for seconds
//! on end, so that it is silent, and everyone's messages are late. So it has a few of them before it at a time, and what else
//! it is asked comes between; and a request for a few patterns does not wait behind one for thousands.

use std::collections::VecDeque;
use std::rc::Rc;

use super::hub::Hub;
use super::subscriber_link::SubscriberLink;
use super::topic::{Stage, Topic};
use crate::data_plane::local_route::LocalRoute;
use crate::limits::{FEW_PATTERNS, PATTERNS_ASKED_MAX};

/// A pattern that a node is to be asked for, or to be told to leave.
struct Wish {
    topic: Rc<Topic>,
    what: What,
}

enum What {
    /// `is_first`: one of those that the link began with.
    Subscribe {
        is_first: bool,
    },
    Unsubscribe,
}

/// What a link has not asked its node for yet.
#[derive(Default)]
pub(super) struct Wishes {
    /// Of requests for a few patterns: first.
    few: VecDeque<Wish>,
    many: VecDeque<Wish>,
    /// Asked for, and not answered.
    asked: usize,
}

impl Wishes {
    /// One more to subscribe to, by a request for `of` patterns.
    pub(super) fn subscribe(&mut self, topic: &Rc<Topic>, is_first: bool, of: usize) {
        let queue = match of <= FEW_PATTERNS {
            true => &mut self.few,
            false => &mut self.many,
        };
        queue.push_back(Wish {
            topic: Rc::clone(topic),
            what: What::Subscribe { is_first },
        });
    }

    /// One more to leave; never before it has been subscribed to.
    pub(super) fn unsubscribe(&mut self, topic: &Rc<Topic>) {
        self.many.push_back(Wish {
            topic: Rc::clone(topic),
            what: What::Unsubscribe,
        });
    }

    /// The node has answered one.
    pub(super) fn answered(&mut self) {
        self.asked = self.asked.saturating_sub(1);
    }

    /// The link is being left.
    pub(super) fn clear(&mut self) {
        self.few.clear();
        self.many.clear();
    }

    fn next(&mut self) -> Option<Wish> {
        if self.asked >= PATTERNS_ASKED_MAX {
            return None;
        }
        self.few.pop_front().or_else(|| self.many.pop_front())
    }
}

impl Hub {
    /// Asks for as much as the node may have before it.
    pub(super) fn ask_for_patterns(&self, route: &Rc<LocalRoute>, link: &Rc<SubscriberLink>) {
        loop {
            let wish = link.wishes.borrow_mut().next();
            let Some(Wish { topic, what }) = wish else {
                return;
            };
            let known = self.find(topic.kind, &topic.name);
            let is_known = known.as_ref().is_some_and(|known| Rc::ptr_eq(known, &topic));
            match what {
                What::Subscribe { is_first } if is_known => link.send_subscribe(&topic, is_first),
                // Nobody wants it any more. An earlier one of that name may still be subscribed to, so it is to be left.
                What::Subscribe { is_first } => {
                    if is_first {
                        self.behind_less(route, link);
                    }
                    continue;
                }
                // It was never asked for; or somebody wants it again, and may have it already.
                What::Unsubscribe if topic.stage_on(link) == Stage::Absent || known.is_some() => continue,
                What::Unsubscribe => link.send_unsubscribe(&topic),
            }
            link.wishes.borrow_mut().asked += 1;
        }
    }
}
