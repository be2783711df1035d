//! Transactions, blocking commands, databases.

use std::time::Duration;

use switchback::cluster::Side;
use switchback::routing::{Slot, Weight, owner};

use crate::proxied::{Proxied, Server, key_of, wait_for};

fn sides_of_half() -> (String, String) {
    let half = Weight::from_steps(5_000).unwrap();
    let of = |side| {
        (0..)
            .map(|n| format!("s{n}"))
            .find(|key| owner(Slot::of(key.as_bytes()), half) == side)
            .unwrap()
    };
    (of(Side::Old), of(Side::New))
}

#[test]
fn a_transaction_runs_on_the_owner_of_its_keys() {
    let proxied = Proxied::start();
    proxied.weight(50);
    let (old, new) = sides_of_half();
    let mut client = proxied.client();
    for (key, server) in [(&old, &proxied.old), (&new, &proxied.new)] {
        assert_eq!(client.text("MULTI"), "+OK\\r\\n");
        assert_eq!(client.text(&format!("SET {key} 1")), "+QUEUED\\r\\n");
        assert_eq!(client.text(&format!("INCR {key}")), "+QUEUED\\r\\n");
        assert_eq!(client.text("EXEC"), "*2\\r\\n+OK\\r\\n:2\\r\\n");
        assert_eq!(server.client().text(&format!("GET {key}")), "$1\\r\\n2\\r\\n");
    }
    assert_eq!(client.text("MULTI"), "+OK\\r\\n");
    assert_eq!(client.text(&format!("SET {old} 1")), "+QUEUED\\r\\n");
    assert!(client.text(&format!("SET {new} 1")).starts_with("-CROSSSIDE"));
    assert!(client.text("EXEC").starts_with("-EXECABORT"));
    assert_eq!(client.text(&format!("GET {old}")), "$1\\r\\n2\\r\\n");
    assert_eq!(client.text("EXEC"), "-ERR EXEC without MULTI\\r\\n");
    assert_eq!(client.text("MULTI"), "+OK\\r\\n");
    assert_eq!(client.text("EXEC"), "*0\\r\\n");
    assert_eq!(client.text("MULTI"), "+OK\\r\\n");
    assert_eq!(client.text("MULTI"), "-ERR MULTI calls can not be nested\\r\\n");
    assert_eq!(client.text("DISCARD"), "+OK\\r\\n");
}

#[test]
fn a_watched_key_that_changes_aborts_and_one_that_does_not_does_not() {
    let proxied = Proxied::start();
    let (mut a, mut b) = (proxied.client(), proxied.client());
    assert_eq!(a.text("WATCH w"), "+OK\\r\\n");
    assert_eq!(a.text("GET w"), "$-1\\r\\n");
    assert_eq!(b.text("SET w 1"), "+OK\\r\\n");
    assert_eq!(a.text("MULTI"), "+OK\\r\\n");
    assert_eq!(a.text("SET w 2"), "+QUEUED\\r\\n");
    assert_eq!(a.text("EXEC"), "*-1\\r\\n");
    assert_eq!(a.text("WATCH w"), "+OK\\r\\n");
    assert_eq!(a.text("MULTI"), "+OK\\r\\n");
    assert_eq!(a.text("SET w 3"), "+QUEUED\\r\\n");
    assert_eq!(a.text("EXEC"), "*1\\r\\n+OK\\r\\n");
    assert_eq!(a.text("WATCH w"), "+OK\\r\\n");
    assert_eq!(b.text("SET w 4"), "+OK\\r\\n");
    assert_eq!(a.text("UNWATCH"), "+OK\\r\\n");
    assert_eq!(a.text("MULTI"), "+OK\\r\\n");
    assert_eq!(a.text("EXEC"), "*0\\r\\n");
}

