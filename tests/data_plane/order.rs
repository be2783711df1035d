//! Order, through changes of weight.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::proxied::{Client, Proxied, encode};

/// One client's keys; each is written and read back in one pipeline.
const KEYS: usize = 16;
const DEPTH: usize = 20;

/// Writes rising numbers and reads each back right behind it. The read must see the number written before it; only
/// when the key's owner has changed between the two (the sides share no data) may it see what the other side had, and
/// never a number that has not been written yet.
fn write_and_read_back(mut client: Client, name: usize, stop: &AtomicBool) -> (u64, u64) {
    let mut number = 0u64;
    let mut straddled = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut batch = Vec::new();
        let first = number;
        for _ in 0..DEPTH {
            number += 1;
            let key = format!("order:{name}:{}", number as usize % KEYS);
            batch.extend(encode(&[b"SET", key.as_bytes(), number.to_string().as_bytes()]));
            batch.extend(encode(&[b"GET", key.as_bytes()]));
            batch.extend(encode(&[b"ECHO", format!("tag {number}").as_bytes()]));
        }
        std::io::Write::write_all(&mut client.stream, &batch).unwrap();
        for written in first + 1..=number {
            assert_eq!(client.reply(), b"+OK\r\n");
            let read = client.reply();
            let text = String::from_utf8(read).unwrap();
            let read: Option<u64> = text.split("\r\n").nth(1).and_then(|digits| digits.parse().ok());
            if read != Some(written) {
                assert!(
                    read.is_none_or(|read| read < written),
                    "read {read:?} before it was written ({written})"
                );
                straddled += 1;
            }
            let tag = format!("tag {written}");
            assert_eq!(
                client.reply(),
                format!("${}\r\n{tag}\r\n", tag.len()).into_bytes()
            );
        }
    }
    (number, straddled)
}

#[test]
fn pipelined_commands_keep_their_order_while_the_weight_moves_many_times_a_second() {
    let proxied = Proxied::start();
    let stop = AtomicBool::new(false);
    let mut changes = 0u64;
    let totals: Vec<(u64, u64)> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|name| {
                let (client, stop) = (proxied.client(), &stop);
                scope.spawn(move || write_and_read_back(client, name, stop))
            })
            .collect();
        let until = Instant::now() + Duration::from_secs(5);
        let mut weight = 0u16;
        while Instant::now() < until {
            weight = (weight + 37) % 101;
            proxied.weight(weight);
            changes += 1;
        }
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let written: u64 = totals.iter().map(|(written, _)| written).sum();
    let straddled: u64 = totals.iter().map(|(_, straddled)| straddled).sum();
    println!("{written} pairs over {changes} changes of weight, {straddled} straddled one");
    assert!(written > 1_000 && changes > 50);
    // A pair straddles a change only when the change falls between its two commands.
    assert!(
        straddled <= changes * 8,
        "{straddled} pairs disagree over {changes} changes"
    );
}

#[test]
fn the_last_write_of_a_pipeline_is_the_one_that_stays() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    for round in 0..50u32 {
        let mut batch = Vec::new();
        for number in 0..200 {
            batch.extend(encode(&[b"SET", b"last", format!("{round}:{number}").as_bytes()]));
        }
        std::io::Write::write_all(&mut client.stream, &batch).unwrap();
        proxied.weight(if round % 2 == 0 { 100 } else { 0 });
        for _ in 0..200 {
            assert_eq!(client.reply(), b"+OK\r\n");
        }
        // Whichever side has the key now has the last number, or nothing newer than it.
        let last = format!("{round}:199");
        let direct = [
            proxied.old.client().text("GET last"),
            proxied.new.client().text("GET last"),
        ];
        assert!(
            direct.iter().any(|value| value.contains(&last)),
            "{direct:?} instead of {last}"
        );
    }
}

/// An app that lets go of something on one connection, and then does something on another, counts on a server taking them in turn.
#[test]
fn one_worker_hears_its_clients_in_the_order_in_which_they_speak() {
    let proxied = Proxied::of_workers(1, |_| {});
    let (mut listener, mut other) = (proxied.client(), proxied.client());
    for round in 0..300 {
        let channel = format!("c{round}");
        assert!(
            listener
                .text(&format!("SUBSCRIBE {channel}"))
                .ends_with(":1\\r\\n")
        );
        listener.send(&[b"UNSUBSCRIBE"]);
        other.send(&[b"PUBLISH", channel.as_bytes(), b"m"]);
        assert_eq!(other.reply(), b":0\r\n");
        assert!(listener.reply().ends_with(b":0\r\n"));
    }
}
