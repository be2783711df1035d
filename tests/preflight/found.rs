//! Each check against real servers, in health and with what it is there for.

use std::time::Duration;

use switchback::cluster::Side;
use switchback::control_plane::preflight::{Grade, Stated};
use switchback::lab::{Server, ServerOptions, wait_for};

use crate::groups::{found, found_as, groups, not_ok, refusing, row};

const SOON: Duration = Duration::from_secs(30);
const LIBRARY: &str = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";

fn stated(replicas: usize, mbit: usize) -> Stated {
    Stated {
        replicas_usual: [Some(replicas); 2],
        bandwidth_mbit: [Some(mbit); 2],
    }
}

#[test]
fn two_healthy_groups_pass_whatever_is_stated_and_what_is_not_refuses_nothing() {
    let groups = groups();
    let rows = found(&groups, &Stated::default(), 0.0);
    assert_eq!(refusing(&rows), [], "{:#?}", not_ok(&rows));
    assert!(
        rows.iter().all(|row| row.grade != Grade::Warn),
        "{:#?}",
        not_ok(&rows)
    );
    for check in ["replicas", "stream_bandwidth"] {
        assert_eq!(row(&rows, check, Side::Old).grade, Grade::Unknown);
    }
    let rows = found(&groups, &stated(1, 1_000), 1_000.0);
    assert_eq!(not_ok(&rows), [] as [&str; 0]);
}

