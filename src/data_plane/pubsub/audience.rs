//! How many clients hear a channel, where its node counts links?
//!
//! Shell: what the workers of a route know of it together. A node counts a worker's link once, however many of its clients
//! listen, and goes on counting it for the moment that a topic nobody listens to stays subscribed. So that the reply to
//! PUBLISH, or to PUBSUB NUMSUB, tells what it would tell without a proxy, each node's count is corrected by the
//! difference: clients of a worker whose link has been confirmed, less that link.
//!
//! A PUBLISH reads without a lock; the lock is taken when a worker first listens to a topic or forgets it. A topic is
//! counted where the node has confirmed it, until it confirms the opposite or the link ends.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::glob::matches;
use super::subscriber_link::NodeRole;
use super::topic::Topic;
use crate::cluster::Side;
use crate::data_plane::command::TopicKind;
use crate::limits::{MATCH_STEPS_MAX, UNEVEN_PATTERNS_MAX, UNEVEN_STEPS_MAX};

/// Names of these channels are the proxy's own, and nobody else's to know.
const OWN_CHANNELS: &[u8] = b"__switchback:";

type Names = papaya::HashMap<Box<[u8]>, Arc<Heard>>;

/// What the workers of a route know of who listens.
#[derive(Default)]
pub(crate) struct Audience {
    /// By kind.
    heard: [Names; 3],
    /// Taken to add or remove a name.
    changing: Mutex<()>,
    /// Patterns with more or fewer clients than links: those that a PUBLISH has to look at.
    uneven: papaya::HashMap<Box<[u8]>, Arc<Heard>>,
    uneven_count: AtomicUsize,
}

/// One topic, of all workers.
pub(crate) struct Heard {
    name: Box<[u8]>,
    kind: TopicKind,
    /// How many workers know the topic. Changed under the lock.
    workers: AtomicUsize,
    /// By side: clients of the workers that hear it there.
    clients: [AtomicI64; 2],
    /// By side: how many links the master counts.
    links: [AtomicI64; 2],
}

impl Heard {
    fn clients_on(&self, side: Side) -> i64 {
        self.clients[side.index()].load(Ordering::Acquire)
    }

    fn links_on(&self, side: Side) -> i64 {
        self.links[side.index()].load(Ordering::Acquire)
    }

    fn surplus(&self, side: Side) -> i64 {
        self.clients_on(side) - self.links_on(side)
    }

    fn on(&self, side: Side) -> Hearers {
        let count = |count: i64| u32::try_from(count).unwrap_or(0);
        Hearers {
            links: count(self.links_on(side)),
            clients: count(self.clients_on(side)),
        }
    }

    fn clients(&self) -> i64 {
        Side::BOTH
            .map(|side| self.clients_on(side))
            .into_iter()
            .max()
            .unwrap_or(0)
    }
}

/// What is to be taken from the sides' counts of some topics, and added once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Correction {
    /// By side.
    pub(crate) links: [i64; 2],
    pub(crate) clients: i64,
}

/// Who of this process hears a message: how many links its node counts, and how many clients they have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hearers {
    pub(crate) links: u32,
    pub(crate) clients: u32,
}

impl Hearers {
    /// What the node's count would be without a proxy. A link may be counted here a moment longer than its node does: those
    /// who certainly hear it are never subtracted.
    pub(crate) fn correct(self, count: i64) -> i64 {
        count.saturating_sub(i64::from(self.links)).max(0) + i64::from(self.clients)
    }
}

/// What is to be left out of the sides' lists of channels, and added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) hidden: HashSet<Vec<u8>>,
    pub(crate) more: Vec<Vec<u8>>,
}

fn at(kind: TopicKind) -> usize {
    match kind {
        TopicKind::Channel => 0,
        TopicKind::Pattern => 1,
        TopicKind::Shard => 2,
    }
}

impl Audience {
    fn names(&self, kind: TopicKind) -> &Names {
        &self.heard[at(kind)]
    }

