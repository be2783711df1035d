//! Whom does the old master feed, and who of them is not its own?
//!
//! Pure. Its own are the nodes it had when this process first heard from it, those that were away at that moment too; later
//! Sentinel cannot be asked, since it takes every replica that attaches for one of the group's.

use std::collections::BTreeSet;

use crate::cluster::{NodeAddr, Topology};
use crate::control_plane::guard::NodeInfo;

/// The replicas of `old`'s master.
#[derive(Clone, Debug, Default)]
pub(in crate::control_plane) struct Fed {
    /// Old's nodes at first; never more than one listing and one topology.
    own: BTreeSet<NodeAddr>,
    replicas: Vec<NodeAddr>,
}

impl Fed {
    /// The master has said whom it feeds; `named` is the side as it is known.
    pub(in crate::control_plane) fn listed(&mut self, master: &NodeAddr, info: &NodeInfo, named: &Topology) {
        if !info.is_master {
            return;
        }
        self.replicas = info.replicas.iter().map(|line| line.addr.clone()).collect();
        self.replicas.sort();
        if self.own.is_empty() {
            self.own
                .extend(self.replicas.iter().chain(&named.replicas).cloned());
            self.own.insert(master.clone());
        }
    }

    /// There is another master, or none: whom it feeds is not known yet.
    pub(in crate::control_plane) fn forget(&mut self) {
        self.replicas.clear();
    }

    /// All of them, in address order.
    pub(super) fn replicas(&self) -> &[NodeAddr] {
        &self.replicas
    }

    /// Those that are not its own: nodes of `new`, those `named` as such, and those that came later where there are more
    /// than usual. One that took another's place is none.
    pub(super) fn strangers(
        &self,
        usual: Option<usize>,
        new: &Topology,
        named: &[NodeAddr],
    ) -> Vec<NodeAddr> {
        let usual = usual.unwrap_or_else(|| self.own.len().saturating_sub(1));
        let is_crowded = self.replicas.len() > usual;
        let is_stranger = |node: &&NodeAddr| {
            new.has(node) || named.contains(node) || (is_crowded && !self.own.contains(node))
        };
        self.replicas.iter().filter(is_stranger).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::guard::ReplicaLine;

    fn node(port: u16) -> NodeAddr {
        NodeAddr::new("h", port)
    }

    fn listing(ports: &[u16]) -> NodeInfo {
        let line = |port: &u16| ReplicaLine {
            addr: node(*port),
            online: true,
            offset: 0,
            lag_seconds: 0,
        };
        NodeInfo {
            is_master: true,
            replicas: ports.iter().map(line).collect(),
            ..NodeInfo::default()
        }
    }

    fn fed(listings: &[&[u16]]) -> Fed {
        let mut fed = Fed::default();
        for ports in listings {
            fed.listed(&node(1), &listing(ports), &Topology::default());
        }
        fed
    }

    fn strangers(fed: &Fed, usual: Option<usize>, new: &[u16], named: &[u16]) -> Vec<u16> {
        let new = Topology {
            master: None,
            replicas: new.iter().copied().map(node).collect(),
            heir: None,
        };
        let named: Vec<NodeAddr> = named.iter().copied().map(node).collect();
        let found = fed.strangers(usual, &new, &named);
        found.iter().map(|node| node.port).collect()
    }

    #[test]
    fn those_who_came_later_are_strangers_where_there_are_more_than_usual() {
        let fed = fed(&[&[2, 3], &[2, 3, 4, 5, 6]]);
        assert_eq!(strangers(&fed, None, &[], &[]), [4, 5, 6]);
        assert_eq!(strangers(&fed, Some(5), &[], &[]), [0; 0]);
    }

    #[test]
    fn those_who_were_away_at_first_are_its_own_all_the_same() {
        let mut fed = Fed::default();
        let named = Topology {
            master: Some(node(1)),
            replicas: vec![node(2), node(3)],
            heir: None,
        };
        fed.listed(&node(1), &listing(&[]), &named);
        fed.listed(&node(1), &listing(&[2, 3, 4]), &named);
        assert_eq!(strangers(&fed, None, &[], &[]), [4]);
    }

    #[test]
    fn one_that_took_anothers_place_is_no_stranger() {
        let fed = fed(&[&[2, 3], &[2, 4]]);
        assert_eq!(strangers(&fed, None, &[], &[]), [0; 0]);
    }

    #[test]
    fn nodes_of_new_and_those_named_are_strangers_from_the_start() {
        let fed = fed(&[&[2, 3, 4, 5]]);
        assert_eq!(strangers(&fed, None, &[4], &[5]), [4, 5]);
    }

    #[test]
    fn after_a_failover_the_demoted_master_is_still_its_own() {
        let mut fed = fed(&[&[2, 3]]);
        fed.forget();
        assert_eq!(strangers(&fed, Some(0), &[], &[]), [0; 0]);
        fed.listed(&node(2), &listing(&[1, 3, 4]), &Topology::default());
        assert_eq!(strangers(&fed, None, &[], &[]), [4]);
    }
}
