//! Subscribers that ask too much: bounded, told, and harmless to the rest.

use std::io::Read;
use std::time::{Duration, Instant};

use switchback::demo::{MessageOptions, Messages, Target};
use switchback::lab::{Client, Reply, Server, ServerOptions, wait_for};

use crate::breaking::go_on;
use crate::proxied;
use crate::running::{Running, SOON};
use crate::{assert_exact, pair, server, some, url};

const EVICTIONS: &str = "switchback_subscriber_evictions_total{route=\"r\"}";

fn messages(running: &Running) -> Messages {
    let options = MessageOptions {
        per_second: 100,
        ..some()
    };
    let messages = Messages::start(&[Target::from(&running.listen)], &options).unwrap();
    go_on(&messages);
    messages
}

#[test]
fn a_subscriber_that_stops_reading_is_evicted_and_counted_and_costs_the_others_nothing() {
    let (_old, _new, running) = pair();
    let messages = messages(&running);
    let mut slow = running.client();
    slow.ask(&["SUBSCRIBE", "flood"]).unwrap();
    let mut publisher = running.client();
    // The default hard limit is 32 MB, and the sockets between hold a few.
    let payload = vec![b'x'; 64 * 1024];
    let deadline = Instant::now() + Duration::from_secs(60);
    while running.metric(EVICTIONS).unwrap_or_default() < 1.0 {
        assert!(Instant::now() < deadline, "it is not evicted");
        for _ in 0..100 {
            publisher.ask::<&[u8]>(&[b"PUBLISH", b"flood", &payload]).unwrap();
        }
    }
    let mut left = 0;
    let ended = loop {
        match slow.receive() {
            Ok(_) => left += 1,
            Err(error) => break error,
        }
    };
    println!("{left} messages were still on their way: {ended}");
    assert_ne!(ended.kind(), std::io::ErrorKind::WouldBlock, "it is closed");
    go_on(&messages);
    assert_exact(&messages.stop());
}

/// A Redis compares each pattern with all that its client has already: this many take it a second or two.
#[test]
fn a_subscriber_of_20_000_patterns_gets_them_or_is_told_and_the_others_lose_nothing() {
    subscribe_to_patterns(20_000);
}

#[test]
#[ignore = "takes Redis half a minute; the full size"]
fn a_subscriber_of_100_000_patterns_gets_them_or_is_told_and_the_others_lose_nothing() {
    subscribe_to_patterns(100_000);
}

