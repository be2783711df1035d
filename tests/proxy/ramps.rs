//! What a ramp does with real groups behind it: by itself, and when something comes in its way.

use jiff::Timestamp;
use serde_json::{Value, json};
use switchback::lab::{Group, GroupOptions, wait_for};

use crate::operating::{server, url};
use crate::running::{Running, SOON};

/// Steps that can be waited for, and rules that clear soon.
const RAMP: &str =
    "[route.ramp]\nsteps = [10, 40, 100]\nhold = \"1s\"\n[route.guard]\nhealthy_before = \"500ms\"\n";

/// Starts a ramp as soon as the guard has the evidence to allow it.
fn start_ramp(running: &Running) {
    let mut last = String::new();
    let outcome = wait_for("the ramp to be allowed", SOON, || {
        last = running.say(&["RAMP", "r", "START"]);
        last == "OK"
    });
    outcome.unwrap_or_else(|error| panic!("{error}: {last}"));
}

/// The ramp's events, oldest first.
fn ramp_events(running: &Running) -> Vec<Value> {
    let mut events = running.events();
    events.retain(|event| {
        event["kind"]
            .as_str()
            .is_some_and(|kind| kind.starts_with("ramp_"))
    });
    events.reverse();
    events
}

fn kinds(running: &Running) -> Vec<String> {
    let events = ramp_events(running);
    events
        .iter()
        .map(|event| event["kind"].as_str().unwrap().to_owned())
        .collect()
}

fn time(event: &Value) -> Timestamp {
    event["time"].as_str().unwrap().parse().unwrap()
}

fn seconds_between(first: &Value, second: &Value) -> f64 {
    (time(second) - time(first)).total(jiff::Unit::Second).unwrap()
}

