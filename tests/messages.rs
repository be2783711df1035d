//! Does the verifier of messages see what it is there to see? Against plain servers, without a proxy.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use nix::sys::signal::Signal;
use switchback::demo::{GAP_CHANNEL, MessageOptions, Messages, Target};
use switchback::lab::{Group, GroupOptions, Server, ServerOptions, wait_for};

const SOON: Duration = Duration::from_secs(20);

fn server() -> Server {
    Server::start(&ServerOptions::default()).unwrap()
}

fn options() -> MessageOptions {
    MessageOptions {
        subscribers: 40,
        channels: 10,
        pattern_subscribers: 10,
        quiet: Duration::from_millis(500),
        ..MessageOptions::default()
    }
}

fn start(server: &Server, options: &MessageOptions) -> Messages {
    let messages = Messages::start(&[Target::from(&server.addr())], options).unwrap();
    go_on(&messages);
    messages
}

fn go_on(messages: &Messages) {
    let before = messages.snapshot().delivered;
    wait_for("deliveries", SOON, || {
        messages.snapshot().delivered > before + 1_000
    })
    .unwrap();
}

#[test]
fn in_health_every_message_comes_once_in_order_and_in_time() {
    let server = server();
    let ledger = start(&server, &MessageOptions::default()).stop();
    assert!(ledger.is_clean() && ledger.excused == 0, "{ledger:?}");
    assert_eq!(ledger.owed, ledger.delivered);
    assert!(ledger.p50 > Duration::ZERO && ledger.p50 <= ledger.p99 && ledger.p99 <= ledger.slowest);
    // 200 subscribers of two of the 50 channels, 20 of a pattern over ten: 12 deliveries a message, about.
    let fan_out = ledger.owed as f64 / ledger.published as f64;
    assert!((9.0..15.0).contains(&fan_out), "{fan_out}");
}

