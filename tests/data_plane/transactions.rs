//! Transactions and private links where things go wrong around them.

use std::time::Duration;

use nix::sys::signal::Signal;
use switchback::cluster::Side;
use switchback::routing::Weight;

use crate::proxied::{Proxied, Server, encode, key_of, wait_for};

#[test]
fn a_private_link_follows_the_database_of_its_session() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    let transaction = |value: &str| {
        let words: [&[&[u8]]; 3] = [&[b"MULTI"], &[b"SET", b"k", value.as_bytes()], &[b"EXEC"]];
        words.iter().flat_map(|words| encode(words)).collect::<Vec<u8>>()
    };
    let mut batch = transaction("zero");
    batch.extend(encode(&[b"SELECT", b"3"]));
    batch.extend(encode(&[b"GET", b"k"]));
    batch.extend(transaction("three"));
    std::io::Write::write_all(&mut client.stream, &batch).unwrap();
    let replies: Vec<u8> = (0..8).flat_map(|_| client.reply()).collect();
    let done = "+OK\\r\\n+QUEUED\\r\\n*1\\r\\n+OK\\r\\n";
    assert_eq!(
        replies.escape_ascii().to_string(),
        format!("{done}+OK\\r\\n$-1\\r\\n{done}")
    );
    assert_eq!(client.text("RPUSH list three"), ":1\\r\\n");
    assert_eq!(client.text("SELECT 0"), "+OK\\r\\n");
    assert_eq!(client.text("GET k"), "$4\\r\\nzero\\r\\n");
    assert_eq!(client.text("BLPOP list 0.01"), "*-1\\r\\n");
    assert_eq!(client.text("SELECT 3"), "+OK\\r\\n");
    assert_eq!(
        client.text("BLPOP list 0.01"),
        "*2\\r\\n$4\\r\\nlist\\r\\n$5\\r\\nthree\\r\\n"
    );
    assert_eq!(client.text("GET k"), "$5\\r\\nthree\\r\\n");
}

#[test]
fn what_concerns_both_sides_is_refused_in_a_transaction_of_one() {
    let proxied = Proxied::start();
    proxied.weight(50);
    let mut client = proxied.client();
    for command in ["FLUSHALL", "DBSIZE", "RANDOMKEY"] {
        assert_eq!(client.text("MULTI"), "+OK\\r\\n");
        assert!(client.text(command).contains("while two masters share the keys"));
        assert!(client.text("EXEC").starts_with("-EXECABORT"));
    }
    proxied.weight(0);
    assert_eq!(client.text("MULTI"), "+OK\\r\\n");
    assert_eq!(client.text("DBSIZE"), "+QUEUED\\r\\n");
    assert_eq!(client.text("EXEC"), "*1\\r\\n:0\\r\\n");
}

#[test]
fn misfits_in_a_transaction_end_as_by_redis() {
    let proxied = Proxied::start();
    let (mut client, mut direct) = (proxied.client(), proxied.new.client());
    for script in [
        &["MULTI", "EXEC x", "EXEC", "SET a 1"][..],
        &["MULTI", "SET a 1", "EXEC x", "SET a 2", "EXEC"],
        &["MULTI", "DISCARD x", "DISCARD", "EXEC"],
        &["MULTI", "MULTI x", "EXEC"],
        &["MULTI", "WATCH", "EXEC"],
        &["MULTI", "SET a", "SET a 1", "EXEC", "DISCARD"],
        &["MULTI", "NOSUCH", "EXEC"],
        &["WATCH a", "MULTI", "DISCARD", "UNWATCH x", "UNWATCH"],
        &["MULTI", "UNWATCH", "PING", "EXEC"],
        &["MULTI", "BLPOP empty 0", "EXEC"],
        &["WATCH a", "SET a 9", "RESET", "MULTI", "GET a", "EXEC"],
    ] {
        for line in script {
            assert_eq!(client.text(line), direct.text(line), "{line} in {script:?}");
        }
    }
}

#[test]
fn a_discarded_transaction_does_not_cut_off_what_went_before_it() {
    let proxied = Proxied::with(|config| config.limits.drain = Duration::from_millis(50));
    let mut client = proxied.client();
    assert_eq!(client.text("WATCH w"), "+OK\\r\\n");
    let slow = b"local t = redis.call('TIME'); local n = t
        repeat n = redis.call('TIME') until (n[1] - t[1]) * 1000000 + n[2] - t[2] > 400000
        return 'done'";
    for words in [
        &[&b"EVAL"[..], slow, b"0"][..],
        &[b"MULTI"],
        &[b"DISCARD"],
        &[b"PING"],
    ] {
        client.send(words);
    }
    let replies: Vec<u8> = (0..4).flat_map(|_| client.reply()).collect();
    assert_eq!(
        replies.escape_ascii().to_string(),
        "$4\\r\\ndone\\r\\n+OK\\r\\n+OK\\r\\n+PONG\\r\\n"
    );
}

