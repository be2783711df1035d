//! Replies that look like something else, that are long, and nodes that refuse.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use switchback::cluster::{NodeAddr, Side};
use switchback::limits::REFUSALS_MAX;

use crate::proxied::{Client, Proxied, Server, wait_for};

/// As many clients as make it near certain that each worker has some.
const CLIENTS: usize = 8;

#[test]
fn the_end_of_a_large_value_is_not_taken_for_an_error_of_a_demoted_node() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    let words = b"-READONLY You can't write against a read only replica.";
    // A link's buffer is 64 KB: what comes after a first piece of that size is the last piece.
    let padding = 64 * 1024 - b"$65590\r\n".len();
    let value = [&vec![b'x'; padding][..], words].concat();
    assert_eq!(client.call(&[b"SET", b"k", &value]), b"+OK\r\n");
    let expected = [format!("${}\r\n", value.len()).as_bytes(), &value, b"\r\n"].concat();
    for _ in 0..20 {
        assert!(client.call(&[b"GET", b"k"]) == expected);
    }
}

#[test]
fn a_script_that_speaks_of_readonly_after_it_has_written_is_run_once() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    let script = b"redis.call('INCR', KEYS[1]) return redis.error_reply('READONLY says the script')";
    assert_eq!(
        client.call(&[b"EVAL", script, b"1", b"n"]),
        b"-READONLY says the script\r\n"
    );
    assert_eq!(client.text("GET n"), "$1\\r\\n1\\r\\n");
}

#[test]
fn a_line_of_many_megabytes_disturbs_nobody() {
    let proxied = Proxied::start();
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| proxied.client()).collect();
    let links: Vec<String> = clients.iter_mut().map(|client| client.text("HELLO 2")).collect();
    for kind in ["status_reply", "error_reply"] {
        let script = format!("return redis.{kind}(string.rep('x', 3000000))");
        let reply = clients[0].call(&[b"EVAL", script.as_bytes(), b"0"]);
        assert!(
            reply.len() > 3_000_000 && reply.ends_with(b"x\r\n"),
            "{}",
            reply.len()
        );
    }
    for (client, link) in clients.iter_mut().zip(links) {
        assert_eq!(client.text("HELLO 2"), link);
    }
}

#[test]
fn a_master_that_is_still_loading_is_waited_for() {
    let mut proxied = Proxied::start();
    let mut client = proxied.client();
    assert_eq!(client.text("PING"), "+PONG\\r\\n");
    proxied.old.kill();
    let directory = tempfile::tempdir().unwrap();
    let (loading, mut direct) = Server::start_loading(directory.path());
    assert!(direct.text("GET a").starts_with("-LOADING"));
    proxied.master(Side::Old, Some(&loading));
    for _ in 0..10 {
        client.send(&[b"APPEND", b"a", b"x"]);
        client.send(&[b"GET", b"a"]);
    }
    wait_for("the held commands", || {
        proxied.stats.held.load(Ordering::Relaxed) == 1
    });
    assert!(
        direct.text("GET a").starts_with("-LOADING"),
        "it has loaded too fast"
    );
    for length in 2..12 {
        assert_eq!(client.reply(), format!(":{length}\r\n").into_bytes());
        let value = format!("a{}", "x".repeat(length - 1));
        assert_eq!(client.reply(), format!("${length}\r\n{value}\r\n").into_bytes());
    }
}

/// A master that dies of every command. Returns its address and how many have died of the poison: others die of what the proxy asks.
fn fragile_master() -> (NodeAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let node = NodeAddr::new("127.0.0.1", listener.local_addr().unwrap().port());
    let deaths = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&deaths);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = vec![0; 4096];
            let mut seen = Vec::new();
            while !seen.ends_with(b"ROLE\r\n") {
                match stream.read(&mut bytes).unwrap() {
                    0 => break,
                    read => seen.extend_from_slice(&bytes[..read]),
                }
            }
            let greeting = b"*0\r\n+OK\r\n:1\r\n+PONG\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n";
            let _ = stream.write_all(greeting);
            let read = stream.read(&mut bytes).unwrap_or(0);
            if bytes[..read].windows(6).any(|word| word == b"poison") {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    (node, deaths)
}

#[test]
fn a_read_that_kills_every_master_is_not_sent_for_ever() {
    let proxied = Proxied::start();
    let (node, deaths) = fragile_master();
    proxied.publish(|snapshot| snapshot.old.master = Some(Arc::new(node)));
    let mut client = proxied.client();
    assert!(client.text("GET poison").starts_with("-UNCERTAIN "));
    let deaths = deaths.load(Ordering::Relaxed);
    assert!(
        (2..=1 + usize::from(REFUSALS_MAX)).contains(&deaths),
        "{deaths} masters"
    );
}
