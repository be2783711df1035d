//! What apps see when nodes fail, at weight 50, under load: every command accounted for.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use switchback::cluster::NodeAddr;
use switchback::demo::{Ledger, Load, LoadOptions};
use switchback::lab::{Client, Group, GroupOptions, wait_for};

use crate::running::{Running, SOON};

/// Rules that clear soon, so that a test may go on; how soon they are bad is as shipped.
const GUARD: &str = "[route.guard]\nhealthy_before = \"500ms\"\n";

fn group(name: &str) -> Group {
    Group::start(GroupOptions::named(name)).unwrap()
}

fn half_way() -> (Group, Group, Running) {
    let (old, new) = (group("old-main"), group("new-main"));
    let running = Running::start(&old.sentinel_url(), Some(&new.sentinel_url()), GUARD);
    running.raise("50");
    (old, new, running)
}

fn load(running: &Running) -> Load {
    let options = LoadOptions {
        per_second: 1_000,
        ..LoadOptions::default()
    };
    let load = Load::start(&running.listen, &options).unwrap();
    wait_for("the load to run", SOON, || load.snapshot().acknowledged > 500).unwrap();
    load
}

fn stop(load: Load, masters: &[&NodeAddr]) -> Ledger {
    let mut clients: Vec<Client> = masters
        .iter()
        .map(|master| Client::connect(master).unwrap())
        .collect();
    let ledger = load.stop(&mut clients).unwrap();
    println!("{ledger:?}");
    ledger
}

fn go_on(load: &Load) {
    let before = load.snapshot().acknowledged;
    wait_for("the load to go on", SOON, || {
        load.snapshot().acknowledged > before + 500
    })
    .unwrap();
}

fn trips(running: &Running) -> usize {
    running
        .events()
        .iter()
        .filter(|event| event["kind"] == "trip")
        .count()
}

/// No app has seen an error, and nothing was done twice or wrongly.
fn assert_unnoticed(ledger: &Ledger) {
    assert!(ledger.failed.is_empty(), "{ledger:?}");
    assert_eq!(
        (ledger.wrong, ledger.doubled, ledger.ghosts),
        (0, 0, 0),
        "{ledger:?}"
    );
}

/// What was in flight on the lost master, at most one command a writer, is told; nothing else fails.
fn assert_only_what_was_in_flight_failed(ledger: &Ledger) {
    assert!(ledger.failed.keys().all(|kind| kind == "UNCERTAIN"), "{ledger:?}");
    assert!(
        ledger.failures() <= LoadOptions::default().writers as u64,
        "{ledger:?}"
    );
    assert_eq!((ledger.doubled, ledger.ghosts), (0, 0), "{ledger:?}");
}

#[test]
fn a_clean_failover_of_either_side_is_latency_to_apps_and_trips_nothing() {
    let (old, new, running) = half_way();
    let load = load(&running);
    for (group, side) in [(&old, "old"), (&new, "new")] {
        let before = group.master().unwrap();
        let after = group.failover().unwrap();
        assert_ne!(before, after);
        running.wait_until("the new master to be followed", |status| {
            status[side]["master"] == after.to_string()
        });
        go_on(&load);
    }
    assert_eq!(running.status()["weight"], 50.0, "{:?}", running.events());
    assert_eq!(trips(&running), 0);
    let ledger = stop(load, &[&old.master().unwrap(), &new.master().unwrap()]);
    assert_unnoticed(&ledger);
}

#[test]
fn a_killed_new_master_brings_everything_back_to_old() {
    let (old, mut new, running) = half_way();
    let load = load(&running);
    let victim = new.master().unwrap();
    new.kill(&victim).unwrap();
    running.wait_until("the route back", |status| status["state"] == "tripped");
    assert_eq!(running.status()["weight"], 0.0);
    go_on(&load);
    // Its Sentinels have promoted a replica: what the dead master had passed on is there.
    let heir = new.wait_for_master_other_than(&victim).unwrap();
    let ledger = stop(load, &[&old.master().unwrap(), &heir]);
    assert_only_what_was_in_flight_failed(&ledger);
}

