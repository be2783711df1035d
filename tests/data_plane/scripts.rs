//! A script that was loaded once runs wherever its keys are.

use std::io::Write;

use switchback::cluster::Side;

use crate::proxied::{Client, Proxied, Server, encode, key_of, wait_for};

const SET: &str = "return redis.call('SET', KEYS[1], ARGV[1])";

/// Loads a script through the proxy; returns its name.
fn load(client: &mut Client, body: &str) -> String {
    let reply = client.call(&[b"SCRIPT", b"LOAD", body.as_bytes()]);
    String::from_utf8(reply)
        .unwrap()
        .split("\r\n")
        .nth(1)
        .unwrap()
        .to_owned()
}

#[test]
fn a_script_loaded_on_one_side_runs_on_the_other_and_on_a_new_master_for_every_client() {
    let proxied = Proxied::start();
    let name = load(&mut proxied.client(), SET);
    let (old, new) = (key_of(Side::Old, 0), key_of(Side::New, 0));
    let mut clients: Vec<_> = (0..8).map(|_| proxied.client()).collect();
    let mut run_all = |when: &str| {
        for client in &mut clients {
            for key in [&old, &new] {
                // What follows in the pipeline comes after it.
                let evalsha = encode(&[b"EVALSHA", name.as_bytes(), b"1", key.as_bytes(), when.as_bytes()]);
                let get = encode(&[b"GET", key.as_bytes()]);
                client.stream.write_all(&[evalsha, get].concat()).unwrap();
                assert_eq!(client.reply(), b"+OK\r\n", "{when}");
                let expected = format!("${}\r\n{when}\r\n", when.len());
                assert_eq!(client.reply(), expected.as_bytes(), "{when}");
            }
        }
    };
    run_all("at 0");
    proxied.weight(50);
    run_all("at 50");
    proxied.weight(100);
    run_all("at 100");
    let successor = Server::start();
    proxied.master(Side::New, Some(&successor));
    run_all("on a new master");
    proxied.weight(0);
    run_all("at 0 again");
}

#[test]
fn a_script_seen_in_eval_runs_by_its_name_on_the_other_side() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    let name = load(&mut Server::start().client(), SET);
    let call = [b"EVALSHA", name.as_bytes(), b"1", b"k", b"v"];
    assert_eq!(
        client.call(&call),
        b"-NOSCRIPT No matching script. Please use EVAL.\r\n",
        "never seen"
    );
    assert_eq!(
        client.call(&[b"EVAL", SET.as_bytes(), b"1", b"k", b"v"]),
        b"+OK\r\n"
    );
    proxied.weight(100);
    assert_eq!(client.call(&call), b"+OK\r\n");
    assert_eq!(
        client.call(&[b"EVALSHA_RO", name.as_bytes(), b"1", b"k", b"v"])[..4],
        *b"-ERR",
        "it writes"
    );
}

#[test]
fn a_script_that_was_flushed_is_not_there_until_it_is_loaded_again() {
    let proxied = Proxied::start();
    let (mut client, mut other) = (proxied.client(), proxied.client());
    const GONE: &[u8] = b"-NOSCRIPT No matching script. Please use EVAL.\r\n";
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        let name = load(&mut client, SET);
        let call = [b"EVALSHA", name.as_bytes(), b"1", b"k", b"v"];
        assert_eq!(other.call(&call), b"+OK\r\n");
        assert_eq!(client.text("SCRIPT FLUSH"), "+OK\\r\\n");
        assert_eq!(
            (client.call(&call), other.call(&call)),
            (GONE.to_vec(), GONE.to_vec())
        );
        assert_eq!(load(&mut client, SET), name);
        assert_eq!(
            (client.call(&call), other.call(&call)),
            (b"+OK\r\n".to_vec(), b"+OK\r\n".to_vec())
        );
        // Past the proxy: it cannot know, and the app does what it would do without one.
        for server in [&proxied.old, &proxied.new] {
            server.client().text("SCRIPT FLUSH");
        }
        assert_eq!(other.call(&call), GONE);
        assert_eq!(other.call(&call), b"+OK\r\n", "given anew");
    }
}

