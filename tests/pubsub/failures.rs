//! Messages, when masters and links go away.

use std::time::Duration;

use switchback::demo::{MessageLedger, MessageOptions, Messages, Target};
use switchback::lab::{Group, GroupOptions, Server, wait_for};

use crate::breaking::{Breaking, SideBySide, break_master, go_on, line};
use crate::running::{Running, SOON};
use crate::{assert_exact, pair, some};

/// Rules that clear soon, so that a test may go on; how soon they are bad is as shipped.
const GUARD: &str = "[route.guard]\nhealthy_before = \"500ms\"\n";

fn groups() -> [Group; 2] {
    ["old-main", "new-main"].map(|name| Group::start(GroupOptions::named(name)).unwrap())
}

/// Half of what is usual: it is there twice.
fn few() -> MessageOptions {
    MessageOptions {
        subscribers: 50,
        pattern_subscribers: 10,
        per_second: 120,
        ..MessageOptions::default()
    }
}

/// Breaks the master of either side in turn, at half weight.
fn break_both(breaking: Breaking, check: impl Fn(&SideBySide)) {
    break_both_with(GUARD, breaking, check);
}

fn break_both_with(config: &str, breaking: Breaking, check: impl Fn(&SideBySide)) {
    let mut groups = groups();
    let urls = [0, 1].map(|index: usize| groups[index].sentinel_url());
    let running = Running::start(&urls[0], Some(&urls[1]), config);
    for (group, side) in groups.iter_mut().zip(["old", "new"]).rev() {
        if running.status()["latched"] == true {
            running.wait_until("the route to be armed", |_| running.say(&["ARM", "r"]) == "OK");
        }
        running.raise("50");
        let both = break_master(breaking, side, group, &running, &few());
        both.print(&format!("{breaking:?} of the master of {side}"));
        check(&both);
    }
}

/// What nothing excuses.
fn assert_told(ledger: &MessageLedger) {
    assert_eq!(ledger.lost_silently(), 0, "{}", line(ledger));
    assert_eq!(ledger.damaged + ledger.reordered, 0, "{}", line(ledger));
    assert_eq!(
        ledger.reconnects,
        0,
        "apps' connections stay open: {}",
        line(ledger)
    );
    assert_eq!(ledger.failures(), 0, "late rather than failed: {}", line(ledger));
}

#[test]
fn a_clean_failover_of_either_side_costs_no_more_than_is_told() {
    break_both(Breaking::Failover, |both| {
        assert_told(&both.proxied);
        assert_eq!(both.proxied.doubled, 0, "{}", line(&both.proxied));
        let missed = |ledger: &MessageLedger| ledger.lost + ledger.failures();
        assert!(
            missed(&both.proxied) <= missed(&both.direct),
            "no worse than without"
        );
    });
}

#[test]
fn a_killed_master_of_either_side_costs_no_more_than_is_told() {
    break_both(Breaking::Kill, |both| assert_told(&both.proxied));
}

#[test]
fn a_frozen_master_of_either_side_costs_no_more_than_is_told() {
    break_both(Breaking::Freeze, |both| assert_told(&both.proxied));
}

/// The same, subscribed to on replicas; nothing comes twice.
fn break_both_on_replicas(breaking: Breaking) {
    let config = format!("subscribe_to = \"replica\"\n{GUARD}");
    break_both_with(&config, breaking, |both| {
        assert_told(&both.proxied);
        assert_eq!(both.proxied.doubled, 0, "{}", line(&both.proxied));
        assert!(!both.proxied.gaps.is_empty(), "{}", line(&both.proxied));
    });
}

#[test]
fn a_killed_master_of_either_side_costs_those_on_replicas_no_more_than_is_told() {
    break_both_on_replicas(Breaking::Kill);
}

#[test]
fn a_frozen_master_of_either_side_costs_those_on_replicas_no_more_than_is_told() {
    break_both_on_replicas(Breaking::Freeze);
}

#[test]
fn a_clean_failover_of_either_side_costs_those_on_replicas_no_more_than_is_told() {
    break_both_on_replicas(Breaking::Failover);
}

/// As Sentinel does it to a node it reconfigures. Returns how many links there were.
fn kill_subscriber_links(server: &Server) -> u64 {
    let killed = server.call(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap();
    killed.text().unwrap().parse().unwrap()
}

fn subscribers(server: &Server, channel: &str) -> String {
    server
        .call(&["PUBSUB", "NUMSUB", channel])
        .unwrap()
        .field_text(channel)
}

#[test]
fn a_lost_subscriber_link_is_replaced_at_once_and_what_it_may_have_missed_is_told() {
    let (old, _new, running) = pair();
    let messages = Messages::start(&[Target::from(&running.listen)], &some()).unwrap();
    go_on(&messages);
    for _ in 0..10 {
        assert!(kill_subscriber_links(&old) > 0);
        let told = messages.snapshot().gaps.len();
        wait_for("the gap to be told", SOON, || {
            messages.snapshot().gaps.len() > told
        })
        .unwrap();
        go_on(&messages);
    }
    let ledger = messages.stop();
    assert_told(&ledger);
    assert_eq!(ledger.doubled, 0, "{}", line(&ledger));
    assert!(
        ledger
            .gaps
            .iter()
            .all(|gap| gap.side == "old" && gap.route == "r")
    );
    let longest = ledger
        .gaps
        .iter()
        .map(|gap| gap.to_micros - gap.from_micros)
        .max()
        .unwrap();
    assert!(longest < 500_000, "milliseconds on an idle machine, {longest} us");
    assert!(running.has_event("gap"), "{:?}", running.events());
}

#[test]
fn no_gap_is_told_of_a_side_that_owned_nothing() {
    let (_old, new, running) = pair();
    let messages = Messages::start(&[Target::from(&running.listen)], &some()).unwrap();
    go_on(&messages);
    for _ in 0..3 {
        wait_for("links to new", SOON, || subscribers(&new, "messages:0:0") != "0").unwrap();
        assert!(kill_subscriber_links(&new) > 0);
        go_on(&messages);
    }
    let ledger = messages.stop();
    assert_exact(&ledger);
    assert_eq!(ledger.gaps, []);
}

#[test]
fn subscriptions_on_replicas_move_when_one_dies_and_fall_back_to_the_master() {
    let mut group = Group::start(GroupOptions::named("mine")).unwrap();
    let url = group.sentinel_url();
    let running = Running::start(&url, None, &format!("subscribe_to = \"replica\"\n{GUARD}"));
    let messages = Messages::start(&[Target::from(&running.listen)], &few()).unwrap();
    go_on(&messages);
    let master = group.master().unwrap();
    let listens = |group: &Group, addr| {
        let server = group.server(addr).unwrap();
        subscribers(server, "messages:0:0") != "0"
    };
    assert!(!listens(&group, &master), "replicas are there for it");
    for replica in group.replicas_of(&master) {
        group.kill(&replica).unwrap();
        go_on(&messages);
    }
    wait_for("the master to be subscribed to", SOON, || {
        listens(&group, &master)
    })
    .unwrap();
    go_on(&messages);
    let ledger = messages.stop();
    println!("{}", line(&ledger));
    assert_told(&ledger);
    assert_eq!(ledger.doubled, 0, "{}", line(&ledger));
    assert!(ledger.slowest < Duration::from_secs(30));
}