#[test]
fn a_command_that_comes_back_does_not_become_part_of_an_open_transaction() {
    let mut proxied = Proxied::start();
    proxied.weight(50);
    let (old, new) = (key_of(Side::Old, 0), key_of(Side::New, 0));
    let mut client = proxied.client();
    assert_eq!(client.text(&format!("EXISTS {old} {new}")), ":0\\r\\n");
    proxied.old.signal(Signal::SIGSTOP);
    client.send(&[b"GET", old.as_bytes()]);
    client.send(&[b"MULTI"]);
    client.send(&[b"SET", new.as_bytes(), b"1"]);
    let mut direct = proxied.new.client();
    wait_for("the queued command", || {
        direct.text("CLIENT LIST").contains("multi=1")
    });
    proxied.publish(|snapshot| snapshot.weight = Weight::FULL);
    proxied.old.kill();
    assert_eq!(client.reply(), b"$-1\r\n");
    assert_eq!(client.reply(), b"+OK\r\n");
    assert_eq!(client.reply(), b"+QUEUED\r\n");
    assert!(client.text("EXEC").starts_with("-EXECABORT"));
    assert_eq!(client.text(&format!("GET {new}")), "$-1\\r\\n");
}

#[test]
fn a_transaction_does_not_survive_a_failover_and_says_whether_it_may_have_run() {
    let mut proxied = Proxied::start();
    let successor = Server::start();
    let mut client = proxied.client();
    for watched in [false, true] {
        if watched {
            assert_eq!(client.text("WATCH t"), "+OK\\r\\n");
        }
        assert_eq!(client.text("MULTI"), "+OK\\r\\n");
        assert_eq!(client.text("SET t 1"), "+QUEUED\\r\\n");
        let next = if watched { &proxied.old } else { &successor };
        proxied.master(Side::Old, None);
        proxied.master(Side::Old, Some(next));
        assert_eq!(client.text("SET t 2"), "+QUEUED\\r\\n");
        let expected = if watched {
            "*-1\\r\\n"
        } else {
            "-EXECABORT transaction dropped because its side changed\\r\\n"
        };
        assert_eq!(client.text("EXEC"), expected);
        assert_eq!(client.text("GET t"), "$-1\\r\\n");
    }
    assert_eq!(client.text("MULTI"), "+OK\\r\\n");
    assert_eq!(client.text("SET t 3"), "+QUEUED\\r\\n");
    proxied.old.signal(Signal::SIGSTOP);
    let sent = proxied.sent_nanos(Side::Old);
    client.send(&[b"EXEC"]);
    wait_for("EXEC to be sent", || proxied.sent_nanos(Side::Old) > sent);
    proxied.old.kill();
    assert!(client.reply().starts_with(b"-UNCERTAIN "));
}

#[test]
fn a_transaction_changes_its_session_wherever_it_is_executed() {
    let proxied = Proxied::start();
    proxied.weight(50);
    for side in Side::BOTH {
        let key = key_of(side, 0);
        let set = format!("SET {key} v");
        let lines = [
            "MULTI",
            "SELECT 5",
            "CLIENT SETNAME me",
            &set,
            "SELECT 6",
            "CLIENT GETNAME",
            "EXEC",
        ];
        let mut client = proxied.client();
        let replies: Vec<String> = lines.iter().map(|line| client.text(line)).collect();
        assert_eq!(
            replies.last().unwrap(),
            "*5\\r\\n+OK\\r\\n+OK\\r\\n+OK\\r\\n+OK\\r\\n$2\\r\\nme\\r\\n"
        );
        assert_eq!(client.text(&format!("EXISTS {key}")), ":0\\r\\n", "in database 6");
        client.text("SELECT 5");
        assert_eq!(client.text(&format!("EXISTS {key}")), ":1\\r\\n");
        assert_eq!(client.text("CLIENT GETNAME"), "$2\\r\\nme\\r\\n");
        // Another client's link is of database 0, whoever had it before.
        drop(client);
        let mut other = proxied.client();
        for line in ["MULTI", &format!("EXISTS {key}")] {
            other.text(line);
        }
        assert_eq!(other.text("EXEC"), "*1\\r\\n:0\\r\\n");
    }
    let mut client = proxied.client();
    for line in ["MULTI", "SELECT 5"] {
        client.text(line);
    }
    assert_eq!(client.text("EXEC"), "*1\\r\\n+OK\\r\\n");
    assert_eq!(
        client.text(&format!("EXISTS {}", key_of(Side::New, 0))),
        ":1\\r\\n"
    );
    for line in ["MULTI", "SELECT 0"] {
        client.text(line);
    }
    client.text("FOO");
    assert!(client.text("EXEC").starts_with("-EXECABORT"));
    assert_eq!(
        client.text(&format!("EXISTS {}", key_of(Side::New, 0))),
        ":1\\r\\n"
    );
}

#[test]
fn a_scan_within_a_transaction_goes_on_outside_it_and_back() {
    let proxied = Proxied::start();
    let mut filling = proxied.new.client();
    for number in 0..200 {
        filling.text(&format!("SET key:{number} v"));
    }
    proxied.weight(100);
    let mut client = proxied.client();
    let (mut cursor, mut keys, mut calls) = ("0".to_owned(), 0, 0);
    loop {
        let line = format!("SCAN {cursor} COUNT 10");
        let is_open = calls % 2 == 0;
        let reply = match is_open {
            true => {
                assert_eq!(client.text("MULTI"), "+OK\\r\\n");
                assert_eq!(client.text(&line), "+QUEUED\\r\\n");
                client.text("EXEC")
            }
            false => client.text(&line),
        };
        keys += reply.matches("key:").count();
        let parts: Vec<&str> = reply.split("\\r\\n").collect();
        cursor = parts[if is_open { 3 } else { 2 }].to_owned();
        calls += 1;
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(keys, 200);
    assert!(calls > 10);
    // A cursor of the side that owns nothing any more.
    assert_eq!(client.text("MULTI"), "+OK\\r\\n");
    assert!(client.text("SCAN 17").starts_with("-CROSSSIDE"));
}
