//! Is everyone there, in sync, on one side only, and of one time?
//!
//! Pure.

use super::shown::{names, seconds};
use crate::cluster::{NodeAddr, Side};
use crate::control_plane::preflight::facts::{NodeAnswer, SideFacts};
use crate::control_plane::preflight::{Check, Facts, Finding, Grade, Stated};

/// Expiry times are absolute in the replication stream: between nodes whose clocks are further apart keys live
/// noticeably shorter or longer after a failover.
const CLOCK_WARN: f64 = 1.0;
/// Sessions and locks are lost, or held for ever, by that.
const CLOCK_BAD: f64 = 10.0;

/// Every node of the topology answers.
pub(super) fn nodes(facts: &Facts, side: Side) -> Option<Finding> {
    let seen = facts.side(side)?;
    let limit = "all answer";
    let why = |addr: &NodeAddr| {
        let found = seen.nodes.iter().find(|node| node.addr == *addr);
        found.map_or(Some("not asked"), |node| {
            node.answer.as_ref().err().map(String::as_str)
        })
    };
    let Some(master) = &seen.topology.master else {
        let silent = seen
            .nodes
            .iter()
            .find(|node| node.answer.is_err())
            .or(seen.nodes.first());
        let reason = silent.and_then(|node| why(&node.addr));
        return Some(
            Finding::new(Check::Nodes, side, Grade::Bad)
                .on(silent.map(|node| &node.addr))
                .measured(reason.unwrap_or("no node is master by its own ROLE"))
                .limit("a master")
                .advice("see that the side has a master, and that address, user and password are right"),
        );
    };
    let replicas = seen.topology.replicas.iter();
    let row = if let Some(reason) = why(master) {
        Finding::new(Check::Nodes, side, Grade::Bad)
            .on(Some(master))
            .measured(reason)
            .advice("the master must answer INFO and ROLE")
    } else if let Some((node, reason)) = replicas.filter_map(|node| Some((node, why(node)?))).next() {
        Finding::new(Check::Nodes, side, Grade::Unknown)
            .on(Some(node))
            .measured(reason)
            .advice("nothing is known of this replica: have it answer, or detach it")
    } else if let Some(node) = seen.nodes.iter().find(|node| node.answer.is_err()) {
        Finding::new(Check::Nodes, side, Grade::Warn)
            .on(Some(&node.addr))
            .measured(why(&node.addr).unwrap_or_default())
            .advice("Sentinel knows this node and holds it for alive; SENTINEL RESET forgets it")
    } else {
        let count = seen.nodes.len();
        Finding::new(Check::Nodes, side, Grade::Ok).measured(format!("{count} of {count}"))
    };
    Some(row.limit(limit))
}

/// Every replica is attached and in sync. The guard raises no alarm for one that never was; to begin while it is
/// not would add the shift's load to its full sync.
pub(super) fn replica_sync(facts: &Facts, side: Side) -> Option<Finding> {
    let seen = facts.side(side)?;
    let Some((_, master)) = seen.master() else {
        return Some(unknown_master(Check::ReplicaSync, side));
    };
    let lines = master.info.replicas.iter();
    let pending = lines.filter(|line| !line.online).map(|line| &line.addr);
    let unlinked = seen
        .members()
        .filter(|(_, node)| !node.info.is_master && !in_sync(node));
    let mut late: Vec<&NodeAddr> = pending.chain(unlinked.map(|(addr, _)| addr)).collect();
    late.sort();
    late.dedup();
    let all = seen.topology.replicas.len().max(master.info.replicas.len());
    let grade = if late.is_empty() { Grade::Ok } else { Grade::Bad };
    let row = Finding::new(Check::ReplicaSync, side, grade)
        .on(late.first().copied())
        .measured(format!("{} of {all} not in sync", late.len()))
        .limit("0");
    Some(match grade {
        Grade::Ok => row,
        _ => row.advice("wait until its sync is over, or detach it: REPLICAOF NO ONE"),
    })
}

fn in_sync(node: &NodeAnswer) -> bool {
    node.info.link_up == Some(true) && node.info.sync_in_progress != Some(true)
}

/// No more replicas than the master usually feeds.
pub(super) fn replicas(facts: &Facts, side: Side, stated: &Stated) -> Option<Finding> {
    let seen = facts.side(side)?;
    let Some((addr, master)) = seen.master() else {
        return Some(unknown_master(Check::Replicas, side));
    };
    let attached = attached(master);
    let old = facts.side(Side::Old).and_then(SideFacts::master);
    let is_bare = side == Side::New && attached == 0 && old.is_some_and(|(_, old)| self::attached(old) > 0);
    let measured = format!("{attached} replicas");
    let row = |grade| {
        Finding::new(Check::Replicas, side, grade)
            .on(Some(addr))
            .measured(measured.as_str())
    };
    let Some(usual) = stated.replicas_usual[side.index()] else {
        return Some(if is_bare {
            row(Grade::Warn)
                .limit("1")
                .advice("'old' has replicas and 'new' has none: it cannot fail over")
        } else {
            row(Grade::Unknown)
                .limit("not stated")
                .advice("state replicas_usual in [route.guard]: a master that feeds more than it is used to is how the incident began")
        });
    };
    let row = if attached > usual {
        // On the new side it is the plan's own business; the old one has the traffic.
        row(match side {
            Side::Old => Grade::Bad,
            Side::New => Grade::Warn,
        })
        .advice(format!(
            "detach {} of them (REPLICAOF NO ONE on each): the master usually feeds {usual}",
            attached - usual
        ))
    } else if is_bare {
        row(Grade::Warn).advice("'old' has replicas and 'new' has none: it cannot fail over")
    } else {
        row(Grade::Ok)
    };
    Some(row.limit(usual.to_string()))
}

