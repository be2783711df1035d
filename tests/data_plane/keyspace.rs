//! SCAN, KEYS, DBSIZE and RANDOMKEY while two sides have the keys.

use std::collections::BTreeMap;
use switchback::cluster::Side;
use switchback::routing::{Slot, Weight, owner};

use crate::proxied::{Client, Proxied, Server, key_of};

const KEYS: usize = 50_000;

fn fill(server: &Server, keys: impl Iterator<Item = String>) {
    let mut client = server.client();
    let mut words: Vec<Vec<u8>> = vec![b"MSET".to_vec()];
    for key in keys {
        words.extend([key.into_bytes(), b"v".to_vec()]);
    }
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    assert_eq!(client.call(&words), b"+OK\r\n");
}

/// The strings of a reply, which hold no line breaks here.
fn strings(reply: &[u8]) -> Vec<String> {
    let text = String::from_utf8(reply.to_vec()).unwrap();
    assert!(!text.starts_with('-'), "{text}");
    let is_value = |line: &&str| !line.is_empty() && !line.starts_with(['*', '$']);
    text.split("\r\n").filter(is_value).map(str::to_owned).collect()
}

/// One SCAN: the next cursor and the keys.
fn scan(client: &mut Client, cursor: &str, options: &str) -> (String, Vec<String>) {
    let line = format!("SCAN {cursor}{options}");
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let mut strings = strings(&client.call(&words));
    (strings.remove(0), strings)
}

/// How often each key was told; `between` is called between two SCANs.
fn scan_all(client: &mut Client, options: &str, mut between: impl FnMut()) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    let mut cursor = "0".to_owned();
    loop {
        let (next, keys) = scan(client, &cursor, options);
        for key in keys {
            *told.entry(key).or_default() += 1;
        }
        if next == "0" {
            return told;
        }
        assert!(next.parse::<u64>().unwrap() < 1 << 53, "{next}");
        cursor = next;
        between();
    }
}

fn all_keys() -> impl Iterator<Item = String> {
    (0..KEYS).map(|number| format!("k{number}"))
}

fn at(percent: u16) -> Weight {
    Weight::from_steps(percent * 100).unwrap()
}

#[test]
fn no_key_is_missed_by_a_scan_while_the_weight_moves_both_ways() {
    let proxied = Proxied::start();
    // Whichever side owns a key, it has it; and the other has a copy.
    fill(&proxied.old, all_keys());
    fill(&proxied.new, all_keys());
    let mut client = proxied.client();
    for weights in [
        &[0, 30, 100, 50, 0][..],
        &[100, 0, 100],
        &[50, 60, 40, 100, 1, 99, 0],
        &[1, 0, 99],
        &[99, 50, 100, 0],
    ] {
        let mut others = weights.iter().cycle();
        proxied.weight(*others.next().unwrap());
        let mut scans = 0;
        let told = scan_all(&mut client, " COUNT 500", || {
            scans += 1;
            if scans % 3 == 0 {
                proxied.weight(*others.next().unwrap());
            }
        });
        assert!(scans >= 90, "{scans} calls: the weight hardly moved");
        assert_eq!(told.len(), KEYS, "begun at {}", weights[0]);
        assert!(
            told.values().all(|times| *times == 1),
            "a key is told by one side"
        );
    }
}

#[test]
fn between_weights_a_key_is_told_by_its_owner_alone() {
    let proxied = Proxied::start();
    let owned_by = |side| all_keys().filter(move |key| owner(Slot::of(key.as_bytes()), at(50)) == side);
    fill(&proxied.old, owned_by(Side::Old).chain(["only:old".to_owned()]));
    fill(
        &proxied.new,
        owned_by(Side::New).chain(owned_by(Side::Old).take(1_000)),
    );
    proxied.weight(50);
    let mut client = proxied.client();
    let told = scan_all(&mut client, " MATCH k* COUNT 1000 TYPE string", || {});
    assert_eq!(told.len(), KEYS);
    assert!(told.values().all(|times| *times == 1));
    let keys = strings(&client.call(&[b"KEYS", b"k1*"]));
    let expected = all_keys().filter(|key| key.starts_with("k1")).count();
    assert_eq!(keys.len(), expected);
    assert_eq!(client.text("DBSIZE"), format!(":{}\\r\\n", KEYS + 1_001));
    assert_eq!(client.text("KEYS nothing*"), "*0\\r\\n");
}

