//! What the servers see of the apps' subscriptions, and what an app that has its confirmation is owed.

use std::time::Duration;

use switchback::lab::{Client, Reply, Server, wait_for};

use crate::pair;
use crate::running::{Running, SOON};

/// `workers` of the program's configuration.
const WORKERS: i64 = 2;

fn subscriptions(server: &Server, channel: &str) -> i64 {
    let told = server.call(&["PUBSUB", "NUMSUB", channel]).unwrap();
    told.field_text(channel).parse().unwrap()
}

fn number(server: &Server, words: &[&str]) -> i64 {
    server.call(words).unwrap().text().unwrap().parse().unwrap()
}

fn subscribed(running: &Running, words: &[&str]) -> Client {
    let mut client = running.client();
    client.ask(words).unwrap();
    client
}

fn bulk(text: &str) -> Reply {
    Reply::Bulk(text.as_bytes().to_vec())
}

fn message(channel: &str, payload: &str) -> Reply {
    Reply::Array(vec![bulk("message"), bulk(channel), bulk(payload)])
}

#[test]
fn a_server_delivers_once_a_worker_whatever_the_number_of_apps() {
    let (old, new, running) = pair();
    let patterns_before = [&old, &new].map(|server| number(server, &["PUBSUB", "NUMPAT"]));
    let mut apps: Vec<Client> = (0..100)
        .map(|_| subscribed(&running, &["SUBSCRIBE", "c"]))
        .collect();
    let by_pattern: Vec<Client> = (0..100)
        .map(|_| subscribed(&running, &["PSUBSCRIBE", "c*"]))
        .collect();
    for server in [&old, &new] {
        let links = subscriptions(server, "c");
        assert!((1..=WORKERS).contains(&links), "{links}");
        assert_eq!(number(server, &["PUBSUB", "NUMPAT"]), patterns_before[0] + 1);
        let receivers = number(server, &["PUBLISH", "c", "hello"]);
        assert!((2..=2 * WORKERS).contains(&receivers), "{receivers}");
    }
    for app in &mut apps {
        let got = [app.receive().unwrap(), app.receive().unwrap()];
        assert_eq!(got, [message("c", "hello"), message("c", "hello")]);
    }
    drop((apps, by_pattern));
    for (server, patterns) in [&old, &new].into_iter().zip(patterns_before) {
        wait_for("subscriptions nobody needs to end", SOON, || {
            subscriptions(server, "c") == 0 && number(server, &["PUBSUB", "NUMPAT"]) == patterns
        })
        .unwrap();
    }
}

#[test]
fn who_has_a_confirmation_gets_what_is_published_afterwards_anywhere() {
    let (old, new, running) = pair();
    running.raise("50");
    let addresses = [running.listen.clone(), old.addr(), new.addr()];
    std::thread::scope(|scope| {
        for thread in 0..6_usize {
            let (running, address) = (&running, &addresses[thread % 3]);
            scope.spawn(move || come_and_go(running, &mut Client::connect(address).unwrap(), thread));
        }
    });
    for server in [&old, &new] {
        wait_for("subscriptions nobody needs to end", SOON, || {
            (0..8).all(|number| subscriptions(server, &format!("c{number}")) == 0)
        })
        .unwrap();
        let connections: u32 = server
            .info("clients", "connected_clients")
            .unwrap()
            .parse()
            .unwrap();
        assert!(connections < 30, "{connections}");
    }
}

/// Subscribes, publishes, expects, and leaves, in one way or another; hundreds of times.
fn come_and_go(running: &Running, publisher: &mut Client, thread: usize) {
    let mut kept = running.client();
    for round in 0..300 {
        let channel = format!("c{}", (thread + round) % 8);
        let payload = format!("{thread}:{round}");
        let mut new = (round % 3 == 0).then(|| running.client());
        let app = new.as_mut().unwrap_or(&mut kept);
        app.ask(&["SUBSCRIBE", channel.as_str()]).unwrap();
        publisher
            .ask(&["PUBLISH", channel.as_str(), payload.as_str()])
            .unwrap();
        // Others publish there too.
        let mut seen = 0;
        while app.receive().unwrap() != message(&channel, &payload) {
            seen += 1;
            assert!(seen < 10_000, "{payload} has not come");
        }
        if new.is_none() {
            kept.send(&["UNSUBSCRIBE"]).unwrap();
            let is_end = |reply: Reply| reply.elements().first() == Some(&bulk("unsubscribe"));
            while !is_end(kept.receive().unwrap()) {}
        }
    }
}

#[test]
fn a_thousand_apps_a_second_that_come_and_go_leave_nothing_and_ask_little_of_the_servers() {
    let (old, _new, running) = pair();
    let stays = subscribed(&running, &["SUBSCRIBE", "busy"]);
    let calls = || {
        let text = old.call(&["INFO", "commandstats"]).unwrap().text().unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("cmdstat_subscribe:calls="));
        let digits = line.and_then(|rest| rest.split(',').next()).unwrap_or("0");
        digits.parse::<u64>().unwrap()
    };
    let before = calls();
    for _ in 0..1_000 {
        drop(subscribed(&running, &["SUBSCRIBE", "busy"]));
    }
    // One, or few: a channel stays subscribed for a moment after the last that listens has left.
    let asked = calls() - before;
    assert!(asked < 50, "{asked} upstream");
    wait_for("the apps to be forgotten", Duration::from_secs(20), || {
        running.status()["clients"] == 1
    })
    .unwrap();
    drop(stays);
    wait_for("the subscription to end", SOON, || {
        subscriptions(&old, "busy") == 0
    })
    .unwrap();
}