fn attached(master: &NodeAnswer) -> usize {
    let counted = master.info.connected_replicas.map_or(0, |count| count as usize);
    counted.max(master.info.replicas.len())
}

/// No node belongs to both sides, nor follows a master of the other.
pub(super) fn overlap(facts: &Facts) -> Option<Finding> {
    let (old, new) = (facts.side(Side::Old)?, facts.side(Side::New)?);
    if old.topology.master.is_none() || new.topology.master.is_none() {
        return Some(unknown_master(Check::Overlap, Side::New));
    }
    let shared: Vec<&NodeAddr> = new
        .nodes
        .iter()
        .filter(|node| new.topology.has(&node.addr) && old.owns(&node.addr, node.answer.as_ref().ok()))
        .map(|node| &node.addr)
        .collect();
    let grade = if shared.is_empty() { Grade::Ok } else { Grade::Bad };
    let texts: Vec<String> = shared.iter().map(ToString::to_string).collect();
    let row = Finding::new(Check::Overlap, Side::New, grade)
        .on(shared.first().copied())
        .limit("none");
    Some(match grade {
        Grade::Ok => row.measured("none"),
        _ => row
            .measured(names(texts.iter().map(String::as_str)))
            .advice("this node is of 'old' too: the sides must be groups of their own"),
    })
}

impl SideFacts {
    /// Whether a node is of this side, under this address or another, or follows one of its nodes.
    fn owns(&self, addr: &NodeAddr, node: Option<&NodeAnswer>) -> bool {
        self.topology.has(addr)
            || node.is_some_and(|node| {
                let is_same =
                    |own: &NodeAnswer| own.info.run_id.is_some() && own.info.run_id == node.info.run_id;
                let follows = node.info.follows.as_ref();
                self.members().any(|(_, own)| is_same(own))
                    || follows.is_some_and(|own| self.topology.has(own))
            })
    }
}

/// Nodes' clocks against ours and each other's.
pub(super) fn clock(facts: &Facts, side: Side) -> Option<Finding> {
    let seen = facts.side(side)?;
    let all = facts.sides.iter().flatten().flat_map(SideFacts::members);
    let all: Vec<(f64, f64)> = all.filter_map(|(_, node)| reading(node)).collect();
    let apart = |(ahead, slack): (f64, f64)| {
        let others = all
            .iter()
            .map(|(other, their_slack)| (ahead - other).abs() - slack - their_slack);
        others.fold(0.0, f64::max)
    };
    let measured = seen.members().filter_map(|(addr, node)| {
        let (ahead, slack) = reading(node)?;
        Some((addr, apart((ahead, slack)), (ahead.abs() - slack).max(0.0), ahead))
    });
    let worst = measured.max_by(|one, other| one.1.max(one.2).total_cmp(&other.1.max(other.2)));
    let limit = format!("{CLOCK_WARN} s (bad: {CLOCK_BAD} s apart)");
    let Some((addr, apart, off, ahead)) = worst else {
        let why = seen
            .members()
            .find_map(|(_, node)| node.clock_ahead.clone().err());
        return Some(
            Finding::new(Check::Clock, side, Grade::Unknown)
                .on(seen.topology.master.as_ref())
                .limit(limit)
                .advice(why.unwrap_or_else(|| "no node answers".to_owned())),
        );
    };
    // Our own clock may be the wrong one: that alone is told only.
    let grade = match (apart, off) {
        (apart, _) if apart >= CLOCK_BAD => Grade::Bad,
        (apart, off) if apart >= CLOCK_WARN || off >= CLOCK_WARN => Grade::Warn,
        _ => Grade::Ok,
    };
    let row = Finding::new(Check::Clock, side, grade)
        .on(Some(addr))
        .measured(format!("{} off ours, {} apart", signed(ahead), seconds(apart)))
        .limit(limit);
    Some(match grade {
        Grade::Ok => row,
        _ => row.advice("set the clocks (chronyd, ntpd): keys expire by the clock of whoever is master"),
    })
}

fn reading(node: &NodeAnswer) -> Option<(f64, f64)> {
    Some((*node.clock_ahead.as_ref().ok()?, node.clock_slack))
}

fn signed(time: f64) -> String {
    format!("{time:+.3} s")
}

/// A row of a check that cannot be made without an answer of the master.
pub(super) fn unknown_master(check: Check, side: Side) -> Finding {
    Finding::new(check, side, Grade::Unknown)
        .measured("unknown")
        .limit("-")
        .advice("the master must answer first")
}