#[test]
fn a_transaction_whose_side_changes_is_dropped_and_said_so() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    assert_eq!(client.text("MULTI"), "+OK\\r\\n");
    assert_eq!(client.text("SET t 1"), "+QUEUED\\r\\n");
    proxied.weight(100);
    assert_eq!(client.text("SET t 2"), "+QUEUED\\r\\n");
    assert_eq!(
        client.text("EXEC"),
        "-EXECABORT transaction dropped because its side changed\\r\\n"
    );
    assert_eq!(client.text("GET t"), "$-1\\r\\n");
    assert_eq!(proxied.old.client().text("GET t"), "$-1\\r\\n");
    assert_eq!(client.text("WATCH t"), "+OK\\r\\n");
    proxied.weight(0);
    assert_eq!(client.text("MULTI"), "+OK\\r\\n");
    assert_eq!(client.text("SET t 3"), "+QUEUED\\r\\n");
    assert_eq!(
        client.text("EXEC"),
        "*-1\\r\\n",
        "as if the watched key had changed: apps retry"
    );
}

#[test]
fn a_transaction_without_keys_is_dropped_when_its_side_owns_none_any_more() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    for (weight, side) in [(100, &proxied.old), (0, &proxied.new)] {
        assert_eq!(client.text("SET t 1"), "+OK\\r\\n");
        assert_eq!(client.text("MULTI"), "+OK\\r\\n");
        assert_eq!(client.text("FLUSHALL"), "+QUEUED\\r\\n");
        proxied.weight(weight);
        assert_eq!(client.text("PING"), "+QUEUED\\r\\n");
        assert_eq!(
            client.text("EXEC"),
            "-EXECABORT transaction dropped because its side changed\\r\\n"
        );
        assert_eq!(side.client().text("GET t"), "$1\\r\\n1\\r\\n");
    }
}

#[test]
fn a_blocked_client_does_not_block_others_and_gets_its_element() {
    let proxied = Proxied::start();
    let (mut waiter, mut pusher) = (proxied.client(), proxied.client());
    waiter.send(&[b"BLPOP", b"queue", b"0"]);
    waiter.send(&[b"PING"]);
    wait_for("the blocked client", || {
        pusher.text("INFO clients").contains("blocked_clients:1")
    });
    assert_eq!(pusher.text("RPUSH queue x"), ":1\\r\\n");
    assert_eq!(waiter.reply(), b"*2\r\n$5\r\nqueue\r\n$1\r\nx\r\n");
    assert_eq!(waiter.reply(), b"+PONG\r\n");
    assert_eq!(waiter.text("BLPOP queue 0.01"), "*-1\\r\\n");
}

#[test]
fn a_client_that_leaves_while_blocked_takes_no_element() {
    let proxied = Proxied::start();
    let mut pusher = proxied.client();
    let mut waiter = proxied.client();
    waiter.send(&[b"BLPOP", b"queue", b"0"]);
    wait_for("the blocked client", || {
        pusher.text("INFO clients").contains("blocked_clients:1")
    });
    drop(waiter);
    wait_for("the end of the wait", || {
        pusher.text("INFO clients").contains("blocked_clients:0")
    });
    assert_eq!(pusher.text("RPUSH queue x"), ":1\\r\\n");
    assert_eq!(pusher.text("LLEN queue"), ":1\\r\\n");
}

#[test]
fn a_blocked_client_follows_its_key_to_the_other_side_and_to_a_new_master() {
    let proxied = Proxied::start();
    let mut waiter = proxied.client();
    waiter.send(&[b"BLPOP", b"queue", b"0"]);
    let blocked_on = |server: &Server, count: usize| {
        let mut direct = server.client();
        wait_for("the blocked client", || {
            direct
                .text("INFO clients")
                .contains(&format!("blocked_clients:{count}"))
        });
    };
    blocked_on(&proxied.old, 1);
    proxied.weight(100);
    blocked_on(&proxied.new, 1);
    blocked_on(&proxied.old, 0);
    proxied.weight(0);
    blocked_on(&proxied.old, 1);
    let successor = Server::start();
    proxied.master(Side::Old, None);
    blocked_on(&proxied.old, 0);
    proxied.master(Side::Old, Some(&successor));
    blocked_on(&successor, 1);
    assert_eq!(successor.client().text("RPUSH queue x"), ":1\\r\\n");
    assert_eq!(waiter.reply(), b"*2\r\n$5\r\nqueue\r\n$1\r\nx\r\n");
}

