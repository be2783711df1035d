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

use proxied::Proxied;

const VALUE_BYTES: usize = 256 * 1024 * 1024;
/// The test's own are among them, and what a socket takes while its peer reads.
const FEW_BUFFERS_BYTES: usize = 64 * 1024 * 1024;

/// The most memory this process has ever had resident, in bytes.
fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kilobytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}

#[test]
fn a_large_value_takes_a_few_buffers_on_its_way_in_and_is_in_memory_once_on_its_way_out() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    assert_eq!(client.text("PING"), "+PONG\\r\\n");
    let before = peak_bytes();
    let piece = vec![b'v'; 1024 * 1024];
    let header = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${VALUE_BYTES}\r\n");
    client.stream.write_all(header.as_bytes()).unwrap();
    for _ in 0..VALUE_BYTES / piece.len() {
        client.stream.write_all(&piece).unwrap();
    }
    client.stream.write_all(b"\r\n").unwrap();
    assert_eq!(client.reply(), b"+OK\r\n");
    let cost = peak_bytes() - before;
    assert!(cost < FEW_BUFFERS_BYTES, "{cost} bytes for the request");
    client.send(&[b"GET", b"k"]);
    let mut left = VALUE_BYTES + format!("${VALUE_BYTES}\r\n\r\n").len();
    let mut buffer = vec![0; 1024 * 1024];
    while left > 0 {
        let count = client.stream.read(&mut buffer).unwrap();
        assert!(count > 0);
        left -= count;
    }
    let cost = peak_bytes() - before;
    // On a link that others share, it is read whether or not its client keeps up.
    assert!(cost < VALUE_BYTES * 5 / 4, "{cost} bytes for the reply");
}
