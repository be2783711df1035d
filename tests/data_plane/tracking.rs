//! Client-side caching: what a client keeps of what it has read is never stale without its being told.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use switchback::cluster::Side;

use crate::proxied::{Client, Proxied, Server, encode, key_of, wait_for};

const ALL: &str = ">2\\r\\n$10\\r\\ninvalidate\\r\\n_\\r\\n";

fn stale(key: &str) -> String {
    format!(
        ">2\\r\\n$10\\r\\ninvalidate\\r\\n*1\\r\\n${}\\r\\n{key}\\r\\n",
        key.len()
    )
}

fn next(client: &mut Client) -> String {
    client.reply().escape_ascii().to_string()
}

/// A client of RESP3 that has turned tracking on.
fn tracking(proxied: &Proxied, options: &str) -> Client {
    let mut client = proxied.client();
    client.text("HELLO 3");
    assert_eq!(client.text(&format!("CLIENT TRACKING ON{options}")), "+OK\\r\\n");
    client
}

fn id(client: &mut Client) -> String {
    client
        .text("CLIENT ID")
        .trim_matches([':', '\\', 'r', 'n'])
        .to_owned()
}

/// A reply or push that must be the next thing to come. Nothing has come before it.
fn assert_told(client: &mut Client, what: &str) {
    assert_eq!(next(client), what);
}

#[test]
fn a_key_that_was_read_is_told_when_it_changes_at_any_weight() {
    let proxied = Proxied::start();
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        for side in Side::BOTH {
            let key = key_of(side, 0);
            let (mut client, mut writer) = (tracking(&proxied, ""), proxied.client());
            writer.text(&format!("SET {key} v"));
            assert_eq!(client.text(&format!("GET {key}")), "$1\\r\\nv\\r\\n");
            writer.text(&format!("SET {key} w"));
            assert_told(&mut client, &stale(&key));
            // Told once for each reading.
            writer.text(&format!("SET {key} x"));
            assert_eq!(client.text(&format!("GET {key}")), "$1\\r\\nx\\r\\n");
            // What it changes itself too, behind its own reply.
            assert_eq!(client.text(&format!("SET {key} own")), "+OK\\r\\n");
            assert_told(&mut client, &stale(&key));
        }
    }
}

#[test]
fn what_transactions_splits_and_large_requests_read_is_tracked() {
    let proxied = Proxied::start();
    proxied.weight(50);
    let (old, new) = (key_of(Side::Old, 0), key_of(Side::New, 0));
    let (mut client, mut writer) = (tracking(&proxied, ""), proxied.client());
    assert_eq!(
        client.text(&format!("MGET {old} {new}")),
        "*2\\r\\n_\\r\\n_\\r\\n"
    );
    for key in [&old, &new] {
        writer.text(&format!("SET {key} v"));
        assert_told(&mut client, &stale(key));
        client.text("MULTI");
        client.text(&format!("GET {key}"));
        assert_eq!(client.text("EXEC"), "*1\\r\\n$1\\r\\nv\\r\\n");
        writer.text(&format!("DEL {key}"));
        assert_told(&mut client, &stale(key));
        let large = vec![b'v'; 1024 * 1024];
        assert_eq!(client.call(&[b"SET", key.as_bytes(), &large]), b"+OK\r\n");
        assert_eq!(client.text(&format!("STRLEN {key}")), ":1048576\\r\\n");
        writer.text(&format!("DEL {key}"));
        assert_told(&mut client, &stale(key));
        assert_eq!(client.text(&format!("BLPOP {key} 0.01")), "_\\r\\n");
        client.text(&format!("LLEN {key}"));
        writer.text(&format!("RPUSH {key} x"));
        assert_told(&mut client, &stale(key));
        writer.text(&format!("DEL {key}"));
    }
}