#[test]
fn waiting_for_replicas_counts_what_the_client_has_written_whatever_links_it_took() {
    let proxied = Proxied::start();
    let replica = Server::start_with(&["--replicaof", "127.0.0.1", &proxied.old.port.to_string()]);
    wait_for("the replica", || {
        proxied
            .old
            .client()
            .text("INFO replication")
            .contains("state=online")
    });
    let mut client = proxied.client();
    assert_eq!(client.text("WAIT 0 10"), ":1\\r\\n");
    for round in 0..50 {
        client.send(&[b"SET", b"k", round.to_string().as_bytes()]);
        client.send(&[b"WAIT", b"1", b"10000"]);
        assert_eq!(
            (client.reply(), client.reply()),
            (b"+OK\r\n".to_vec(), b":1\r\n".to_vec())
        );
        assert_eq!(
            replica.client().text("GET k"),
            format!("${}\\r\\n{round}\\r\\n", round.to_string().len())
        );
    }
    replica.signal(nix::sys::signal::Signal::SIGSTOP);
    assert_eq!(client.text("SET k frozen"), "+OK\\r\\n");
    assert_eq!(client.text("WAIT 1 200"), ":0\\r\\n");
    assert_eq!(client.text("MULTI"), "+OK\\r\\n");
    assert_eq!(client.text("WAIT 1 0"), "+QUEUED\\r\\n");
    assert_eq!(client.text("EXEC"), "*1\\r\\n:0\\r\\n", "does not wait there");
    client.send(&[b"WAIT", b"1", b"0"]);
    client.send(&[b"GET", b"k"]);
    wait_for("the client to wait", || {
        proxied
            .old
            .client()
            .text("INFO clients")
            .contains("blocked_clients:1")
    });
    assert_eq!(
        proxied.client().text("PING"),
        "+PONG\\r\\n",
        "nobody waits with it"
    );
    replica.signal(nix::sys::signal::Signal::SIGCONT);
    assert_eq!(
        (client.reply(), client.reply()),
        (b":1\r\n".to_vec(), b"$6\r\nfrozen\r\n".to_vec())
    );
    // Between, what both sides' replicas have: new has none.
    proxied.weight(50);
    assert_eq!(client.text("WAIT 1 10"), ":0\\r\\n");
    let second = Server::start_with(&["--replicaof", "127.0.0.1", &proxied.new.port.to_string()]);
    for round in 0..50 {
        for side in Side::BOTH {
            client.send(&[b"SET", key_of(side, 0).as_bytes(), round.to_string().as_bytes()]);
        }
        client.send(&[b"WAIT", b"1", b"10000"]);
        assert_eq!(
            (client.reply(), client.reply()),
            (b"+OK\r\n".to_vec(), b"+OK\r\n".to_vec())
        );
        assert_eq!(client.reply(), b":1\r\n");
        for (side, replica) in Side::BOTH.into_iter().zip([&replica, &second]) {
            let stored = replica.client().text(&format!("GET {}", key_of(side, 0)));
            assert!(
                stored.ends_with(&format!("\\r\\n{round}\\r\\n")),
                "{side}: {stored}"
            );
        }
    }
    second.signal(nix::sys::signal::Signal::SIGSTOP);
    let frozen = key_of(Side::New, 0);
    assert_eq!(client.text(&format!("SET {frozen} x")), "+OK\\r\\n");
    assert_eq!(client.text("WAIT 1 200"), ":0\\r\\n");
    // It ends though the weight moves away under it, and what the client has sent since comes after it.
    client.send(&[b"WAIT", b"1", b"0"]);
    client.send(&[b"GET", frozen.as_bytes()]);
    wait_for("the client to wait", || {
        let info = proxied.new.client().text("INFO clients");
        info.contains("blocked_clients:1")
    });
    proxied.weight(49);
    second.signal(nix::sys::signal::Signal::SIGCONT);
    assert_eq!(
        (client.reply(), client.reply()),
        (b":1\r\n".to_vec(), b"$1\r\nx\r\n".to_vec())
    );
    drop(second);
    wait_for("the replica to have left", || {
        let info = proxied.new.client().text("INFO replication");
        info.contains("connected_slaves:0")
    });
    proxied.weight(100);
    assert_eq!(client.text("WAIT 1 10"), ":0\\r\\n", "the other side has none");
}

