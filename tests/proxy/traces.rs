//! A live run that trips is recorded, and replayed: the same trip by the same evidence; and none under looser settings.

use std::path::Path;

use serde_json::Value;
use switchback::cluster::Secret;
use switchback::lab::{Group, GroupOptions, wait_for};

use crate::operating::{server, url};
use crate::running::{Running, SOON, program, stderr};

/// A killed replica is lost for good sooner than a restart would be over.
const GUARD: &str = "[route.guard]\nhealthy_before = \"500ms\"\nlink_down.for = \"1s\"\n";
const RECORDING: &str = "trace_dir = \"{dir}/traces\"";

fn replay(arguments: &[&str]) -> String {
    let output = program(&[&["guard", "replay"], arguments].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn document(arguments: &[&str]) -> Value {
    serde_json::from_str(&replay(&[arguments, &["--json"]].concat())).unwrap()
}

fn event<'e>(events: &'e [Value], kind: &str) -> &'e Value {
    events.iter().find(|event| event["kind"] == kind).unwrap()
}

/// Milliseconds since the epoch.
fn millis(time: &Value) -> i64 {
    time.as_str()
        .unwrap()
        .parse::<jiff::Timestamp>()
        .unwrap()
        .as_millisecond()
}

/// A copy of the running proxy's configuration with another guard.
fn configured(running: &Running, guard: &str) -> String {
    let text = std::fs::read_to_string(running.path("switchback.toml")).unwrap();
    let path = running.path("other.toml");
    std::fs::write(&path, text.replace(GUARD, guard)).unwrap();
    path.display().to_string()
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).unwrap_or_default().lines().count()
}

#[test]
fn a_trip_is_replayed_by_the_same_evidence_and_does_not_happen_under_looser_settings() {
    let group = |name: &str| {
        Group::start(GroupOptions {
            password: Some(Secret::new("of-the-nodes")),
            ..GroupOptions::named(name)
        })
        .unwrap()
    };
    let (old, mut new) = (group("old-main"), group("new-main"));
    let more = format!(
        "[route.old_auth]\npassword = \"of-the-nodes\"\n[route.new_auth]\npassword = \"of-the-nodes\"\n{GUARD}"
    );
    let (old_url, new_url) = (old.sentinel_url(), new.sentinel_url());
    let running = Running::start_with(RECORDING, &old_url, Some(&new_url), &more);
    running.raise("50");
    running
        .client()
        .ask(&["SET", "a-client-key", "a-client-value"])
        .unwrap();
    let master = new.master().unwrap();
    for replica in new.replicas_of(&master) {
        new.kill(&replica).unwrap();
    }
    running.wait_until("the route back", |status| status["state"] == "tripped");
    let events = running.events();
    let trace = running.path("traces/r.trace");
    let so_far = lines(&trace);
    wait_for("the recording to go on", SOON, || lines(&trace) > so_far + 100).unwrap();

    let file = trace.display().to_string();
    let replayed = document(&[&file]);
    let live = event(&events, "trip");
    assert_eq!(replayed["trip"]["reason"], live["reason"], "{replayed:#}");
    let apart = millis(&replayed["trip"]["time"]) - millis(&live["time"]);
    assert!(apart.abs() < 50, "{apart} ms apart");
    assert_eq!((&replayed["trips"], &replayed["lost"]), (&1.into(), &0.into()));
    // Each rule that was told in the live run, in order.
    let mut said = replayed["lines"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["kind"] == "verdict");
    let live_said: Vec<&Value> = events
        .iter()
        .rev()
        .filter(|event| event["kind"].as_str().unwrap().starts_with("rule_"))
        .collect();
    assert!(!live_said.is_empty());
    for live in live_said {
        assert!(said.any(|said| said["reason"] == live["reason"]), "{live}");
    }
    let text = replay(&[&file]);
    let last = text.lines().next_back().unwrap();
    assert!(
        last.starts_with("would have tripped at ") && last.contains("rule=link_down"),
        "{last}"
    );
    assert_eq!(text, replay(&[&file]), "the same every time");

    let looser = configured(
        &running,
        "[route.guard]\n[route.guard.link_down]\nfor = \"10m\"\n",
    );
    let text = replay(&[&file, "--config", &looser]);
    let last = text.lines().next_back().unwrap();
    assert!(last.starts_with("would not have tripped"), "{last}");
    assert!(
        text.contains("recorded       trip at weight 0.00: rule=link_down"),
        "{text}"
    );

    let recorded = std::fs::read_to_string(&trace).unwrap();
    for secret in ["of-the-nodes", "a-client-key", "a-client-value"] {
        assert!(!recorded.contains(secret), "{secret} is in the trace");
    }
}

