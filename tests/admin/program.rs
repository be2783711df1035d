//! The program's own commands: what they print, and how they end.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command as Process, Output, Stdio};
use std::time::Duration;

use switchback::control_plane::admin::Command;
use switchback::control_plane::shift::RampOrder;

use crate::stand_in::StandIn;

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The exit code, and the one line on stderr.
fn failure(output: &Output) -> (i32, String) {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "one line: {text}");
    assert!(output.stdout.is_empty());
    (output.status.code().unwrap(), text.trim_end().to_owned())
}

#[test]
fn status_is_a_table_for_people_and_one_document_for_programs() {
    let stand_in = StandIn::start();
    let table = stand_in.switchback(&["status"]);
    assert_eq!(table.status.code(), Some(0));
    assert_eq!(
        stdout(&table),
        "ROUTE  STATE   WEIGHT  TARGET  EPOCH  LATCHED  CLIENTS  REASON\n\
         r      steady   25.00   25.00      3  no             2  -\n\
         \n\
         ROUTE  SIDE  VERDICT  MASTER       REPLICAS     COMMANDS  P99_MS\n\
         r      old   ok       127.0.0.1:1  127.0.0.1:9        12  -\n\
         r      new   ok       127.0.0.1:2  127.0.0.1:9        12  -\n"
    );
    assert_eq!(stdout(&stand_in.switchback(&["status", "r"])), stdout(&table));
    let json = stdout(&stand_in.switchback(&["status", "r", "--json"]));
    let status: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(status["old"]["master"], "127.0.0.1:1");
}

#[test]
fn health_topology_and_events_are_tables_too() {
    let stand_in = StandIn::start();
    let health = stdout(&stand_in.switchback(&["health", "r"]));
    assert!(health.contains("r      new   link_down  unknown"), "{health}");
    let topology = stdout(&stand_in.switchback(&["topology"]));
    assert!(topology.contains("127.0.0.1:1"), "{topology}");
    let events = stdout(&stand_in.switchback(&["events"]));
    assert_eq!(events.lines().count(), 4);
    let of_one = stdout(&stand_in.switchback(&["events", "r", "--json"]));
    let of_one: serde_json::Value = serde_json::from_str(&of_one).unwrap();
    let epochs: Vec<_> = of_one
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["epoch"])
        .collect();
    assert_eq!(epochs, [3, 1]);
    let newest = stdout(&stand_in.switchback(&["events", "r", "--count", "1"]));
    assert_eq!(newest.lines().count(), 2);
    let misspelt = failure(&stand_in.switchback(&["events", "nowhere"]));
    assert_eq!(misspelt, (1, "switchback: no such route 'nowhere'".to_owned()));
}

#[test]
fn weights_are_printed_moved_and_refused_with_the_reason() {
    let stand_in = StandIn::start();
    assert_eq!(stdout(&stand_in.switchback(&["weight", "r"])), "25.00\n");
    let refused = failure(&stand_in.switchback(&["weight", "r", "50"]));
    let reason = "switchback: FROZEN rule=link_down node=127.0.0.1:1 measured=1.000 limit=1";
    assert_eq!(refused, (1, reason.to_owned()));
    let forced = [
        "weight",
        "r",
        "50.5",
        "--over",
        "1m 250ms",
        "--force",
        "I know  better",
    ];
    assert_eq!(stdout(&stand_in.switchback(&forced)), "OK\n");
    stand_in.asked();
    stand_in.asked();
    assert_eq!(
        stand_in.asked(),
        Command::SetWeight {
            route: "r".to_owned(),
            weight: "50.5".parse().unwrap(),
            over: Some(Duration::from_millis(60_250)),
            force: Some("I know  better".to_owned()),
        }
    );
    let unknown = failure(&stand_in.switchback(&["weight", "nowhere"]));
    assert_eq!(unknown, (1, "switchback: no such route 'nowhere'".to_owned()));
}

#[test]
fn going_back_and_arming_say_ok() {
    let stand_in = StandIn::start();
    let back = ["back", "r", "--reason", "slow"];
    assert_eq!(stdout(&stand_in.switchback(&back)), "OK\n");
    assert_eq!(
        stand_in.asked(),
        Command::Back {
            route: "r".to_owned(),
            reason: Some("slow".to_owned())
        }
    );
    assert_eq!(stdout(&stand_in.switchback(&["arm", "r"])), "OK\n");
}