#[test]
fn a_transaction_that_changes_what_is_tracked_is_told_of_as_by_a_server() {
    let proxied = Proxied::start();
    // Of each line the reply, and behind it what is said unasked.
    let script = [
        "SET a 0",
        "SET b 0",
        "MULTI|CLIENT TRACKING ON|GET a|SET a 1|EXEC",
        "GET a",
        "SET a 2",
        "GET b",
        "MULTI|CLIENT LIST ID 0|GET b|EXEC",
        "SET b 1",
        "GET b",
        "MULTI|CLIENT TRACKING OFF|GET a|EXEC",
        "SET a 3",
        "SET b 3",
        "MULTI|GET b|CLIENT TRACKING ON OPTIN|GET a|CLIENT CACHING YES|GET b|EXEC",
        "SET a 4",
        "SET b 4",
        "MULTI|CLIENT TRACKING OFF|CLIENT TRACKING ON BCAST PREFIX p:|SET p:1 x|EXEC",
        "SET a 5",
        "SET p:2 x",
        "MULTI|CLIENT TRACKING ON BCAST PREFIX q:|EXEC",
        "SET p:3 x",
        "SET q:1 x",
        "MULTI|CLIENT TRACKING OFF|EXEC",
        "SET p:4 x",
        "CLIENT TRACKING ON",
        "GET a",
        "MULTI|CLIENT TRACKING OFF|DISCARD",
        "SET a 6",
        "GET a",
        "MULTI|CLIENT TRACKING OFF|NOSUCH|EXEC",
        "SET a 7",
        "WATCH a",
        "SET a 8",
        "MULTI|CLIENT TRACKING OFF|EXEC",
        "GET a",
        "SET a 9",
        "MULTI|CLIENT TRACKING OFF|HELLO 2|HELLO 3|CLIENT TRACKING ON NOLOOP|GET a|EXEC",
        "SET a 10",
        "RESET",
        "MULTI|HELLO 3|CLIENT TRACKING ON|GET a|EXEC",
        "SET a 11",
    ];
    let answers = |mut client: Client| {
        let mut all = Vec::new();
        for line in script {
            for request in line.split('|') {
                let reply = client.text(request);
                // HELLO tells the number of a connection.
                let parts = reply.split("$2\\r\\nid\\r\\n:");
                let parts = parts.map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()));
                all.push(format!("{request}: {}", parts.collect::<Vec<_>>().concat()));
            }
            // What a node says of keys comes before its next reply.
            client.send(&[b"ECHO", b"end"]);
            loop {
                let said = next(&mut client);
                if said == "$3\\r\\nend\\r\\n" {
                    break;
                }
                all.push(format!("{line}: {said}"));
            }
        }
        all
    };
    for weight in [0, 100] {
        proxied.weight(weight);
        let server = Server::start();
        let greet = |mut client: Client| {
            client.text("HELLO 3");
            client
        };
        let (there, here) = (answers(greet(server.client())), answers(greet(proxied.client())));
        let told = there.iter().filter(|reply| reply.contains("invalidate")).count();
        assert_eq!(told, 12, "{there:#?}");
        assert_eq!(here, there, "at {weight}");
    }
}

#[test]
fn what_a_transaction_reads_and_no_node_tracks_is_told_to_be_stale() {
    let proxied = Proxied::start();
    let exec = |client: &mut Client, requests: &[&str]| {
        client.text("MULTI");
        for request in requests {
            assert_eq!(client.text(request), "+QUEUED\\r\\n", "{request}");
        }
        client.text("EXEC")
    };
    let mut writer = proxied.client();
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        // Those of the last round are told of the change, if they are not gone yet.
        let mut told = proxied.client();
        told.text("HELLO 3");
        let redirect = format!("CLIENT TRACKING ON REDIRECT {}", id(&mut told));
        let (old, new) = (key_of(Side::Old, 0), key_of(Side::New, 0));
        let (get, other) = (format!("GET {old}"), format!("GET {new}"));

        let mut client = proxied.client();
        assert!(exec(&mut client, &[&redirect, &get]).starts_with("*2\\r\\n+OK"));
        assert_told(&mut told, ALL);
        assert_told(&mut told, ALL);
        client.text(&other);
        writer.text(&format!("SET {new} x"));
        assert_told(&mut told, &stale(&new));

        let mut client = proxied.client();
        let said = exec(&mut client, &["CLIENT TRACKING ON", &get, "HELLO 3"]);
        assert!(said.starts_with("*3\\r\\n+OK"), "{said}");
        assert_told(&mut client, ALL);
        client.text(&other);
        writer.text(&format!("SET {new} y"));
        assert_told(&mut client, &stale(&new));

        let mut client = proxied.client();
        client.text("HELLO 3");
        let said = exec(&mut client, &["CLIENT TRACKING ON", &get, "CLIENT LIST ID 0"]);
        assert!(said.starts_with("*3\\r\\n+OK"), "{said}");
        client.text(&other);
        for key in [&old, &new] {
            writer.text(&format!("SET {key} z"));
            assert_told(&mut client, &stale(key));
        }
    }
}

