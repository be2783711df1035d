//! Two owners, failovers, nodes that die.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use switchback::cluster::Side;
use switchback::routing::{Slot, Weight, owner};

use crate::proxied::{Proxied, Server, encode, key_of, wait_for};

#[test]
fn every_key_goes_to_its_owner() {
    let proxied = Proxied::start();
    proxied.weight(50);
    let mut client = proxied.client();
    for number in 0..200 {
        let key = format!("key:{number}");
        assert_eq!(client.text(&format!("SET {key} v")), "+OK\\r\\n");
        let side = owner(Slot::of(key.as_bytes()), Weight::from_steps(5_000).unwrap());
        let (has, lacks) = match side {
            Side::Old => (&proxied.old, &proxied.new),
            Side::New => (&proxied.new, &proxied.old),
        };
        assert_eq!(has.client().text(&format!("EXISTS {key}")), ":1\\r\\n");
        assert_eq!(lacks.client().text(&format!("EXISTS {key}")), ":0\\r\\n");
    }
}

#[test]
fn commands_over_both_owners_are_split_and_merged_in_request_order() {
    let proxied = Proxied::start();
    proxied.weight(50);
    let mut client = proxied.client();
    let keys: Vec<String> = (0..10)
        .flat_map(|n| [key_of(Side::Old, n), key_of(Side::New, n)])
        .collect();
    let mset: Vec<String> = keys.iter().map(|key| format!("{key} value-of-{key}")).collect();
    assert_eq!(client.text(&format!("MSET {}", mset.join(" "))), "+OK\\r\\n");
    let values: String = keys
        .iter()
        .map(|key| format!("${}\\r\\nvalue-of-{key}\\r\\n", key.len() + 9))
        .collect();
    let all = keys.join(" ");
    assert_eq!(
        client.text(&format!("MGET {all}")),
        format!("*{}\\r\\n{values}", keys.len())
    );
    assert_eq!(
        client.text(&format!("EXISTS {all} {all}")),
        format!(":{}\\r\\n", keys.len() * 2)
    );
    assert_eq!(
        client.text(&format!("TOUCH {all}")),
        format!(":{}\\r\\n", keys.len())
    );
    assert_eq!(
        client.text(&format!("UNLINK {} {}", keys[0], keys[1])),
        ":2\\r\\n"
    );
    assert_eq!(
        client.text(&format!("DEL {all}")),
        format!(":{}\\r\\n", keys.len() - 2)
    );
    assert_eq!(client.text("DBSIZE"), ":0\\r\\n");
    let (a, b) = (&keys[0], &keys[1]);
    assert_eq!(
        client.text(&format!("RENAME {a} {b}")),
        "-CROSSSIDE keys of this command belong to different sides at weight 50.00\\r\\n"
    );
    assert_eq!(
        client.text(&format!("MSET {a}")),
        "-ERR wrong number of arguments for \\'mset\\' command\\r\\n"
    );
}

#[test]
fn while_no_master_is_known_commands_wait_and_are_then_executed_in_order() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    assert_eq!(client.text("SET a 0"), "+OK\\r\\n");
    proxied.master(Side::Old, None);
    for number in 1..=5 {
        client.send(&[b"APPEND", b"a", number.to_string().as_bytes()]);
    }
    wait_for("the held command", || {
        proxied.stats.held.load(std::sync::atomic::Ordering::Relaxed) == 1
    });
    proxied.master(Side::Old, Some(&proxied.old));
    for length in 2..=6 {
        assert_eq!(client.reply(), format!(":{length}\r\n").into_bytes());
    }
    assert_eq!(client.text("GET a"), "$6\\r\\n012345\\r\\n");
}

#[test]
fn a_wait_that_is_too_long_is_told() {
    let proxied = Proxied::with(|config| config.limits.hold.time = Duration::from_millis(200));
    let mut client = proxied.client();
    proxied.master(Side::Old, None);
    let begun = Instant::now();
    let batch = encode(&[b"GET", b"a"]).repeat(100);
    std::io::Write::write_all(&mut client.stream, &batch).unwrap();
    for _ in 0..100 {
        let reply = String::from_utf8(client.reply()).unwrap();
        assert_eq!(
            reply,
            "-NOUPSTREAM no usable master on side 'old' within 200 ms; not executed\r\n"
        );
    }
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "each command waited on its own"
    );
}

#[test]
fn a_demoted_master_is_never_seen_by_an_app() {
    let proxied = Proxied::start();
    let successor = Server::start();
    let mut client = proxied.client();
    assert_eq!(client.text("SET a 1"), "+OK\\r\\n");
    let mut direct = proxied.old.client();
    assert_eq!(
        direct.text(&format!("REPLICAOF 127.0.0.1 {}", successor.port)),
        "+OK\\r\\n"
    );
    for number in 0..50 {
        client.send(&[b"SET", b"a", number.to_string().as_bytes()]);
        client.send(&[b"GET", b"a"]);
    }
    wait_for("the held command", || {
        proxied.stats.held.load(std::sync::atomic::Ordering::Relaxed) == 1
    });
    proxied.master(Side::Old, Some(&successor));
    for number in 0..50 {
        assert_eq!(client.reply(), b"+OK\r\n");
        let digits = number.to_string();
        assert_eq!(
            client.reply(),
            format!("${}\r\n{digits}\r\n", digits.len()).into_bytes()
        );
    }
}