#[test]
fn a_random_key_is_one_that_its_side_owns() {
    let proxied = Proxied::start();
    proxied.weight(50);
    let mut client = proxied.client();
    assert_eq!(client.text("RANDOMKEY"), "$-1\\r\\n");
    let (old, new) = (key_of(Side::Old, 0), key_of(Side::New, 0));
    for server in [&proxied.old, &proxied.new] {
        fill(server, [old.clone(), new.clone()].into_iter());
    }
    let mut seen = BTreeMap::new();
    for _ in 0..200 {
        *seen
            .entry(strings(&client.call(&[b"RANDOMKEY"])).remove(0))
            .or_insert(0) += 1;
    }
    assert!(seen[&old] > 50 && seen[&new] > 50, "{seen:?}");
    proxied.old.client().text(&format!("DEL {old}"));
    proxied.new.client().text(&format!("DEL {new}"));
    assert_eq!(client.text("RANDOMKEY"), "$-1\\r\\n", "what is left is nobody's");
}

#[test]
fn what_is_wrong_with_a_scan_the_server_says_at_every_weight() {
    let proxied = Proxied::start();
    fill(&proxied.new, (0..100).map(|number| format!("k{number}")));
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        let mut client = proxied.client();
        for (line, error) in [
            ("SCAN x", "-ERR invalid cursor"),
            ("SCAN 18446744073709551616", "-ERR invalid cursor"),
            ("SCAN 0 COUNT 0", "-ERR syntax error"),
            ("SCAN 0 COUNT x", "-ERR value is not an integer or out of range"),
            ("SCAN 0 TYPE", "-ERR syntax error"),
            ("SCAN", "-ERR wrong number of arguments for \\'scan\\' command"),
        ] {
            assert_eq!(client.text(line), format!("{error}\\r\\n"), "at {weight}");
        }
        // Numbers that were never given out are taken as by a server, whatever they are.
        for number in ["-1", "18446744073709551615", "9007199254740991", "+3"] {
            scan(&mut client, number, "");
        }
    }
    let mut client = proxied.client();
    let (_, keys) = scan(&mut client, "0", " COUNT 1000");
    assert_eq!(keys.len(), 100);
}

#[test]
fn a_scan_goes_on_by_another_client_and_through_a_pipeline() {
    let proxied = Proxied::start();
    for server in [&proxied.old, &proxied.new] {
        fill(server, (0..2_000).map(|number| format!("k{number}")));
    }
    proxied.weight(50);
    let (mut first, mut second) = (proxied.client(), proxied.client());
    let (cursor, mut keys) = scan(&mut first, "0", " COUNT 100");
    first.send(&[b"SET", b"k0", b"v"]);
    first.send(&[b"SCAN", cursor.as_bytes(), b"COUNT", b"5000"]);
    first.send(&[b"PING"]);
    assert_eq!(first.reply(), b"+OK\r\n");
    let mut rest = strings(&first.reply());
    assert_eq!(first.reply(), b"+PONG\r\n");
    let (end, new_keys) = scan(&mut second, &rest.remove(0), " COUNT 5000");
    assert_eq!(end, "0");
    keys.extend(rest);
    keys.extend(new_keys);
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 2_000);
}

#[test]
fn a_scan_whose_link_is_lost_goes_on_at_the_same_side_though_the_weight_has_moved() {
    let mut proxied = Proxied::start();
    let successor = Server::start();
    let keys = || (0..100).map(|number| format!("k{number}"));
    for server in [&proxied.old, &successor, &proxied.new] {
        fill(server, keys());
    }
    proxied.weight(50);
    let mut client = proxied.client();
    assert_eq!(client.text("DBSIZE"), ":200\\r\\n");
    proxied.old.signal(nix::sys::signal::Signal::SIGSTOP);
    let requests: [&[&[u8]]; 2] = [&[b"SCAN", b"0", b"COUNT", b"1000"], &[b"KEYS", b"*"]];
    proxied.send_unanswered(&mut client, Side::Old, 1, &requests);
    proxied.weight(100);
    proxied.old.kill();
    proxied.master(Side::Old, Some(&successor));
    let mut scanned = strings(&client.reply());
    assert_eq!(strings(&client.reply()).len(), 100, "KEYS");
    let (end, of_new) = scan(&mut client, &scanned.remove(0), " COUNT 1000");
    assert_eq!(end, "0");
    let owned_by_old = keys().filter(|key| owner(Slot::of(key.as_bytes()), at(50)) == Side::Old);
    assert_eq!(scanned.len(), owned_by_old.count());
    assert_eq!(scanned.len() + of_new.len(), 100);
}
