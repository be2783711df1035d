//! Does the verified load see what it is there to see? Against plain servers, without a proxy.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use nix::sys::signal::Signal;
use switchback::demo::{Load, LoadOptions};
use switchback::lab::{Server, ServerOptions, wait_for};

const SOON: Duration = Duration::from_secs(20);

fn server() -> Server {
    Server::start(&ServerOptions::default()).unwrap()
}

fn start(server: &Server) -> Load {
    let options = LoadOptions {
        patience: Duration::from_secs(1),
        ..LoadOptions::default()
    };
    let load = Load::start(&server.addr(), &options).unwrap();
    wait_for("some commands", SOON, || load.snapshot().acknowledged > 1_000).unwrap();
    load
}

#[test]
fn in_health_nothing_is_failed_late_lost_or_doubled() {
    let (old, new) = (server(), server());
    let load = start(&old);
    let ledger = load
        .stop(&mut [old.client().unwrap(), new.client().unwrap()])
        .unwrap();
    assert!(ledger.is_clean(), "{ledger:?}");
    assert_eq!(ledger.sent, ledger.acknowledged);
}

#[test]
fn a_write_that_vanished_is_lost_and_one_that_ran_twice_is_doubled() {
    let (old, new) = (server(), server());
    let load = start(&old);
    wait_for("a push", SOON, || {
        old.call(&["EXISTS", "load:0:3:list"]).unwrap().text().unwrap() == "1"
    })
    .unwrap();
    old.call(&["LPOP", "load:0:3:list"]).unwrap();
    new.call(&["INCR", "load:1:2:count"]).unwrap();
    let ledger = load
        .stop(&mut [old.client().unwrap(), new.client().unwrap()])
        .unwrap();
    assert_eq!((ledger.lost, ledger.doubled), (1, 1), "{ledger:?}");
}

#[test]
fn a_killed_server_fails_commands_and_loses_what_it_had_acknowledged() {
    let mut old = server();
    let load = start(&old);
    old.kill().unwrap();
    wait_for("failures", SOON, || {
        let failed = load.snapshot().failed;
        failed.contains_key("closed") && failed.contains_key("connect")
    })
    .unwrap();
    old.restart().unwrap();
    let before = load.snapshot().acknowledged;
    wait_for("writers to be back", SOON, || {
        load.snapshot().acknowledged > before + 100
    })
    .unwrap();
    let ledger = load.stop(&mut [old.client().unwrap()]).unwrap();
    assert!(ledger.lost > 100, "{ledger:?}");
}

#[test]
fn a_frozen_server_makes_late_every_command_that_was_due_meanwhile() {
    let old = server();
    let load = start(&old);
    old.signal(Signal::SIGSTOP).unwrap();
    wait_for("a timeout", SOON, || {
        load.snapshot().failed.contains_key("timeout")
    })
    .unwrap();
    old.signal(Signal::SIGCONT).unwrap();
    wait_for("late commands", SOON, || load.snapshot().late > 100).unwrap();
    let ledger = load.stop(&mut [old.client().unwrap()]).unwrap();
    assert_eq!((ledger.lost, ledger.wrong), (0, 0), "{ledger:?}");
}
