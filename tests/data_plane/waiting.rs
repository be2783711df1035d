//! Clients that wait: for an element, for room, for a master, for a database.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use switchback::cluster::Side;

use crate::proxied::{Client, Proxied, Server, encode, key_of, wait_for};

fn wait_for_blocked(server: &Server, count: usize) {
    let mut direct = server.client();
    let words = format!("blocked_clients:{count}\\r");
    wait_for(&words, || direct.text("INFO clients").contains(&words));
}

#[test]
fn clients_that_begin_to_block_while_the_weight_moves_all_end_up_on_the_owner() {
    let proxied = Proxied::start();
    let mut waiters: Vec<Client> = (0..30).map(|_| proxied.client()).collect();
    for round in 0..20 {
        for waiter in &mut waiters {
            waiter.send(&[b"BLPOP", b"queue", b"0"]);
        }
        let to_new = round % 2 == 0;
        proxied.weight(if to_new { 100 } else { 0 });
        let (owner, other) = match to_new {
            true => (&proxied.new, &proxied.old),
            false => (&proxied.old, &proxied.new),
        };
        wait_for_blocked(owner, waiters.len());
        wait_for_blocked(other, 0);
        let mut pusher = owner.client();
        for _ in &waiters {
            pusher.text("RPUSH queue x");
        }
        for waiter in &mut waiters {
            assert_eq!(waiter.reply(), b"*2\r\n$5\r\nqueue\r\n$1\r\nx\r\n");
        }
    }
}

#[test]
fn a_worker_whose_clients_only_block_moves_them_to_the_new_master() {
    let proxied = Proxied::with(|config| config.limits.drain = Duration::from_secs(10));
    let successor = Server::start();
    let mut waiter = proxied.client();
    waiter.send(&[b"BLPOP", b"queue", b"0"]);
    wait_for_blocked(&proxied.old, 1);
    let mut direct = proxied.old.client();
    wait_for("its own link, a shared one and one in reserve", || {
        direct.text("CLIENT LIST").matches("name=switchback").count() == 3
    });
    proxied.master(Side::Old, None);
    wait_for_blocked(&proxied.old, 0);
    proxied.master(Side::Old, Some(&successor));
    wait_for_blocked(&successor, 1);
    assert_eq!(successor.client().text("RPUSH queue x"), ":1\\r\\n");
    assert_eq!(waiter.reply(), b"*2\r\n$5\r\nqueue\r\n$1\r\nx\r\n");
}

#[test]
fn a_client_that_tries_every_database_makes_no_connection_for_each() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    let connections = |direct: &mut Client| {
        let stats = direct.text("INFO stats");
        let count = stats.split("total_connections_received:").nth(1).unwrap();
        count.split('\\').next().unwrap().parse::<u32>().unwrap()
    };
    let mut direct = proxied.old.client();
    assert_eq!(client.text("SELECT 20"), "-ERR DB index is out of range\\r\\n");
    let before = connections(&mut direct);
    for number in 21..300 {
        assert_eq!(
            client.text(&format!("SELECT {number}")),
            "-ERR DB index is out of range\\r\\n"
        );
    }
    assert_eq!(client.text("SELECT 17"), "-ERR DB index is out of range\\r\\n");
    assert_eq!(client.text("SELECT 15"), "+OK\\r\\n");
    assert!(connections(&mut direct) < before + 10);
}

#[test]
fn a_database_the_next_master_lacks_is_told_and_not_dialled_for_ever() {
    let proxied = Proxied::start();
    let successor = Server::start_with(&["--databases", "4"]);
    let mut client = proxied.client();
    assert_eq!(client.text("SELECT 12"), "+OK\\r\\n");
    proxied.master(Side::Old, Some(&successor));
    let begun = Instant::now();
    assert_eq!(client.text("BLPOP a 0.01"), "-ERR DB index is out of range\\r\\n");
    assert_eq!(client.text("GET a"), "-ERR DB index is out of range\\r\\n");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(client.text("SELECT 0"), "+OK\\r\\n");
    assert_eq!(client.text("GET a"), "$-1\\r\\n");
}

/// What a demoted master refused is sent to the next one, to the database that was selected when the client asked.
#[test]
fn what_comes_back_in_a_failover_keeps_its_database() {
    for next in ["SELECT 0", "RESET"] {
        let proxied = Proxied::start();
        let successor = Server::start();
        let mut client = proxied.client();
        // The links to both databases are there: nothing has to wait for them.
        for line in ["GET k", "SELECT 1", "GET k"] {
            client.text(line);
        }
        let demoted = format!("REPLICAOF 127.0.0.1 {}", successor.port);
        assert_eq!(proxied.old.client().text(&demoted), "+OK\\r\\n");
        let words = |line: &str| encode(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>());
        let pipeline = ["SET k one", next, "GET k"].map(words).concat();
        std::io::Write::write_all(&mut client.stream, &pipeline).unwrap();
        wait_for("the held command", || {
            proxied.stats.held.load(Ordering::Relaxed) == 1
        });
        proxied.master(Side::Old, Some(&successor));
        let replies = [client.reply(), client.reply(), client.reply()];
        assert_eq!(
            (&replies[0][..1], &replies[2][..]),
            (&b"+"[..], &b"$-1\r\n"[..]),
            "{next}"
        );
        let mut direct = successor.client();
        assert_eq!(direct.text("GET k"), "$-1\\r\\n", "{next}");
        direct.text("SELECT 1");
        assert_eq!(direct.text("GET k"), "$3\\r\\none\\r\\n", "{next}");
    }
}

#[test]
fn replies_that_wait_for_an_older_one_count_against_the_output_buffer() {
    let proxied = Proxied::with(|config| config.limits.output_buffer_bytes = 8 * 1024 * 1024);
    proxied.weight(50);
    let (old, new) = (key_of(Side::Old, 0), key_of(Side::New, 0));
    let mut client = proxied.client();
    assert_eq!(client.text(&format!("EXISTS {old} {new}")), ":0\\r\\n");
    let value = vec![b'v'; 1024 * 1024];
    assert_eq!(client.call(&[b"SET", new.as_bytes(), &value]), b"+OK\r\n");
    proxied.old.signal(Signal::SIGSTOP);
    client.send(&[b"GET", old.as_bytes()]);
    let gets = encode(&[b"GET", new.as_bytes()]).repeat(100);
    std::io::Write::write_all(&mut client.stream, &gets).unwrap();
    wait_for("the client to be closed", || proxied.clients() == 0);
    proxied.old.signal(Signal::SIGCONT);
}

#[test]
fn one_client_more_than_may_wait_for_a_master_is_told_at_once() {
    let proxied = Proxied::with(|config| config.limits.hold.commands = 2);
    proxied.master(Side::Old, None);
    let mut held: Vec<Client> = (0..2).map(|_| proxied.client()).collect();
    for client in &mut held {
        client.send(&[b"INCR", b"n"]);
    }
    let count = || proxied.stats.held.load(Ordering::Relaxed);
    wait_for("the held commands", || count() == 2);
    let mut client = proxied.client();
    assert_eq!(
        client.text("INCR n"),
        "-NOUPSTREAM no usable master on side \\'old\\' and 2 clients are waiting for one already; not executed\\r\\n"
    );
    proxied.master(Side::Old, Some(&proxied.old));
    for client in &mut held {
        assert!(client.reply().starts_with(b":"));
    }
    assert_eq!(client.text("INCR n"), ":3\\r\\n");
    assert_eq!(count(), 0);
}
