//! Publishing and subscribing through the proxy: every message once, in order, and what may have been missed is told.

use std::collections::HashMap;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use switchback::cluster::Side;
use switchback::config::{OnUncertain, SubscribeTo};
use switchback::routing::{Snapshot, Weight};

use crate::proxied::{Client, Proxied, Server, encode, key_of, wait_for};

pub(crate) fn subscribed(proxied: &Proxied, channel: &str) -> Client {
    let mut client = proxied.client();
    client.text(&format!("SUBSCRIBE {channel}"));
    client
}

/// The payload of the next message.
pub(crate) fn payload(client: &mut Client) -> String {
    let reply = client.reply();
    let text = String::from_utf8(reply).unwrap();
    assert!(text.contains("message\r\n"), "{text:?} is not a message");
    text.trim_end().rsplit("\r\n").next().unwrap().to_owned()
}

/// Nothing but `expected` comes: told by a message that is published last.
pub(crate) fn assert_payloads(proxied: &Proxied, client: &mut Client, channel: &str, expected: &[&str]) {
    proxied.client().text(&format!("PUBLISH {channel} the-last"));
    let mut seen = Vec::new();
    loop {
        match payload(client).as_str() {
            "the-last" => break,
            other => seen.push(other.to_owned()),
        }
    }
    assert_eq!(seen, expected);
}

/// How many connections subscribe to a channel on a node.
pub(crate) fn listeners(server: &Server, channel: &str) -> usize {
    let reply = server.client().text(&format!("PUBSUB NUMSUB {channel}"));
    reply
        .rsplit(':')
        .next()
        .unwrap()
        .trim_end_matches("\\r\\n")
        .parse()
        .unwrap()
}

pub(crate) fn gaps(client: &mut Client) -> String {
    let gap = payload(client);
    assert!(gap.contains("\"route\":\"test\""), "{gap}");
    gap
}

#[test]
fn a_client_with_subscriptions_sees_what_it_would_see_at_a_server() {
    let scripts = [
        "SUBSCRIBE a b a|PSUBSCRIBE x*|SSUBSCRIBE s|GET x|GET|FOO a b|CONFIG GET x|CONFIG FOO|CONFIG|PING|PING hi|PING a b|UNSUBSCRIBE a|UNSUBSCRIBE|SUNSUBSCRIBE|PUNSUBSCRIBE q|PUNSUBSCRIBE|GET x|UNSUBSCRIBE|SUNSUBSCRIBE|PUNSUBSCRIBE|UNSUBSCRIBE zz yy",
        "SUBSCRIBE a|RESET|GET x|SUBSCRIBE|SUBSCRIBE a|HELLO 3|HELLO 2|MULTI|EXEC|RESET a|QUIT a",
        "SUBSCRIBE a|MULTI|PUBSUB CHANNELS|SUBSCRIBE|SELECT 1|PUBLISH a b|BLPOP a 0|WATCH a|PING|RESET|PING|SET x y|GET x",
        "PUBSUB CHANNELS|PUBSUB NUMSUB a b|PUBSUB NUMPAT|PUBSUB SHARDCHANNELS|PUBSUB SHARDNUMSUB a|PUBSUB FOO|PUBSUB|PUBLISH nobody hears|SPUBLISH nobody hears|PUBLISH",
    ];
    for weight in [0, 100] {
        for script in scripts {
            let proxied = Proxied::start();
            proxied.weight(weight);
            let direct = Server::start();
            let expected = transcript(direct.client(), script);
            assert_eq!(transcript(proxied.client(), script), expected, "{script}");
        }
    }
}

/// Sends each request alone, and reads until the server has answered a PING that follows it.
fn transcript(mut client: Client, script: &str) -> Vec<String> {
    let mut replies = Vec::new();
    for line in script.split('|') {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        client.send(&words);
        if line.starts_with("QUIT") {
            replies.extend(
                std::iter::from_fn(|| client.try_reply()).map(|reply| reply.escape_ascii().to_string()),
            );
            break;
        }
        client.send(&[b"PING", b"the-end-of-this"]);
        loop {
            let reply = client.reply().escape_ascii().to_string();
            if reply.contains("the-end-of-this") {
                break;
            }
            replies.push(reply);
        }
    }
    replies
}

#[test]
fn a_message_published_anywhere_after_the_confirmation_is_delivered_once() {
    let proxied = Proxied::start();
    for round in 0..60 {
        proxied.weight([0, 50, 100][round % 3]);
        let channel = format!("c{round}");
        let mut client = proxied.client();
        client.send(&[b"SUBSCRIBE", channel.as_bytes()]);
        client.reply();
        let sides = [&proxied.old, &proxied.new];
        let count = |server: &Server| server.client().text(&format!("PUBLISH {channel} direct"));
        assert_eq!(sides.map(count), [":1\\r\\n", ":1\\r\\n"]);
        assert_eq!([payload(&mut client), payload(&mut client)], ["direct", "direct"]);
        assert_payloads(&proxied, &mut client, &channel, &[]);
    }
}

#[test]
fn a_message_comes_once_for_each_subscription_that_matches() {
    let proxied = Proxied::start();
    proxied.weight(50);
    let mut client = subscribed(&proxied, "news.a");
    client.text("PSUBSCRIBE news.*");
    client.text("PSUBSCRIBE *a");
    client.text("SSUBSCRIBE news.a");
    proxied.client().text("PUBLISH news.a x");
    proxied.client().text("SPUBLISH news.a y");
    let mut seen: Vec<String> = (0..4)
        .map(|_| client.reply().escape_ascii().to_string())
        .collect();
    seen.sort();
    assert_eq!(
        seen,
        [
            r"*3\r\n$7\r\nmessage\r\n$6\r\nnews.a\r\n$1\r\nx\r\n",
            r"*3\r\n$8\r\nsmessage\r\n$6\r\nnews.a\r\n$1\r\ny\r\n",
            r"*4\r\n$8\r\npmessage\r\n$2\r\n*a\r\n$6\r\nnews.a\r\n$1\r\nx\r\n",
            r"*4\r\n$8\r\npmessage\r\n$6\r\nnews.*\r\n$6\r\nnews.a\r\n$1\r\nx\r\n",
        ]
    );
    assert_payloads(&proxied, &mut client, "unrelated.a", &[]);
}

