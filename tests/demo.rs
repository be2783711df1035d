//! Does the demo keep its promise, and clean up whatever happens to it?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use switchback::control_plane::trace::{Assumed, Reader, Replay, Said};
use switchback::lab::wait_for;

const SOON: Duration = Duration::from_secs(30);
/// What `./demo` promises, on a machine that does more than one thing.
const WHOLE: Duration = Duration::from_secs(120);
/// Servers and Sentinels of both groups.
const PROCESSES: usize = 12;

/// A demo with a temporary directory of its own, so that what it leaves there shows.
struct Demo {
    process: Child,
    temporary: tempfile::TempDir,
}

impl Demo {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(arguments: &[&str]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_switchback"))
            .arg("demo")
            .args(arguments)
            .env("TMPDIR", temporary.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { process, temporary }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).unwrap();
    }

    /// Waits until all of both groups runs, and returns the process ids.
    fn groups(&self) -> Vec<u32> {
        self.processes(PROCESSES)
    }

    fn processes(&self, count: usize) -> Vec<u32> {
        let mut found = Vec::new();
        wait_for("all processes", SOON, || {
            found = children(self.process.id());
            found.len() >= count
        })
        .unwrap();
        found
    }

    /// Plays it to its end: the exit code, what was told on stdout, and on stderr.
    fn played(&mut self) -> (Option<i32>, String, String) {
        let mut told = self.process.stdout.take().unwrap();
        let mut errors = self.process.stderr.take().unwrap();
        let reading = std::thread::spawn(move || {
            let (mut text, mut aside) = (String::new(), String::new());
            // Nothing fills a pipe but what is told.
            told.read_to_string(&mut text).unwrap();
            errors.read_to_string(&mut aside).unwrap();
            (text, aside)
        });
        let mut status = None;
        let ended = wait_for("the demo to end", WHOLE, || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        if ended.is_err() {
            let _ = self.process.kill();
        }
        let (text, aside) = reading.join().unwrap();
        println!("{text}\n{aside}");
        (status.and_then(|status| status.code()), text, aside)
    }

    fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_for("the demo to end", SOON, || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        })
        .unwrap();
        status.unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// State letter and parent from `/proc/PID/stat`, whose second field is a name in brackets.
fn state_and_parent(pid: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

fn children(parent: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| state_and_parent(*pid).is_some_and(|(_, of)| of == parent))
        .collect()
}

/// A zombie has ended; whoever inherited it has yet to notice.
fn runs(pid: u32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| state != "Z")
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn ctrl_c_ends_everything_and_leaves_nothing_behind() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let mut demo = Demo::start();
        let groups = demo.groups();
        demo.signal(signal);
        assert_eq!(demo.wait().code(), Some(1));
        assert!(groups.iter().all(|pid| !runs(*pid)));
        assert_eq!(entries(demo.temporary.path()), 0);
    }
}

#[test]
fn the_incident_in_full_leaves_nothing_behind_either_and_its_network_is_out_of_sight() {
    let links = || fs::read_to_string("/proc/net/dev").unwrap().lines().count();
    let before = links();
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let mut demo = Demo::start_with(&["--incident"]);
        let group = demo.processes(PROCESSES / 2);
        assert_eq!(links(), before);
        demo.signal(signal);
        demo.wait();
        wait_for("the servers to end", SOON, || group.iter().all(|pid| !runs(*pid))).unwrap();
        assert!(signal == Signal::SIGKILL || entries(demo.temporary.path()) == 0);
    }
}

#[test]
fn no_server_outlives_a_demo_that_is_killed() {
    let mut demo = Demo::start();
    let groups = demo.groups();
    demo.signal(Signal::SIGKILL);
    demo.wait();
    wait_for("the servers to end", SOON, || {
        groups.iter().all(|pid| !runs(*pid))
    })
    .unwrap();
}

