//! Can each side fail over, and only within itself?
//!
//! Pure. In the incident, old's Sentinels had discovered the new replicas, and a failover promoted one of them.

use super::nodes::unknown_master;
use crate::cluster::{NodeAddr, Side};
use crate::control_plane::preflight::facts::{KnownNode, SentinelAnswer, SideFacts};
use crate::control_plane::preflight::{Check, Facts, Finding, Grade};

/// A majority answers, and names the master that the nodes confirm.
pub(super) fn sentinels(facts: &Facts, side: Side) -> Option<Finding> {
    let seen = facts.side(side)?;
    seen.master_name.as_ref()?;
    let total = seen.sentinels_in_all();
    let majority = total / 2 + 1;
    let answered = seen.answers().count();
    let named = seen.answers().filter_map(|answer| answer.master.as_ref());
    let agree = named
        .filter(|node| Some(&node.addr) == seen.topology.master.as_ref())
        .count();
    let silent = seen.sentinels.iter().find(|sentinel| sentinel.answer.is_err());
    let why = silent.and_then(|sentinel| sentinel.answer.as_ref().err());
    let row = |grade| {
        Finding::new(Check::Sentinels, side, grade)
            .measured(format!("{agree} of {total} name the master"))
            .limit(format!("{majority} of {total}"))
    };
    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
    let row = if answered < majority {
        row(Grade::Bad)
            .on(silent.map(|sentinel| &sentinel.addr))
            .advice(format!("without a majority nobody fails the side over{why}"))
    } else if agree < majority {
        row(Grade::Bad)
            .advice("they do not agree on the master, or its ROLE says otherwise: wait until they do")
    } else if agree < total {
        row(Grade::Warn)
            .on(silent.map(|sentinel| &sentinel.addr))
            .advice(format!("bring it back, or SENTINEL RESET on the others{why}"))
    } else {
        row(Grade::Ok)
    };
    Some(row)
}

/// None of this side's Sentinels knows a node of the other.
pub(super) fn priority(facts: &Facts, side: Side) -> Option<Finding> {
    let check = Check::SentinelPriority;
    let (seen, other) = (facts.side(side)?, facts.side(side.other())?);
    let name = seen.master_name.as_deref()?;
    if seen.answers().next().is_none() || seen.topology.master.is_none() || other.topology.master.is_none() {
        return Some(unknown_master(check, side));
    }
    let is_foreign = |node: &&KnownNode| {
        other.is(node) || (!seen.is(node) && other.answers().any(|answer| answer.knows(node)))
    };
    let known = seen.answers().flat_map(|answer| &answer.replicas);
    let worst = known.filter(is_foreign).max_by_key(|node| node.priority);
    let other = side.other();
    let Some(node) = worst else {
        return Some(
            Finding::new(check, side, Grade::Ok)
                .measured(format!("no node of {other}"))
                .limit("none, or 0"),
        );
    };
    // 0 is never promoted, but a node that comes back under its own address is made a replica by them.
    let grade = if node.priority > 0 {
        Grade::Bad
    } else {
        Grade::Warn
    };
    let row = Finding::new(check, side, grade)
        .on(Some(&node.addr))
        .measured(format!("replica-priority {}", node.priority))
        .limit("0");
    Some(row.advice(format!(
        "the Sentinels of '{name}' know this node of {other}{}: detach it from their master, then SENTINEL RESET {name} on each",
        if node.priority > 0 { " and may promote it" } else { "" }
    )))
}

