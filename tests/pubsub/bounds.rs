//! Subscribers that ask too much: bounded, told, and harmless to the rest.

use std::io::Read;
use std::time::{Duration, Instant};

use switchback::demo::{MessageOptions, Messages, Target};
use switchback::lab::{Client, Reply, wait_for};

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
    let mut greedy = running.client();
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

/// A message of this size is over what Redis keeps for one of its own subscribers, the proxy's links among them.
fn publish_a_large_one(bytes: usize) {
    let (_old, _new, running) = pair();
    let messages = messages(&running);
    let mut reader = proxied::Client::connect(address(&running));
    reader.call(&[b"SUBSCRIBE", b"large"]);
    let mut publisher = proxied::Client::connect(address(&running));
    let reply = publisher.call(&[b"PUBLISH", b"large", &vec![b'x'; bytes]]);
    println!("PUBLISH of {bytes} bytes: {}", reply.escape_ascii());
    assert!(reply.starts_with(b":") || reply.starts_with(b"-TOOBIG"));
    go_on(&messages);
    // Whoever reads it, or was cut off from it, can go on.
    publisher.call(&[b"PUBLISH", b"large", b"after"]);
    drop(reader);
    let mut again = proxied::Client::connect(address(&running));
    again.call(&[b"SUBSCRIBE", b"large"]);
    publisher.call(&[b"PUBLISH", b"large", b"again"]);
    assert!(again.reply().ends_with(b"again\r\n"));
    let ledger = messages.stop();
    println!("{}", crate::breaking::line(&ledger));
    assert_eq!(
        (ledger.lost_silently(), ledger.doubled, ledger.reordered),
        (0, 0, 0),
        "{ledger:?}"
    );
    assert_eq!(ledger.failures(), 0, "{ledger:?}");
    assert_eq!(ledger.reconnects, 0, "{ledger:?}");
}

fn address(running: &Running) -> std::net::SocketAddr {
    running.listen.to_string().parse().unwrap()
}

#[test]
fn a_message_of_64_megabytes_costs_the_rest_nothing_untold() {
    publish_a_large_one(64 << 20);
}

#[test]
#[ignore = "takes a gigabyte of memory; the full size"]
fn a_message_of_512_megabytes_costs_the_rest_nothing_untold() {
    publish_a_large_one(512 << 20);
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
