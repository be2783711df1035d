//! After a trip: what is still attached to the old master is named with its commands, and detached where the configuration
//! names it; old's own replicas stay.

use switchback::lab::{Group, GroupOptions, Server, ServerOptions, wait_for};

use crate::running::{Running, SOON};

/// A killed replica is lost for good sooner than a restart would be over.
const GUARD: &str = "[route.guard]\nhealthy_before = \"500ms\"\nlink_down.for = \"1s\"\n";

fn group(name: &str) -> Group {
    Group::start(GroupOptions::named(name)).unwrap()
}

fn replica_of(master: &switchback::cluster::NodeAddr) -> Server {
    Server::start(&ServerOptions {
        replica_of: Some(master.clone()),
        ..ServerOptions::default()
    })
    .unwrap()
}

fn role(server: &Server) -> String {
    server.info("replication", "role").unwrap()
}

fn attached(server: &Server) -> String {
    server.info("replication", "connected_slaves").unwrap()
}

fn trip(running: &Running, new: &mut Group) {
    let master = new.master().unwrap();
    for replica in new.replicas_of(&master) {
        new.kill(&replica).unwrap();
    }
    running.wait_until("the route back", |status| status["state"] == "tripped");
}

fn reason(running: &Running, kind: &str) -> String {
    let events = running.events();
    let event = events.iter().find(|event| event["kind"] == kind);
    event.unwrap_or_else(|| panic!("no {kind}: {events:#?}"))["reason"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn at_a_trip_the_replicas_that_are_not_olds_own_are_named_with_the_commands_that_detach_them() {
    let (old, mut new) = (group("old-main"), group("new-main"));
    let running = Running::start(&old.sentinel_url(), Some(&new.sentinel_url()), GUARD);
    running.raise("50");
    let old_master = old.master().unwrap();
    assert_eq!(running.status()["advice"], serde_json::Value::Null);
    let joined = replica_of(&old_master);
    let master = old.server(&old_master).unwrap();
    wait_for("the third replica", SOON, || attached(master) == "3").unwrap();
    trip(&running, &mut new);
    let detach = format!("redis-cli -h 127.0.0.1 -p {} REPLICAOF NO ONE", joined.port());
    let reset = format!(
        "redis-cli -h 127.0.0.1 -p {} SENTINEL RESET old-main",
        old.sentinels()[0].addr().port
    );
    running.wait_until("the advice", |status| {
        let advice = status["advice"].as_str().unwrap_or_default();
        advice.contains(&detach) && advice.contains(&reset) && advice.contains("switchback arm r")
    });
    let told = reason(&running, "trip_advice");
    assert!(told.contains("link_down on new: "), "{told}");
    for own in old.replicas_of(&old_master) {
        assert!(!told.contains(&format!("-p {} REPLICAOF", own.port)), "{told}");
    }
    // Nothing was done: it is not asked for.
    assert_eq!(role(&joined), "slave");
    assert!(!running.has_event("detached"));
    let health: Vec<serde_json::Value> =
        serde_json::from_str(&running.say(&["HEALTH", "r", "JSON"])).unwrap();
    let bad = health
        .iter()
        .find(|rule| rule["rule"] == "link_down" && rule["side"] == "new")
        .unwrap();
    assert!(
        bad["advice"].as_str().unwrap().contains("INFO replication"),
        "{bad}"
    );
    // The operator does what it says, and is told what is left.
    joined.call(&["REPLICAOF", "NO", "ONE"]).unwrap();
    for sentinel in old.sentinels() {
        sentinel.call(&["SENTINEL", "RESET", "old-main"]).unwrap();
    }
    running.wait_until("the advice to notice", |status| {
        let advice = status["advice"].as_str().unwrap_or_default();
        !advice.contains("REPLICAOF") && advice.starts_with("link_down on new: ")
    });
}

#[test]
fn named_replicas_are_detached_from_the_old_master_at_a_trip_and_no_others() {
    // Without Sentinels, which would attach everything to it again: that is told in the advice, and not what is tested.
    let old = Server::start(&ServerOptions::default()).unwrap();
    let own = [replica_of(&old.addr()), replica_of(&old.addr())];
    let (named, stranger, elsewhere) = (
        replica_of(&old.addr()),
        replica_of(&old.addr()),
        replica_of(&own[0].addr()),
    );
    let mut new = group("new-main");
    let on_trip = format!(
        "{GUARD}on_trip = [\"detach_new_replicas\"]\ndetach = [\"{}\", \"{}\", \"{}\", \"127.0.0.1:1\"]\n",
        named.addr(),
        elsewhere.addr(),
        old.addr(),
    );
    let old_url = format!("redis://{}", old.addr());
    let running = Running::start(&old_url, Some(&new.sentinel_url()), &on_trip);
    wait_for("all replicas", SOON, || attached(&old) == "4").unwrap();
    running.raise("50");
    trip(&running, &mut new);
    let outcomes = || {
        let events = running.events();
        let kinds = events
            .iter()
            .map(|event| event["kind"].as_str().unwrap().to_owned());
        let mut kinds: Vec<String> = kinds.filter(|kind| kind.starts_with("detach")).collect();
        kinds.sort();
        kinds
    };
    wait_for("every outcome to be told", SOON, || outcomes().len() == 4).unwrap();
    let skipped = "detach_skipped";
    assert_eq!(
        outcomes(),
        ["detach_failed", skipped, skipped, "detached"],
        "{:#?}",
        running.events()
    );
    assert!(reason(&running, "detached").starts_with(&named.addr().to_string()));
    assert!(reason(&running, "detach_failed").starts_with("127.0.0.1:1: "));
    wait_for("the master to feed the others", SOON, || attached(&old) == "3").unwrap();
    assert_eq!(
        [&named, &stranger, &elsewhere].map(role),
        ["master", "slave", "slave"]
    );
    assert_eq!([&old, &own[0], &own[1]].map(role), ["master", "slave", "slave"]);
}