#[cfg(test)]
mod tests {
    use super::super::samples::{addr, facts, master_of, node_of};
    use super::*;

    #[test]
    fn healthy_sides_are_ok() {
        let facts = facts();
        let stated = Stated::default();
        for side in Side::BOTH {
            for row in [
                nodes(&facts, side),
                replica_sync(&facts, side),
                clock(&facts, side),
            ] {
                assert_eq!(row.as_ref().unwrap().grade, Grade::Ok, "{row:?}");
            }
            assert!(!replicas(&facts, side, &stated).unwrap().refuses);
        }
        assert_eq!(overlap(&facts).unwrap().grade, Grade::Ok);
    }

    #[test]
    fn a_silent_master_is_bad_a_silent_replica_unknown_and_both_refuse() {
        let mut facts = facts();
        let new = facts.sides[1].as_mut().unwrap();
        new.nodes[1].answer = Err("WRONGPASS".to_owned());
        let row = nodes(&facts, Side::New).unwrap();
        assert_eq!((row.grade, row.refuses), (Grade::Unknown, true));
        assert_eq!(row.node, Some(addr(2, 1)));
        facts.sides[1].as_mut().unwrap().nodes[0].answer = Err("timed out".to_owned());
        let row = nodes(&facts, Side::New).unwrap();
        assert_eq!((row.grade, row.measured.as_str()), (Grade::Bad, "timed out"));
        assert_eq!(replica_sync(&facts, Side::New).unwrap().grade, Grade::Unknown);
        facts.sides[1].as_mut().unwrap().topology.master = None;
        assert_eq!(nodes(&facts, Side::New).unwrap().grade, Grade::Bad);
    }

    #[test]
    fn a_replica_in_a_first_sync_refuses_by_its_own_or_its_masters_word() {
        let mut by_master = facts();
        master_of(&mut by_master, Side::Old).info.replicas[1].online = false;
        let row = replica_sync(&by_master, Side::Old).unwrap();
        assert_eq!(
            (row.grade, row.measured.as_str()),
            (Grade::Bad, "1 of 2 not in sync")
        );
        let mut by_itself = facts();
        node_of(&mut by_itself, Side::Old, 2).info.sync_in_progress = Some(true);
        assert_eq!(
            replica_sync(&by_itself, Side::Old).unwrap().node,
            Some(addr(1, 2))
        );
    }

    #[test]
    fn as_many_replicas_as_usual_pass_and_one_more_is_refused_on_the_side_that_has_the_traffic() {
        let facts = facts();
        let row = |side, usual: usize| {
            let stated = Stated {
                replicas_usual: [Some(usual); 2],
                ..Stated::default()
            };
            let row = replicas(&facts, side, &stated).unwrap();
            (row.grade, row.refuses)
        };
        assert_eq!(row(Side::Old, 2), (Grade::Ok, false));
        assert_eq!(row(Side::Old, 1), (Grade::Bad, true));
        assert_eq!(row(Side::New, 1), (Grade::Warn, false));
        let unstated = replicas(&facts, Side::Old, &Stated::default()).unwrap();
        assert_eq!((unstated.grade, unstated.refuses), (Grade::Unknown, false));
    }

    #[test]
    fn a_new_side_without_any_replica_is_told() {
        let mut facts = facts();
        let master = master_of(&mut facts, Side::New);
        master.info.replicas.clear();
        master.info.connected_replicas = Some(0);
        let row = replicas(&facts, Side::New, &Stated::default()).unwrap();
        assert_eq!(row.grade, Grade::Warn);
    }

    #[test]
    fn a_node_is_of_one_side_whatever_its_address_and_whomever_it_follows() {
        let mut same_run = facts();
        let id = master_of(&mut same_run, Side::Old).info.run_id.clone();
        node_of(&mut same_run, Side::New, 2).info.run_id = id;
        assert_eq!(overlap(&same_run).unwrap().node, Some(addr(2, 2)));
        let mut follower = facts();
        node_of(&mut follower, Side::New, 1).info.follows = Some(addr(1, 0));
        let row = overlap(&follower).unwrap();
        assert_eq!((row.grade, row.refuses), (Grade::Bad, true));
    }

    #[test]
    fn clocks_are_held_against_each_other_and_against_ours() {
        let grade = |ahead: f64, all: bool| {
            let mut facts = facts();
            for index in 0..3 {
                node_of(&mut facts, Side::Old, index).clock_ahead = Ok(if all { ahead } else { 0.0 });
                node_of(&mut facts, Side::New, index).clock_ahead = Ok(if all { ahead } else { 0.0 });
            }
            master_of(&mut facts, Side::New).clock_ahead = Ok(ahead);
            clock(&facts, Side::New).unwrap().grade
        };
        assert_eq!(grade(0.9, false), Grade::Ok);
        assert_eq!(grade(1.1, false), Grade::Warn);
        assert_eq!(grade(-9.9, false), Grade::Warn);
        assert_eq!(grade(-10.1, false), Grade::Bad);
        assert_eq!(grade(60.0, true), Grade::Warn, "then it is ours that is wrong");
    }
}
