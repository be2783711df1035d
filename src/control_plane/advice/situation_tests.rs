use super::*;
use crate::cluster::{Credentials, Secret};
use crate::control_plane::guard::{NodeInfo, ReplicaLine};

fn node(port: u16) -> NodeAddr {
    NodeAddr::new("h", port)
}

fn endpoint(discovery: Discovery) -> Endpoint {
    Endpoint {
        discovery,
        tls: None,
        node_auth: None,
        sentinel_auth: None,
    }
}

fn followed() -> Endpoint {
    endpoint(Discovery::Sentinel {
        sentinels: vec![node(26379), node(26380)],
        master_name: "pubsub-old".to_owned(),
    })
}

fn fed(listings: &[&[u16]]) -> Fed {
    let line = |port: &u16| ReplicaLine {
        addr: node(*port),
        online: true,
        offset: 0,
        lag_seconds: 0,
    };
    let mut fed = Fed::default();
    for ports in listings {
        let info = NodeInfo {
            is_master: true,
            replicas: ports.iter().map(line).collect(),
            ..NodeInfo::default()
        };
        fed.listed(&node(1), &info, &Topology::default());
    }
    fed
}

struct Given {
    fed: Fed,
    guard: GuardConfig,
    old: Endpoint,
    new: Endpoint,
    cause: Option<Rule>,
}

impl Given {
    fn new(listings: &[&[u16]]) -> Self {
        Self {
            fed: fed(listings),
            guard: GuardConfig::default(),
            old: followed(),
            new: endpoint(Discovery::Fixed(node(11))),
            cause: Some(Rule::ResyncLoop),
        }
    }

    fn advice(&self) -> Option<String> {
        let topology = |master, replicas: &[u16]| Topology {
            master: Some(node(master)),
            replicas: replicas.iter().copied().map(node).collect(),
            heir: None,
        };
        let situation = Situation {
            route: "r",
            cause: self.cause.map(|rule| (rule, Side::New, None)),
            topology: &[topology(1, &[2, 3]), topology(11, &[12, 13])],
            old: &self.old,
            new: Some(&self.new),
            guard: &self.guard,
            fed: &self.fed,
        };
        situation.advice()
    }
}

#[test]
fn the_replicas_that_are_not_olds_own_come_first_each_with_its_command() {
    let advice = Given::new(&[&[2, 3], &[2, 3, 4, 12]]).advice().unwrap();
    let expected = "detach 2 replicas that are not the old master's own from h:1: redis-cli -h h -p 4 REPLICAOF NO ONE; \
        redis-cli -h h -p 12 REPLICAOF NO ONE; at once after that, on every old Sentinel, or they attach them again: \
        redis-cli -h h -p 26379 SENTINEL RESET pubsub-old; redis-cli -h h -p 26380 SENTINEL RESET pubsub-old; then \
        resync_loop on new: ";
    assert!(advice.starts_with(expected), "{advice}");
    assert!(
        advice.contains(": redis-cli -h h -p 11 INFO stats; when that is mended: switchback arm r"),
        "{advice}"
    );
}

#[test]
fn where_none_is_attached_the_rule_says_what_to_look_at() {
    let advice = Given::new(&[&[2, 3]]).advice().unwrap();
    assert!(advice.starts_with("resync_loop on new: "), "{advice}");
    assert!(!advice.contains("REPLICAOF"), "{advice}");
}

#[test]
fn too_many_replicas_of_which_nobody_knows_who_is_who_are_all_listed() {
    let mut given = Given::new(&[&[2, 3, 4]]);
    given.guard.replicas_usual[0] = Some(2);
    let advice = given.advice().unwrap();
    let expected = "the old master h:1 feeds 3 replicas where 2 are usual; detach those that are not its own: \
        redis-cli -h h -p 2 REPLICAOF NO ONE; ";
    assert!(advice.starts_with(expected), "{advice}");
}

#[test]
fn an_operators_route_back_asks_only_for_what_is_attached() {
    let mut given = Given::new(&[&[2, 3]]);
    given.cause = None;
    assert_eq!(given.advice(), None);
    given.guard.detach = vec![node(3)];
    assert!(given.advice().unwrap().starts_with("detach 1 replica that "));
}

#[test]
fn a_fixed_master_has_no_sentinel_to_tell_and_passwords_are_asked_for() {
    let mut given = Given::new(&[&[2, 3], &[2, 3, 12]]);
    given.old = endpoint(Discovery::Fixed(node(1)));
    given.new.node_auth = Some(Credentials {
        user: None,
        password: Secret::new("hunter2"),
    });
    let advice = given.advice().unwrap();
    assert!(
        !advice.contains("SENTINEL") && !advice.contains("hunter2"),
        "{advice}"
    );
    assert!(
        advice.contains("redis-cli -h h -p 12 --askpass REPLICAOF NO ONE"),
        "{advice}"
    );
}

#[test]
fn a_line_has_an_end() {
    let many: Vec<u16> = (100..164).collect();
    let advice = Given::new(&[&[2, 3], &many]).advice().unwrap();
    assert_eq!(advice.matches("REPLICAOF").count(), COMMANDS_MAX);
    assert!(advice.contains("; and 56 more; "), "{advice}");
}