#[test]
fn keyspace_notifications_come_from_both_sides() {
    let proxied = Proxied::start();
    for server in [&proxied.old, &proxied.new] {
        server.client().text("CONFIG SET notify-keyspace-events K$");
    }
    proxied.weight(50);
    let mut client = proxied.client();
    client.text("PSUBSCRIBE __keyspace@0__:*");
    for side in Side::BOTH {
        let key = key_of(side, 0);
        proxied.client().text(&format!("SET {key} v"));
        assert!(client.reply().escape_ascii().to_string().contains(&key));
    }
}

#[test]
fn all_clients_of_a_worker_share_one_subscription_and_leave_it_after_a_while() {
    let proxied = Proxied::start();
    let mut clients: Vec<Client> = (0..40).map(|_| subscribed(&proxied, "shared")).collect();
    for server in [&proxied.old, &proxied.new] {
        assert!((1..=2).contains(&listeners(server, "shared")));
    }
    assert_eq!(proxied.stats.subscriptions.load(Ordering::Relaxed), 40);
    proxied.client().text("PUBLISH shared x");
    for client in &mut clients {
        assert_eq!(payload(client), "x");
    }
    wait_for("40 deliveries", || {
        proxied.stats.delivered.load(Ordering::Relaxed) == 40
    });
    // Some leave in the middle of the list, by each of the ways there are.
    for (number, mut client) in clients.drain(..20).enumerate() {
        match number % 3 {
            0 => assert!(client.text("UNSUBSCRIBE").contains("unsubscribe")),
            1 => assert_eq!(client.text("RESET"), "+RESET\\r\\n"),
            _ => drop(client),
        }
    }
    wait_for("20 subscriptions", || {
        proxied.stats.subscriptions.load(Ordering::Relaxed) == 20
    });
    proxied.client().text("PUBLISH shared y");
    for client in &mut clients {
        assert_eq!(payload(client), "y");
    }
    clients.clear();
    wait_for("the nodes to be unsubscribed from", || {
        listeners(&proxied.old, "shared") + listeners(&proxied.new, "shared") == 0
    });
    assert_eq!(proxied.stats.subscriptions.load(Ordering::Relaxed), 0);
}

#[test]
fn clients_that_come_and_go_neither_leak_nor_miss_what_follows_their_confirmation() {
    let proxied = Proxied::start();
    proxied.weight(50);
    let mut publisher = proxied.client();
    let mut client = proxied.client();
    for round in 0..3_000 {
        let channel = format!("c{}", round % 7);
        client.send(&[b"SUBSCRIBE", channel.as_bytes()]);
        client.reply();
        publisher.send(&[b"PUBLISH", channel.as_bytes(), round.to_string().as_bytes()]);
        assert_eq!(payload(&mut client), round.to_string());
        publisher.reply();
        assert!(client.text("UNSUBSCRIBE").contains("unsubscribe"));
    }
    let commands = proxied.old.client().text("INFO commandstats");
    let calls = |name: &str| -> u32 {
        let of = commands.split(&format!("cmdstat_{name}:calls=")).nth(1);
        of.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
    };
    assert!(calls("subscribe") < 300, "{} of 3000", calls("subscribe"));
    wait_for("the nodes to be unsubscribed from", || {
        proxied.old.client().text("PUBSUB CHANNELS") == "*0\\r\\n"
    });
}

#[test]
fn confirmations_and_messages_keep_their_place_among_other_replies() {
    let proxied = Proxied::start();
    proxied.weight(50);
    let large = vec![b'x'; 3_000_000];
    let mut client = proxied.client();
    client.call(&[b"SET", b"large", &large]);
    let _other = subscribed(&proxied, "news");
    let stop = AtomicBool::new(false);
    let channels = ["news".to_owned()];
    std::thread::scope(|scope| {
        let publisher = proxied.client();
        let _stop = Stop(&stop);
        scope.spawn(|| publish_until(&stop, publisher, &channels, 10));
        for _ in 0..10 {
            let pipeline = [
                encode(&[b"GET", b"large"]),
                encode(&[b"SUBSCRIBE", b"news"]),
                encode(&[b"SUBSCRIBE", b"unheard-of"]),
                encode(&[b"PING"]),
                encode(&[b"UNSUBSCRIBE", b"unheard-of"]),
            ];
            client.stream.write_all(&pipeline.concat()).unwrap();
            assert_eq!(client.reply().len(), large.len() + b"$3000000\r\n\r\n".len());
            let (mut replies, mut numbers) = (Vec::new(), Vec::new());
            while replies.len() < 4 || numbers.len() < 20 {
                let reply = client.reply().escape_ascii().to_string();
                let words: Vec<&str> = reply.split(r"\r\n").collect();
                match words[2] {
                    "message" => numbers.push(words[6].split(':').next().unwrap().parse::<u32>().unwrap()),
                    word => replies.push(word.to_owned()),
                }
                assert!(!replies.is_empty(), "a message before the confirmation");
            }
            assert_eq!(replies, ["subscribe", "subscribe", "pong", "unsubscribe"]);
            assert!(
                numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]),
                "{numbers:?}"
            );
            client.send(&[b"RESET"]);
            while client.reply() != b"+RESET\r\n" {}
        }
    });
}

/// Stops publishers also when the test fails, so that it ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Publishes numbers on channels until told to stop; returns how many on each.
fn publish_until(stop: &AtomicBool, mut client: Client, channels: &[String], size: usize) -> u32 {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        for channel in channels {
            let text = format!("{number}:{}", "x".repeat(size));
            let reply = client.call(&[b"PUBLISH", channel.as_bytes(), text.as_bytes()]);
            assert!(reply.starts_with(b":"), "{}", reply.escape_ascii());
        }
        number += 1;
    }
    number
}

