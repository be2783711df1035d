//! What did each node itself say that it is?
//!
//! Pure: the last ROLE of each node that is asked, and for how long one has been silent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::notices::Notices;
use super::reply::Role;
use crate::cluster::NodeAddr;
use crate::limits::ROLE_LIFETIME;

/// A replica may miss one answer, to a slow moment of ours or its own, not two.
const FAILURES_OF_DEAD: u32 = 2;

/// One question's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// ROLE.
    Role(Role),
    /// It refused: the text of its error.
    Refused(String),
    /// There is none.
    Silent,
}

/// What a node is, going by its own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It says that it is a master.
    Master,
    /// It says that it is not.
    Replica,
    /// It was asked and does not answer, for this long.
    Silent(Duration),
    /// It has not answered yet, or not lately.
    Unknown,
}

#[derive(Debug, Default)]
struct Node {
    last: Option<(Instant, Role)>,
    failures: u32,
    silent_since: Option<Instant>,
    refused: bool,
}

/// See the file's head.
#[derive(Debug, Default)]
pub(crate) struct Nodes(BTreeMap<NodeAddr, Node>);

impl Nodes {
    /// Forgets everyone that is not asked any more.
    pub(crate) fn keep(&mut self, wanted: &BTreeSet<NodeAddr>) {
        self.0.retain(|addr, _| wanted.contains(addr));
    }

    /// An answer, or none.
    pub(crate) fn heard(&mut self, now: Instant, addr: &NodeAddr, answer: Answer, notices: &mut Notices) {
        let node = self.0.entry(addr.clone()).or_default();
        match answer {
            Answer::Role(role) => {
                *node = Node {
                    last: Some((now, role)),
                    ..Node::default()
                }
            }
            Answer::Refused(text) => {
                if !node.refused {
                    notices.tell(now, "node_refused", &format!("{addr}: {text}"));
                }
                node.refused = true;
                node.fail(now);
            }
            Answer::Silent => node.fail(now),
        }
    }

    /// What the node is now.
    pub(crate) fn standing(&self, now: Instant, addr: &NodeAddr) -> Standing {
        let Some(node) = self.0.get(addr) else {
            return Standing::Unknown;
        };
        if let Some(since) = node.silent_since {
            return Standing::Silent(now.saturating_duration_since(since));
        }
        match &node.last {
            Some((at, _)) if now.saturating_duration_since(*at) > ROLE_LIFETIME => Standing::Unknown,
            Some((_, Role::Master(_))) => Standing::Master,
            Some((_, Role::Replica)) => Standing::Replica,
            None => Standing::Unknown,
        }
    }

    /// The node said `Master` no earlier than `since`.
    pub(crate) fn is_master_since(&self, now: Instant, addr: &NodeAddr, since: Instant) -> bool {
        self.standing(now, addr) == Standing::Master && self.answered_since(addr, since)
    }

    /// The node said `Replica` no earlier than `since`.
    pub(crate) fn is_replica_since(&self, now: Instant, addr: &NodeAddr, since: Instant) -> bool {
        self.standing(now, addr) == Standing::Replica && self.answered_since(addr, since)
    }

    /// Whatever has become of it since, it last said that it is a replica.
    pub(crate) fn last_said_replica(&self, addr: &NodeAddr) -> bool {
        self.0
            .get(addr)
            .is_some_and(|node| matches!(node.last, Some((_, Role::Replica))))
    }

    fn answered_since(&self, addr: &NodeAddr, since: Instant) -> bool {
        let last = self.0.get(addr).and_then(|node| node.last.as_ref());
        last.is_some_and(|(at, _)| *at >= since)
    }

    /// The node last said that it is a replica, and has not been silent since for more than one question.
    pub(crate) fn is_live_replica(&self, addr: &NodeAddr) -> bool {
        self.0.get(addr).is_some_and(|node| {
            node.failures < FAILURES_OF_DEAD && matches!(node.last, Some((_, Role::Replica)))
        })
    }

    /// The replicas a master listed when it last answered.
    pub(crate) fn listed_by(&self, addr: &NodeAddr) -> &[NodeAddr] {
        match self.0.get(addr).and_then(|node| node.last.as_ref()) {
            Some((_, Role::Master(replicas))) => replicas,
            _ => &[],
        }
    }
}

impl Node {
    fn fail(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.silent_since.get_or_insert(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_missed_answer_does_not_make_a_replica_dead_two_do_and_one_answer_makes_it_live() {
        let now = Instant::now();
        let (mut nodes, mut notices) = (Nodes::default(), Notices::new(now));
        let addr = NodeAddr::new("node", 1);
        let mut live_after = |answer| {
            nodes.heard(now, &addr, answer, &mut notices);
            nodes.is_live_replica(&addr)
        };
        assert!(!live_after(Answer::Silent));
        assert!(live_after(Answer::Role(Role::Replica)));
        assert!(live_after(Answer::Silent));
        assert!(!live_after(Answer::Silent));
        assert!(live_after(Answer::Role(Role::Replica)));
        assert!(!live_after(Answer::Role(Role::Master(Vec::new()))));
    }

    #[test]
    fn a_role_of_long_ago_says_nothing() {
        let now = Instant::now();
        let (mut nodes, mut notices) = (Nodes::default(), Notices::new(now));
        let addr = NodeAddr::new("node", 1);
        nodes.heard(now, &addr, Answer::Role(Role::Master(Vec::new())), &mut notices);
        assert_eq!(nodes.standing(now + ROLE_LIFETIME, &addr), Standing::Master);
        let later = now + ROLE_LIFETIME + Duration::from_millis(1);
        assert_eq!(nodes.standing(later, &addr), Standing::Unknown);
    }

    #[test]
    fn a_refusal_is_told_once_until_it_ends() {
        let now = Instant::now();
        let (mut nodes, mut notices) = (Nodes::default(), Notices::new(now));
        let addr = NodeAddr::new("node", 1);
        for _ in 0..3 {
            nodes.heard(now, &addr, Answer::Refused("WRONGPASS".to_owned()), &mut notices);
        }
        assert_eq!(notices.take().len(), 1);
        assert_eq!(nodes.standing(now, &addr), Standing::Silent(Duration::ZERO));
    }
}
