//! Is a message too large for the nodes to pass it on to us?
//!
//! Shell: what the workers of a route know of it together. A node closes a subscriber for which more waits than its
//! `client-output-buffer-limit pubsub` allows, and a worker's link is one subscriber for all its clients: one message beyond
//! that would cost everyone theirs. So it is refused before it is sent. A node writes nothing between a message's copies,
//! one for the channel and one for each pattern that matches, so all of them count.
//!
//! The lock is taken when a pattern is first subscribed to or forgotten, when a link begins, and for a PUBLISH that is
//! large; any other compares its length with a number.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::glob::matches;
use super::subscriber_link::NodeRole;
use crate::cluster::{NodeAddr, Side};
use crate::limits::{LIMIT_ASKED_AGAIN, MATCH_STEPS_MAX, OWN_LINK_BYTES};

/// What a copy takes beyond the bytes of the request: the head of a block and of its list node, longer numbers.
const COPY_BYTES: usize = 128;

/// A node that a worker has a link to, and what it allows a subscriber.
struct Allowance {
    worker: usize,
    side: Side,
    node: Arc<NodeAddr>,
    role: NodeRole,
    hard_bytes: usize,
    asked: Instant,
}

impl Allowance {
    fn is_of(&self, worker: usize, side: Side) -> bool {
        (self.worker, self.side) == (worker, side)
    }
}

#[derive(Default)]
struct Known {
    /// What is subscribed to upstream, and by how many workers. Two workers' patterns are counted as one's: no link has more.
    patterns: HashMap<Box<[u8]>, usize>,
    allowances: Vec<Allowance>,
}

/// What the nodes can pass on.
pub(crate) struct Ceiling {
    known: Mutex<Known>,
    /// Messages up to this size are not looked at.
    unseen_bytes: AtomicUsize,
}

/// Why a message cannot be passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Overload {
    /// The node with the lowest limit, where its link goes from, and as what it is one.
    pub(super) side: Side,
    pub(crate) node: Arc<NodeAddr>,
    pub(super) role: NodeRole,
    pub(super) worker: usize,
    /// Its limit.
    pub(crate) hard_bytes: usize,
    /// What would wait there.
    pub(crate) bytes: usize,
    /// Subscriptions that match.
    pub(crate) copies: usize,
}

impl Default for Ceiling {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            unseen_bytes: AtomicUsize::new(usize::MAX),
        }
    }
}

impl Ceiling {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker subscribes to a pattern.
    pub(super) fn add_pattern(&self, pattern: &[u8]) {
        *self.known().patterns.entry(pattern.into()).or_default() += 1;
    }

    /// A worker has no use for it any more.
    pub(super) fn drop_pattern(&self, pattern: &[u8]) {
        let mut known = self.known();
        if let Some(workers) = known.patterns.get_mut(pattern) {
            *workers -= 1;
            if *workers == 0 {
                known.patterns.remove(pattern);
            }
        }
    }

    /// What a worker's node allows; `None` when it does not say, or allows anything.
    pub(super) fn set(
        &self,
        worker: usize,
        side: Side,
        node: &Arc<NodeAddr>,
        role: NodeRole,
        hard_bytes: Option<usize>,
    ) {
        let mut known = self.known();
        known.allowances.retain(|other| !other.is_of(worker, side));
        known.allowances.extend(hard_bytes.map(|hard_bytes| Allowance {
            worker,
            side,
            node: Arc::clone(node),
            role,
            hard_bytes,
            asked: Instant::now(),
        }));
        self.take_least(&known);
    }

    /// The same, from a node that stood in the way and has been asked again; the worker's link may lead elsewhere by now.
    pub(super) fn change(&self, overload: &Overload, hard_bytes: Option<usize>) {
        let mut known = self.known();
        let of =
            |other: &Allowance| other.is_of(overload.worker, overload.side) && other.node == overload.node;
        match hard_bytes {
            Some(hard_bytes) => {
                let asked = known.allowances.iter_mut().filter(|other| of(other));
                asked.for_each(|allowance| allowance.hard_bytes = hard_bytes);
            }
            None => known.allowances.retain(|other| !of(other)),
        }
        self.take_least(&known);
    }

    fn take_least(&self, known: &Known) {
        let least = known
            .allowances
            .iter()
            .map(|allowance| allowance.hard_bytes)
            .min();
        // Small enough for some patterns to match.
        let unseen = least.map_or(usize::MAX, |least| (least / 4).min(OWN_LINK_BYTES));
        self.unseen_bytes.store(unseen, Ordering::Relaxed);
    }

    /// Whether a message of this size needs no look. Cost: a comparison.
    #[inline]
    pub(crate) fn is_far(&self, message_bytes: usize) -> bool {
        message_bytes <= self.unseen_bytes.load(Ordering::Relaxed)
    }