#[test]
fn a_script_is_given_to_the_node_that_a_transaction_names_it_on() {
    let proxied = Proxied::start();
    let name = load(&mut proxied.client(), SET);
    let (old, new) = (key_of(Side::Old, 0), key_of(Side::New, 0));
    for (weight, key) in [(0, &old), (50, &new), (50, &old), (100, &old)] {
        proxied.weight(weight);
        for is_first in [true, false] {
            for server in [&proxied.old, &proxied.new] {
                server.client().text("SCRIPT FLUSH");
            }
            let mut client = proxied.client();
            // A flush that went past the proxy is noticed by an error outside a transaction.
            let _ = client.call(&[b"EVALSHA", name.as_bytes(), b"1", key.as_bytes(), b"v"]);
            for server in [&proxied.old, &proxied.new] {
                server.client().text("SCRIPT FLUSH");
            }
            let _ = client.call(&[b"EVALSHA", name.as_bytes(), b"1", key.as_bytes(), b"v"]);
            client.send(&[b"MULTI"]);
            if !is_first {
                client.send(&[b"GET", key.as_bytes()]);
            }
            client.send(&[b"EVALSHA", name.as_bytes(), b"1", key.as_bytes(), b"w"]);
            client.send(&[b"EXEC"]);
            assert_eq!(client.reply(), b"+OK\r\n");
            assert_eq!(client.reply(), b"+QUEUED\r\n");
            let expected = match is_first {
                true => "*1\\r\\n+OK\\r\\n",
                false => {
                    assert_eq!(client.reply(), b"+QUEUED\r\n");
                    "*2\\r\\n$1\\r\\nv\\r\\n+OK\\r\\n"
                }
            };
            let got = client.reply().escape_ascii().to_string();
            assert_eq!(got, expected, "at {weight}, first: {is_first}");
        }
    }
}

#[test]
fn a_script_that_takes_long_keeps_nobody_from_ending_it() {
    let proxied = Proxied::start();
    for server in [&proxied.old, &proxied.new] {
        assert_eq!(
            server.client().text("CONFIG SET busy-reply-threshold 10"),
            "+OK\\r\\n"
        );
    }
    for weight in [0, 100] {
        proxied.weight(weight);
        for database in ["0", "3"] {
            // Some of each worker.
            let mut others: Vec<Client> = (0..12).map(|_| proxied.client()).collect();
            let mut busy = proxied.client();
            for client in others.iter_mut().chain([&mut busy]) {
                assert_eq!(client.text(&format!("SELECT {database}")), "+OK\\r\\n");
                assert_eq!(client.text("SET a 1"), "+OK\\r\\n");
            }
            busy.send(&[b"EVAL", b"while true do end", b"0"]);
            // Whoever comes at once is not stuck behind it either.
            wait_for("the script to take long", || {
                others[0].text("GET a").starts_with("-BUSY ")
            });
            for client in &mut others {
                let told = client.text("GET a");
                assert!(
                    told.starts_with("-BUSY Redis is busy running a script."),
                    "{told}"
                );
            }
            assert_eq!(others[0].text("SCRIPT KILL"), "+OK\\r\\n");
            let ended = busy.reply().escape_ascii().to_string();
            assert!(ended.contains("Script killed by user"), "{ended}");
            for client in others.iter_mut().chain([&mut busy]) {
                assert_eq!(client.text("GET a"), "$1\\r\\n1\\r\\n");
            }
        }
    }
}

/// While a script takes long a server lets nobody choose a database, and says so.
#[test]
fn a_client_that_chooses_a_database_while_a_script_takes_long_is_told_so() {
    let proxied = Proxied::start();
    assert_eq!(
        proxied.old.client().text("CONFIG SET busy-reply-threshold 10"),
        "+OK\\r\\n"
    );
    // Some of each worker.
    let mut others: Vec<Client> = (0..12).map(|_| proxied.client()).collect();
    for client in &mut others {
        assert_eq!(client.text("GET a"), "$-1\\r\\n");
    }
    let mut busy = proxied.client();
    // A server keeps what it owes on the connection a script comes by until that has ended: nobody else asks just then.
    let mut direct = proxied.old.client();
    busy.send(&[b"EVAL", b"while true do end", b"0"]);
    wait_for("the script to take long", || {
        direct.text("GET a").starts_with("-BUSY ")
    });
    for (client, database) in others.iter_mut().zip(3..) {
        let told = client.text(&format!("SELECT {database}"));
        assert!(
            told.starts_with("-BUSY Redis is busy running a script."),
            "{told}"
        );
    }
    assert_eq!(others[0].text("SCRIPT KILL"), "+OK\\r\\n");
    assert!(busy.reply().starts_with(b"-"));
    for (client, database) in others.iter_mut().zip(3..) {
        wait_for("the database", || {
            client.text(&format!("SELECT {database}")) == "+OK\\r\\n"
        });
    }
}