#[test]
fn a_killed_master_costs_what_was_in_flight_and_nothing_else() {
    let mut proxied = Proxied::start();
    let mut client = proxied.client();
    assert_eq!(client.text("SET a 1"), "+OK\\r\\n");
    proxied.old.signal(Signal::SIGSTOP);
    proxied.send_unanswered(&mut client, Side::Old, 1, &[&[b"INCR", b"n"], &[b"GET", b"n"]]);
    let port = proxied.old.port;
    proxied.old.kill();
    assert!(
        client.reply().starts_with(b"-UNCERTAIN "),
        "a write is not sent twice"
    );
    proxied.old = Server::start_on(port);
    assert_eq!(client.reply(), b"$-1\r\n", "a read is");
    assert_eq!(client.text("SET a 2"), "+OK\\r\\n");
}

#[test]
fn a_publish_in_flight_on_a_killed_master_is_sent_again() {
    let mut proxied = Proxied::start();
    let mut client = proxied.client();
    assert_eq!(client.text("PUBLISH c m"), ":0\\r\\n");
    proxied.old.signal(Signal::SIGSTOP);
    proxied.send_unanswered(&mut client, Side::Old, 1, &[&[b"PUBLISH", b"c", b"m"]]);
    let port = proxied.old.port;
    proxied.old.kill();
    proxied.old = Server::start_on(port);
    assert_eq!(client.reply(), b":0\r\n");
    assert_eq!(
        proxied.stats.uncertain_retried[0].load(std::sync::atomic::Ordering::Relaxed),
        1
    );
}

#[test]
fn a_frozen_side_that_is_abandoned_holds_nobody_up() {
    let proxied = Proxied::start();
    proxied.weight(100);
    let mut client = proxied.client();
    assert_eq!(client.text("SET a 1"), "+OK\\r\\n");
    proxied.new.signal(Signal::SIGSTOP);
    let sets: [&[&[u8]]; 2] = [&[b"SET", b"a", b"2"], &[b"SET", b"b", b"2"]];
    proxied.send_unanswered(&mut client, Side::New, 1, &sets);
    proxied.publish(|snapshot| {
        snapshot.weight = Weight::ZERO;
        snapshot.new.as_mut().unwrap().abandoned = true;
    });
    assert!(client.reply().starts_with(b"-UNCERTAIN "));
    assert!(client.reply().starts_with(b"-UNCERTAIN "));
    assert_eq!(client.text("SET a 3"), "+OK\\r\\n");
    assert_eq!(proxied.old.client().text("GET a"), "$1\\r\\n3\\r\\n");
    proxied.new.signal(Signal::SIGCONT);
}

#[test]
fn keys_that_come_twice_are_counted_and_set_as_by_one_server() {
    let proxied = Proxied::start();
    proxied.weight(50);
    let mut client = proxied.client();
    let (a, b) = (key_of(Side::Old, 0), key_of(Side::New, 0));
    assert_eq!(client.text(&format!("MSET {a} 1 {b} 1 {a} 2 {b} 3")), "+OK\\r\\n");
    assert_eq!(
        client.text(&format!("MGET {a} {b} {a} {b} {b}")),
        "*5\\r\\n$1\\r\\n2\\r\\n$1\\r\\n3\\r\\n$1\\r\\n2\\r\\n$1\\r\\n3\\r\\n$1\\r\\n3\\r\\n"
    );
    assert_eq!(client.text(&format!("EXISTS {a} {a} {b}")), ":3\\r\\n");
    assert_eq!(client.text(&format!("DEL {a} {b} {a} {b}")), ":2\\r\\n");
}

#[test]
fn an_error_of_one_side_is_the_error_of_a_split_command() {
    let proxied = Proxied::start();
    proxied.weight(50);
    let mut client = proxied.client();
    let (a, b) = (key_of(Side::Old, 0), key_of(Side::New, 0));
    assert_eq!(proxied.new.client().text("CONFIG SET maxmemory 1"), "+OK\\r\\n");
    assert!(client.text(&format!("MSET {a} 1 {b} 1")).starts_with("-OOM "));
    assert_eq!(
        client.text(&format!("MGET {a} {b}")),
        "*2\\r\\n$1\\r\\n1\\r\\n$-1\\r\\n"
    );
}

#[test]
fn between_weights_scripts_channels_and_unknown_commands_have_one_owner_or_none() {
    let proxied = Proxied::start();
    proxied.weight(50);
    let mut client = proxied.client();
    let (a, b) = (key_of(Side::Old, 0), key_of(Side::New, 0));
    let script = b"return redis.call('INCR', KEYS[1])";
    for (key, server) in [(&a, &proxied.old), (&b, &proxied.new)] {
        assert_eq!(client.call(&[b"EVAL", script, b"1", key.as_bytes()]), b":1\r\n");
        assert_eq!(server.client().text(&format!("GET {key}")), "$1\\r\\n1\\r\\n");
        let mut listener = server.client();
        assert!(listener.text(&format!("SUBSCRIBE {key}")).contains("subscribe"));
        assert_eq!(client.text(&format!("PUBLISH {key} message")), ":1\\r\\n");
        assert!(listener.reply().ends_with(b"message\r\n"));
    }
    let both = client.call(&[b"EVAL", script, b"2", a.as_bytes(), b.as_bytes()]);
    assert!(both.starts_with(b"-CROSSSIDE "));
    assert!(client.text("NOSUCH a").contains("unknown command"));
    proxied.weight(100);
    assert!(client.text("NOSUCH a").starts_with("-ERR unknown command"));
}