/// Four publishers and twenty subscribers while `meanwhile` happens: nothing may be lost, doubled or out of order.
pub(crate) fn assert_nothing_lost_while(proxied: &Proxied, meanwhile: impl FnOnce()) {
    let channels: Vec<Vec<String>> = (0..4)
        .map(|publisher| (0..5).map(|channel| format!("p{publisher}.c{channel}")).collect())
        .collect();
    let mut subscribers: Vec<(usize, Client)> = Vec::new();
    for number in 0..20 {
        let publisher = number % 4;
        let mut client = proxied.client();
        match number / 4 {
            0 => drop(client.text(&format!("PSUBSCRIBE p{publisher}.*"))),
            _ => {
                for channel in &channels[publisher] {
                    client.text(&format!("SUBSCRIBE {channel}"));
                }
            }
        }
        subscribers.push((publisher, client));
    }
    let stop = AtomicBool::new(false);
    let published: Vec<OnceLock<u32>> = (0..4).map(|_| OnceLock::new()).collect();
    let published = &published;
    std::thread::scope(|scope| {
        let publishing: Vec<_> = channels
            .iter()
            .enumerate()
            .map(|(number, channels)| {
                let client = proxied.client();
                let stop = &stop;
                scope.spawn(move || publish_until(stop, client, channels, [0, 100, 5_000, 65_000][number]))
            })
            .collect();
        for (publisher, mut client) in subscribers {
            let channels = &channels[publisher];
            scope.spawn(move || {
                // Reads along, so that no bound is reached.
                let mut next: HashMap<String, u32> =
                    channels.iter().map(|channel| (channel.clone(), 0)).collect();
                loop {
                    let last = published[publisher].get().copied();
                    if last.is_some_and(|last| next.values().all(|next| *next == last)) {
                        return;
                    }
                    let text = client.reply();
                    if text.ends_with(b"the-end\r\n") {
                        continue;
                    }
                    let header = text.len().min(200);
                    let text = String::from_utf8_lossy(&text[..header]).into_owned();
                    let words: Vec<&str> = text.split("\r\n").collect();
                    let at = if text.starts_with("*4") { 6 } else { 4 };
                    let number: u32 = words[at + 2].split(':').next().unwrap().parse().unwrap();
                    let next = next.get_mut(words[at]).unwrap();
                    assert_eq!(number, *next, "on {}", words[at]);
                    *next += 1;
                }
            });
        }
        meanwhile();
        stop.store(true, Ordering::Relaxed);
        for (publisher, publishing) in publishing.into_iter().enumerate() {
            published[publisher].set(publishing.join().unwrap()).unwrap();
        }
        // Wakes readers that were already complete.
        for channel in channels.iter().flatten() {
            proxied.client().text(&format!("PUBLISH {channel} the-end"));
        }
    });
}

#[test]
fn no_message_is_lost_doubled_or_reordered_while_the_weight_moves() {
    let proxied = Proxied::start();
    assert_nothing_lost_while(&proxied, || {
        let begin = Instant::now();
        for step in 0..300u16 {
            // Up and down, and at once back, as routes back come.
            proxied.weight([25, 100, 50, 0, 75, 0, 100, 0][usize::from(step) % 8]);
            if step % 3 != 0 {
                std::thread::sleep(Duration::from_millis(u64::from(step % 7)));
            }
        }
        assert!(begin.elapsed() > Duration::from_millis(300));
    });
    assert_eq!(proxied.stats.gaps[0].load(Ordering::Relaxed), 0);
    assert_eq!(proxied.stats.gaps[1].load(Ordering::Relaxed), 0);
}

#[test]
fn the_gaining_side_does_not_overtake_a_losing_one_that_has_much_to_tell() {
    let proxied = Proxied::with(|config| config.limits.pubsub_output.hard_bytes = 0);
    let mut client = subscribed(&proxied, "news");
    let mut bulks: Vec<Client> = (0..4).map(|_| subscribed(&proxied, "bulk")).collect();
    let mut publisher = proxied.client();
    let bulk = vec![b'x'; 1024 * 1024];
    for round in 0..10 {
        let mut direct = proxied.old.client();
        direct.text("MULTI");
        for _ in 0..20 {
            direct.call(&[b"PUBLISH", b"bulk", &bulk]);
        }
        direct.text(&format!("PUBLISH news {round}-on-old"));
        direct.text("EXEC");
        proxied.weight(100);
        publisher.send(&[b"PUBLISH", b"news", format!("{round}-on-new").as_bytes()]);
        assert_eq!(payload(&mut client), format!("{round}-on-old"));
        assert_eq!(payload(&mut client), format!("{round}-on-new"));
        publisher.reply();
        proxied.weight(0);
        for bulk in &mut bulks {
            (0..20).for_each(|_| assert!(bulk.reply().len() > 1024 * 1024));
        }
    }
}

#[test]
fn a_frozen_side_that_is_given_up_holds_no_publisher() {
    let proxied = Proxied::start();
    proxied.weight(100);
    let mut client = subscribed(&proxied, "news");
    proxied.new.signal(Signal::SIGSTOP);
    let begin = Instant::now();
    proxied.publish(|snapshot| {
        snapshot.weight = Weight::ZERO;
        snapshot.new.as_mut().unwrap().abandoned = true;
    });
    assert_eq!(proxied.client().text("PUBLISH news x"), ":1\\r\\n");
    assert_eq!(payload(&mut client), "x");
    let took = begin.elapsed();
    assert!(took < Duration::from_millis(400), "{took:?}");
    proxied.new.signal(Signal::SIGCONT);
}

#[test]
fn no_message_is_lost_doubled_or_reordered_by_a_change_of_master_with_both_alive() {
    let proxied = Proxied::start();
    let successor = Server::start();
    assert_nothing_lost_while(&proxied, || {
        for step in 0..20 {
            proxied.master(Side::Old, None);
            let next = if step % 2 == 0 { &successor } else { &proxied.old };
            proxied.master(Side::Old, Some(next));
            std::thread::sleep(Duration::from_millis(20 * (step % 4)));
        }
    });
}