#[test]
fn modes_and_options_are_those_of_a_server() {
    let proxied = Proxied::start();
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        let mut writer = proxied.client();
        writer.text("FLUSHALL");
        let mut broadcast = tracking(&proxied, " BCAST PREFIX k PREFIX other:");
        for side in Side::BOTH {
            let key = key_of(side, 0);
            writer.text(&format!("SET {key} v"));
            assert_told(&mut broadcast, &stale(&key));
            writer.text(&format!("SET x{key} v"));
            let mut optin = tracking(&proxied, " OPTIN");
            let mut optout = tracking(&proxied, " OPTOUT");
            let mut noloop = tracking(&proxied, " NOLOOP");
            optin.text(&format!("GET x{key}"));
            noloop.text(&format!("GET x{key}"));
            noloop.text(&format!("SET x{key} own"));
            assert_eq!(optin.text("CLIENT CACHING YES"), "+OK\\r\\n");
            optin.text("MULTI");
            optin.text(&format!("GET x{key}"));
            optin.text("EXEC");
            assert_eq!(optout.text("CLIENT CACHING no"), "+OK\\r\\n");
            optout.text(&format!("GET x{key}"));
            noloop.text(&format!("GET x{key}"));
            writer.text(&format!("SET x{key} w"));
            assert_told(&mut noloop, &stale(&format!("x{key}")));
            assert_told(&mut optin, &stale(&format!("x{key}")));
            optout.text(&format!("GET x{key}"));
            optin.text(&format!("GET x{key}"));
            optin.text("CLIENT CACHING YES");
            optin.text(&format!("MGET x{key} x{key}"));
            writer.text(&format!("SET x{key} y"));
            assert_told(&mut optout, &stale(&format!("x{key}")));
            assert_told(&mut optin, &stale(&format!("x{key}")));
            for mut client in [optin, optout, noloop] {
                assert_eq!(client.text("PING"), "+PONG\\r\\n");
            }
        }
        assert_eq!(broadcast.text("CLIENT TRACKING OFF"), "+OK\\r\\n");
        writer.text(&format!("SET {} v", key_of(Side::Old, 0)));
        assert_eq!(broadcast.text("PING"), "+PONG\\r\\n");
    }
}

