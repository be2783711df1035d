//! `status --watch` on a terminal, as somebody sees and uses it who was woken by it.

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use switchback::lab::{Server, ServerOptions, wait_for};

use crate::operating::{server, url};
use crate::pseudo_terminal::PseudoTerminal;
use crate::running::{Running, SOON};

fn replica_of(master: &Server) -> Server {
    let options = ServerOptions {
        replica_of: Some(master.addr()),
        ..ServerOptions::default()
    };
    Server::start(&options).unwrap()
}

#[test]
fn the_weight_is_raised_taken_back_and_raised_again_from_the_screen() {
    let (old, new) = (server(), server());
    let replica = replica_of(&old);
    let running = Running::start(&url(&old), Some(&url(&new)), "");
    running.raise("1");
    let mut terminal = PseudoTerminal::watching(&running.socket(), 40, 120);
    terminal.wait_for("1.00 % on new");
    for node in [&old, &new] {
        terminal.wait_for(&format!("master   {}", node.addr()));
    }
    terminal.wait_until("the replica with its delay", |text| {
        let line = text
            .lines()
            .find(|line| line.contains(&format!("replica  {}", replica.addr())));
        line.is_some_and(|line| line.contains("up") && line.contains(" ms ") && line.contains('▁'))
    });
    terminal.wait_for("heartbeat_delay");
    terminal.wait_for("started");

    terminal.press("r");
    terminal.wait_for("raise r from 1.00 % to 5.00 %? y does it");
    terminal.press("n");
    terminal.wait_for("nothing was done");
    terminal.press("ry");
    terminal.wait_for("OK: raise r from 1.00 % to 5.00 %");
    terminal.wait_for("5.00 % on new");
    assert_eq!(running.say(&["WEIGHT", "r"]), "5.00");

    terminal.press("w75\r");
    terminal.wait_for("The name of the route");
    terminal.press("r\r");
    terminal.wait_for("75.00 % on new");
    assert_eq!(running.say(&["WEIGHT", "r"]), "75.00");

    terminal.press("by");
    terminal.wait_for("LATCHED");
    let status = running.status();
    assert_eq!(
        (&status["latched"], &status["weight"]),
        (&json!(true), &json!(0.0))
    );
    assert!(
        status["reason"].as_str().unwrap().contains("from status --watch"),
        "{status}"
    );

    terminal.press("ar\r");
    terminal.wait_for("OK: arm r");
    assert_eq!(running.status()["latched"], json!(false));
    terminal.press("q");
    assert!(terminal.ended().success());
}

#[test]
fn a_ramp_is_started_paused_resumed_and_aborted_from_the_screen() {
    let (old, new) = (server(), server());
    let running = Running::start(&url(&old), Some(&url(&new)), "[route.ramp]\nhold = \"1h\"\n");
    running.raise("1");
    let mut terminal = PseudoTerminal::watching(&running.socket(), 24, 80);
    terminal.press("sy");
    terminal.wait_for("step 1 of 5 taken: 5.00 % next");
    terminal.press("py");
    terminal.wait_for("OK: pause the ramp of r");
    terminal.wait_for("paused  by the operator");
    terminal.press("py");
    terminal.wait_for("OK: resume");
    terminal.press("xy");
    running.wait_until("the ramp to be over", |status| status["state"] == "steady");
    terminal.wait_for("s start ramp");
}

#[test]
fn a_refusal_is_told_in_the_proxys_words() {
    let (old, new) = (server(), server());
    let running = Running::start(&url(&old), Some(&url(&new)), "");
    running.raise("1");
    drop(new);
    running.wait_until("the trip", |status| status["latched"] == true);
    let mut terminal = PseudoTerminal::watching(&running.socket(), 30, 100);
    terminal.wait_for("LATCHED unreachable");
    terminal.wait_for("down");
    terminal.wait_for("advice");
    terminal.press("ar\r");
    terminal.wait_for("FROZEN rule=unreachable");
    assert_eq!(running.status()["latched"], json!(true));
}

#[test]
fn a_proxy_that_is_killed_is_told_and_so_is_that_it_is_back() {
    let (old, new) = (server(), server());
    let mut running = Running::start(&url(&old), Some(&url(&new)), "");
    let mut terminal = PseudoTerminal::watching(&running.socket(), 24, 80);
    terminal.wait_for("0.00 % on new");
    running.kill();
    terminal.wait_for("NOT REACHABLE since ");
    assert!(
        terminal.text().contains("0.00 % on new"),
        "what was known last stays"
    );
    terminal.press("r");
    terminal.wait_for("the proxy is not reachable");
    terminal.press("by");
    terminal.wait_for("no proxy answers on");
    running.restart();
    terminal.wait_until("the proxy to be back", |text| !text.contains("NOT REACHABLE"));
    terminal.press("q");
    assert!(terminal.ended().success());
}