#[test]
fn what_new_lacks_of_olds_setup_is_seen() {
    let groups = groups();
    let [old, new] = [0, 1].map(|side| groups[side].server(&groups[side].master().unwrap()).unwrap());
    old.call(&["FUNCTION", "LOAD", LIBRARY]).unwrap();
    old.call(&["ACL", "SETUSER", "app", "on", ">topsecret", "~*", "+@all"])
        .unwrap();
    new.call(&["CONFIG", "SET", "save", "3600 1"]).unwrap();
    new.call(&[
        "CONFIG",
        "SET",
        "maxmemory",
        "500kb",
        "maxmemory-policy",
        "allkeys-lru",
    ])
    .unwrap();
    let rows = found(&groups, &Stated::default(), 0.0);
    let checks: Vec<&str> = refusing(&rows).into_iter().map(|(check, _)| check).collect();
    assert_eq!(
        checks,
        ["maxmemory", "maxmemory_policy", "acl_users", "functions"]
    );
    assert_eq!(row(&rows, "functions", Side::New).measured, "missing: lib");
    assert_eq!(row(&rows, "acl_users", Side::New).measured, "missing: app");
    assert_eq!(row(&rows, "persistence", Side::New).grade, Grade::Warn);
    let shown = format!("{rows:?}");
    assert!(!shown.contains("topsecret") && !shown.contains('#'), "{shown}");
    // The user on every node of new, with another password, and the library with other code.
    for node in groups[1].servers() {
        node.call(&["ACL", "SETUSER", "app", "on", ">other", "~*", "+@all"])
            .unwrap();
    }
    new.call(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    new.call(&["FUNCTION", "LOAD", &format!("{LIBRARY} -- changed")])
        .unwrap();
    let rows = found(&groups, &Stated::default(), 0.0);
    assert_eq!(row(&rows, "acl_users", Side::New).measured, "different: app");
    assert_eq!(row(&rows, "functions", Side::New).measured, "different: lib");
}

#[test]
fn what_the_old_master_cannot_carry_is_seen() {
    let groups = groups();
    // One replica is usual, and there is one.
    let rows = found(&groups, &stated(0, 1_000), 0.0);
    let replicas = row(&rows, "replicas", Side::Old);
    assert!(
        replicas.refuses && replicas.advice.contains("REPLICAOF NO ONE"),
        "{replicas}"
    );
    // 64 KB of backlog last six seconds at 10 KB/s.
    let old = groups[0].server(&groups[0].master().unwrap()).unwrap();
    old.call(&["CONFIG", "SET", "repl-backlog-size", "64kb"]).unwrap();
    let rows = found(&groups, &stated(1, 1_000), 10_000.0);
    assert_eq!(refusing(&rows), [("backlog", Side::Old)], "{:#?}", not_ok(&rows));
    // With all of old's stream on top, new's link of 1 Mbit/s is full as well.
    let rows = found(&groups, &stated(1, 1), 120_000.0);
    for side in Side::BOTH {
        assert!(row(&rows, "stream_bandwidth", side).refuses);
        assert!(row(&rows, "full_sync", side).refuses);
    }
}

#[test]
fn a_replica_of_new_that_olds_sentinels_could_promote_is_seen() {
    let groups = groups();
    let old_master = groups[0].master().unwrap();
    let new_master = groups[1].master().unwrap();
    let strays = groups[1].replicas_of(&new_master);
    let stray = groups[1].server(&strays[0]).unwrap();
    // As in the incident: attached to the old master, discovered by its Sentinels, and then taken away.
    stray
        .call(&["REPLICAOF", &old_master.host, &old_master.port.to_string()])
        .unwrap();
    let sentinel = &groups[0].sentinels()[0];
    let port = strays[0].port.to_string();
    let knows_it = || {
        let known = sentinel.call(&["SENTINEL", "REPLICAS", "old"]).unwrap();
        known
            .elements()
            .iter()
            .any(|replica| replica.field_text("port") == port)
    };
    wait_for("old's Sentinels to discover it", SOON, knows_it).unwrap();
    let rows = found(&groups, &Stated::default(), 0.0);
    let priority = row(&rows, "sentinel_priority", Side::Old);
    assert_eq!(
        (priority.grade, priority.node.as_ref()),
        (Grade::Bad, Some(&strays[0]))
    );
    assert!(priority.advice.contains("SENTINEL RESET old"), "{priority}");
}

#[test]
fn nodes_that_do_not_answer_are_facts_and_so_are_sentinels() {
    let mut groups = groups();
    groups[0].sentinel_mut(0).unwrap().kill().unwrap();
    let rows = found(&groups, &Stated::default(), 0.0);
    let sentinels = row(&rows, "sentinels", Side::Old);
    assert_eq!(sentinels.grade, Grade::Warn, "{sentinels}");
    assert!(refusing(&rows).is_empty(), "{:#?}", not_ok(&rows));
    groups[0].sentinel_mut(1).unwrap().kill().unwrap();
    let rows = found(&groups, &Stated::default(), 0.0);
    assert!(row(&rows, "sentinels", Side::Old).refuses);
    // A frozen one accepts connections and says nothing.
    let replica = groups[1].replicas_of(&groups[1].master().unwrap()).remove(0);
    groups[1].freeze(&replica).unwrap();
    let rows = found(&groups, &Stated::default(), 0.0);
    groups[1].thaw(&replica).unwrap();
    let nodes = row(&rows, "nodes", Side::New);
    assert_eq!(
        (nodes.grade, nodes.node.as_ref()),
        (Grade::Unknown, Some(&replica))
    );
    assert!(
        nodes.refuses && nodes.measured.contains("no answer within"),
        "{nodes}"
    );
}

#[test]
fn a_user_that_may_do_little_learns_what_to_permit() {
    let server = || {
        let server = Server::start(&ServerOptions::default()).unwrap();
        server
            .call(&[
                "ACL",
                "SETUSER",
                "switchback",
                "on",
                ">pw",
                "+info",
                "+role",
                "+ping",
                "+client",
            ])
            .unwrap();
        server
    };
    let servers = [server(), server()];
    let rows = found_as(&servers, "switchback", "pw");
    assert!(refusing(&rows).is_empty(), "{:#?}", not_ok(&rows));
    for (check, permission) in [
        ("databases", "+config|get"),
        ("acl_users", "+acl|list"),
        ("functions", "+function|list"),
        ("persistence", "+config|get"),
    ] {
        let row = row(&rows, check, Side::New);
        assert_eq!(row.grade, Grade::Unknown);
        assert!(row.advice.contains(permission), "{row}");
    }
    assert!(row(&rows, "clock", Side::Old).advice.contains("+time"));
    let rows = found_as(&servers, "switchback", "wrong-word");
    let nodes = row(&rows, "nodes", Side::Old);
    assert!(nodes.refuses && nodes.measured.contains("WRONGPASS"), "{nodes}");
    assert!(!format!("{rows:?}").contains("wrong-word"));
}