#[test]
fn a_client_of_either_protocol_and_worker_can_be_told_for_another() {
    let proxied = Proxied::start();
    let message = |key: &str| {
        format!("*3\\r\\n$7\\r\\nmessage\\r\\n$20\\r\\n__redis__:invalidate\\r\\n*1\\r\\n$2\\r\\n{key}\\r\\n")
    };
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        for round in 0..6 {
            let (mut told, mut client, mut writer) = (proxied.client(), proxied.client(), proxied.client());
            told.text("SUBSCRIBE __redis__:invalidate");
            let mut of = proxied.client();
            let list = of.text("CLIENT LIST TYPE pubsub");
            let told_id = list
                .split("id=")
                .nth(1)
                .unwrap()
                .split(' ')
                .next()
                .unwrap()
                .to_owned();
            if round % 2 == 1 {
                client.text("HELLO 3");
            }
            assert_eq!(
                client.text(&format!("CLIENT TRACKING ON REDIRECT {told_id}")),
                "+OK\\r\\n"
            );
            assert_eq!(client.text("CLIENT GETREDIR"), format!(":{told_id}\\r\\n"));
            client.text("GET k1");
            writer.text("SET k1 v");
            assert_told(&mut told, &message("k1"));
            // FLUSHALL says that of all keys.
            client.text("GET k1");
            writer.text("FLUSHALL");
            let null = next(&mut told);
            assert!(null.ends_with("__redis__:invalidate\\r\\n$-1\\r\\n"), "{null}");
            drop(told);
            wait_for("the client to be gone", || {
                !of.text("CLIENT LIST").contains(&format!("id={told_id} "))
            });
            // The other side's word of FLUSHALL may come only now, and find nobody: each that does is told.
            let broken = format!(">2\\r\\n$21\\r\\ntracking-redir-broken\\r\\n:{told_id}\\r\\n");
            let mut pushes = Vec::new();
            let mut ask = |line: &str| {
                let mut reply = client.text(line);
                while reply.starts_with('>') {
                    pushes.push(std::mem::replace(&mut reply, next(&mut client)));
                }
                reply
            };
            ask("GET k1");
            writer.text("SET k1 v");
            wait_for("it to be told as broken", || {
                ask("CLIENT TRACKINGINFO").contains("broken_redirect")
            });
            assert!(ask("CLIENT INFO").contains("flags=tR"));
            assert!(pushes.iter().all(|push| *push == broken), "{pushes:?}");
            assert_eq!(round % 2 == 1, !pushes.is_empty(), "told in RESP3 only");
        }
    }
}

#[test]
fn tracking_that_is_changed_misses_nothing_and_says_no_more_than_a_servers() {
    let proxied = Proxied::start();
    for (weight, side) in [(0, Side::Old), (50, Side::Old), (50, Side::New), (100, Side::New)] {
        proxied.weight(weight);
        let key = key_of(side, 0);
        let message = format!(
            "*3\\r\\n$7\\r\\nmessage\\r\\n$20\\r\\n__redis__:invalidate\\r\\n*1\\r\\n${}\\r\\n{key}\\r\\n",
            key.len()
        );
        let (mut told, mut client, mut writer) = (proxied.client(), proxied.client(), proxied.client());
        let redirect = format!("REDIRECT {}", id(&mut told));
        told.text("SUBSCRIBE __redis__:invalidate");
        let track = |client: &mut Client, options: &str| {
            assert_eq!(
                client.text(format!("CLIENT TRACKING ON {options}").trim()),
                "+OK\\r\\n"
            );
        };
        let read = |client: &mut Client| assert!(client.text(&format!("GET {key}")).starts_with(['$', '_']));
        let mut write = || assert_eq!(writer.text(&format!("SET {key} v")), "+OK\\r\\n");
        track(&mut client, &redirect);
        read(&mut client);
        track(&mut client, &format!("NOLOOP {redirect}"));
        write();
        assert_told(&mut told, &message);
        track(&mut client, &format!("OPTIN {redirect}"));
        read(&mut client);
        write();
        assert_eq!(client.text("CLIENT CACHING YES"), "+OK\\r\\n");
        read(&mut client);
        assert!(client.text("HELLO 3").starts_with("%7"));
        write();
        assert_told(&mut told, &message);
        // Who was told by another is told itself, behind its own replies.
        client.text("CLIENT CACHING YES");
        read(&mut client);
        track(&mut client, "");
        write();
        assert_told(&mut client, &stale(&key));
        read(&mut client);
        assert_eq!(client.text(&format!("SET {key} own")), "+OK\\r\\n");
        assert_told(&mut client, &stale(&key));
        track(&mut client, &redirect);
        read(&mut client);
        write();
        assert_told(&mut told, &message);
        assert_eq!(client.text("PING"), "+PONG\\r\\n");
        assert_eq!(told.text("PING"), "*2\\r\\n$4\\r\\npong\\r\\n$0\\r\\n\\r\\n");
    }
}

