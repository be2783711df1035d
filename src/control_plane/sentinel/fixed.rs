//! What does a side look like that nobody watches: one fixed address and the replicas attached to it?
//!
//! Pure: the node's ROLE in, topology and notices out. The address is the master whatever happens, unless it says itself
//! that it is none: writes would only be refused there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::nodes::{Nodes, Standing};
use super::notices::Notices;
use super::topology::{Input, Outcome};
use crate::cluster::{NodeAddr, Topology};
use crate::limits::{NODES_MAX, REPLICA_LINK_DOWN_MAX};

/// One side without Sentinels.
#[derive(Debug)]
pub(crate) struct Fixed {
    addr: NodeAddr,
    nodes: Nodes,
    notices: Notices,
    /// The replicas the node listed, and when it last did. One that drops off stays for a while if it answers: the guard
    /// has to see it to say what is wrong with it.
    members: BTreeMap<NodeAddr, Instant>,
    standing: Standing,
    published: Topology,
}

impl Fixed {
    pub(crate) fn new(now: Instant, addr: &NodeAddr) -> Self {
        Self {
            addr: addr.clone(),
            nodes: Nodes::default(),
            notices: Notices::new(now),
            members: BTreeMap::new(),
            standing: Standing::Unknown,
            published: Topology::default(),
        }
    }

    /// Takes in what happened and says what follows.
    pub(crate) fn handle(&mut self, now: Instant, input: Input) -> Outcome {
        match input {
            Input::Role { node, answer } => self.nodes.heard(now, &node, answer, &mut self.notices),
            Input::Announced { .. } | Input::Answered { .. } | Input::Failed { .. } => {}
            Input::Deaf { .. } | Input::Tick => {}
        }
        self.stand(now);
        self.learn_members(now);
        self.nodes.keep(&self.wanted_nodes());
        Outcome {
            topology: self.publish(),
            notices: self.notices.take(),
            ask_now: false,
        }
    }

    /// Whom to ask for ROLE.
    pub(crate) fn wanted_nodes(&self) -> BTreeSet<NodeAddr> {
        let members = self.members.keys().take(NODES_MAX - 1).cloned();
        members.chain([self.addr.clone()]).collect()
    }

    /// Follows what the node is, and tells of a change.
    fn stand(&mut self, now: Instant) {
        let next = self.nodes.standing(now, &self.addr);
        let addr = self.addr.to_string();
        match (self.standing, next) {
            (_, Standing::Unknown) => return,
            (Standing::Silent(_), Standing::Silent(_))
            | (Standing::Master, Standing::Master)
            | (Standing::Replica, Standing::Replica)
            | (Standing::Unknown, Standing::Master) => {}
            // A silent replica is one until it says otherwise.
            (Standing::Replica, Standing::Silent(_)) => return,
            (_, Standing::Silent(_)) => self.notices.tell(now, "node_lost", &addr),
            (_, Standing::Replica) => {
                let text = format!("{addr} is configured as master and says it is a replica");
                self.notices.tell(now, "not_master", &text);
            }
            (Standing::Silent(_), Standing::Master) => self.notices.tell(now, "node_back", &addr),
            (Standing::Replica, Standing::Master) => self.notices.tell(now, "master_again", &addr),
        }
        self.standing = next;
    }

    fn learn_members(&mut self, now: Instant) {
        let recent = |at: &Instant| now.saturating_duration_since(*at) <= REPLICA_LINK_DOWN_MAX;
        self.members.retain(|_, at| recent(at));
        if self.standing == Standing::Master {
            for addr in self.nodes.listed_by(&self.addr) {
                if self.members.len() < NODES_MAX || self.members.contains_key(addr) {
                    self.members.insert(addr.clone(), now);
                }
            }
        }
    }

    fn publish(&mut self) -> Option<(Topology, String)> {
        let (master, reason) = match self.standing {
            Standing::Unknown => return None,
            Standing::Replica => (None, "it says it is a replica"),
            Standing::Master => (Some(self.addr.clone()), "confirmed by ROLE"),
            Standing::Silent(_) => (Some(self.addr.clone()), "it does not answer"),
        };
        let live = |addr: &&NodeAddr| self.nodes.is_live_replica(addr);
        let replicas = self.members.keys().filter(live).cloned().collect();
        let topology = Topology {
            master,
            replicas,
            heir: None,
        };
        if topology == self.published {
            return None;
        }
        let reason = if topology.master == self.published.master {
            "its replicas changed"
        } else {
            reason
        };
        self.published = topology.clone();
        Some((topology, format!("fixed address {}: {reason}", self.addr)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::sentinel::nodes::Answer;
    use crate::control_plane::sentinel::reply::Role;
    use std::time::Duration;

    fn addr(port: u16) -> NodeAddr {
        NodeAddr::new("h", port)
    }

    fn role(port: u16, role: Role) -> Input {
        Input::Role {
            node: addr(port),
            answer: Answer::Role(role),
        }
    }

    fn silent(port: u16) -> Input {
        Input::Role {
            node: addr(port),
            answer: Answer::Silent,
        }
    }

    fn master_of(outcome: Outcome) -> Option<Option<u16>> {
        let (topology, _) = outcome.topology?;
        Some(topology.master.map(|addr| addr.port))
    }

    #[test]
    fn a_silent_address_is_the_master_and_one_that_says_replica_is_not() {
        let now = Instant::now();
        let mut fixed = Fixed::new(now, &addr(1));
        assert_eq!(master_of(fixed.handle(now, Input::Tick)), None);
        assert_eq!(master_of(fixed.handle(now, silent(1))), Some(Some(1)));
        let outcome = fixed.handle(now, role(1, Role::Replica));
        assert_eq!(outcome.notices[0].kind, "not_master");
        assert_eq!(master_of(outcome), Some(None));
        assert_eq!(master_of(fixed.handle(now, silent(1))), None);
        assert_eq!(
            master_of(fixed.handle(now, role(1, Role::Master(Vec::new())))),
            Some(Some(1))
        );
    }

    #[test]
    fn a_replica_that_drops_off_its_master_stays_while_it_answers_not_for_ever() {
        let now = Instant::now();
        let mut fixed = Fixed::new(now, &addr(1));
        fixed.handle(now, role(1, Role::Master(vec![addr(2)])));
        let (topology, _) = fixed.handle(now, role(2, Role::Replica)).topology.unwrap();
        assert_eq!(topology.replicas, [addr(2)]);
        let dropped = || role(1, Role::Master(Vec::new()));
        assert!(fixed.handle(now, dropped()).topology.is_none());
        let later = now + REPLICA_LINK_DOWN_MAX + Duration::from_millis(1);
        assert!(
            fixed
                .handle(later, dropped())
                .topology
                .unwrap()
                .0
                .replicas
                .is_empty()
        );
    }

    #[test]
    fn a_dead_replica_leaves() {
        let now = Instant::now();
        let mut fixed = Fixed::new(now, &addr(1));
        fixed.handle(now, role(1, Role::Master(vec![addr(2)])));
        fixed.handle(now, role(2, Role::Replica));
        fixed.handle(now, silent(2));
        let (topology, _) = fixed.handle(now, silent(2)).topology.unwrap();
        assert!(topology.replicas.is_empty());
    }
}