#[test]
fn a_proxy_that_has_stopped_freezes_no_key() {
    let (old, new) = (server(), server());
    let running = Running::start(&url(&old), Some(&url(&new)), "");
    let mut terminal = PseudoTerminal::watching(&running.socket(), 24, 80);
    terminal.wait_for("0.00 % on new");
    running.signal(Signal::SIGSTOP);
    terminal.wait_for("NOT REACHABLE since ");
    terminal.wait_for("no answer for ");
    terminal.press("by");
    terminal.wait_for("asked: all of r BACK to old");
    let pressed = Instant::now();
    terminal.press("q");
    assert!(terminal.ended().success());
    assert!(pressed.elapsed() < Duration::from_secs(5));
    running.signal(Signal::SIGCONT);
    running.wait_until("what was asked for", |status| status["latched"] == true);
}

#[test]
fn however_it_ends_the_terminal_is_as_it_was() {
    let old = server();
    let running = Running::start(&url(&old), None, "");
    for end in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let mut terminal = PseudoTerminal::watching(&running.socket(), 24, 80);
        terminal.wait_for("none is configured");
        terminal.signal(end);
        assert!(terminal.ended().success(), "{end}");
    }
    for keys in ["\u{3}", "w\u{3}"] {
        let mut terminal = PseudoTerminal::watching(&running.socket(), 24, 80);
        terminal.wait_for("none is configured");
        terminal.press(keys);
        assert!(terminal.ended().success());
    }
    let mut gone = PseudoTerminal::watching(&running.socket(), 24, 80);
    gone.wait_for("none is configured");
    gone.hang_up();
    gone.status();
    let nowhere = running.path("nowhere.sock");
    let mut terminal = PseudoTerminal::watching(&nowhere, 24, 80);
    assert_eq!(terminal.ended().code(), Some(1));
    assert!(
        terminal.written().contains("no proxy answers on"),
        "{}",
        terminal.written()
    );
}

#[test]
fn it_fits_small_terminals_and_follows_a_change_of_size() {
    let (old, new) = (server(), server());
    let running = Running::start(&url(&old), Some(&url(&new)), "");
    let mut terminal = PseudoTerminal::watching(&running.socket(), 6, 30);
    terminal.wait_for("0.00 % on new");
    terminal.press("b");
    terminal.wait_for("y does it");
    terminal.press("n");
    terminal.resize(30, 120);
    terminal.wait_for("newest first");
    // Another key, and what was told last is gone.
    terminal.press("\r");
    terminal.resize(2, 10);
    terminal.wait_until("little", |text| {
        text.lines().count() <= 2 && text.contains("b back")
    });
    terminal.press("q");
    assert!(terminal.ended().success());
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted() {
    let old = server();
    let running = Running::start(&url(&old), None, "");
    let socket = running.socket().display().to_string();
    let arguments = ["status", "--watch", "r", "--socket", &socket];
    let coloured = PseudoTerminal::start(&arguments, &[], 24, 80);
    wait_for("colours", SOON, || coloured.coloured_cells() > 0).unwrap();
    let plain = PseudoTerminal::start(&arguments, &[("NO_COLOR", "1")], 24, 80);
    plain.wait_for("none is configured");
    plain.wait_for("newest first");
    assert_eq!(plain.coloured_cells(), 0);
}

#[test]
fn where_there_is_no_terminal_it_is_a_table_a_second() {
    let old = server();
    let running = Running::start(&url(&old), None, "");
    let socket = running.socket().display().to_string();
    let arguments = ["status", "--watch", "--socket", &socket];
    let dumb = PseudoTerminal::start(&arguments, &[("TERM", "dumb")], 24, 80);
    dumb.wait_for("ROUTE  STATE");
    for more in [&[][..], &["--json"]] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_switchback"));
        let mut child = program
            .args(arguments)
            .args(more)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        let first = lines.next().unwrap().unwrap();
        let first = if first.is_empty() {
            lines.next().unwrap().unwrap()
        } else {
            first
        };
        match more {
            [] => assert!(first.starts_with("ROUTE"), "{first}"),
            _ => assert!(serde_json::from_str::<Value>(&first).is_ok(), "{first}"),
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let misspelt = Command::new(env!("CARGO_BIN_EXE_switchback"))
        .args(arguments)
        .arg("nobody")
        .output()
        .unwrap();
    assert_eq!(misspelt.status.code(), Some(1));
}