#[test]
fn who_was_told_itself_tells_another_from_now_on_and_hears_nothing_besides() {
    let proxied = Proxied::start();
    for (weight, side) in [(0, Side::Old), (50, Side::New), (100, Side::New)] {
        proxied.weight(weight);
        let key = key_of(side, 0);
        let (mut told, mut client, mut writer) =
            (tracking(&proxied, ""), tracking(&proxied, ""), proxied.client());
        let on = format!("CLIENT TRACKING ON REDIRECT {}", id(&mut told));
        let read = |client: &mut Client| assert!(client.text(&format!("GET {key}")).starts_with(['$', '_']));
        let mut write = || assert_eq!(writer.text(&format!("SET {key} v")), "+OK\\r\\n");
        read(&mut client);
        assert_eq!(client.text(&on), "+OK\\r\\n");
        write();
        assert_told(&mut told, &stale(&key));
        for options in ["", " OPTIN", " OPTOUT", ""] {
            assert_eq!(client.text("CLIENT TRACKING OFF"), "+OK\\r\\n");
            assert_eq!(client.text(&format!("{on}{options}")), "+OK\\r\\n");
            if options == " OPTIN" {
                client.text("CLIENT CACHING YES");
            }
            read(&mut client);
            write();
            assert_told(&mut told, &stale(&key));
        }
        assert_eq!(client.text("PING"), "+PONG\\r\\n", "it is told nothing");
        // Nor does the protocol matter to who tells another.
        read(&mut client);
        assert!(client.text("HELLO 2").starts_with("*14"));
        write();
        assert_told(&mut told, &stale(&key));
        assert_eq!(client.text("PING"), "+PONG\\r\\n");
        assert_eq!(told.text("PING"), "+PONG\\r\\n", "it is told nothing else");
    }
}

#[test]
fn who_names_others_again_and_again_keeps_no_links_from_before() {
    let proxied = Proxied::start();
    let (mut told, mut client) = (tracking(&proxied, ""), tracking(&proxied, ""));
    let on = format!("CLIENT TRACKING ON REDIRECT {}", id(&mut told));
    let links = || {
        let list = proxied.old.client().text("CLIENT LIST");
        list.matches("name=switchback").count()
    };
    let ask = |client: &mut Client, line: &str| {
        client.send(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>());
        while next(client).starts_with('>') {}
    };
    let mut counts = Vec::new();
    for round in 0..12 {
        for line in [
            "CLIENT TRACKING ON",
            &format!("SELECT {}", round % 2),
            "GET a",
            &on,
            "GET a",
        ] {
            ask(&mut client, line);
        }
        counts.push(links());
    }
    let settled = *counts.iter().skip(2).take(4).max().unwrap();
    wait_for("links from before to end", || links() <= settled);
    drop(client);
    wait_for("its links to end", || links() < settled);
}

#[test]
fn prefixes_are_added_to_a_broadcast_that_is_heard_already() {
    let proxied = Proxied::start();
    let mut client = tracking(&proxied, " BCAST PREFIX a:");
    let mut writer = proxied.client();
    for more in ["b:", "c:"] {
        let reply = client.text(&format!("CLIENT TRACKING ON BCAST PREFIX {more}"));
        assert_eq!(reply, "+OK\\r\\n", "nothing was missed");
        for key in ["a:1", &format!("{more}1")] {
            writer.text(&format!("SET {key} v"));
            assert_eq!(next(&mut client), stale(key));
        }
    }
    let mut direct = proxied.old.client();
    wait_for("the links that heard less to end", || {
        direct.text("CLIENT LIST").matches("flags=tB").count() == 1
    });
}

