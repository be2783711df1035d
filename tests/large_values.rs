//! How much memory does a large value cost on its way? Alone in its process, whose memory it measures.

// Clippy knows functions that are tests, not the functions those are made of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "data_plane/proxied.rs"]
#[allow(
    dead_code,
    reason = "made for the data plane's tests, of which this needs a part"
)]
mod proxied;

use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::signal::Signal;
use proxied::{Client, Proxied, Server, wait_for};
use switchback::cluster::Side;
use switchback::stats::latency_bucket;

const VALUE_BYTES: usize = 256 * 1024 * 1024;
/// The test's own are among them, and what a socket takes while its peer reads.
const FEW_BUFFERS_BYTES: usize = 64 * 1024 * 1024;

/// How long a slow reader reads nothing.
const SLOW: Duration = Duration::from_millis(1_100);

/// The most memory this process has ever had resident, in bytes.
fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kilobytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}

/// Reads so many bytes of what comes.
fn take(client: &mut Client, bytes: usize) {
    let mut buffer = vec![0; 1024 * 1024];
    let mut left = bytes;
    while left > 0 {
        let space = buffer.len().min(left);
        let count = client.stream.read(&mut buffer[..space]).unwrap();
        assert!(
            count > 0,
            "the connection was closed before the last {left} bytes"
        );
        left -= count;
    }
}

/// What of replies the server keeps for clients that do not read, in bytes.
fn kept_by(server: &Server) -> u64 {
    let list = server.client().call(&[b"CLIENT", b"LIST"]);
    let list = String::from_utf8(list).unwrap();
    let fields = list
        .split_ascii_whitespace()
        .filter_map(|field| field.strip_prefix("omem="));
    fields.map(|bytes| bytes.parse::<u64>().unwrap()).sum()
}

#[test]
fn a_large_value_takes_a_few_buffers_on_its_way_in_and_out_and_its_slow_reader_keeps_nobody_waiting() {
    let proxied = Proxied::of_workers(1, |_| {});
    let (mut client, mut other) = (proxied.client(), proxied.client());
    assert_eq!(client.text("PING"), "+PONG\\r\\n");
    assert_eq!(other.text("SET small 1"), "+OK\\r\\n");
    let before = peak_bytes();
    let cost = || peak_bytes() - before;
    let piece = vec![b'v'; 1024 * 1024];
    let header = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${VALUE_BYTES}\r\n");
    client.stream.write_all(header.as_bytes()).unwrap();
    for _ in 0..VALUE_BYTES / piece.len() {
        client.stream.write_all(&piece).unwrap();
    }
    client.stream.write_all(b"\r\n").unwrap();
    assert_eq!(client.reply(), b"+OK\r\n");
    assert!(cost() < FEW_BUFFERS_BYTES, "{} bytes for the request", cost());

    // Its client takes its time: what it does not read stays with the server, and others are served beside it.
    let reply_bytes = VALUE_BYTES + format!("${VALUE_BYTES}\r\n\r\n").len();
    let mut begin = |client: &mut Client| {
        client.send(&[b"GET", b"k"]);
        take(client, 1024);
        wait_for("the server to keep the rest", || kept_by(&proxied.old) > 0);
        assert_eq!(other.text("GET small"), "$1\\r\\n1\\r\\n");
        assert!(kept_by(&proxied.old) > 0);
    };
    begin(&mut client);
    std::thread::sleep(SLOW);
    client.send(&[b"INCR", b"small"]);
    take(&mut client, reply_bytes - 1024);
    assert_eq!(client.reply(), b":2\r\n");
    assert_eq!(kept_by(&proxied.old), 0);
    assert_eq!(client.text("SET small 1"), "+OK\\r\\n");

    // It leaves instead.
    begin(&mut client);
    let slow = &proxied.stats.latency[0].counts[latency_bucket(SLOW.as_micros() as u32)..];
    let mut slow = slow.iter().map(|count| count.load(Ordering::Relaxed));
    assert!(
        slow.all(|count| count == 0),
        "the client was slow, not the server"
    );
    drop(client);
    wait_for("the rest to be let go of", || kept_by(&proxied.old) == 0);
    assert!(cost() < FEW_BUFFERS_BYTES, "{} bytes for replies", cost());

    // Others have sent before it was known that they wait behind a large reply: they get theirs, and the value is held once.
    let mut client = proxied.client();
    assert_eq!(client.text("GET small"), "$1\\r\\n1\\r\\n");
    // The PING, three SETs, five GETs and the INCR.
    let sent = 10;
    proxied.old.signal(Signal::SIGSTOP);
    proxied.send_unanswered(&mut client, Side::Old, sent, &[&[b"GET", b"k"]]);
    proxied.send_unanswered(&mut other, Side::Old, sent + 1, &[&[b"GET", b"small"]]);
    proxied.old.signal(Signal::SIGCONT);
    assert_eq!(other.reply(), b"$1\r\n1\r\n");
    take(&mut client, reply_bytes);
    assert!(cost() < VALUE_BYTES * 5 / 4, "{} bytes for the reply", cost());
}
