//! What large requests cost the process, and what comes of them.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::operating::{server, url};
use crate::running::Running;

const MB: usize = 1024 * 1024;

fn connect(running: &Running) -> TcpStream {
    let stream = TcpStream::connect((running.listen.host.as_str(), running.listen.port)).unwrap();
    let patience = Some(std::time::Duration::from_secs(120));
    stream.set_read_timeout(patience).unwrap();
    stream.set_write_timeout(patience).unwrap();
    stream
}

/// The most memory the proxy has ever had resident, in bytes.
fn peak_bytes(running: &Running) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kilobytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}

/// Sends a request of `head` and a last argument of `megabytes`; its reply.
fn send_large(running: &Running, head: &str, megabytes: usize) -> String {
    let mut stream = connect(running);
    let piece = vec![b'v'; MB];
    write!(stream, "{head}${}\r\n", megabytes * MB).unwrap();
    for _ in 0..megabytes {
        stream.write_all(&piece).unwrap();
    }
    stream.write_all(b"\r\n").unwrap();
    let mut reply = vec![0; 200];
    let count = stream.read(&mut reply).unwrap();
    reply[..count].escape_ascii().to_string()
}

#[test]
fn large_requests_side_by_side_take_no_more_memory_than_they_may_and_all_are_served() {
    let old = server();
    let running = Running::start(&url(&old), None, "limits.request_buffer_bytes = '32mb'\n");
    let before = peak_bytes(&running);
    // Each has to be held whole.
    let head = "*4\r\n$4\r\nEVAL\r\n$15\r\nreturn #ARGV[1]\r\n$1\r\n0\r\n";
    let replies: Vec<String> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..24)
            .map(|_| scope.spawn(|| send_large(&running, head, 12)))
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(
        replies
            .iter()
            .all(|reply| *reply == format!(":{}\\r\\n", 12 * MB)),
        "{replies:?}"
    );
    let cost = peak_bytes(&running) - before;
    // What is freed is the allocator's for a while: as much again.
    assert!(cost < 80 * MB, "{cost} bytes for 24 requests of {}", 12 * MB);
    assert_eq!(
        running.metric("switchback_request_bytes_held{route=\"r\"}"),
        Some(0.0)
    );
    assert_eq!(
        running.metric("switchback_requests_waiting{route=\"r\"}"),
        Some(0.0)
    );
}

/// Its replies, one for each of so many values of so many megabytes.
fn set_side_by_side(running: &Running, count: usize, megabytes: usize) -> Vec<String> {
    std::thread::scope(|scope| {
        let set = |number: usize| {
            let key = format!("k{number}");
            let head = format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n", key.len());
            send_large(running, &head, megabytes)
        };
        let all: Vec<_> = (0..count)
            .map(|number| scope.spawn(move || set(number)))
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

#[test]
fn large_values_cost_a_few_buffers_each_at_every_weight() {
    let (old, new) = (server(), server());
    let running = Running::start(&url(&old), Some(&url(&new)), "");
    let before = peak_bytes(&running);
    for weight in ["0", "50", "100"] {
        if weight != "0" {
            running.raise(weight);
        }
        assert_eq!(set_side_by_side(&running, 1, 64), ["+OK\\r\\n"]);
        assert_eq!(set_side_by_side(&running, 12, 24), ["+OK\\r\\n"; 12]);
        let cost = peak_bytes(&running) - before;
        assert!(cost < 32 * MB, "{cost} bytes at weight {weight}");
    }
    for number in 0..12 {
        let length = running.client().call(&["STRLEN", &format!("k{number}")]).unwrap();
        assert_eq!(length.text().unwrap(), (24 * MB).to_string());
    }
}
