//! Two healthy sides to spoil: a master and two replicas each, three Sentinels each, nothing written.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::facts::{
    InfoFields, KnownNode, NodeAnswer, NodeFacts, SentinelAnswer, SentinelFacts, SideFacts, UserDigest,
};
use super::*;
use crate::cluster::{NodeAddr, Topology};
use crate::control_plane::guard::{NodeInfo, ReplicaLine};

/// Node number `index` of side 1 (old) or 2 (new); 0 is the master.
pub(super) fn addr(side: u16, index: u16) -> NodeAddr {
    NodeAddr::new(format!("10.0.{side}.{index}"), 6379)
}

fn run_id(side: u16, index: u16) -> String {
    format!("run-{side}-{index}")
}

pub(super) fn known(side: u16, index: u16) -> KnownNode {
    KnownNode {
        addr: addr(side, index),
        run_id: run_id(side, index),
        priority: 100,
        is_down: false,
    }
}

pub(super) fn facts() -> Facts {
    Facts {
        sides: [Some(side(1, "old")), Some(side(2, "new"))],
    }
}

pub(super) fn node_of(facts: &mut Facts, side: Side, index: usize) -> &mut NodeAnswer {
    let nodes = &mut facts.sides[side.index()].as_mut().unwrap().nodes;
    nodes[index].answer.as_mut().unwrap()
}

pub(super) fn master_of(facts: &mut Facts, side: Side) -> &mut NodeAnswer {
    node_of(facts, side, 0)
}

pub(super) fn sentinel_of(facts: &mut Facts, side: Side, index: usize) -> &mut SentinelAnswer {
    let sentinels = &mut facts.sides[side.index()].as_mut().unwrap().sentinels;
    sentinels[index].answer.as_mut().unwrap()
}

fn side(number: u16, name: &str) -> SideFacts {
    let node = |index| NodeFacts {
        addr: addr(number, index),
        answer: Ok(answer(number, index)),
    };
    let sentinel = |index: u16| SentinelFacts {
        addr: NodeAddr::new(format!("10.9.{number}.{index}"), 26379),
        answer: Ok(SentinelAnswer {
            id: Some(format!("sentinel-{number}-{index}")),
            master: Some(known(number, 0)),
            replicas: vec![known(number, 1), known(number, 2)],
            sentinels: (0..3)
                .filter(|other| *other != index)
                .map(|other| NodeAddr::new(format!("10.9.{number}.{other}"), 26379))
                .collect(),
            monitored: vec![(name.to_owned(), known(number, 0))],
        }),
    };
    SideFacts {
        topology: Topology {
            master: Some(addr(number, 0)),
            replicas: vec![addr(number, 1), addr(number, 2)],
            heir: None,
        },
        nodes: (0..3).map(node).collect(),
        master_name: Some(name.to_owned()),
        sentinels: (0..3).map(sentinel).collect(),
        stream: Some(0.0),
    }
}

/// What such a node says.
pub(in crate::control_plane) fn answer(number: u16, index: u16) -> NodeAnswer {
    let is_master = index == 0;
    let line = |index| ReplicaLine {
        addr: addr(number, index),
        online: true,
        offset: 0,
        lag_seconds: 0,
    };
    let values = [
        ("redis_version", "7.0.15"),
        ("used_memory", "1048576"),
        ("total_system_memory", "17179869184"),
        ("maxmemory", "0"),
        ("maxmemory_policy", "noeviction"),
        ("rdb_bgsave_in_progress", "0"),
        ("rdb_last_bgsave_status", "ok"),
        ("aof_enabled", "0"),
        ("aof_rewrite_in_progress", "0"),
        ("latest_fork_usec", "400"),
        ("repl_backlog_size", "1048576"),
        ("instantaneous_output_kbps", "0.00"),
        ("instantaneous_output_repl_kbps", "0.00"),
    ];
    let settings = [
        ("databases", "16"),
        ("save", ""),
        (
            "client-output-buffer-limit",
            "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
        ),
    ];
    let default_user = UserDigest {
        passwords: 0,
        rules: 0,
    };
    NodeAnswer {
        info: NodeInfo {
            took: Duration::from_millis(1),
            is_master,
            run_id: Some(run_id(number, index)),
            repl_offset: Some(0),
            connected_replicas: Some(if is_master { 2 } else { 0 }),
            replicas: if is_master {
                vec![line(1), line(2)]
            } else {
                Vec::new()
            },
            follows: (!is_master).then(|| addr(number, 0)),
            link_up: (!is_master).then_some(true),
            sync_in_progress: (!is_master).then_some(false),
            ..NodeInfo::default()
        },
        fields: InfoFields {
            values: values.map(|(name, value)| (name, value.to_owned())).into(),
            modules: BTreeMap::new(),
        },
        clock_ahead: Ok(0.0),
        clock_slack: 0.0005,
        hello_listeners: Ok(3),
        settings: settings.map(|(name, value)| (name, Ok(value.to_owned()))).into(),
        users: Ok(BTreeMap::from([("default".to_owned(), default_user)])),
        functions: Ok(BTreeMap::new()),
    }
}

#[test]
fn two_healthy_idle_sides_refuse_nothing_and_have_a_row_for_every_check() {
    let findings = findings(&facts(), &Stated::default());
    for check in super::super::Check::ALL {
        assert!(
            findings.iter().any(|finding| finding.check == check.name()),
            "{check}"
        );
    }
    let refusing: Vec<String> = findings
        .iter()
        .filter(|finding| finding.refuses)
        .map(ToString::to_string)
        .collect();
    assert_eq!(refusing, [] as [&str; 0]);
    let places: Vec<_> = findings
        .iter()
        .map(|finding| (place(finding.check), finding.side))
        .collect();
    assert!(places.is_sorted());
}

#[test]
fn with_one_side_what_compares_sides_has_no_row() {
    let mut one = facts();
    one.sides[1] = None;
    let findings = findings(&one, &Stated::default());
    assert!(findings.iter().all(|finding| finding.side == Side::Old));
    assert!(!findings.iter().any(|finding| finding.refuses), "{findings:?}");
    let has = |name| findings.iter().any(|finding| finding.check == name);
    assert!(has("backlog") && has("sentinels") && !has("version") && !has("sentinel_priority"));
}

#[test]
fn a_side_nobody_answers_for_refuses() {
    let empty = Facts {
        sides: [Some(SideFacts::default()), Some(SideFacts::default())],
    };
    let findings = findings(&empty, &Stated::default());
    assert!(
        findings
            .iter()
            .any(|finding| finding.check == "nodes" && finding.refuses)
    );
}