#[test]
fn hello_is_answered_to_a_client_whose_broadcast_another_hears() {
    let proxied = Proxied::start();
    let (mut told, mut client) = (proxied.client(), proxied.client());
    let id = id(&mut told);
    told.text("SUBSCRIBE __redis__:invalidate");
    let on = format!("CLIENT TRACKING ON BCAST REDIRECT {id}");
    assert_eq!(client.text(&on), "+OK\\r\\n");
    for (version, proto) in [("3", ":3\\r\\n"), ("2", ":2\\r\\n"), ("3", ":3\\r\\n")] {
        let hello = client.text(&format!("HELLO {version}"));
        assert!(hello.contains(&format!("proto\\r\\n{proto}")), "{hello}");
        client.text("SET a 1");
        let mut heard = next(&mut told);
        while heard.ends_with("$-1\\r\\n") || heard.ends_with("*-1\\r\\n") {
            heard = next(&mut told);
        }
        assert!(heard.ends_with("*1\\r\\n$1\\r\\na\\r\\n"), "{heard}");
    }
}

#[test]
fn every_change_of_owner_says_that_all_is_stale() {
    let proxied = Proxied::start();
    let successor = Server::start();
    let mut client = tracking(&proxied, "");
    let told_all = |client: &mut Client, what: &str| {
        assert_eq!(next(client), ALL, "{what}");
        client.send(&[b"PING"]);
        while let told = next(client)
            && told != "+PONG\\r\\n"
        {
            assert_eq!(told, ALL, "{what}");
        }
    };
    client.text("GET k");
    proxied.weight(50);
    told_all(&mut client, "half");
    client.text("GET k");
    proxied.weight(100);
    told_all(&mut client, "all");
    client.text("GET k");
    proxied.weight(0);
    told_all(&mut client, "none");
    client.text("GET k");
    proxied.master(Side::Old, Some(&successor));
    told_all(&mut client, "another master");
    client.text("GET k");
    assert_eq!(successor.client().text("CLIENT KILL TYPE normal"), ":1\\r\\n");
    told_all(&mut client, "a lost link");
    // And it tracks again.
    client.text("GET k");
    successor.client().text("SET k v");
    assert_eq!(next(&mut client), stale("k"));
}

#[test]
fn a_broadcast_is_heard_again_without_a_command_after_its_link_was_lost() {
    let proxied = Proxied::start();
    let mut client = tracking(&proxied, " BCAST");
    for (weight, server) in [(0, &proxied.old), (100, &proxied.new)] {
        proxied.weight(weight);
        let mut direct = server.client();
        wait_for("a link", || direct.text("CLIENT LIST").contains("flags=tB"));
        direct.text("CLIENT KILL TYPE normal");
        wait_for("another link", || direct.text("CLIENT LIST").contains("flags=tB"));
        let begun = Instant::now();
        // What the node says before the proxy reads it, the proxy makes up for: all is stale.
        while next_after(&mut direct, &mut client) != stale("k") {
            assert!(begun.elapsed() < Duration::from_secs(10));
        }
    }
}

/// What is told next, `k` having changed.
fn next_after(direct: &mut Client, client: &mut Client) -> String {
    direct.text("SET k v");
    next(client)
}

/// The next reply; what is told before it is kept no longer.
fn answer(reader: &mut Client, kept: &mut HashMap<String, Vec<u8>>) -> Vec<u8> {
    loop {
        let reply = reader.reply();
        let Some(keys) = reply.strip_prefix(b">2\r\n$10\r\ninvalidate\r\n") else {
            return reply;
        };
        let keys = String::from_utf8_lossy(keys).into_owned();
        kept.retain(|key, _| keys != "_\r\n" && !keys.contains(&format!("\r\n{key}\r\n")));
    }
}