#[test]
fn a_ramp_is_ordered_and_shown_as_it_stands() {
    let stand_in = StandIn::start();
    assert_eq!(
        stdout(&stand_in.switchback(&["ramp", "ramping", "start"])),
        "OK\n\
         ROUTE    STATE    WEIGHT    NEXT  HOLD_LEFT  STEP  STEPS        ESTIMATED_END             PAUSED\n\
         ramping  ramping    5.00  100.00  1m 2s      1/2   5.00,100.00  2026-01-02T03:04:05.678Z  -\n"
    );
    for (word, order) in [
        ("start", RampOrder::Start),
        ("pause", RampOrder::Pause),
        ("resume", RampOrder::Resume),
        ("abort", RampOrder::Abort),
    ] {
        let stand_in = StandIn::start();
        let said = stdout(&stand_in.switchback(&["ramp", "r", word]));
        assert_eq!(said, "OK\n", "nothing is under way");
        let route = "r".to_owned();
        assert_eq!(stand_in.asked(), Command::Ramp { route, order });
    }
    let unknown = failure(&stand_in.switchback(&["ramp", "nowhere", "start"]));
    assert_eq!(unknown, (1, "switchback: no such route 'nowhere'".to_owned()));
}

#[test]
fn bad_arguments_end_with_two() {
    let stand_in = StandIn::start();
    for args in [
        &["weight", "r", "101"][..],
        &["weight"],
        &["status", "--what"],
        &["nonsense"],
        &[],
    ] {
        let output = stand_in.switchback(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn without_a_proxy_the_path_is_named() {
    let mut stand_in = StandIn::start();
    stand_in.stop();
    let (code, line) = failure(&stand_in.switchback(&["status"]));
    assert_eq!(code, 1);
    let path = stand_in.path().display().to_string();
    assert!(
        line.starts_with(&format!("switchback: no proxy answers on {path}: ")),
        "{line}"
    );
    // The flag goes before the environment.
    let elsewhere = failure(&stand_in.switchback(&["back", "r", "--socket", "/nowhere/a.sock"]));
    assert!(elsewhere.1.contains("/nowhere/a.sock"), "{elsewhere:?}");
}

#[test]
fn what_is_no_switchback_is_told_from_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let liar = std::thread::spawn(move || {
        for reply in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"$3\r\n{\"a\r\n",
            &b"*1\r\n".repeat(100_000),
            b"",
        ] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 64];
            assert!(stream.read(&mut request).unwrap() > 0);
            let _ = std::io::Write::write_all(&mut stream, reply);
        }
    });
    for told in ["makes no sense", "makes no sense", "", "it closed the connection"] {
        let output = Process::new(env!("CARGO_BIN_EXE_switchback"))
            .args(["status", "--socket"])
            .arg(&path)
            .output()
            .unwrap();
        let (code, line) = failure(&output);
        assert_eq!(code, 1);
        assert!(line.contains(told), "{line}");
    }
    liar.join().unwrap();
}

#[test]
fn events_are_followed_until_the_proxy_ends() {
    let mut stand_in = StandIn::start();
    let mut program = stand_in.program(&["events", "--watch"]);
    let mut follower = program
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(matches!(stand_in.asked(), Command::SubscribeEvents { .. }));
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    assert_eq!(stdout(&stand_in.switchback(&["arm", "r"])), "OK\n");
    let line = lines.next().unwrap().unwrap();
    assert!(
        line.contains("told") && line.ends_with("by an operator"),
        "{line}"
    );
    stand_in.stop();
    assert_eq!(follower.wait().unwrap().code(), Some(1));
    let mut reason = String::new();
    follower
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut reason)
        .unwrap();
    assert_eq!(
        reason,
        "switchback: the proxy gave no answer: it closed the connection\n"
    );
}

#[test]
fn a_reader_that_leaves_ends_a_watch_quietly() {
    let stand_in = StandIn::start();
    let mut program = stand_in.program(&["status", "--watch", "--json"]);
    let mut watcher = program
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watcher.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let line = lines.next().unwrap().unwrap();
        assert!(
            serde_json::from_str::<serde_json::Value>(&line).is_ok(),
            "one document a line: {line}"
        );
    }
    drop(lines);
    let output = watcher.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