#[test]
fn databases_are_kept_apart_and_unknown_ones_refused_as_by_redis() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    assert_eq!(client.text("SELECT 3"), "+OK\\r\\n");
    assert_eq!(client.text("SET d 3"), "+OK\\r\\n");
    assert_eq!(client.text("SELECT 0"), "+OK\\r\\n");
    assert_eq!(client.text("GET d"), "$-1\\r\\n");
    let mut direct = proxied.old.client();
    for bad in [
        "SELECT 16",
        "SELECT -1",
        "SELECT x",
        "SELECT 99999999999",
        "SELECT",
    ] {
        assert_eq!(client.text(bad), direct.text(bad), "{bad}");
    }
    assert_eq!(client.text("SELECT 3"), "+OK\\r\\n");
    assert_eq!(client.text("GET d"), "$1\\r\\n3\\r\\n");
}

#[test]
fn what_the_proxy_answers_itself_is_worded_as_by_a_server() {
    let proxied = Proxied::start();
    let (mut client, mut direct) = (proxied.client(), proxied.old.client());
    let scripts: [&[&[u8]]; 38] = [
        &[b"CLIENT", b"SETINFO", b"lib-name", b"x"],
        &[b"client", b"setInfo", b"a", b"b"],
        &[b"CLIENT", b"SETNAME", b"a b"],
        &[b"CLIENT", b"SETNAME", b"a", b"b"],
        &[b"CLIENT", b"GETNAME", b"x"],
        &[b"CLIENT", b"GETNAME"],
        &[b"CLIENT", b"SETNAME", b"name"],
        &[b"CLIENT", b"GETNAME"],
        &[b"CLIENT", b"SETNAME", b""],
        &[b"CLIENT", b"GETNAME"],
        &[b"CLIENT", b"ID", b"x"],
        &[b"CLIENT"],
        &[b"SELECT", b"007"],
        &[b"SELECT", b"-0"],
        &[b"SELECT", b"-1"],
        &[b"SELECT", b"16"],
        &[b"SELECT", b"2147483648"],
        &[b"SELECT", b"-99999999999"],
        &[b"SELECT", b"9223372036854775808"],
        &[b"SELECT", b"1 "],
        &[b"SELECT", b""],
        &[b"SELECT", b"1", b"2"],
        &[b"HELLO", b"4"],
        &[b"HELLO", b"x"],
        &[b"HELLO", b"02"],
        &[b"HELLO", b"-1"],
        &[b"HELLO", b"2", b"FOO"],
        &[b"HELLO", b"2", b"a\0b\xff'"],
        &[b"HELLO", b"2", b"\xff\r\n'"],
        &[b"HELLO", b"2", b"SETNAME"],
        &[b"HELLO", b"2", b"SETNAME", b"a b"],
        &[b"HELLO", b"2", b"AUTH", b"a"],
        &[b"HELLO", b"2", b"SETNAME", b"kept", b"FOO"],
        &[b"CLIENT", b"GETNAME"],
        &[b"RESET", b"x"],
        &[b"RESET"],
        &[b"CLIENT", b"GETNAME"],
        &[b"QUIT", b"now"],
    ];
    for words in scripts {
        let shown = words.join(&b' ');
        assert_eq!(
            client.call(words).escape_ascii().to_string(),
            direct.call(words).escape_ascii().to_string(),
            "{}",
            shown.escape_ascii()
        );
    }
    assert_eq!(client.try_reply(), None);
}

#[test]
fn what_is_not_supported_says_so() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    for command in ["SYNC", "REPLICAOF NO ONE", "SHUTDOWN", "CLUSTER INFO"] {
        let reply = client.text(command);
        assert!(
            reply.starts_with("-ERR \\'") && reply.contains("is not supported by switchback"),
            "{command}: {reply}"
        );
    }
    assert!(client.text("HELLO 2").contains("standalone"));
    assert_eq!(client.text("PING"), "+PONG\\r\\n");
    client
        .stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    assert_eq!(client.text("QUIT"), "+OK\\r\\n");
    assert_eq!(client.try_reply(), None);
}