    /// Whether the nodes can pass this on; `message_bytes` is the size of the request, in which PUBLISH is as long a word as
    /// `message`. Either side's nodes: what passes at one weight passes at any. Cost: the channel against every pattern.
    pub(crate) fn check(&self, channel: &[u8], is_shard: bool, message_bytes: usize) -> Result<(), Overload> {
        let known = self.known();
        let mut steps = MATCH_STEPS_MAX;
        let mut lengths = Vec::new();
        if !is_shard {
            let patterns = known.patterns.keys().map(|pattern| &**pattern);
            let matching = patterns.filter(|pattern| matches(pattern, channel, &mut steps));
            lengths.extend(matching.map(<[u8]>::len));
        }
        let bytes = waiting(message_bytes, &lengths);
        let over = |allowance: &&Allowance| bytes > allowance.hard_bytes - allowance.hard_bytes / 8;
        let least = known
            .allowances
            .iter()
            .min_by_key(|allowance| allowance.hard_bytes);
        match least.filter(over) {
            None => Ok(()),
            Some(allowance) => Err(Overload {
                side: allowance.side,
                node: Arc::clone(&allowance.node),
                role: allowance.role,
                worker: allowance.worker,
                hard_bytes: allowance.hard_bytes,
                bytes,
                copies: 1 + lengths.len(),
            }),
        }
    }

    /// Whether the node that stood in the way is to be asked again, as its limit may have been raised: at times.
    pub(super) fn is_to_be_asked(&self, overload: &Overload) -> bool {
        let mut known = self.known();
        let of = |allowance: &&mut Allowance| {
            allowance.is_of(overload.worker, overload.side) && allowance.asked.elapsed() >= LIMIT_ASKED_AGAIN
        };
        match known.allowances.iter_mut().find(of) {
            Some(allowance) => {
                allowance.asked = Instant::now();
                true
            }
            None => false,
        }
    }
}

/// What waits on a node for a link when a message has been published, in bytes: its copies, one behind the other in blocks. The
/// last block is as large as its allocator's next class (jemalloc's: four between two powers of two), and counts whole.
fn waiting(message_bytes: usize, patterns: &[usize]) -> usize {
    let copies = patterns.iter().map(|length| message_bytes + length + COPY_BYTES);
    let largest = copies.clone().max().unwrap_or(message_bytes + COPY_BYTES);
    let class = largest.checked_next_power_of_two().unwrap_or(usize::MAX) / 8;
    copies
        .fold(message_bytes + COPY_BYTES, usize::saturating_add)
        .saturating_add(class)
}

/// The hard limit for subscribers in a node's answer to `CONFIG GET client-output-buffer-limit`; `None`: it refuses to say,
/// or there is none.
pub(super) fn hard_limit(reply: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(reply).ok()?;
    let (_, classes) = text.split_once("client-output-buffer-limit\r\n")?;
    let (_, of_subscribers) = classes.split_once("pubsub ")?;
    let hard_bytes = of_subscribers.split_whitespace().next()?.parse().ok()?;
    (hard_bytes > 0).then_some(hard_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: usize = 1 << 20;

    fn ceiling(hard_bytes: usize) -> Ceiling {
        let ceiling = Ceiling::default();
        let node = Arc::new(NodeAddr::new("n", 1));
        ceiling.set(0, Side::Old, &node, NodeRole::Master, Some(hard_bytes));
        ceiling
    }

    #[test]
    fn a_message_counts_once_for_each_subscription_that_it_matches() {
        let ceiling = ceiling(32 * MB);
        let fits = |bytes| ceiling.check(b"news", false, bytes).is_ok();
        assert!(fits(16 * MB) && fits(23 * MB) && !fits(25 * MB));
        ceiling.add_pattern(b"n*");
        ceiling.add_pattern(b"other*");
        assert!(fits(12 * MB) && !fits(13 * MB));
        assert_eq!(ceiling.check(b"news", false, 13 * MB).unwrap_err().copies, 2);
        assert!(
            ceiling.check(b"news", true, 16 * MB).is_ok(),
            "patterns match no shard channel"
        );
        ceiling.add_pattern(b"n*");
        ceiling.drop_pattern(b"n*");
        assert!(!fits(13 * MB), "another worker has it");
        ceiling.drop_pattern(b"n*");
        assert!(fits(23 * MB));
    }

    #[test]
    fn what_a_node_does_not_bound_or_does_not_tell_is_not_refused() {
        let ceiling = ceiling(MB);
        assert!(ceiling.is_far(MB / 4) && !ceiling.is_far(MB / 4 + 1));
        assert!(ceiling.check(b"news", false, MB).is_err());
        let node = Arc::new(NodeAddr::new("n", 1));
        ceiling.set(0, Side::Old, &node, NodeRole::Master, None);
        assert!(ceiling.is_far(usize::MAX / 2) && ceiling.check(b"news", false, MB).is_ok());
    }

    #[test]
    fn the_lowest_limit_of_either_side_and_any_worker_holds() {
        let ceiling = ceiling(32 * MB);
        let node = Arc::new(NodeAddr::new("m", 2));
        ceiling.set(1, Side::New, &node, NodeRole::Replica, Some(8 * MB));
        let overload = ceiling.check(b"news", false, 8 * MB).unwrap_err();
        assert_eq!((overload.node.port, overload.worker), (2, 1));
        assert!(!ceiling.is_to_be_asked(&overload), "it has just been");
    }

    #[test]
    fn a_limit_is_read_from_what_redis_says() {
        let reply = b"*2\r\n$26\r\nclient-output-buffer-limit\r\n$68\r\nnormal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60\r\n";
        assert_eq!(hard_limit(reply), Some(32 * MB));
        let unbounded = String::from_utf8_lossy(reply).replace("33554432", "0");
        assert_eq!(hard_limit(unbounded.as_bytes()), None);
        assert_eq!(hard_limit(b"-NOPERM this user has no permissions\r\n"), None);
        assert_eq!(hard_limit(b"*0\r\n"), None);
    }
}