#[test]
fn a_frozen_new_master_brings_everything_back_to_old() {
    let (old, new, running) = half_way();
    let load = load(&running);
    let victim = new.master().unwrap();
    new.freeze(&victim).unwrap();
    running.wait_until("the route back", |status| status["state"] == "tripped");
    go_on(&load);
    new.thaw(&victim).unwrap();
    let ledger = stop(load, &[&old.master().unwrap(), &victim]);
    assert_only_what_was_in_flight_failed(&ledger);
}

#[test]
fn losing_the_replicas_of_new_routes_back_and_costs_no_command() {
    let (old, mut new, running) = half_way();
    let load = load(&running);
    let master = new.master().unwrap();
    for replica in new.replicas_of(&master) {
        new.kill(&replica).unwrap();
    }
    running.wait_until("the route back", |status| status["state"] == "tripped");
    go_on(&load);
    let ledger = stop(load, &[&old.master().unwrap(), &master]);
    assert!(ledger.is_clean(), "{ledger:?}");
    let refused = running.say(&["ARM", "r"]);
    assert!(
        refused.starts_with("-FROZEN rule="),
        "the rule is still bad: {refused}"
    );
}

#[test]
fn a_killed_old_master_is_waited_for_and_trips_nothing() {
    let (mut old, new, running) = half_way();
    let load = load(&running);
    let victim = old.master().unwrap();
    old.kill(&victim).unwrap();
    let after = old.wait_for_master_other_than(&victim).unwrap();
    running.wait_until("the new master to be followed", |status| {
        status["old"]["master"] == after.to_string()
    });
    go_on(&load);
    assert_eq!(trips(&running), 0);
    let ledger = stop(load, &[&after, &new.master().unwrap()]);
    assert_only_what_was_in_flight_failed(&ledger);
}

#[test]
fn a_proxy_that_was_stopped_for_two_seconds_does_not_trip() {
    let (old, new, running) = half_way();
    let load = load(&running);
    for _ in 0..3 {
        running.signal(Signal::SIGSTOP);
        // The length of the stall is what is tested: there is no condition to wait for.
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        running.signal(Signal::SIGCONT);
        go_on(&load);
    }
    assert_eq!(trips(&running), 0, "{:?}", running.events());
    assert_eq!(running.status()["weight"], 50.0);
    let ledger = stop(load, &[&old.master().unwrap(), &new.master().unwrap()]);
    assert_unnoticed(&ledger);
    assert_eq!(ledger.lost, 0, "{ledger:?}");
}

#[test]
fn no_raise_while_a_side_is_unwell_unless_it_is_forced() {
    let (mut old, _new, running) = half_way();
    let master = old.master().unwrap();
    for replica in old.replicas_of(&master) {
        old.kill(&replica).unwrap();
    }
    running.wait_until("the loss to be seen", |status| status["old"]["verdict"] == "bad");
    let refusal = running.say(&["WEIGHT", "r", "60"]);
    for word in ["rule=", "node=", "measured=", "limit="] {
        assert!(refusal.contains(word), "{refusal}");
    }
    assert_eq!(
        running.say(&["WEIGHT", "r", "40"]),
        "OK",
        "lower is never refused"
    );
    assert_eq!(
        running.say(&["WEIGHT", "r", "60", "FORCE", "known", "and", "accepted"]),
        "OK"
    );
    let forced = running
        .events()
        .into_iter()
        .find(|event| event["kind"] == "weight")
        .unwrap();
    assert!(
        forced["reason"].as_str().unwrap().contains("known and accepted"),
        "{forced}"
    );
    assert_eq!(trips(&running), 0, "trouble on old never moves traffic");
}