fn reload(running: &Running, from: &str, to: &str) {
    let file = running.path("switchback.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(&file, text.replace(from, to)).unwrap();
    assert_eq!(running.say(&["CONFIG", "RELOAD"]), "OK");
}

/// A window of three hours that begins so many hours from now.
fn window_in(hours: i64) -> String {
    let hour = |more: i64| (Timestamp::now().as_second() / 3_600 + hours + more).rem_euclid(24);
    format!("window = \"{:02}:00-{:02}:00\"\n", hour(0), hour(3))
}

#[test]
fn a_ramp_goes_through_its_steps_holds_before_each_and_is_told() {
    let (old, new) = (server(), server());
    let running = Running::start(&url(&old), Some(&url(&new)), RAMP);
    start_ramp(&running);
    let status = running.status();
    assert_eq!(
        (&status["state"], &status["target"]),
        (&json!("ramping"), &json!(100.0))
    );
    assert_eq!(status["ramp"]["steps"], json!([10.0, 40.0, 100.0]));
    assert!(status["ramp"]["hold_left_seconds"].as_f64().unwrap() <= 1.0);
    let end: Timestamp = status["estimated_end"].as_str().unwrap().parse().unwrap();
    let mut seen = Vec::new();
    running.wait_until("the ramp to end", |status| {
        seen.push(status["weight"].as_f64().unwrap());
        status["state"] == "steady"
    });
    assert!(
        seen.is_sorted()
            && seen
                .iter()
                .all(|weight| [0.0, 10.0, 40.0, 100.0].contains(weight)),
        "{seen:?}"
    );
    let told = kinds(&running);
    assert_eq!(
        told,
        ["ramp_started", "ramp_step", "ramp_step", "ramp_step", "ramp_done"]
    );
    let events = ramp_events(&running);
    for pair in events[..4].windows(2) {
        assert!(seconds_between(&pair[0], &pair[1]) >= 0.99, "{pair:#?}");
    }
    let late = (time(&events[4]) - end).total(jiff::Unit::Second).unwrap();
    assert!((-0.1..15.0).contains(&late), "it ended {late} s after it was to");
    let status = running.status();
    assert_eq!(
        (&status["ramp"], &status["estimated_end"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        running.say(&["RAMP", "r", "START"]),
        "-ERR route 'r' is at 100.00: no step of its ramp is above that"
    );
}

#[test]
fn an_operator_pauses_resumes_and_aborts_a_ramp_and_a_weight_or_a_route_back_ends_it() {
    let (old, new) = (server(), server());
    let running = Running::start(&url(&old), Some(&url(&new)), &RAMP.replace("1s", "2s"));
    for order in ["PAUSE", "RESUME", "ABORT"] {
        assert_eq!(
            running.say(&["RAMP", "r", order]),
            "-ERR route 'r' has no ramp under way"
        );
    }
    start_ramp(&running);
    running.wait_until("the first step", |status| status["weight"] == 10.0);
    assert_eq!(running.say(&["RAMP", "r", "PAUSE"]), "OK");
    let status = running.status();
    assert_eq!(
        (&status["weight"], &status["paused"], &status["estimated_end"]),
        (&json!(10.0), &json!("by the operator"), &Value::Null)
    );
    assert!(
        running
            .say(&["RAMP", "r", "START"])
            .starts_with("-ERR route 'r' is ramping already")
    );
    assert_eq!(running.say(&["RAMP", "r", "RESUME"]), "OK");
    running.wait_until("the second step", |status| status["weight"] == 40.0);
    assert_eq!(running.say(&["RAMP", "r", "ABORT"]), "OK");
    let status = running.status();
    assert_eq!(
        (&status["weight"], &status["state"]),
        (&json!(40.0), &json!("steady"))
    );
    assert_eq!(running.say(&["WEIGHT", "r", "20"]), "OK");
    start_ramp(&running);
    running.wait_until("the first step above it", |status| status["weight"] == 40.0);
    assert_eq!(running.say(&["WEIGHT", "r", "5"]), "OK");
    assert_eq!(running.status()["state"], "steady");
    start_ramp(&running);
    assert_eq!(running.say(&["BACK", "r", "REASON", "drill"]), "OK");
    assert_eq!(running.status()["state"], "tripped");
    assert!(
        running
            .say(&["RAMP", "r", "START"])
            .starts_with("-TRIPPED operator: drill")
    );
    let ends: Vec<Value> = ramp_events(&running)
        .into_iter()
        .filter(|event| event["kind"] == "ramp_aborted")
        .collect();
    let reasons: Vec<&str> = ends
        .iter()
        .map(|event| event["reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        reasons,
        [
            "at 40.00, step 2 of 3: by the operator; the weight stays",
            "at 40.00, step 2 of 3: by WEIGHT 5.00 by the operator",
            "at 5.00, step 0 of 3: by BACK by the operator: drill",
        ]
    );
}

#[test]
fn killed_in_mid_ramp_the_proxy_goes_on_with_it_and_holds_anew() {
    let (old, new) = (server(), server());
    let ramp = RAMP.replace("1s", "2s");
    let mut running = Running::start(&url(&old), Some(&url(&new)), &ramp);
    start_ramp(&running);
    running.wait_until("the first step", |status| status["weight"] == 10.0);
    // A step is in force before it is on disk; an order, even one for what is so already, waits for both.
    assert_eq!(running.say(&["ARM", "r"]), "OK");
    running.kill_and_restart();
    let status = running.status();
    assert_eq!(
        (&status["weight"], &status["state"], &status["target"]),
        (&json!(10.0), &json!("ramping"), &json!(100.0))
    );
    running.wait_until("the end", |status| {
        status["state"] == "steady" && status["weight"] == 100.0
    });
    let events = ramp_events(&running);
    let told = kinds(&running);
    assert_eq!(
        told,
        [
            "ramp_paused",
            "ramp_resumed",
            "ramp_step",
            "ramp_step",
            "ramp_done"
        ],
        "{events:#?}"
    );
    assert!(
        events[0]["reason"]
            .as_str()
            .unwrap()
            .contains("step 1 of 3: the proxy was restarted")
    );
    assert!(seconds_between(&events[1], &events[2]) >= 1.99, "{events:#?}");
    running.say(&["WEIGHT", "r", "10"]);
    start_ramp(&running);
    assert_eq!(running.say(&["RAMP", "r", "PAUSE"]), "OK");
    running.kill_and_restart();
    running.wait_until("evidence", |status| {
        status["old"]["verdict"] == "ok" && status["new"]["verdict"] == "ok"
    });
    assert_eq!(
        running.status()["paused"],
        "by the operator",
        "only an operator goes on"
    );
    assert_eq!(running.say(&["RAMP", "r", "RESUME"]), "OK");
    running.wait_until("the next step", |status| status["weight"] == 40.0);
}

#[test]
fn a_shift_over_time_is_not_forgotten_by_kill_9_either() {
    let (old, new) = (server(), server());
    let mut running = Running::start(&url(&old), Some(&url(&new)), "");
    running.raise("1");
    assert_eq!(running.say(&["WEIGHT", "r", "50", "OVER", "4"]), "OK");
    running.wait_until("some way", |status| status["weight"].as_f64() > Some(10.0));
    running.kill_and_restart();
    let status = running.status();
    assert_eq!(
        (&status["state"], &status["target"]),
        (&json!("shifting"), &json!(50.0))
    );
    // Steps are in force before they are on disk, and a busy machine's disk is some of them behind.
    assert!(
        (1.0..50.0).contains(&status["weight"].as_f64().unwrap()),
        "{status}"
    );
    running.wait_until("the end", |status| status["state"] == "steady");
    assert_eq!(running.say(&["WEIGHT", "r"]), "50.00");
}

#[test]
fn a_replica_that_stops_on_old_pauses_a_ramp_which_resumes_by_itself_when_it_is_back() {
    let old = Group::start(GroupOptions {
        replicas: 1,
        ..GroupOptions::named("old-main")
    })
    .unwrap();
    let new = server();
    let ramp = RAMP.replace("1s", "3s");
    let running = Running::start(&old.sentinel_url(), Some(&url(&new)), &ramp);
    start_ramp(&running);
    running.wait_until("the first step", |status| status["weight"] == 10.0);
    let master = old.master().unwrap();
    let replica = old.replicas_of(&master).remove(0);
    old.freeze(&replica).unwrap();
    running.wait_until("the pause", |status| !status["paused"].is_null());
    let status = running.status();
    let paused = status["paused"].as_str().unwrap();
    assert!(
        paused.starts_with("rule=") && paused.contains(" side=old"),
        "{status}"
    );
    assert_eq!(status["state"], "ramping");
    assert_eq!(status["estimated_end"], Value::Null, "nobody knows");
    assert!(running.say(&["WEIGHT", "r", "50"]).starts_with("-FROZEN rule="));
    old.thaw(&replica).unwrap();
    running.wait_until("the next step", |status| status["weight"] == 40.0);
    let events = ramp_events(&running);
    let told = kinds(&running);
    assert_eq!(told[..2], ["ramp_started", "ramp_step"]);
    assert_eq!(
        told[told.len() - 2..],
        ["ramp_resumed", "ramp_step"],
        "{events:#?}"
    );
    let between = &told[2..told.len() - 1];
    assert!(between.iter().any(|kind| kind == "ramp_paused"), "{events:#?}");
    assert!(
        seconds_between(&events[told.len() - 2], &events[told.len() - 1]) >= 2.99,
        "the hold began anew: {events:#?}"
    );
}

#[test]
fn outside_the_window_no_raise_begins_or_goes_on() {
    let (old, new) = (server(), server());
    let shut = window_in(4);
    let running = Running::start(
        &url(&old),
        Some(&url(&new)),
        &RAMP.replace("hold = \"1s\"\n", &format!("hold = \"1s\"\n{shut}")),
    );
    running.wait_until("evidence", |status| {
        status["old"]["verdict"] == "ok" && status["new"]["verdict"] == "ok"
    });
    for order in [
        &["WEIGHT", "r", "5"][..],
        &["WEIGHT", "r", "5", "OVER", "5"],
        &["RAMP", "r", "START"],
    ] {
        let refused = running.say(order);
        assert!(
            refused.starts_with("-FROZEN rule=window node=none measured="),
            "{refused}"
        );
    }
    assert_eq!(running.say(&["WEIGHT", "r", "5", "FORCE", "urgent"]), "OK");
    assert_eq!(
        running.say(&["WEIGHT", "r", "2"]),
        "OK",
        "a lower weight is never refused"
    );
    let open = window_in(-1);
    reload(&running, &shut, &open);
    start_ramp(&running);
    running.wait_until("the first step", |status| status["weight"] == 10.0);
    reload(&running, &open, &shut);
    running.wait_until("the pause", |status| {
        status["paused"]
            .as_str()
            .is_some_and(|paused| paused.starts_with("rule=window"))
    });
    let status = running.status();
    assert!(
        !status["estimated_end"].is_null(),
        "the window's opening is known: {status}"
    );
    reload(&running, &shut, "");
    running.wait_until("the end", |status| {
        status["weight"] == 100.0 && status["state"] == "steady"
    });
    let told = kinds(&running);
    assert!(told.iter().any(|kind| kind == "ramp_resumed"), "{told:?}");
}

#[test]
fn a_ramp_goes_on_with_the_steps_of_a_changed_file_that_are_above_its_weight() {
    let (old, new) = (server(), server());
    let running = Running::start(&url(&old), Some(&url(&new)), &RAMP.replace("1s", "2s"));
    start_ramp(&running);
    running.wait_until("the first step", |status| status["weight"] == 10.0);
    reload(&running, "steps = [10, 40, 100]", "steps = [5, 15, 20]");
    running.wait_until("the end", |status| status["state"] == "steady");
    assert_eq!(running.say(&["WEIGHT", "r"]), "20.00");
    let events = running.events();
    let reloaded = events
        .iter()
        .find(|event| event["kind"] == "config_reloaded")
        .unwrap();
    assert!(
        reloaded["reason"].as_str().unwrap().contains("the ramp goes on"),
        "{reloaded}"
    );
}