    /// A worker knows a topic.
    fn enter(&self, kind: TopicKind, name: &[u8]) -> Arc<Heard> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let names = self.names(kind).pin();
        if let Some(heard) = names.get(name) {
            heard.workers.fetch_add(1, Ordering::Relaxed);
            return Arc::clone(heard);
        }
        let heard = Arc::new(Heard {
            name: name.into(),
            kind,
            workers: AtomicUsize::new(1),
            clients: Default::default(),
            links: Default::default(),
        });
        names.insert(name.into(), Arc::clone(&heard));
        heard
    }

    /// A worker has forgotten it, and no link of its is counted any more.
    fn leave(&self, heard: &Heard) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.workers.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.names(heard.kind).pin().remove(&heard.name);
        }
    }

    /// After a change: whether a PUBLISH has to look at the pattern. Bounded; of more than that the reply is the node's own.
    fn weigh(&self, heard: &Arc<Heard>) {
        if heard.kind != TopicKind::Pattern {
            return;
        }
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let uneven = self.uneven.pin();
        let is_uneven = Side::BOTH.iter().any(|side| heard.surplus(*side) != 0);
        let is_known = uneven.contains_key(&heard.name);
        if is_uneven && !is_known && uneven.len() < UNEVEN_PATTERNS_MAX {
            uneven.insert(heard.name.clone(), Arc::clone(heard));
        } else if !is_uneven && is_known {
            uneven.remove(&heard.name);
        }
        self.uneven_count.store(uneven.len(), Ordering::Release);
    }

    /// Who of this process hears what is published to a channel on `side`; of patterns only the uneven ones. Cost: a look-up, and
    /// a comparison with each of those.
    #[inline]
    pub(crate) fn of_message(&self, side: Side, kind: TopicKind, channel: &[u8]) -> Hearers {
        let names = self.names(kind).pin();
        let mut of_channel = names
            .get(channel)
            .map_or_else(Hearers::default, |heard| heard.on(side));
        if kind == TopicKind::Shard || self.uneven_count.load(Ordering::Acquire) == 0 {
            return of_channel;
        }
        let mut steps = UNEVEN_STEPS_MAX;
        let uneven = self.uneven.pin();
        let matching = uneven
            .values()
            .filter(|heard| matches(&heard.name, channel, &mut steps));
        for heard in matching {
            let of_pattern = heard.on(side);
            of_channel.links += of_pattern.links;
            of_channel.clients += of_pattern.clients;
        }
        of_channel
    }

    /// For PUBSUB NUMSUB and SHARDNUMSUB.
    pub(crate) fn of_topic(&self, kind: TopicKind, name: &[u8]) -> Correction {
        let names = self.names(kind).pin();
        names
            .get(name)
            .map_or_else(Correction::default, |heard| Correction {
                links: Side::BOTH.map(|side| heard.links_on(side)),
                clients: heard.clients(),
            })
    }

    /// For PUBSUB NUMPAT, which counts a pattern once. Cost: all patterns.
    pub(crate) fn of_patterns(&self) -> Correction {
        let mut correction = Correction::default();
        for heard in self.names(TopicKind::Pattern).pin().values() {
            correction.clients += i64::from(heard.clients() > 0);
            for side in Side::BOTH {
                correction.links[side.index()] += i64::from(heard.links_on(side) > 0);
            }
        }
        correction
    }

    /// For PUBSUB CHANNELS and SHARDCHANNELS: what only lingers, and what `side` knows nothing of as replicas are subscribed to.
    /// Cost: all channels, as on a node.
    pub(crate) fn of_channels(&self, kind: TopicKind, pattern: Option<&[u8]>, side: Side) -> Listing {
        let mut listing = Listing::default();
        let mut steps = MATCH_STEPS_MAX;
        let mut is_asked_for = |name: &[u8]| pattern.is_none_or(|pattern| matches(pattern, name, &mut steps));
        for heard in self.names(kind).pin().values() {
            if heard.clients() == 0 && Side::BOTH.iter().any(|side| heard.links_on(*side) > 0) {
                listing.hidden.insert(heard.name.to_vec());
            } else if heard.clients() > 0 && heard.links_on(side) == 0 && is_asked_for(&heard.name) {
                listing.more.push(heard.name.to_vec());
            }
        }
        listing
    }
}

/// Whether a channel is the proxy's own, and not to be listed.
pub(crate) fn is_own(channel: &[u8]) -> bool {
    channel.starts_with(OWN_CHANNELS)
}

/// One worker's part of it: a topic's clients there, and where they hear it.
pub(super) struct Share {
    audience: Arc<Audience>,
    heard: Arc<Heard>,
    clients: Cell<i64>,
    /// By side: on how many links it is confirmed.
    links: [Cell<u32>; 2],
}

impl Share {
    pub(super) fn new(audience: &Arc<Audience>, kind: TopicKind, name: &[u8]) -> Self {
        Self {
            audience: Arc::clone(audience),
            heard: audience.enter(kind, name),
            clients: Cell::new(0),
            links: Default::default(),
        }
    }

    /// So many clients more, or fewer.
    pub(super) fn change(&self, by: i64) {
        self.clients.set(self.clients.get() + by);
        let is_heard = |side: &&Side| self.links[side.index()].get() > 0;
        for side in Side::BOTH.iter().filter(is_heard) {
            self.heard.clients[side.index()].fetch_add(by, Ordering::AcqRel);
        }
        self.audience.weigh(&self.heard);
    }