#[test]
fn the_incident_is_played_to_its_end_and_no_app_notices() {
    let mut demo = Demo::start();
    let (code, text, _) = demo.played();
    assert_eq!(code, Some(0));
    assert!(text.contains("The apps noticed nothing.") && !text.contains("BROKEN"));
    let rows: Vec<(&str, &str)> = text.lines().filter_map(row).collect();
    for name in ["failed", "late (over 900 ms)"] {
        let values: Vec<_> = rows.iter().filter(|(row, _)| *row == name).collect();
        assert_eq!(
            values,
            [&(name, "0"), &(name, "0")],
            "of commands and of messages"
        );
    }
    for name in [
        "executed twice",
        "wrongly answered",
        "doubled",
        "out of order",
        "damaged",
        "commands on new since",
    ] {
        assert!(rows.contains(&(name, "0")), "{name}");
    }
    let lost = ["0", "0, of which told as gaps 0"].map(|value| ("lost", value));
    assert!(lost.iter().all(|row| rows.contains(row)));
    let first = |name| rows.iter().find(|(row, _)| *row == name).unwrap().1;
    assert!(first("detection").contains("(rule="), "{}", first("detection"));
    for name in ["commands", "messages"] {
        let count: u64 = first(name).split(' ').next().unwrap().parse().unwrap();
        assert!(count > 1_000, "{name}: {count}");
    }
    assert_eq!(entries(demo.temporary.path()), 0);
}

#[test]
fn the_incident_in_full_trips_though_all_advice_was_followed_and_nothing_is_lost_untold() {
    let traces = tempfile::tempdir().unwrap();
    let traced = traces.path().to_str().unwrap();
    let mut demo = Demo::start_with(&["--incident", "--only", "as-shipped", "--json", "--trace", traced]);
    let (code, text, _) = demo.played();
    assert_eq!(code, Some(0));
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let [run] = &document["runs"].as_array().unwrap()[..] else {
        panic!("one run");
    };
    let refusals = run["preflight"]["refusals"].as_array().unwrap();
    let is_refused_for = |check: &str| {
        refusals
            .iter()
            .any(|one| one.as_str().unwrap().starts_with(check))
    };
    assert!(is_refused_for("replicas of old") && is_refused_for("backlog of new"));
    let highest = run["looks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|look| look["weight"].as_f64());
    assert!(highest.flatten().fold(0.0, f64::max) >= 25.0);
    assert!(run["trip"]["text"].as_str().unwrap().starts_with("rule="));
    let messages = &run["messages"];
    assert_eq!(messages["failed"], serde_json::json!({}));
    assert_eq!(messages["lost"], messages["lost_in_gaps"]);
    assert!(messages["published"].as_u64().unwrap() > 1_000);
    let of_kind = |kind: &str| {
        run["events"]
            .as_array()
            .unwrap()
            .iter()
            .any(|event| event["kind"] == kind)
    };
    assert!(["preflight_ok", "trip", "routed_back"].into_iter().all(of_kind));
    assert_eq!(entries(demo.temporary.path()), 0);
    trips_again_and_no_later(&traces.path().join("as-shipped/demo.trace"));
}

/// As of the traces kept in `tests/traces`; that of a whole incident would be too large for that.
fn trips_again_and_no_later(trace: &Path) {
    let mut reader = Reader::open(trace).unwrap();
    let mut replay = Replay::new(Assumed::default());
    let mut live = None;
    while let Some(line) = reader.next_line().unwrap() {
        live = live.or(replay
            .take(line)
            .unwrap()
            .into_iter()
            .find_map(|said| match said {
                Said::Did { time, moved } if moved.kind == "trip" => Some(time),
                _ => None,
            }));
    }
    let again = replay.first_trip().unwrap();
    assert!(again.time <= live.unwrap(), "{} at {}", again.verdict, again.time);
}

/// A line of the ledger: two spaces, perhaps two more, a name, many spaces, a value.
fn row(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix("  ")?.split_at_checked(26)?;
    Some((name.trim(), value.trim()))
}