fn subscribe_to_patterns(count: usize) {
    let (old, _new, running) = pair();
    let before = old.call(&["PUBSUB", "NUMPAT"]).unwrap();
    let messages = messages(&running);
    // A thousand more take a server seconds once it has many, and they are asked for a few at a time.
    let mut greedy = Client::connect_within(&running.listen, Duration::from_secs(60)).unwrap();
    let (mut confirmed, mut refused, mut refusal) = (0, 0, String::new());
    for first in (0..count).step_by(1_000) {
        let names: Vec<String> = (first..first + 1_000)
            .map(|number| format!("greedy:{number}:*"))
            .collect();
        let words: Vec<&str> = std::iter::once("PSUBSCRIBE")
            .chain(names.iter().map(String::as_str))
            .collect();
        greedy.send(&words).unwrap();
        let mut owed = 1_000;
        while owed > 0 {
            match greedy.receive().unwrap() {
                Reply::Array(parts) => {
                    confirmed += 1;
                    owed -= 1;
                    assert_eq!(parts[2], Reply::Integer(confirmed), "the count is its own");
                }
                Reply::Error(line) => {
                    refused += owed;
                    owed = 0;
                    refusal = line;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    println!("{confirmed} patterns confirmed, {refused} refused: {refusal}");
    assert!(refused == 0 || refusal.starts_with("TOOBIG "), "{refusal}");
    go_on(&messages);
    assert_exact(&messages.stop());
    drop(greedy);
    wait_for("the patterns to be forgotten", Duration::from_secs(60), || {
        old.call(&["PUBSUB", "NUMPAT"]).unwrap() == before
    })
    .unwrap();
}

fn many_patterns(from: usize, to: usize) -> Vec<String> {
    std::iter::once("PSUBSCRIBE".to_owned())
        .chain((from..to).map(|number| format!("greedy:{number}:*")))
        .collect()
}

fn patterns_on(server: &Server) -> i64 {
    match server.call(&["PUBSUB", "NUMPAT"]).unwrap() {
        Reply::Integer(count) => count,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_for_one_pattern_does_not_wait_behind_one_for_20_000() {
    let old = server();
    let running = Running::start(&url(&old), None, "");
    let mut greedy = running.client();
    greedy.send(&many_patterns(0, 20_000)).unwrap();
    wait_for("the many to be asked for", SOON, || patterns_on(&old) > 100).unwrap();
    // Some of them have the same worker.
    for number in 0..10 {
        let pattern = format!("modest:{number}:*");
        running.client().ask(&["PSUBSCRIBE", &pattern]).unwrap();
        let so_far = patterns_on(&old);
        assert!(so_far < 20_000, "after {so_far} others");
    }
    // A server compares each with all that the same link has, so they take it a second or more.
    wait_for("all to be subscribed to", Duration::from_secs(60), || {
        patterns_on(&old) >= 20_000
    })
    .unwrap();
    for count in 1..=20_000 {
        assert_eq!(greedy.receive().unwrap().elements()[2], Reply::Integer(count));
    }
}

#[test]
fn a_pattern_that_is_wanted_again_while_thousands_are_left_is_kept() {
    let old = server();
    let running = Running::start(&url(&old), None, "");
    let mut greedy = running.client();
    greedy.ask(&many_patterns(0, 5_000)).unwrap();
    for _ in 1..5_000 {
        greedy.receive().unwrap();
    }
    drop(greedy);
    wait_for("the patterns to be left", SOON, || patterns_on(&old) < 5_000).unwrap();
    let mut again: Vec<Client> = (1..=10)
        .map(|number| {
            let mut client = running.client();
            client
                .ask(&many_patterns(number * 499, number * 499 + 1))
                .unwrap();
            client
        })
        .collect();
    let mut publish = |text: &str| {
        for (client, number) in again.iter_mut().zip(1..) {
            let channel = format!("greedy:{}:x", number * 499);
            running.client().ask(&["PUBLISH", &channel, text]).unwrap();
            assert_eq!(client.receive().unwrap().elements()[3].text().unwrap(), text);
        }
    };
    publish("while others are left");
    wait_for("the others to be left", SOON, || patterns_on(&old) == 10).unwrap();
    publish("when they are");
}

/// A node that lets less wait for a subscriber than it does by default, so that less is too much.
fn narrow(hard_bytes: usize) -> Server {
    let options = ServerOptions {
        config: vec![format!("client-output-buffer-limit pubsub {hard_bytes} 0 0")],
        ..ServerOptions::default()
    };
    Server::start(&options).unwrap()
}

const MB: usize = 1 << 20;

fn publish(client: &mut proxied::Client, channel: &str, bytes: usize) -> String {
    let message = vec![b'x'; bytes];
    let reply = client.call(&[b"PUBLISH", channel.as_bytes(), &message]);
    reply.escape_ascii().to_string()
}

/// It is told why, and nobody else notices anything.
fn assert_a_large_one_is_refused(running: &Running, bytes: usize, because: &str) {
    let messages = messages(running);
    let mut reader = running.client();
    reader.ask(&["SUBSCRIBE", "large"]).unwrap();
    let mut publisher = proxied::Client::connect(address(running));
    let refused = publish(&mut publisher, "large", bytes);
    println!("PUBLISH of {bytes} bytes: {refused}");
    assert!(
        refused.starts_with("-TOOBIG ") && refused.contains(because),
        "{refused}"
    );
    publisher.call(&[b"MULTI"]);
    let refused = publish(&mut publisher, "large", bytes);
    assert!(
        refused.starts_with("-TOOBIG ") && refused.contains(because),
        "{refused}"
    );
    assert!(publisher.call(&[b"EXEC"]).starts_with(b"-EXECABORT "));
    go_on(&messages);
    publisher.call(&[b"PUBLISH", b"large", b"after"]);
    assert_eq!(reader.receive().unwrap().elements()[2].text().unwrap(), "after");
    let ledger = messages.stop();
    assert_eq!(ledger.gaps.len(), 0, "{:?}", ledger.gaps);
    assert_exact(&ledger);
}

#[test]
fn a_message_that_a_node_would_close_our_link_for_is_refused_and_costs_the_others_nothing() {
    let (old, new) = (narrow(4 * MB), narrow(2 * MB));
    let running = Running::start(&url(&old), Some(&url(&new)), "");
    assert_a_large_one_is_refused(&running, 3 * MB, &format!("node {}", new.addr()));
}

#[test]
fn a_message_that_no_client_may_hold_is_refused_and_costs_the_others_nothing() {
    let (old, new) = (server(), server());
    let more = "[route.limits]\npubsub_output_hard = \"1mb\"\n";
    let running = Running::start(&url(&old), Some(&url(&new)), more);
    assert_a_large_one_is_refused(&running, MB, "pubsub_output_hard");
}

#[test]
#[ignore = "takes a gigabyte of memory; the full size"]
fn a_message_of_512_megabytes_is_refused_and_costs_the_others_nothing() {
    let (_old, _new, running) = pair();
    assert_a_large_one_is_refused(&running, 512 * MB, "33554432");
}

#[test]
fn a_message_is_refused_by_what_all_its_copies_take() {
    let old = narrow(4 * MB);
    let running = Running::start(&url(&old), None, "");
    let mut reader = running.client();
    reader.ask(&["SUBSCRIBE", "large"]).unwrap();
    let mut publisher = proxied::Client::connect(address(&running));
    assert_eq!(publish(&mut publisher, "large", 3 * MB / 2), ":1\\r\\n");
    reader.receive().unwrap();
    let mut others: Vec<Client> = ["l*", "la*", "nothing*"]
        .iter()
        .map(|pattern| {
            let mut client = running.client();
            client.ask(&["PSUBSCRIBE", pattern]).unwrap();
            client
        })
        .collect();
    let refused = publish(&mut publisher, "large", 3 * MB / 2);
    assert!(
        refused.starts_with("-TOOBIG ") && refused.contains("3 subscriptions"),
        "{refused}"
    );
    // As many bytes in pieces: a transaction's are published at once, others are not.
    publisher.call(&[b"MULTI"]);
    assert_eq!(publish(&mut publisher, "large", MB / 2), "+QUEUED\\r\\n");
    assert_eq!(publish(&mut publisher, "large", MB / 2), "+QUEUED\\r\\n");
    assert!(publish(&mut publisher, "large", MB / 2).starts_with("-TOOBIG "));
    publisher.call(&[b"DISCARD"]);
    for _ in 0..4 {
        assert!(publish(&mut publisher, "large", MB / 2).starts_with(':'));
        [&mut reader]
            .into_iter()
            .chain(&mut others[..2])
            .for_each(|client| {
                client.receive().unwrap();
            });
    }
    assert_eq!(
        running.metric("switchback_pubsub_gaps_total{route=\"r\",side=\"old\"}"),
        Some(0.0)
    );
}

#[test]
fn a_limit_that_is_raised_on_the_node_is_soon_known() {
    let old = narrow(MB);
    let running = Running::start(&url(&old), None, "");
    let mut reader = running.client();
    reader.ask(&["SUBSCRIBE", "large"]).unwrap();
    let mut publisher = proxied::Client::connect(address(&running));
    assert!(publish(&mut publisher, "large", 2 * MB).starts_with("-TOOBIG "));
    old.call(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 8mb 0 0"])
        .unwrap();
    wait_for("the raised limit to be known", SOON, || {
        publish(&mut publisher, "large", 2 * MB).starts_with(':')
    })
    .unwrap();
    assert_eq!(
        reader.receive().unwrap().elements()[2].text().unwrap().len(),
        2 * MB
    );
}

#[test]
fn where_a_node_does_not_tell_its_limit_the_routes_own_holds() {
    let old = narrow(MB);
    old.call(&["ACL", "SETUSER", "default", "-config"]).unwrap();
    let more = "[route.limits]\npubsub_output_hard = \"4mb\"\n";
    let running = Running::start(&url(&old), None, more);
    let mut reader = running.client();
    reader.ask(&["SUBSCRIBE", "small"]).unwrap();
    let mut publisher = proxied::Client::connect(address(&running));
    assert_eq!(publish(&mut publisher, "large", 2 * MB), ":0\\r\\n");
    assert!(publish(&mut publisher, "large", 5 * MB).contains("pubsub_output_hard"));
    publisher.call(&[b"PUBLISH", b"small", b"after"]);
    assert_eq!(reader.receive().unwrap().elements()[2].text().unwrap(), "after");
}

/// Nothing can refuse what a script publishes: the node closes our link, and that is told.
#[test]
fn a_large_message_of_a_script_costs_the_rest_nothing_untold() {
    let (old, new) = (narrow(4 * MB), narrow(4 * MB));
    let running = Running::start(&url(&old), Some(&url(&new)), "");
    let messages = messages(&running);
    let mut told = running.client();
    told.ask(&["SUBSCRIBE", "__switchback:gap"]).unwrap();
    let mut reader = running.client();
    reader.ask(&["SUBSCRIBE", "large"]).unwrap();
    let script = "return redis.call('publish', 'large', string.rep('x', 8 * 1024 * 1024))";
    running.client().ask(&["EVAL", script, "0"]).unwrap();
    let gap = told.receive().unwrap().elements()[2].text().unwrap();
    println!("{gap}");
    go_on(&messages);
    // Nobody had to connect anew.
    running.client().ask(&["PUBLISH", "large", "after"]).unwrap();
    assert_eq!(reader.receive().unwrap().elements()[2].text().unwrap(), "after");
    let ledger = messages.stop();
    println!("{}", crate::breaking::line(&ledger));
    assert_eq!(
        (ledger.lost_silently(), ledger.doubled, ledger.reordered),
        (0, 0, 0),
        "{ledger:?}"
    );
    assert_eq!((ledger.failures(), ledger.reconnects), (0, 0), "{ledger:?}");
}

fn address(running: &Running) -> std::net::SocketAddr {
    running.listen.to_string().parse().unwrap()
}

#[test]
fn a_message_of_16_megabytes_comes_whole_to_everyone() {
    let old = server();
    let running = Running::start(&url(&old), None, "");
    let mut readers: Vec<Client> = (0..3).map(|_| running.client()).collect();
    for reader in &mut readers {
        reader.ask(&["SUBSCRIBE", "large"]).unwrap();
    }
    let payload: Vec<u8> = (0..16_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let read = |mut reader: Client| reader.receive().unwrap();
    let threads: Vec<_> = readers
        .into_iter()
        .map(|reader| std::thread::spawn(move || read(reader)))
        .collect();
    running
        .client()
        .ask::<&[u8]>(&[b"PUBLISH", b"large", &payload])
        .unwrap();
    for thread in threads {
        let got = thread.join().unwrap();
        assert!(got.elements()[2] == Reply::Bulk(payload.clone()));
    }
}

#[test]
fn an_app_that_vanishes_while_it_is_subscribed_is_forgotten() {
    let (_old, _new, running) = pair();
    let mut app = proxied::Client::connect(address(&running));
    app.call(&[b"SUBSCRIBE", b"c"]);
    app.stream.shutdown(std::net::Shutdown::Write).unwrap();
    // A half-closed one is a client that has left, to Redis too.
    let mut rest = Vec::new();
    app.stream.read_to_end(&mut rest).unwrap();
    running.wait_until("the app to be forgotten", |status| status["clients"] == 0);
    wait_for("the gauge", SOON, || {
        running.metric("switchback_subscriptions{route=\"r\"}") == Some(0.0)
    })
    .unwrap();
}