/// Readers keep what they read until they are told; when all is quiet, what they keep is what there is.
#[test]
fn no_client_keeps_a_stale_value_while_the_weight_moves() {
    let proxied = Proxied::start();
    let keys: Vec<String> = (0..10)
        .flat_map(|n| Side::BOTH.map(|side| key_of(side, n)))
        .collect();
    let mut writer = proxied.client();
    let mut readers: Vec<(Client, HashMap<String, Vec<u8>>)> =
        (0..4).map(|_| (tracking(&proxied, ""), HashMap::new())).collect();
    for round in 0..30u32 {
        // In one pipeline, and answered in any state of the change.
        for (reader, _) in &mut readers {
            let all: Vec<u8> = keys
                .iter()
                .flat_map(|key| encode(&[b"GET", key.as_bytes()]))
                .collect();
            std::io::Write::write_all(&mut reader.stream, &all).unwrap();
        }
        for key in &keys {
            writer.send(&[b"SET", key.as_bytes(), round.to_string().as_bytes()]);
        }
        proxied.weight([0, 50, 100, 30][round as usize % 4]);
        keys.iter().for_each(|_| assert_eq!(writer.reply(), b"+OK\r\n"));
        for (reader, kept) in &mut readers {
            keys.iter().for_each(|key| {
                let value = answer(reader, kept);
                kept.insert(key.clone(), value);
            });
            // Behind everything that either side has said.
            for side in Side::BOTH {
                reader.send(&[b"EVAL", b"return 1", b"1", key_of(side, 50).as_bytes()]);
            }
            reader.send(&[b"PING"]);
            (0..3).for_each(|_| drop(answer(reader, kept)));
            for (key, value) in kept.iter() {
                let now = writer.call(&[b"GET", key.as_bytes()]);
                assert_eq!(
                    value.escape_ascii().to_string().replace("_\\r\\n", "$-1\\r\\n"),
                    now.escape_ascii().to_string(),
                    "{key} in round {round}"
                );
            }
        }
    }
}

#[test]
fn a_list_of_keys_too_large_for_a_link_says_that_all_is_stale() {
    let proxied = Proxied::start();
    let mut client = tracking(&proxied, " BCAST");
    let keys: Vec<String> = (0..20_000).map(|number| format!("key:{number:08}")).collect();
    let mut words: Vec<&[u8]> = vec![b"MSET"];
    for key in &keys {
        words.extend([key.as_bytes(), b"v"]);
    }
    let mut writer = proxied.client();
    assert_eq!(writer.call(&words), b"+OK\r\n");
    assert_eq!(next(&mut client), ALL);
    assert_eq!(client.text("GET key:00000007"), "$1\\r\\nv\\r\\n");
    writer.text("SET k w");
    assert_eq!(next(&mut client), stale("k"));
}

#[test]
fn reset_ends_tracking_and_a_closed_client_leaves_no_link() {
    let proxied = Proxied::start();
    let mut client = tracking(&proxied, " BCAST");
    let mut direct = proxied.old.client();
    assert!(direct.text("CLIENT LIST").contains("flags=tB"));
    assert_eq!(client.text("RESET"), "+RESET\\r\\n");
    assert_eq!(client.text("CLIENT GETREDIR"), ":-1\\r\\n");
    client.text("HELLO 3");
    client.text("GET k");
    wait_for("the link to end", || {
        !direct.text("CLIENT LIST").contains("flags=t")
    });
    let other = tracking(&proxied, "");
    drop(other);
    wait_for("the link to end", || {
        !direct.text("CLIENT LIST").contains("flags=t")
    });
    let mut told = proxied.client();
    let mut two = proxied.client();
    assert_eq!(
        two.text(&format!("CLIENT TRACKING ON REDIRECT {}", id(&mut told))),
        "+OK\\r\\n"
    );
    assert!(direct.text("CLIENT LIST").contains("flags=t"));
    let links = |direct: &mut Client| direct.text("CLIENT LIST").matches("name=switchback").count();
    let before = links(&mut direct);
    drop(two);
    wait_for("both connections to end", || links(&mut direct) + 2 == before);
}

#[test]
fn a_client_that_has_read_nothing_untold_is_told_nothing_when_it_can_be() {
    let proxied = Proxied::start();
    for reads in [false, true] {
        let mut client = proxied.client();
        assert_eq!(client.text("CLIENT TRACKING ON"), "+OK\\r\\n");
        if reads {
            client.text("GET k");
        }
        assert_eq!(client.text("CLIENT TRACKING ON NOLOOP"), "+OK\\r\\n");
        assert!(client.text("HELLO 3").starts_with("%7"));
        client.send(&[b"PING"]);
        let told = next(&mut client);
        assert_eq!(told, if reads { ALL } else { "+PONG\\r\\n" });
    }
}