#[test]
fn a_lost_subscriber_link_is_replaced_at_once_and_the_gap_is_told() {
    let proxied = Proxied::start();
    let mut watcher = subscribed(&proxied, "__switchback:gap");
    let mut client = subscribed(&proxied, "news");
    assert_eq!(proxied.old.client().text("CLIENT KILL TYPE pubsub"), ":1\\r\\n");
    let gap = gaps(&mut watcher);
    assert!(
        gap.contains(r#""side":"old","channels":["news"],"from":"#),
        "{gap}"
    );
    assert_payloads(&proxied, &mut client, "news", &[]);
    // At weight 0 nothing can have been published on new.
    assert_eq!(proxied.new.client().text("CLIENT KILL TYPE pubsub"), ":1\\r\\n");
    wait_for("the subscription on new", || listeners(&proxied.new, "news") == 1);
    assert_eq!(proxied.stats.gaps[1].load(Ordering::Relaxed), 0);
    // When half the slots are its own, only their channels are concerned.
    let (of_old, of_new) = (key_of(Side::Old, 3), key_of(Side::New, 3));
    client.text(&format!("SUBSCRIBE {of_old}"));
    client.text(&format!("SUBSCRIBE {of_new}"));
    client.text("UNSUBSCRIBE news");
    proxied.weight(50);
    proxied.new.client().text("CLIENT KILL TYPE pubsub");
    let gap = gaps(&mut watcher);
    assert!(
        gap.contains(&format!(r#""side":"new","channels":["{of_new}"]"#)),
        "{gap}"
    );
    assert_eq!(proxied.stats.gaps[0].load(Ordering::Relaxed), 1);
}

#[test]
fn the_gap_channel_is_the_proxys_own() {
    let proxied = Proxied::start();
    let mut watcher = subscribed(&proxied, "__switchback:gap");
    let mut everything = proxied.client();
    everything.text("PSUBSCRIBE *");
    assert_eq!(listeners(&proxied.old, "__switchback:gap"), 0);
    proxied.client().text("PUBLISH __switchback:gap forged");
    proxied.client().text("PUBLISH news m");
    assert_eq!(payload(&mut everything), "m", "the forged one is told to nobody");
    proxied.old.client().text("CLIENT KILL TYPE pubsub");
    let gap = gaps(&mut watcher);
    assert!(gap.contains(r#""channels":["*"]"#), "{gap}");
}

#[test]
fn a_killed_masters_subscriptions_go_to_its_successor_without_the_client_noticing() {
    let mut proxied = Proxied::start();
    let mut watcher = subscribed(&proxied, "__switchback:gap");
    let mut client = subscribed(&proxied, "news");
    let successor = Server::start();
    proxied.old.kill();
    proxied.master(Side::Old, None);
    let mut publisher = proxied.client();
    publisher.send(&[b"PUBLISH", b"news", b"held"]);
    proxied.master(Side::Old, Some(&successor));
    assert_eq!(payload(&mut client), "held");
    assert_eq!(publisher.reply(), b":1\r\n");
    assert!(gaps(&mut watcher).contains(r#""side":"old""#));
    assert_payloads(&proxied, &mut client, "news", &[]);
}

#[test]
fn a_frozen_node_is_given_up_after_a_second() {
    let proxied = Proxied::with_node_auth();
    let mut watcher = subscribed(&proxied, "__switchback:gap");
    let mut client = subscribed(&proxied, "news");
    proxied.wait_for_links(1);
    proxied.old.signal(Signal::SIGSTOP);
    let frozen = Instant::now();
    proxied.wait_for_links(0);
    let took = frozen.elapsed();
    assert!(
        (Duration::from_millis(900)..Duration::from_secs(3)).contains(&took),
        "{took:?}"
    );
    proxied.old.signal(Signal::SIGCONT);
    assert!(gaps(&mut watcher).contains(r#""side":"old""#));
    assert_payloads(&proxied, &mut client, "news", &[]);
}

#[test]
fn a_side_that_owns_nothing_and_is_down_keeps_nobody_waiting() {
    let proxied = Proxied::start();
    proxied.master(Side::New, None);
    let begin = Instant::now();
    let mut client = subscribed(&proxied, "news");
    assert!(begin.elapsed() < Duration::from_secs(1));
    assert_payloads(&proxied, &mut client, "news", &[]);
    // What was published there before it could be subscribed to cannot have been for this route.
    let again = Server::start();
    proxied.master(Side::New, Some(&again));
    wait_for("the subscription on new", || listeners(&again, "news") == 1);
    proxied.weight(100);
    assert_payloads(&proxied, &mut client, "news", &[]);
    assert_eq!(proxied.stats.gaps[1].load(Ordering::Relaxed), 0);
}

#[test]
fn a_subscription_waits_for_the_owners_master_and_not_for_ever() {
    let proxied = Proxied::with(|config| config.limits.hold.time = Duration::from_millis(1_500));
    proxied.master(Side::Old, None);
    let mut client = proxied.client();
    client.send(&[b"SUBSCRIBE", b"news", b"__switchback:gap"]);
    client
        .stream
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let mut byte = [0];
    assert!(client.stream.peek(&mut byte).is_err(), "confirmed too early");
    client
        .stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    proxied.master(Side::Old, Some(&proxied.old));
    assert!(client.reply().escape_ascii().to_string().contains("subscribe"));
    client.reply();
    assert_payloads(&proxied, &mut client, "news", &[]);
    proxied.master(Side::Old, None);
    proxied.old.client().text("CLIENT KILL TYPE pubsub");
    wait_for("the link to be lost", || listeners(&proxied.old, "news") == 0);
    let mut late = proxied.client();
    let refused = late.text("SUBSCRIBE news other");
    assert!(refused.starts_with("-NOUPSTREAM"), "{refused}");
    assert!(late.text("UNSUBSCRIBE").ends_with("$-1\\r\\n:0\\r\\n"));
}

#[test]
fn what_becomes_of_publishes_is_counted() {
    let proxied = Proxied::with(|config| {
        config.limits.hold.time = Duration::from_millis(100);
        config.limits.drain = Duration::from_millis(100);
        config.uncertain_publish = OnUncertain::Error;
    });
    let stats = &proxied.stats;
    let mut client = proxied.client();
    client.text("PUBLISH news x");
    proxied.old.signal(Signal::SIGSTOP);
    client.send(&[b"PUBLISH", b"news", b"uncertain"]);
    wait_for("it to be sent", || {
        stats.published[0].load(Ordering::Relaxed) == 2
    });
    proxied.master(Side::Old, None);
    assert!(client.reply().starts_with(b"-UNCERTAIN"));
    assert!(client.text("PUBLISH news refused").starts_with("-NOUPSTREAM"));
    proxied.old.signal(Signal::SIGCONT);
    proxied.master(Side::Old, Some(&proxied.old));
    proxied.old.client().text("ACL SETUSER default resetchannels");
    assert!(client.text("PUBLISH news forbidden").starts_with("-NOPERM"));
    let count =
        |counters: &[AtomicU64; 2]| counters.each_ref().map(|counter| counter.load(Ordering::Relaxed));
    assert_eq!(count(&stats.publish_uncertain), [1, 0]);
    assert_eq!(count(&stats.publish_failed), [2, 0]);
    assert_eq!(count(&stats.publish_retried), [0, 0]);
}

#[test]
fn publishes_that_come_back_before_they_were_sent_are_counted_once_and_where_they_went() {
    const MESSAGES: u64 = 200;
    let proxied = Proxied::start();
    proxied.weight(100);
    let published = || {
        let counters = proxied.stats.published.each_ref();
        counters.map(|counter| counter.load(Ordering::Relaxed))
    };
    let mut client = proxied.client();
    assert_eq!(client.text("PUBLISH news first"), ":0\\r\\n");
    proxied.new.signal(Signal::SIGSTOP);
    let message = vec![b'x'; 200 * 1024];
    let mut writer = client.stream.try_clone().unwrap();
    let publishing = std::thread::spawn(move || {
        let request = encode(&[b"PUBLISH", b"news", &message]);
        (0..MESSAGES).for_each(|_| writer.write_all(&request).unwrap());
    });
    // More than all the sockets between take.
    let mut taken = proxied.sent_nanos(Side::New);
    wait_for("the frozen master's socket to be full", || {
        std::thread::sleep(Duration::from_millis(200));
        let before = std::mem::replace(&mut taken, proxied.sent_nanos(Side::New));
        taken == before && published()[1] > 1
    });
    proxied.weight(0);
    proxied.new.signal(Signal::SIGCONT);
    for _ in 0..MESSAGES {
        assert_eq!(client.reply(), b":0\r\n");
    }
    publishing.join().unwrap();
    wait_for("each to be counted", || {
        published().iter().sum::<u64>() > MESSAGES
    });
    let [old, new] = published();
    assert_eq!(old + new, MESSAGES + 1);
    let info = proxied.new.client().text("INFO commandstats");
    assert!(
        info.contains(&format!("cmdstat_publish:calls={new},")),
        "{new}: {info}"
    );
    assert!(old > 0, "nothing came back");
}

#[test]
fn a_refusal_by_the_node_is_told_and_leaves_nothing_behind() {
    let proxied = Proxied::start();
    for server in [&proxied.old, &proxied.new] {
        server
            .client()
            .text("ACL SETUSER default resetchannels &allowed*");
    }
    let mut client = proxied.client();
    let refused = client.text("SUBSCRIBE allowed.1 forbidden");
    assert!(refused.starts_with("-NOPERM"), "{refused}");
    assert_eq!(client.text("PING"), "+PONG\\r\\n");
    assert!(
        client
            .text("SUBSCRIBE allowed.2")
            .ends_with("allowed.2\\r\\n:1\\r\\n")
    );
}

#[test]
fn one_slow_reader_is_closed_and_the_others_lose_nothing() {
    let proxied = Proxied::with(|config| config.limits.pubsub_output.hard_bytes = 1024 * 1024);
    let slow = subscribed(&proxied, "news");
    let mut quick = subscribed(&proxied, "news");
    let mut publisher = proxied.client();
    let message = vec![b'x'; 50_000];
    let mut sent = 0;
    while proxied.stats.subscriber_evictions.load(Ordering::Relaxed) == 0 {
        publisher.call(&[b"PUBLISH", b"news", &message]);
        assert!(quick.reply().len() > message.len());
        sent += 1;
        assert!(sent < 2_000, "never evicted");
    }
    wait_for("the slow client to be closed", || {
        proxied.stats.subscriptions.load(Ordering::Relaxed) == 1
    });
    assert_payloads(&proxied, &mut quick, "news", &[]);
    drop(slow);
}

#[test]
fn a_reader_that_stays_over_the_soft_limit_is_closed_though_nothing_more_comes() {
    let proxied = Proxied::with(|config| {
        config.limits.pubsub_output.soft_bytes = 64 * 1024;
        config.limits.pubsub_output.soft_time = Duration::from_millis(300);
    });
    let slow = subscribed(&proxied, "news");
    let mut publisher = proxied.client();
    let message = vec![b'x'; 16 * 1024 * 1024];
    publisher.call(&[b"PUBLISH", b"news", &message]);
    wait_for("the slow client to be closed", || {
        proxied.stats.subscriber_evictions.load(Ordering::Relaxed) == 1
    });
    drop(slow);
}

#[test]
fn a_large_message_is_delivered_whole_and_a_larger_one_than_allowed_closes_only_its_readers() {
    let proxied = Proxied::with(|config| config.limits.pubsub_output.hard_bytes = 4 * 1024 * 1024);
    let mut readers: Vec<Client> = (0..5).map(|_| subscribed(&proxied, "large")).collect();
    let mut other = subscribed(&proxied, "small");
    let mut publisher = proxied.client();
    let fits: Vec<u8> = (0..3 * 1024 * 1024).map(|at| at as u8).collect();
    publisher.send(&[b"PUBLISH", b"large", &fits]);
    for reader in &mut readers {
        let reply = reader.reply();
        assert!(reply.ends_with(b"\r\n") && reply[reply.len() - 2 - fits.len()..].starts_with(&fits));
    }
    publisher.reply();
    let too_large = vec![b'x'; 8 * 1024 * 1024];
    let refused = publisher.call(&[b"PUBLISH", b"large", &too_large]);
    assert!(refused.starts_with(b"-TOOBIG "), "{}", refused.escape_ascii());
    assert_payloads(&proxied, &mut readers[0], "large", &[]);
    for reader in &mut readers[1..] {
        reader.reply();
    }
    // What does not come through the proxy cannot be refused.
    proxied.old.client().call(&[b"PUBLISH", b"large", &too_large]);
    for reader in &mut readers {
        assert_eq!(reader.try_reply(), None);
    }
    assert_eq!(proxied.stats.subscriber_evictions.load(Ordering::Relaxed), 5);
    assert_payloads(&proxied, &mut other, "small", &[]);
    let mut again = subscribed(&proxied, "large");
    assert_payloads(&proxied, &mut again, "large", &[]);
    assert_eq!(proxied.stats.gaps[0].load(Ordering::Relaxed), 0);
}

#[test]
fn subscriptions_of_a_client_are_bounded() {
    let proxied = Proxied::with(|config| config.limits.subscriptions = 100);
    let mut client = proxied.client();
    let names: Vec<String> = (0..101).map(|number| format!("c{number}")).collect();
    let mut words: Vec<&[u8]> = vec![b"PSUBSCRIBE"];
    words.extend(names.iter().map(|name| name.as_bytes()));
    let refused = client.call(&words);
    assert!(refused.starts_with(b"-TOOBIG"), "{}", refused.escape_ascii());
    assert_eq!(client.text("PING"), "+PONG\\r\\n");
    client.send(&words[..101]);
    for count in 1..=100 {
        assert!(client.reply().ends_with(format!(":{count}\r\n").as_bytes()));
    }
    let refused = client.text("SUBSCRIBE one-more");
    assert!(refused.starts_with("-TOOBIG"), "{refused}");
    let name = vec![b'x'; 64 * 1024 + 1];
    assert!(
        proxied
            .client()
            .call(&[b"SUBSCRIBE", &name])
            .starts_with(b"-TOOBIG")
    );
    assert!(
        proxied
            .client()
            .call(&[b"SUBSCRIBE", &name[1..]])
            .ends_with(b":1\r\n")
    );
}

#[test]
fn who_listens_is_told_in_clients_at_every_weight_whichever_worker_has_them() {
    let proxied = Proxied::start();
    let mut direct = [proxied.old.client(), proxied.new.client()];
    for client in &mut direct {
        client.text("SUBSCRIBE theirs");
    }
    let mut asking = proxied.client();
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        let mut clients: Vec<Client> = (0..5).map(|_| subscribed(&proxied, "mine")).collect();
        clients[0].text("PSUBSCRIBE mi*");
        clients[1].text("PSUBSCRIBE mi*");
        clients[2].text("SSUBSCRIBE mine");
        assert_eq!(asking.text("PUBLISH mine m"), r":7\r\n", "at {weight}");
        assert_eq!(asking.text("SPUBLISH mine m"), r":1\r\n", "at {weight}");
        let theirs = if weight == 50 { 2 } else { 1 };
        assert_eq!(
            asking.text("PUBSUB NUMSUB mine theirs nobodys"),
            format!(r"*6\r\n$4\r\nmine\r\n:5\r\n$6\r\ntheirs\r\n:{theirs}\r\n$7\r\nnobodys\r\n:0\r\n"),
            "at {weight}"
        );
        assert_eq!(asking.text("PUBSUB NUMPAT"), r":1\r\n", "at {weight}");
        assert_eq!(
            asking.text("PUBSUB CHANNELS m*"),
            r"*1\r\n$4\r\nmine\r\n",
            "at {weight}"
        );
        assert_eq!(
            asking.text("PUBSUB SHARDNUMSUB mine"),
            r"*2\r\n$4\r\nmine\r\n:1\r\n",
            "at {weight}"
        );
        // At once, though the subscription itself stays for a moment.
        for client in &mut clients {
            client.send(&[b"RESET"]);
            while client.reply() != b"+RESET\r\n" {}
        }
        assert_eq!(asking.text("PUBLISH mine m"), r":0\r\n", "at {weight}");
        assert_eq!(asking.text("SPUBLISH mine m"), r":0\r\n", "at {weight}");
        assert_eq!(asking.text("PUBSUB NUMPAT"), r":0\r\n", "at {weight}");
        assert_eq!(asking.text("PUBSUB CHANNELS m*"), r"*0\r\n", "at {weight}");
        assert_eq!(
            asking.text("PUBSUB NUMSUB mine"),
            r"*2\r\n$4\r\nmine\r\n:0\r\n",
            "at {weight}"
        );
    }
}

#[test]
fn a_pattern_for_everything_hears_nothing_of_the_proxy_s_own() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    client.text("PSUBSCRIBE *");
    let mut guard = proxied.old.client();
    guard.text("PUBLISH __switchback:heartbeat 1");
    guard.text("PUBLISH news m");
    assert!(client.reply().ends_with(b"$4\r\nnews\r\n$1\r\nm\r\n"));
}

/// Old with two replicas, subscribed to there.
fn with_replicas() -> (Proxied, [Server; 2]) {
    let proxied = Proxied::with(|config| config.subscribe_to = SubscribeTo::Replica);
    let replicas = [0, 1].map(|_| Server::start());
    for replica in &replicas {
        replicate(replica, &proxied.old);
    }
    proxied.publish(|snapshot| set_replicas(snapshot, &replicas.iter().collect::<Vec<_>>()));
    (proxied, replicas)
}

/// Also waits for a first message to come through: the stream begins up to a second after the sync.
pub(crate) fn replicate(replica: &Server, master: &Server) {
    let (mut client, mut publisher) = (replica.client(), master.client());
    client.text(&format!("REPLICAOF 127.0.0.1 {}", master.port));
    client.text("SUBSCRIBE probe");
    client.stream.set_nonblocking(true).unwrap();
    let mut byte = [0];
    wait_for("a message to come through", || {
        publisher.text("PUBLISH probe x");
        client.stream.peek(&mut byte).is_ok()
    });
}

fn set_replicas(snapshot: &mut Snapshot, replicas: &[&Server]) {
    snapshot.old.replicas = replicas
        .iter()
        .map(|replica| replica.addr())
        .collect::<Vec<_>>()
        .into();
}

#[test]
fn clients_that_hear_replicas_are_counted_though_the_master_knows_none() {
    let (proxied, _replicas) = with_replicas();
    let _clients: Vec<Client> = (0..4).map(|_| subscribed(&proxied, "news")).collect();
    let mut asking = proxied.client();
    assert_eq!(asking.text("PUBLISH news m"), r":4\r\n");
    assert_eq!(asking.text("PUBSUB NUMSUB news"), r"*2\r\n$4\r\nnews\r\n:4\r\n");
    assert_eq!(asking.text("PUBSUB CHANNELS"), r"*1\r\n$4\r\nnews\r\n");
}

#[test]
fn subscriptions_go_to_replicas_spread_and_move_when_they_go() {
    let (proxied, replicas) = with_replicas();
    // Enough for both workers to have some.
    let mut clients: Vec<Client> = (0..40).map(|_| subscribed(&proxied, "news")).collect();
    assert_eq!(listeners(&proxied.old, "news"), 0);
    assert_eq!(
        replicas.each_ref().map(|replica| listeners(replica, "news")),
        [1, 1]
    );
    assert_payloads(&proxied, &mut clients[0], "news", &[]);
    let [mut first, second] = replicas;
    first.kill();
    proxied.publish(|snapshot| set_replicas(snapshot, &[&second]));
    wait_for("both workers on the second", || listeners(&second, "news") == 2);
    proxied.publish(|snapshot| set_replicas(snapshot, &[]));
    wait_for("both workers on the master", || {
        listeners(&proxied.old, "news") == 2
    });
    wait_for("the second to be left", || listeners(&second, "news") == 0);
    let mut late = subscribed(&proxied, "late");
    assert_payloads(&proxied, &mut late, "late", &[]);
}

#[test]
fn a_full_resync_of_the_replica_subscribed_to_is_told_as_a_gap() {
    let (proxied, replicas) = with_replicas();
    let mut watcher = subscribed(&proxied, "__switchback:gap");
    let mut client = subscribed(&proxied, "news");
    let [first, second] = &replicas;
    let used = if listeners(first, "news") == 1 {
        first
    } else {
        second
    };
    // Longer than the time between two marks: what is published meanwhile never reaches the replica.
    let mut direct = used.client();
    direct.text("REPLICAOF NO ONE");
    let mut master = proxied.old.client();
    let published = jiff::Timestamp::now();
    master.text("PUBLISH news lost");
    let marks = |master: &mut Client| -> usize {
        let stats = master.text("INFO commandstats");
        let calls = stats.split("cmdstat_publish:calls=").nth(1).unwrap();
        calls.split(',').next().unwrap().parse().unwrap()
    };
    let before = marks(&mut master);
    wait_for("two marks", || marks(&mut master) >= before + 2);
    direct.text(&format!("REPLICAOF 127.0.0.1 {}", proxied.old.port));
    let gap = gaps(&mut watcher);
    assert!(gap.contains(r#""side":"old","channels":["news"]"#), "{gap}");
    let told: serde_json::Value = serde_json::from_str(&gap).unwrap();
    let from: jiff::Timestamp = told["from"].as_str().unwrap().parse().unwrap();
    assert!(from <= published, "{published} in {gap}");
    assert_payloads(&proxied, &mut client, "news", &[]);
}

#[test]
fn a_change_of_master_is_told_as_a_gap_though_the_replica_subscribed_to_stays() {
    let (proxied, replicas) = with_replicas();
    let mut watcher = subscribed(&proxied, "__switchback:gap");
    let mut client = subscribed(&proxied, "news");
    proxied.master(Side::Old, None);
    // Nobody publishes marks now: only the change of master says that something may have happened.
    let successor = Server::start();
    for replica in &replicas {
        replica.client().text("REPLICAOF NO ONE");
    }
    let published = jiff::Timestamp::now();
    assert_eq!(successor.client().text("PUBLISH news lost"), ":0\\r\\n");
    for replica in &replicas {
        replicate(replica, &successor);
    }
    proxied.master(Side::Old, Some(&successor));
    let gap = gaps(&mut watcher);
    assert!(gap.contains(r#""side":"old","channels":["news"]"#), "{gap}");
    let told: serde_json::Value = serde_json::from_str(&gap).unwrap();
    let time = |key: &str| told[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(
        time("from") <= published && published <= time("to"),
        "{published} in {gap}"
    );
    assert_payloads(&proxied, &mut client, "news", &[]);
    assert_eq!(proxied.stats.gaps[0].load(Ordering::Relaxed), 1, "told once");
}

#[test]
fn order_is_kept_on_replicas_too_while_the_weight_moves_and_replicas_come_and_go() {
    let (proxied, replicas) = with_replicas();
    let [first, second] = &replicas;
    assert_nothing_lost_while(&proxied, || {
        for step in 0..60usize {
            proxied.weight([100, 0, 50, 0][step % 4]);
            if step % 10 == 0 {
                proxied.publish(|snapshot| {
                    let all = [&[first][..], &[second], &[first, second]];
                    set_replicas(snapshot, all[step / 10 % 3]);
                });
            }
            std::thread::sleep(Duration::from_millis(15));
        }
    });
}

/// Subscribes by a transaction; returns EXEC's reply.
fn executed(client: &mut Client, lines: &[&str]) -> String {
    assert_eq!(client.text("MULTI"), "+OK\\r\\n");
    for line in lines {
        assert_eq!(client.text(line), "+QUEUED\\r\\n", "{line}");
    }
    client.text("EXEC")
}

#[test]
fn a_message_published_anywhere_after_exec_is_delivered_once_when_it_subscribed() {
    let proxied = Proxied::start();
    for round in 0..60 {
        proxied.weight([0, 50, 100][round % 3]);
        let channel = format!("c{round}");
        let mut client = proxied.client();
        let subscribe = format!("SUBSCRIBE {channel}");
        // Whichever side's key it is with: a subscription belongs to none.
        let key = key_of([Side::Old, Side::New][round % 2], 0);
        let set = match round % 3 {
            1 => format!("SET {key} v"),
            _ => "PING".to_owned(),
        };
        let reply = executed(&mut client, &[&subscribe, &set]);
        assert!(reply.contains("subscribe") && reply.ends_with('n'), "{reply}");
        for (server, text) in [(&proxied.old, "on-old"), (&proxied.new, "on-new")] {
            assert_eq!(
                server.client().text(&format!("PUBLISH {channel} {text}")),
                ":1\\r\\n"
            );
            assert_eq!(payload(&mut client), text);
        }
        assert_payloads(&proxied, &mut client, &channel, &[]);
    }
}

#[test]
fn messages_that_come_before_execs_reply_are_delivered_after_it() {
    let proxied = Proxied::start();
    let mut other = subscribed(&proxied, "news");
    let mut client = proxied.client();
    assert_eq!(client.text("MULTI"), "+OK\\r\\n");
    for line in ["PUBLISH news early", "SUBSCRIBE news", "PUBLISH news late"] {
        assert_eq!(client.text(line), "+QUEUED\\r\\n");
    }
    // One link hears it, or one for each of the two clients.
    let reply = client.text("EXEC").replace(":2", ":1");
    assert_eq!(
        reply,
        "*3\\r\\n:1\\r\\n*3\\r\\n$9\\r\\nsubscribe\\r\\n$4\\r\\nnews\\r\\n:1\\r\\n:1\\r\\n"
    );
    assert_eq!(payload(&mut client), "early");
    assert_eq!(payload(&mut client), "late");
    assert_payloads(&proxied, &mut other, "news", &["early", "late"]);
}

#[test]
fn a_transaction_that_is_not_executed_leaves_no_subscription() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    // Somebody listens already: nothing has to be waited for, and messages come.
    let mut other = subscribed(&proxied, "news");
    client.text("WATCH k");
    proxied.client().text("SET k v");
    assert_eq!(
        executed(&mut client, &["SUBSCRIBE news gone", "PUBLISH news no"]),
        "*-1\\r\\n"
    );
    assert_eq!(client.text("PING"), "+PONG\\r\\n");
    let key = key_of(Side::Old, 0);
    client.text("MULTI");
    client.text("SUBSCRIBE news");
    client.text(&format!("SET {key} v"));
    proxied.weight(100);
    assert!(client.text("EXEC").starts_with("-EXECABORT "));
    assert_eq!(client.text("PING"), "+PONG\\r\\n");
    assert_payloads(&proxied, &mut other, "news", &[]);
    assert_eq!(client.text("PING"), "+PONG\\r\\n");
    wait_for("what nobody listens to to be forgotten", || {
        listeners(&proxied.old, "gone") + listeners(&proxied.new, "gone") == 0
    });
    assert_eq!(proxied.stats.subscriptions.load(Ordering::Relaxed), 1);
}

#[test]
fn a_channel_that_a_node_refuses_ends_the_transaction_before_it_is_executed() {
    let proxied = Proxied::start();
    for server in [&proxied.old, &proxied.new] {
        server
            .client()
            .text("ACL SETUSER default resetchannels &allowed*");
    }
    let mut client = proxied.client();
    let reply = executed(&mut client, &["SET k v", "SUBSCRIBE allowed forbidden"]);
    assert!(reply.starts_with("-NOPERM "), "{reply}");
    assert_eq!(client.text("GET k"), "$-1\\r\\n");
    let reply = executed(&mut client, &["SET k v", "SUBSCRIBE allowed"]);
    assert!(reply.starts_with("*2\\r\\n+OK\\r\\n*3\\r\\n"), "{reply}");
}

#[test]
fn exec_waits_for_the_owners_master_and_not_for_ever_when_it_subscribes() {
    let proxied = Proxied::with(|config| config.limits.hold.time = Duration::from_millis(300));
    let mut client = proxied.client();
    client.text("MULTI");
    client.text("SET k v");
    client.text("SUBSCRIBE news");
    proxied.old.signal(Signal::SIGSTOP);
    client.send(&[b"EXEC"]);
    let reply = client.reply();
    proxied.old.signal(Signal::SIGCONT);
    assert!(reply.starts_with(b"-NOUPSTREAM "), "{}", reply.escape_ascii());
    assert_eq!(client.text("GET k"), "$-1\\r\\n");
}

#[test]
fn a_client_that_leaves_while_its_transaction_subscribes_leaves_nothing() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    client.text("MULTI");
    client.text("SET k v");
    client.text("SUBSCRIBE news");
    proxied.old.signal(Signal::SIGSTOP);
    client.send(&[b"EXEC"]);
    wait_for("the client to listen", || {
        proxied.stats.subscriptions.load(Ordering::Relaxed) == 1
    });
    drop(client);
    wait_for("the client to be gone", || proxied.clients() == 0);
    assert_eq!(proxied.stats.subscriptions.load(Ordering::Relaxed), 0);
    proxied.old.signal(Signal::SIGCONT);
    wait_for("what nobody listens to to be forgotten", || {
        listeners(&proxied.old, "news") == 0
    });
    assert_eq!(proxied.client().text("GET k"), "$-1\\r\\n");
}

#[test]
fn what_a_transaction_subscribes_to_is_bounded() {
    let proxied = Proxied::with(|config| config.limits.subscriptions = 10);
    let mut client = proxied.client();
    client.text("MULTI");
    assert_eq!(client.text("SUBSCRIBE a b c d e"), "+QUEUED\\r\\n");
    assert_eq!(client.text("UNSUBSCRIBE"), "+QUEUED\\r\\n");
    assert!(client.text("PSUBSCRIBE a b c d e").starts_with("-TOOBIG "));
    assert!(client.text("EXEC").starts_with("-EXECABORT "));
    let queued = executed(&mut client, &["SUBSCRIBE a b c d e", "PSUBSCRIBE a b c d e"]);
    assert!(queued.starts_with("*2\\r\\n*3\\r\\n"), "{queued}");
}