#[test]
fn what_is_published_while_subscribers_are_cut_off_is_lost_and_told_as_such() {
    let server = server();
    let messages = start(&server, &options());
    wait_for("a loss", SOON, || {
        server.call(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap();
        messages.snapshot().lost > 0
    })
    .unwrap();
    go_on(&messages);
    let ledger = messages.stop();
    assert!(
        ledger.lost > 0 && ledger.lost_silently() == ledger.lost,
        "{ledger:?}"
    );
    assert_eq!(
        (ledger.doubled, ledger.reordered, ledger.damaged),
        (0, 0, 0),
        "{ledger:?}"
    );
    assert_eq!(ledger.owed, ledger.delivered + ledger.lost);
    assert!(ledger.reconnects >= 40 && ledger.failures() == 0, "{ledger:?}");
    assert_eq!(ledger.faults[0].kind, "lost");
}

#[test]
fn what_is_lost_within_a_gap_that_was_told_is_told_apart() {
    let server = server();
    let messages = start(&server, &options());
    wait_for("a loss", SOON, || {
        server.call(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap();
        messages.snapshot().lost > 0
    })
    .unwrap();
    go_on(&messages);
    let gap = r#"{"route":"r","side":"old","channels":"all","from":"2000-01-01T00:00:00Z","to":"2999-01-01T00:00:00Z"}"#;
    wait_for("the listener for gaps to be back", SOON, || {
        server
            .call(&["PUBLISH", GAP_CHANNEL, gap])
            .unwrap()
            .text()
            .unwrap()
            == "1"
    })
    .unwrap();
    let ledger = messages.stop();
    assert!(ledger.lost > 0 && ledger.lost_silently() == 0, "{ledger:?}");
    assert_eq!(ledger.gaps.len(), 1);
}

#[test]
fn what_comes_twice_is_doubled_and_what_comes_late_is_late() {
    let server = server();
    let messages = start(&server, &options());
    // What one subscriber gets, published once more by somebody else.
    let mut spy = server.client().unwrap();
    spy.send(&["SUBSCRIBE", "messages:0:0"]).unwrap();
    spy.receive().unwrap();
    let overheard = spy.receive().unwrap();
    let [_, channel, payload] = overheard.elements() else {
        panic!("{overheard:?}");
    };
    let (switchback::lab::Reply::Bulk(channel), switchback::lab::Reply::Bulk(payload)) = (channel, payload)
    else {
        panic!("{overheard:?}");
    };
    server
        .client()
        .unwrap()
        .ask(&[b"PUBLISH", &channel[..], payload])
        .unwrap();
    go_on(&messages);
    server.signal(Signal::SIGSTOP).unwrap();
    // The length of the stall is what is tested: there is no condition to wait for.
    std::thread::sleep(Duration::from_millis(1_200));
    server.signal(Signal::SIGCONT).unwrap();
    wait_for("late messages", SOON, || messages.snapshot().late > 0).unwrap();
    let ledger = messages.stop();
    assert!(ledger.doubled > 0, "{ledger:?}");
    assert!(
        ledger.faults.iter().all(|fault| fault.kind == "doubled"),
        "{ledger:?}"
    );
    assert_eq!(
        (ledger.lost, ledger.reordered, ledger.damaged),
        (0, 0, 0),
        "{ledger:?}"
    );
    assert!(ledger.slowest > Duration::from_millis(900), "{ledger:?}");
}

#[test]
fn a_killed_server_fails_messages_and_what_it_left_open_is_nobodys_loss() {
    let mut server = server();
    let messages = start(&server, &options());
    server.kill().unwrap();
    wait_for("failures", SOON, || {
        let failed = messages.snapshot().failed;
        failed.contains_key("closed") && failed.contains_key("connect")
    })
    .unwrap();
    server.restart().unwrap();
    go_on(&messages);
    let ledger = messages.stop();
    assert!(ledger.uncertain > 0 && ledger.reconnects >= 40, "{ledger:?}");
    assert_eq!(
        (ledger.doubled, ledger.reordered, ledger.damaged),
        (0, 0, 0),
        "{ledger:?}"
    );
}

#[test]
fn apps_that_know_sentinel_are_at_the_new_master_after_a_failover() {
    let group = Group::start(GroupOptions::named("mine")).unwrap();
    let messages = Messages::start(&[Target::from(&group)], &options()).unwrap();
    go_on(&messages);
    let master = group.failover().unwrap();
    wait_for("the subscribers", SOON, || {
        let told = group
            .server(&master)
            .unwrap()
            .call(&["PUBSUB", "NUMSUB", "messages:0:0"])
            .unwrap();
        told.field_text("messages:0:0") == "8"
    })
    .unwrap();
    go_on(&messages);
    let ledger = messages.stop();
    assert!(ledger.reconnects >= 40, "{ledger:?}");
    assert_eq!(
        (ledger.doubled, ledger.reordered, ledger.damaged),
        (0, 0, 0),
        "{ledger:?}"
    );
}

#[test]
fn subscribers_of_a_groups_replicas_are_spread_over_them_and_the_rate_may_change_meanwhile() {
    let group = Group::start(GroupOptions::named("side")).unwrap();
    let options = MessageOptions {
        subscribe_to_replicas: true,
        per_second: 50,
        ..options()
    };
    let messages = Messages::start(&[Target::from(&group)], &options).unwrap();
    let listening = |server: &Server| {
        let list = server.call(&["CLIENT", "LIST", "TYPE", "pubsub"]).unwrap();
        let text = list.text().unwrap();
        text.lines()
            .filter(|line| !line.contains("name=sentinel"))
            .count()
    };
    let counts: Vec<usize> = group.servers().iter().map(listening).collect();
    // Beside them, at the master: who listens for gaps.
    assert_eq!(counts, [1, 20, 20]);
    messages.set_rate(1_000);
    let began = messages.elapsed();
    go_on(&messages);
    assert!(messages.elapsed() > began);
    let ledger = messages.stop();
    assert!(ledger.is_clean(), "{ledger:?}");
    let published: Vec<u64> = ledger.history.moments().iter().map(|one| one.published).collect();
    assert_eq!(published.iter().sum::<u64>(), ledger.published);
    assert!(
        published.iter().any(|count| *count > 15),
        "1,000 a second: {published:?}"
    );
}

#[test]
fn the_first_and_the_last_harm_have_their_time() {
    let server = server();
    let messages = start(&server, &options());
    assert_eq!(messages.snapshot().history.harm(), None);
    let frozen = messages.elapsed();
    server.signal(Signal::SIGSTOP).unwrap();
    wait_for("two seconds", SOON, || {
        messages.elapsed() > frozen + Duration::from_secs(2)
    })
    .unwrap();
    server.signal(Signal::SIGCONT).unwrap();
    go_on(&messages);
    let ledger = messages.stop();
    let (first, last) = ledger.history.harm().unwrap();
    assert!(
        first > frozen + Duration::from_millis(800) && first <= last,
        "{first:?}"
    );
    assert_eq!(
        ledger.history.moments().iter().map(|one| one.late).sum::<u64>(),
        ledger.late
    );
}
