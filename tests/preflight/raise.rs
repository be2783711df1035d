//! The running proxy, when an operator would begin.

use std::time::Duration;

use switchback::lab::{Client, Group, Reply, wait_for};

use crate::groups::groups;
use crate::running::{Running, SOON};

const BEGINS: &str = "-FROZEN rule=";

fn running(groups: &[Group; 2]) -> Running {
    let [old, new] = [0, 1].map(|side| groups[side].sentinel_url());
    Running::start(&old, Some(&new), "")
}

/// Until nothing but what is wrong with the sides stands in the way.
fn refused_by(running: &Running, check: &str) -> String {
    let mut said = String::new();
    let outcome = wait_for("the raise to be refused", SOON, || {
        said = running.say(&["WEIGHT", "r", "5"]);
        said.starts_with(&format!("{BEGINS}{check} "))
    });
    outcome.unwrap_or_else(|error| panic!("{error}: {said}"));
    said
}

fn has_event(running: &Running, kind: &str, text: &str) -> bool {
    let events = running.events();
    events
        .iter()
        .any(|event| event["kind"] == kind && event["reason"].as_str().unwrap().contains(text))
}

#[test]
fn a_raise_from_0_looks_at_both_sides_and_says_what_it_saw() {
    let groups = groups();
    let running = running(&groups);
    running.raise("5");
    assert!(has_event(&running, "preflight_ok", "checks"));
    // Above 0 the guard alone decides.
    let looks = |running: &Running| {
        let events = running.events();
        events
            .iter()
            .filter(|event| event["kind"] == "preflight_ok")
            .count()
    };
    let before = looks(&running);
    running.raise("10");
    assert_eq!(looks(&running), before);
}

#[test]
fn what_is_wrong_refuses_a_raise_from_0_until_it_is_mended_or_forced() {
    let groups = groups();
    let old = groups[0].server(&groups[0].master().unwrap()).unwrap();
    old.call(&["ACL", "SETUSER", "app", "on", ">topsecret", "~*", "+@all"])
        .unwrap();
    let running = running(&groups);
    let said = refused_by(&running, "acl_users");
    assert!(
        said.contains(" node=127.0.0.1:")
            && said.contains("measured=\"missing: app\"")
            && said.contains(": ACL SETUSER"),
        "{said}"
    );
    assert!(has_event(&running, "preflight_refused", "rule=acl_users"));
    assert_eq!(running.say(&["WEIGHT", "r"]), "0.00");
    // A shift is a raise too.
    let said = running.say(&["WEIGHT", "r", "5", "OVER", "10"]);
    assert!(said.starts_with("-FROZEN rule=acl_users"), "{said}");
    assert_eq!(
        running.say(&["WEIGHT", "r", "5", "FORCE", "no", "such", "app", "is", "left"]),
        "OK"
    );
    assert!(has_event(
        &running,
        "preflight_refused",
        "forced: no such app is left"
    ));
    assert!(has_event(&running, "weight", "forced over rule=acl_users"));
    // Mended, it is not held against the next raise, not even for a moment.
    assert_eq!(running.say(&["WEIGHT", "r", "0"]), "OK");
    for node in groups[1].servers() {
        node.call(&["ACL", "SETUSER", "app", "on", ">topsecret", "~*", "+@all"])
            .unwrap();
    }
    assert_eq!(running.say(&["WEIGHT", "r", "5"]), "OK");
    assert!(!running.log().contains("topsecret"));
}

#[test]
fn a_peer_that_is_silent_costs_a_raise_its_own_answer_and_a_bounded_time() {
    let groups = groups();
    let running = running(&groups);
    running.raise("5");
    assert_eq!(running.say(&["WEIGHT", "r", "0"]), "OK");
    // It accepts connections and says nothing.
    let sentinel = &groups[0].sentinels()[0];
    sentinel.signal(nix::sys::signal::Signal::SIGSTOP).unwrap();
    let began = std::time::Instant::now();
    let said = running.say(&["WEIGHT", "r", "5"]);
    let took = began.elapsed();
    sentinel.signal(nix::sys::signal::Signal::SIGCONT).unwrap();
    assert_eq!(said, "OK");
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert!(has_event(&running, "preflight_ok", "warn: sentinels (old)"));
}

#[test]
fn others_orders_go_on_while_a_raise_waits_and_a_later_one_overtakes_it() {
    let groups = groups();
    let running = running(&groups);
    running.raise("5");
    assert_eq!(running.say(&["WEIGHT", "r", "0"]), "OK");
    let sentinel = &groups[0].sentinels()[0];
    sentinel.signal(nix::sys::signal::Signal::SIGSTOP).unwrap();
    let overtaken = wait_for("a later order to come while one waits", SOON, || {
        assert_eq!(running.say(&["ARM", "r"]), "OK");
        let mut waiting = Client::connect_unix(&running.socket()).unwrap();
        waiting.send(&["WEIGHT", "r", "5"]).unwrap();
        // Two connections: now and then it comes first.
        assert_eq!(running.say(&["BACK", "r", "REASON", "not", "now"]), "OK");
        match waiting.receive().unwrap() {
            Reply::Error(text) if text.starts_with("ERR not done: a later order") => true,
            Reply::Error(text) if text.starts_with("TRIPPED operator: not now") => false,
            other => panic!("{other:?}"),
        }
    });
    sentinel.signal(nix::sys::signal::Signal::SIGCONT).unwrap();
    overtaken.unwrap();
    assert_eq!(running.say(&["WEIGHT", "r"]), "0.00");
    assert!(
        running
            .say(&["WEIGHT", "r", "5"])
            .starts_with("-TRIPPED operator")
    );
}

#[test]
fn a_ramp_is_refused_as_a_raise_is_and_one_under_way_waits_at_0_until_it_is_mended() {
    let groups = groups();
    let [old, new] = [0, 1].map(|side| groups[side].sentinel_url());
    let ramp = "[route.ramp]\nsteps = [10]\nhold = \"8s\"\n";
    let running = Running::start(&old, Some(&new), ramp);
    let master = groups[0].server(&groups[0].master().unwrap()).unwrap();
    let user = ["ACL", "SETUSER", "app", "on", ">topsecret", "~*", "+@all"];
    let start = |wanted: &str| {
        let mut said = String::new();
        let outcome = wait_for("the ramp to be decided", SOON, || {
            said = running.say(&["RAMP", "r", "START"]);
            said.starts_with(wanted)
        });
        outcome.unwrap_or_else(|error| panic!("{error}: {said}"));
    };
    master.call(&user).unwrap();
    start("-FROZEN rule=acl_users");
    master.call(&["ACL", "DELUSER", "app"]).unwrap();
    start("OK");
    // Within the hold; the next look sees it.
    master.call(&user).unwrap();
    running.wait_until("the ramp to wait", |status| {
        let paused = status["paused"].as_str();
        paused.is_some_and(|why| why.starts_with("rule=acl_users"))
    });
    assert_eq!(running.say(&["WEIGHT", "r"]), "0.00");
    master.call(&["ACL", "DELUSER", "app"]).unwrap();
    running.wait_until("the step", |status| status["weight"] == 10.0);
    assert!(has_event(&running, "ramp_paused", "rule=acl_users"));
}
