//! Requests that are large: how many bytes of them are held at once.

use std::io::Write;
use std::sync::atomic::Ordering;

use crate::proxied::{Client, Proxied, encode, wait_for};

const MB: usize = 1024 * 1024;

/// A request of which the proxy needs all before it can go: how long its last argument is, is its reply.
fn held(bytes: usize) -> Vec<u8> {
    encode(&[b"EVAL", b"return #ARGV[1]", b"0", &vec![b'v'; bytes]])
}

fn within(megabytes: usize) -> Proxied {
    Proxied::with(|config| config.limits.request_buffer_bytes = megabytes * MB)
}

/// A client that has sent all but the last byte, and that byte.
fn half_sent(proxied: &Proxied, request: &[u8]) -> (Client, u8) {
    let mut client = proxied.client();
    let (last, most) = request.split_last().unwrap();
    client.stream.write_all(most).unwrap();
    (client, *last)
}

fn bytes_held(proxied: &Proxied) -> usize {
    proxied.stats.request_bytes_held.load(Ordering::Relaxed)
}

fn waiting(proxied: &Proxied) -> usize {
    proxied.stats.requests_waiting.load(Ordering::Relaxed)
}

#[test]
fn a_large_request_waits_until_there_is_room_for_it_and_small_ones_do_not() {
    let proxied = within(5);
    let request = held(3 * MB);
    let (mut first, last) = half_sent(&proxied, &request);
    wait_for("the first to hold its bytes", || {
        bytes_held(&proxied) >= request.len()
    });
    let mut second = proxied.client();
    let mut writing = second.stream.try_clone().unwrap();
    let all = request.clone();
    let writer = std::thread::spawn(move || writing.write_all(&all).unwrap());
    wait_for("the second to wait", || waiting(&proxied) == 1);
    let mut small = proxied.client();
    for _ in 0..100 {
        assert_eq!(small.text("ECHO hello"), "$5\\r\\nhello\\r\\n");
    }
    assert_eq!((waiting(&proxied), bytes_held(&proxied)), (1, request.len()));
    first.stream.write_all(&[last]).unwrap();
    let expected = format!(":{}\r\n", 3 * MB).into_bytes();
    assert_eq!(first.reply(), expected);
    assert_eq!(second.reply(), expected);
    writer.join().unwrap();
    wait_for("nothing to be held", || {
        bytes_held(&proxied) == 0 && waiting(&proxied) == 0
    });
}

#[test]
fn a_client_that_leaves_makes_room_for_the_next() {
    let proxied = within(5);
    let request = held(3 * MB);
    let (first, _) = half_sent(&proxied, &request);
    wait_for("the first to hold its bytes", || bytes_held(&proxied) > 0);
    let waiter = proxied.client();
    waiter
        .stream
        .try_clone()
        .unwrap()
        .write_all(&request[..MB])
        .unwrap();
    wait_for("the second to wait", || waiting(&proxied) == 1);
    let mut third = proxied.client();
    let mut writing = third.stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || writing.write_all(&request).unwrap());
    wait_for("the third to wait", || waiting(&proxied) == 2);
    drop(waiter);
    drop(first);
    assert_eq!(third.reply(), format!(":{}\r\n", 3 * MB).into_bytes());
    writer.join().unwrap();
    wait_for("nothing to be held", || {
        bytes_held(&proxied) == 0 && waiting(&proxied) == 0
    });
}

#[test]
fn a_request_that_never_fits_is_told_so_and_one_that_just_fits_is_not() {
    let proxied = within(2);
    let of = |bytes| {
        let empty = encode(&[b"EVAL", b"return #ARGV[1]", b"0", b""]).len();
        bytes - empty - (2 * MB).to_string().len() + 1
    };
    let fits = held(of(2 * MB));
    assert_eq!(fits.len(), 2 * MB);
    let mut client = proxied.client();
    client.stream.write_all(&fits).unwrap();
    assert_eq!(client.reply(), format!(":{}\r\n", of(2 * MB)).into_bytes());
    // Behind the length nothing is needed to know.
    let over = held(of(2 * MB) + 1);
    client.stream.write_all(&over[..100]).unwrap();
    let reply = String::from_utf8(client.reply()).unwrap();
    assert_eq!(
        reply,
        "-TOOBIG this request, which has to be held whole (request_buffer_bytes), is over the limit of 2097152 bytes; not executed\r\n"
    );
    assert_eq!(client.try_reply(), None);
    wait_for("nothing to be held", || bytes_held(&proxied) == 0);
}

#[test]
fn requests_of_many_small_arguments_side_by_side_are_all_served() {
    let proxied = within(6);
    let argument = [b'k'; 100];
    let words: Vec<&[u8]> = std::iter::once(&b"EXISTS"[..])
        .chain(std::iter::repeat_n(&argument[..], 40_000))
        .collect();
    let request = encode(&words);
    assert!(request.len() > 4 * MB);
    let half_sent: Vec<_> = (0..6)
        .map(|_| {
            let client = proxied.client();
            let mut writing = client.stream.try_clone().unwrap();
            let all = request.clone();
            (
                client,
                std::thread::spawn(move || writing.write_all(&all).unwrap()),
            )
        })
        .collect();
    for (mut client, writer) in half_sent {
        assert_eq!(client.reply(), b":0\r\n");
        writer.join().unwrap();
    }
    wait_for("nothing to be held", || bytes_held(&proxied) == 0);
}
