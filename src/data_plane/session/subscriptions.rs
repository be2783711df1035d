//! What does one client listen to?
//!
//! Pure: its topics, and its place among the listeners of each.

use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::data_plane::command::TopicKind;
use crate::data_plane::pubsub::Topic;

/// A client's subscriptions.
#[derive(Default)]
pub(crate) struct Subscriptions {
    /// By the topic's address, which no client chooses.
    topics: FxHashMap<usize, (Rc<Topic>, u32)>,
    /// Of channels and patterns together, and of shard channels, as Redis counts them.
    counts: [usize; 2],
    /// Bytes of their names.
    bytes: usize,
}

fn address(topic: &Rc<Topic>) -> usize {
    Rc::as_ptr(topic) as usize
}

fn at(kind: TopicKind) -> usize {
    usize::from(kind == TopicKind::Shard)
}

impl Subscriptions {
    /// It has none: any command may come.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// How many, of all kinds.
    pub(crate) fn len(&self) -> usize {
        self.topics.len()
    }

    /// Bytes of all their names.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What a confirmation for `kind` counts.
    pub(crate) fn count(&self, kind: TopicKind) -> usize {
        self.counts[at(kind)]
    }

    /// How many of one kind.
    pub(crate) fn count_of(&self, kind: TopicKind) -> usize {
        self.topics
            .values()
            .filter(|(topic, _)| topic.kind == kind)
            .count()
    }

    pub(crate) fn contains(&self, topic: &Rc<Topic>) -> bool {
        self.topics.contains_key(&address(topic))
    }

    /// Adds one that is not there yet.
    pub(crate) fn add(&mut self, topic: &Rc<Topic>, place: usize) {
        self.counts[at(topic.kind)] += 1;
        self.bytes += topic.name.len();
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        self.topics.insert(address(topic), (Rc::clone(topic), place));
    }

    /// Removes one; its place, if it was there.
    pub(crate) fn remove(&mut self, topic: &Rc<Topic>) -> Option<usize> {
        let (_, place) = self.topics.remove(&address(topic))?;
        self.counts[at(topic.kind)] -= 1;
        self.bytes -= topic.name.len();
        if self.topics.is_empty() {
            self.topics = FxHashMap::default();
        }
        Some(place as usize)
    }

    pub(crate) fn has_moved(&mut self, topic: &Rc<Topic>, to: usize) {
        if let Some((_, place)) = self.topics.get_mut(&address(topic)) {
            *place = u32::try_from(to).unwrap_or(u32::MAX);
        }
    }

    /// All of one kind, oldest first.
    pub(crate) fn of(&self, kind: TopicKind) -> Vec<Rc<Topic>> {
        let topics = self.topics.values().map(|(topic, _)| topic);
        let mut of: Vec<Rc<Topic>> = topics.filter(|topic| topic.kind == kind).map(Rc::clone).collect();
        of.sort_unstable_by_key(|topic| topic.number);
        of
    }

    /// All of them, oldest first: in that order a node finds each pattern at the head of its list when it is left.
    pub(crate) fn all(&self) -> Vec<Rc<Topic>> {
        let mut all: Vec<Rc<Topic>> = self.topics.values().map(|(topic, _)| Rc::clone(topic)).collect();
        all.sort_unstable_by_key(|topic| topic.number);
        all
    }
}