/// None but this side's Sentinels, under this side's name, watch its nodes.
pub(super) fn claims(facts: &Facts, side: Side) -> Option<Finding> {
    let check = Check::SentinelClaims;
    let seen = facts.side(side)?;
    let Some((master, node)) = seen.master() else {
        return Some(unknown_master(check, side));
    };
    if let Some((sentinel, name, claimed)) = foreign_claim(facts, side) {
        return Some(
            Finding::new(check, side, Grade::Bad)
                .on(Some(&claimed.addr))
                .measured(format!("Sentinel {sentinel} has it as master of '{name}'"))
                .limit("one set, one name")
                .advice(format!(
                    "two sets of Sentinels would fail it over against each other: SENTINEL REMOVE {name} on those that are \
                     not its own"
                )),
        );
    }
    let own = match seen.master_name {
        Some(_) => seen.sentinels_in_all() as u64,
        None => 0,
    };
    let listeners = match &node.hello_listeners {
        Ok(listeners) => *listeners,
        Err(why) => {
            return Some(
                Finding::new(check, side, Grade::Unknown)
                    .on(Some(master))
                    .measured("unknown")
                    .limit(own.to_string())
                    .advice(why.as_str()),
            );
        }
    };
    let grade = if listeners > own { Grade::Warn } else { Grade::Ok };
    let row = Finding::new(check, side, grade)
        .on(Some(master))
        .measured(format!("{listeners} listen for Sentinels"))
        .limit(own.to_string());
    Some(match (grade, &seen.master_name) {
        (Grade::Ok, _) => row,
        (_, Some(_)) => row
            .advice("more than its Sentinels listen on __sentinel__:hello: see CLIENT LIST for another set"),
        (_, None) => {
            row.advice("Sentinels watch this fixed address and may fail it over: configure redis+sentinel://")
        }
    })
}

/// A Sentinel that has a node of the side as master under another name, or under its name without being one of its set.
fn foreign_claim(facts: &Facts, side: Side) -> Option<(NodeAddr, String, KnownNode)> {
    let seen = facts.side(side)?;
    for reporter in Side::BOTH {
        let Some(reporting) = facts.side(reporter) else {
            continue;
        };
        for sentinel in &reporting.sentinels {
            let Ok(answer) = &sentinel.answer else { continue };
            let is_own = reporter == side || seen.sentinels.iter().any(|own| own.addr == sentinel.addr);
            let is_claim = |(name, node): &&(String, KnownNode)| {
                seen.is(node) && !(is_own && Some(name) == seen.master_name.as_ref())
            };
            if let Some((name, node)) = answer.monitored.iter().find(is_claim) {
                return Some((sentinel.addr.clone(), name.clone(), node.clone()));
            }
        }
    }
    None
}

impl SideFacts {
    fn answers(&self) -> impl Iterator<Item = &SentinelAnswer> {
        self.sentinels
            .iter()
            .filter_map(|sentinel| sentinel.answer.as_ref().ok())
    }

    /// As many as were asked, or as one of them knows of.
    fn sentinels_in_all(&self) -> usize {
        let known = self.answers().map(|answer| answer.sentinels.len() + 1).max();
        known.unwrap_or(0).max(self.sentinels.len())
    }

    /// Whether a node is of the topology, under this address or another.
    fn is(&self, node: &KnownNode) -> bool {
        let same_run = |run: &Option<String>| run.as_ref() == Some(&node.run_id);
        self.topology.has(&node.addr)
            || (!node.run_id.is_empty() && self.members().any(|(_, own)| same_run(&own.info.run_id)))
    }
}