    fn heard_on(&self, side: Side, role: NodeRole, is_on: bool) {
        let (links, at) = (&self.links[side.index()], side.index());
        let before = links.get();
        links.set(if is_on {
            before + 1
        } else {
            before.saturating_sub(1)
        });
        let by = if is_on { 1 } else { -1 };
        if (before == 0) == is_on && (is_on || before == 1) {
            self.heard.clients[at].fetch_add(by * self.clients.get(), Ordering::AcqRel);
        }
        if role == NodeRole::Master {
            self.heard.links[at].fetch_add(by, Ordering::AcqRel);
        }
        self.audience.weigh(&self.heard);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.audience.leave(&self.heard);
    }
}

/// A link on which a node has confirmed a topic; it is counted until this is dropped.
pub(super) struct Counted {
    topic: Rc<Topic>,
    side: Side,
    role: NodeRole,
}

impl Counted {
    pub(super) fn new(topic: &Rc<Topic>, side: Side, role: NodeRole) -> Option<Self> {
        topic.share.as_ref()?.heard_on(side, role, true);
        Some(Self {
            topic: Rc::clone(topic),
            side,
            role,
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(share) = &self.topic.share {
            share.heard_on(self.side, self.role, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(audience: &Arc<Audience>, kind: TopicKind, name: &[u8]) -> Share {
        Share::new(audience, kind, name)
    }

    fn surplus(audience: &Audience, channel: &[u8]) -> i64 {
        let hearers = audience.of_message(Side::Old, TopicKind::Channel, channel);
        i64::from(hearers.clients) - i64::from(hearers.links)
    }

    #[test]
    fn clients_count_in_place_of_their_workers_link() {
        let audience = Arc::new(Audience::default());
        let (first, second) = (
            share(&audience, TopicKind::Channel, b"news"),
            share(&audience, TopicKind::Channel, b"news"),
        );
        first.change(3);
        assert_eq!(surplus(&audience, b"news"), 0, "the node has not confirmed it");
        first.heard_on(Side::Old, NodeRole::Master, true);
        assert_eq!(surplus(&audience, b"news"), 2);
        second.change(1);
        second.heard_on(Side::Old, NodeRole::Master, true);
        assert_eq!(surplus(&audience, b"news"), 2);
        first.change(-3);
        assert_eq!(surplus(&audience, b"news"), -1, "one link lingers");
        assert_eq!(
            audience.of_topic(TopicKind::Channel, b"news"),
            Correction {
                links: [2, 0],
                clients: 1
            }
        );
        first.heard_on(Side::Old, NodeRole::Master, false);
        drop(first);
        assert_eq!(surplus(&audience, b"news"), 0);
        drop(second);
        assert!(audience.names(TopicKind::Channel).pin().is_empty());
        let hearers = Hearers { links: 2, clients: 5 };
        assert_eq!([3, 2, 1].map(|count| hearers.correct(count)), [6, 5, 5]);
    }

    #[test]
    fn a_replica_s_subscribers_are_unknown_to_its_master() {
        let audience = Arc::new(Audience::default());
        let share = share(&audience, TopicKind::Channel, b"news");
        share.change(2);
        share.heard_on(Side::Old, NodeRole::Replica, true);
        assert_eq!(surplus(&audience, b"news"), 2);
        let listing = audience.of_channels(TopicKind::Channel, Some(b"n*"), Side::Old);
        assert_eq!(listing.more, [b"news".to_vec()]);
        assert_eq!(
            audience.of_channels(TopicKind::Channel, Some(b"x*"), Side::Old),
            Listing::default()
        );
    }

    #[test]
    fn only_patterns_with_another_number_of_clients_than_links_are_looked_at() {
        let audience = Arc::new(Audience::default());
        let shares: Vec<Share> = [&b"n*"[..], b"ne*", b"x*"]
            .iter()
            .map(|name| share(&audience, TopicKind::Pattern, name))
            .collect();
        for share in &shares {
            share.change(1);
            share.heard_on(Side::Old, NodeRole::Master, true);
            share.heard_on(Side::New, NodeRole::Master, true);
        }
        assert_eq!((surplus(&audience, b"news"), audience.uneven.pin().len()), (0, 0));
        shares[1].change(4);
        shares[2].change(4);
        assert_eq!((surplus(&audience, b"news"), audience.uneven.pin().len()), (4, 2));
        assert_eq!(
            audience.of_patterns(),
            Correction {
                links: [3, 3],
                clients: 3
            }
        );
        shares[1].change(-4);
        assert_eq!((surplus(&audience, b"news"), audience.uneven.pin().len()), (0, 1));
    }

    #[test]
    fn channels_that_only_linger_are_hidden() {
        let audience = Arc::new(Audience::default());
        let share = share(&audience, TopicKind::Channel, b"news");
        share.heard_on(Side::New, NodeRole::Master, true);
        let listing = audience.of_channels(TopicKind::Channel, None, Side::Old);
        assert!(listing.hidden.contains(&b"news"[..]) && listing.more.is_empty());
        assert!(is_own(b"__switchback:mark:1") && !is_own(b"news"));
    }
}