#[test]
fn recording_begins_and_ends_with_a_reload_and_a_directory_that_cannot_be_had_is_told() {
    let old = Group::start(GroupOptions::named("old-main")).unwrap();
    let running = Running::start(&old.sentinel_url(), None, "");
    let file = running.path("switchback.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let reload = |trace_dir: &str| {
        std::fs::write(
            &file,
            text.replacen("[proxy]", &format!("[proxy]\n{trace_dir}"), 1),
        )
        .unwrap();
        assert_eq!(running.say(&["CONFIG", "RELOAD"]), "OK");
    };
    let at = |directory: &str| format!("trace_dir = \"{}\"", running.path(directory).display());
    let trace = running.path("traces/r.trace");
    reload(&at("traces"));
    wait_for("the recording to begin", SOON, || lines(&trace) > 10).unwrap();
    reload("");
    let ended = running.path("traces/r.trace");
    // The file is free once the thread that wrote it has ended.
    let is_free = || {
        let file = std::fs::File::open(&ended).unwrap();
        nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusiveNonblock).is_ok()
    };
    wait_for("the recording to end", SOON, is_free).unwrap();
    assert!(replay(&[&trace.display().to_string()]).contains("would not have tripped"));
    // A file where the directory is to be.
    std::fs::write(running.path("obstacle"), "").unwrap();
    reload(&at("obstacle"));
    wait_for("the failure to be told", SOON, || {
        running.has_event("trace_failed")
    })
    .unwrap();
    assert_eq!(
        running.client().ask(&["PING"]).unwrap().text().as_deref(),
        Some("PONG")
    );
}

#[test]
fn a_file_that_is_no_trace_is_refused_with_file_and_line_and_bad_settings_with_their_keys() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(path("bad.trace"), "{\"switchback_trace\":1}\n").unwrap();
    std::fs::write(path("empty.trace"), "").unwrap();
    let header = "{\"switchback_trace\":1,\"route\":\"r\",\"began\":\"2021-11-11T18:00:00Z\"}\n";
    std::fs::write(path("good.trace"), header).unwrap();
    std::fs::write(path("bad.toml"), "[proxy]\nworker = 1\n").unwrap();
    std::fs::write(
        path("other.toml"),
        "[[route]]\nname = \"other\"\nlisten = [\"127.0.0.1:1\"]\nold = \"redis://h:1\"\n",
    )
    .unwrap();
    let fails = |arguments: &[&str], code: i32, words: &[&str]| {
        let output = program(&[&["guard", "replay"], arguments].concat());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    };
    fails(&[&path("none.trace")], 1, &["none.trace"]);
    fails(&[&path("empty.trace")], 1, &["empty.trace", "expected"]);
    fails(
        &[&path("bad.trace")],
        1,
        &["bad.trace, line 1: missing field", "expected"],
    );
    fails(
        &[&path("good.trace"), "--config", &path("bad.toml")],
        2,
        &["proxy.worker"],
    );
    fails(
        &[&path("good.trace"), "--config", &path("other.toml")],
        2,
        &["no route 'r'", "--route"],
    );
    replay(&[
        &path("good.trace"),
        "--config",
        &path("other.toml"),
        "--route",
        "other",
    ]);
}

#[test]
fn a_trace_has_how_far_ahead_the_rules_looked_while_a_ramp_was_under_way() {
    let (old, new) = (server(), server());
    let ramp = "[route.ramp]\nsteps = [10, 20]\nhold = \"6s\"\n";
    let running = Running::start_with(RECORDING, &url(&old), Some(&url(&new)), ramp);
    wait_for("the ramp to be allowed", SOON, || {
        running.say(&["RAMP", "r", "START"]) == "OK"
    })
    .unwrap();
    let trace = running.path("traces/r.trace");
    let has = |line: &str| std::fs::read_to_string(&trace).unwrap_or_default().contains(line);
    wait_for("twelve seconds ahead", SOON, || has("{\"ahead\":{\"secs\":20}}")).unwrap();
    assert_eq!(running.say(&["RAMP", "r", "ABORT"]), "OK");
    wait_for("nothing ahead", SOON, || has("{\"ahead\":{}}")).unwrap();
    replay(&[&trace.display().to_string()]);
}