impl SentinelAnswer {
    fn knows(&self, node: &KnownNode) -> bool {
        let is_it = |known: &KnownNode| {
            known.addr == node.addr || (!known.run_id.is_empty() && known.run_id == node.run_id)
        };
        self.master.iter().chain(&self.replicas).any(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{addr, facts, known, master_of, sentinel_of};
    use super::*;

    #[test]
    fn healthy_sentinels_are_ok() {
        let facts = facts();
        for side in Side::BOTH {
            for row in [
                sentinels(&facts, side),
                priority(&facts, side),
                claims(&facts, side),
            ] {
                assert_eq!(row.as_ref().unwrap().grade, Grade::Ok, "{row:?}");
            }
        }
    }

    #[test]
    fn a_majority_must_answer_and_agree() {
        let silent = |count: usize| {
            let mut facts = facts();
            let side = facts.sides[0].as_mut().unwrap();
            for sentinel in side.sentinels.iter_mut().take(count) {
                sentinel.answer = Err("connection refused".to_owned());
            }
            sentinels(&facts, Side::Old).unwrap()
        };
        assert_eq!(silent(0).grade, Grade::Ok);
        let one = silent(1);
        assert_eq!((one.grade, one.refuses), (Grade::Warn, false));
        assert!(one.advice.contains("connection refused"));
        assert_eq!(silent(2).grade, Grade::Bad);
        let mut split = facts();
        for index in 0..2 {
            sentinel_of(&mut split, Side::Old, index).master = Some(known(1, 2));
        }
        assert_eq!(sentinels(&split, Side::Old).unwrap().grade, Grade::Bad);
    }

    #[test]
    fn a_node_of_new_that_old_could_promote_refuses_and_with_priority_0_it_is_told() {
        let row = |priority: u64| {
            let mut facts = facts();
            let node = KnownNode {
                priority,
                ..known(2, 1)
            };
            sentinel_of(&mut facts, Side::Old, 2).replicas.push(node);
            super::priority(&facts, Side::Old).unwrap()
        };
        let bad = row(100);
        assert_eq!((bad.grade, bad.node.as_ref()), (Grade::Bad, Some(&addr(2, 1))));
        assert!(bad.advice.contains("SENTINEL RESET old"), "{bad}");
        assert_eq!(row(1).grade, Grade::Bad);
        assert_eq!(row(0).grade, Grade::Warn);
    }

    #[test]
    fn a_node_is_recognised_under_another_address_by_its_run_id() {
        let mut facts = facts();
        let node = KnownNode {
            addr: NodeAddr::new("another-name", 1),
            ..known(2, 1)
        };
        sentinel_of(&mut facts, Side::Old, 0).replicas.push(node);
        assert_eq!(super::priority(&facts, Side::Old).unwrap().grade, Grade::Bad);
        assert_eq!(super::priority(&facts, Side::New).unwrap().grade, Grade::Ok);
    }

    #[test]
    fn a_node_new_knows_and_that_is_none_of_old_is_foreign_to_old() {
        let mut facts = facts();
        for side in Side::BOTH {
            sentinel_of(&mut facts, side, 0).replicas.push(known(2, 7));
        }
        assert_eq!(super::priority(&facts, Side::Old).unwrap().grade, Grade::Bad);
    }

    #[test]
    fn another_name_or_another_set_for_a_node_refuses_and_one_set_with_two_names_does_not() {
        let mut other_name = facts();
        let claim = ("else".to_owned(), known(1, 0));
        sentinel_of(&mut other_name, Side::Old, 1).monitored.push(claim);
        assert_eq!(claims(&other_name, Side::Old).unwrap().grade, Grade::Bad);
        let mut other_set = facts();
        let claim = ("old".to_owned(), known(1, 0));
        sentinel_of(&mut other_set, Side::New, 1).monitored.push(claim);
        assert_eq!(claims(&other_set, Side::Old).unwrap().grade, Grade::Bad);
        assert_eq!(claims(&other_set, Side::New).unwrap().grade, Grade::Ok);
        let mut shared = facts();
        let sentinels = shared.sides[0].as_ref().unwrap().sentinels.clone();
        shared.sides[1].as_mut().unwrap().sentinels = sentinels;
        for side in Side::BOTH {
            for index in 0..3 {
                let answer = sentinel_of(&mut shared, side, index);
                answer.monitored = vec![("old".to_owned(), known(1, 0)), ("new".to_owned(), known(2, 0))];
            }
            assert_eq!(claims(&shared, side).unwrap().grade, Grade::Ok);
        }
    }

    #[test]
    fn more_listeners_than_sentinels_are_told() {
        let row = |listeners: u64| {
            let mut facts = facts();
            master_of(&mut facts, Side::Old).hello_listeners = Ok(listeners);
            claims(&facts, Side::Old).unwrap().grade
        };
        assert_eq!((row(3), row(4)), (Grade::Ok, Grade::Warn));
        let mut fixed = facts();
        let side = fixed.sides[0].as_mut().unwrap();
        (side.master_name, side.sentinels) = (None, Vec::new());
        assert_eq!(claims(&fixed, Side::Old).unwrap().grade, Grade::Warn);
        assert!(sentinels(&fixed, Side::Old).is_none() && priority(&fixed, Side::Old).is_none());
    }
}
