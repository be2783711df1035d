//! Requests that are large: how many bytes of them are held at once, and how they are passed on while they come.

use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use switchback::cluster::Side;

use crate::proxied::{Client, Proxied, Server, encode, key_of, wait_for};

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

/// Bytes in which nothing repeats soon.
fn value(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut value = Vec::with_capacity(bytes + 8);
    while value.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        value.extend_from_slice(&state.to_le_bytes());
    }
    value.truncate(bytes);
    value
}

fn set(key: &str, value: &[u8]) -> Vec<u8> {
    encode(&[b"SET", key.as_bytes(), value])
}

/// Sends it from another thread, as replies have to be read meanwhile.
fn send(client: &Client, bytes: Vec<u8>) -> std::thread::JoinHandle<()> {
    let mut writing = client.stream.try_clone().unwrap();
    std::thread::spawn(move || writing.write_all(&bytes).unwrap())
}

/// A client that has begun to set `key`, so far that a node has some of it; and the rest.
fn begun(proxied: &Proxied, side: Side, key: &str) -> (Client, Vec<u8>) {
    let mut request = set(key, &value(8 * MB));
    let rest = request.split_off(5 * MB);
    let client = proxied.client();
    let before = proxied.sent_nanos(side);
    send(&client, request).join().unwrap();
    wait_for("some of it to be passed on", || proxied.sent_nanos(side) > before);
    (client, rest)
}

const CUT_SHORT: &str = "-NOUPSTREAM the way to side 'old' was lost before all of this command was there: the connection, or its master or the owner of the keys changed; not executed\r\n";

fn contents(server: &Server, key: &str) -> Vec<u8> {
    let reply = server.client().call(&[b"GET", key.as_bytes()]);
    let start = reply.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    reply[start..reply.len() - 2].to_vec()
}

#[test]
fn large_values_arrive_as_they_are_at_every_weight_and_in_order() {
    let proxied = Proxied::start();
    let values = [value(24 * MB), value(7 * MB + 1)];
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        let mut client = proxied.client();
        let keys = [Side::Old, Side::New].map(|side| key_of(side, 0));
        let [a, b] = [keys[0].as_bytes(), keys[1].as_bytes()];
        let batch = [
            encode(&[b"DEL", a, b]),
            encode(&[b"SET", a, &values[0]]),
            encode(&[b"STRLEN", a]),
            encode(&[b"SET", b, &values[1], b"EX", b"100"]),
            encode(&[b"APPEND", a, b"x"]),
            encode(&[b"APPEND", b, &values[1]]),
            encode(&[b"PING"]),
            encode(&[b"SETRANGE", a, b"1", &values[0]]),
            encode(&[b"TTL", b]),
        ];
        let writer = send(&client, batch.concat());
        let mut replies = Vec::new();
        for _ in 0..9 {
            replies.extend(client.reply());
        }
        writer.join().unwrap();
        let (first, second) = (values[0].len(), values[1].len());
        let expected = format!(
            "+OK\r\n:{first}\r\n+OK\r\n:{}\r\n:{}\r\n+PONG\r\n:{}\r\n:100\r\n",
            first + 1,
            2 * second,
            first + 1
        );
        let replies = String::from_utf8(replies).unwrap();
        assert_eq!(&replies[replies.find('+').unwrap()..], expected);
        let [of_a, of_b] = match weight {
            0 => [&proxied.old, &proxied.old],
            50 => [&proxied.old, &proxied.new],
            _ => [&proxied.new, &proxied.new],
        };
        assert!(contents(of_a, &keys[0]) == [&values[0][..1], &values[0]].concat());
        assert!(contents(of_b, &keys[1]) == values[1].repeat(2));
    }
}

#[test]
fn who_stops_within_a_large_request_gives_its_room_to_those_who_wait() {
    const GIVEN_UP: &str = "-TOOBIG next to nothing more of this request came for 10 seconds, while others waited for the room it took (request_buffer_bytes); not executed\r\n";
    let proxied = within(1);
    let request = held(3 * MB / 4);
    let (mut held_whole, _) = half_sent(&proxied, &request);
    wait_for("the first to hold its bytes", || {
        bytes_held(&proxied) >= request.len()
    });
    // Nobody waits for what this one keeps.
    let other = within(1);
    let (mut alone, last) = half_sent(&other, &request);
    let mut client = proxied.client();
    let writer = send(&client, request.clone());
    let expected = format!(":{}\r\n", 3 * MB / 4).into_bytes();
    assert_eq!(client.reply(), expected);
    writer.join().unwrap();
    assert_eq!(String::from_utf8(held_whole.reply()).unwrap(), GIVEN_UP);
    assert_eq!(held_whole.try_reply(), None);
    alone.stream.write_all(&[last]).unwrap();
    assert_eq!(alone.reply(), expected);
    // Nor does one keep it that is passed on, and whose client does not even read what it has been answered before.
    let large = value(24 * MB);
    assert_eq!(proxied.old.client().call(&[b"SET", b"large", &large]), b"+OK\r\n");
    let mut passed_on = proxied.client();
    let mut begun = [encode(&[b"GET", b"large"]), set("k", &value(8 * MB))].concat();
    begun.truncate(5 * MB);
    send(&passed_on, begun).join().unwrap();
    wait_for("it to hold its room", || bytes_held(&proxied) > 0);
    let writer = send(&client, request);
    assert_eq!(client.reply(), expected);
    writer.join().unwrap();
    wait_for("nothing to be held", || bytes_held(&proxied) == 0);
    assert!(passed_on.reply().ends_with(&[&large[..], b"\r\n"].concat()));
    assert_eq!(String::from_utf8(passed_on.reply()).unwrap(), GIVEN_UP);
    assert_eq!(passed_on.try_reply(), None);
    assert_eq!(client.text("EXISTS k"), ":0\\r\\n");
}

#[test]
fn who_sends_all_before_it_reads_anything_is_served_as_by_a_server() {
    let proxied = Proxied::of_workers(1, |_| {});
    let large = value(24 * MB);
    assert_eq!(proxied.old.client().call(&[b"SET", b"large", &large]), b"+OK\r\n");
    const SETS: usize = 20_000;
    let set = encode(&[b"SET", b"k", &[b'v'; 1024]]);
    let pipeline = [encode(&[b"GET", b"large"]), set.repeat(SETS)].concat();
    for before in ["PING", "WATCH k"] {
        let mut client = proxied.client();
        client.text(before);
        client
            .stream
            .set_write_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        client.stream.write_all(&pipeline).unwrap();
        assert!(client.reply().ends_with(&[&large[..], b"\r\n"].concat()));
        for number in 0..SETS {
            assert_eq!(client.reply(), b"+OK\r\n", "{before}: {number}");
        }
    }
}

#[test]
fn who_asks_for_more_than_is_held_for_it_and_reads_late_is_not_closed_for_it() {
    const GETS: usize = 20_000;
    let proxied = Proxied::with(|config| config.limits.output_buffer_bytes = 8 * MB);
    let mut client = proxied.client();
    assert_eq!(client.call(&[b"SET", b"k", &[b'v'; 4096]]), b"+OK\r\n");
    assert_eq!(client.text("WATCH k"), "+OK\\r\\n");
    let writer = send(&client, encode(&[b"GET", b"k"]).repeat(GETS));
    let mut server = proxied.old.client();
    let keeps = |field: &str| field.starts_with("omem=") && field != "omem=0";
    wait_for("the server to keep replies", || {
        let clients = server.text("CLIENT LIST");
        clients.split(' ').any(keeps)
    });
    for _ in 0..GETS {
        assert_eq!(client.reply().len(), b"$4096\r\n\r\n".len() + 4096);
    }
    writer.join().unwrap();
}

#[test]
fn large_elements_of_all_types_are_passed_on() {
    let proxied = Proxied::with(|config| config.limits.request_buffer_bytes = MB);
    let mut client = proxied.client();
    // Whatever it looks like.
    let large = encode(&[b"DEL", b"k", b"l", b"h"]).repeat(200_000);
    type Words<'a> = &'a [&'a [u8]];
    let cases: [(Words<'_>, Words<'_>, &[u8]); 9] = [
        (&[b"SETEX", b"k", b"100"], &[], b"+OK\r\n"),
        (&[b"GETSET", b"k"], &[], b"$"),
        (&[b"RPUSH", b"l", b"a"], &[b"b"], b":3\r\n"),
        (&[b"LSET", b"l", b"0"], &[], b"+OK\r\n"),
        (&[b"HSET", b"h", b"f"], &[b"g", b"1"], b":2\r\n"),
        (&[b"SADD", b"s"], &[b"m"], b":2\r\n"),
        (&[b"ZADD", b"z", b"1"], &[], b":1\r\n"),
        (&[b"XADD", b"x", b"1-1", b"f"], &[], b"$3\r\n1-1\r\n"),
        // What a server has against it, it says.
        (&[b"LPUSH", b"k"], &[], b"-WRONGTYPE"),
    ];
    for (head, tail, reply) in cases {
        let words = [head, &[&large], tail].concat();
        let writer = send(&client, encode(&words));
        let got = client.reply();
        assert!(
            got.starts_with(reply),
            "{}",
            got[..got.len().min(80)].escape_ascii()
        );
        writer.join().unwrap();
    }
    let mut direct = proxied.old.client();
    assert!(direct.call(&[b"LINDEX", b"l", b"0"])[..].ends_with(&[&large[..], b"\r\n"].concat()));
    assert!(direct.call(&[b"HGET", b"h", b"f"])[..].ends_with(&[&large[..], b"\r\n"].concat()));
    assert_eq!(direct.call(&[b"SISMEMBER", b"s", &large]), b":1\r\n");
    wait_for("nothing to be held", || bytes_held(&proxied) == 0);
}

#[test]
fn a_client_that_leaves_in_the_middle_has_set_nothing_and_others_go_on() {
    let proxied = Proxied::of_workers(1, |_| {});
    let mut other = proxied.client();
    assert_eq!(other.text("SET k before"), "+OK\\r\\n");
    let links = proxied.stats.upstream_connections[0].load(Ordering::Relaxed);
    for is_half_closed in [false, true] {
        let (mut client, _) = begun(&proxied, Side::Old, "k");
        assert_eq!(
            other.text("APPEND k x"),
            if is_half_closed { ":8\\r\\n" } else { ":7\\r\\n" }
        );
        if is_half_closed {
            client.stream.shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(String::from_utf8(client.reply()).unwrap(), CUT_SHORT);
            assert_eq!(client.try_reply(), None);
        }
        drop(client);
        wait_for("the client to be gone", || proxied.clients() == 1);
    }
    wait_for("its links to be gone", || {
        proxied.stats.upstream_connections[0].load(Ordering::Relaxed) <= links + 1
    });
    assert_eq!(other.text("GET k"), "$8\\r\\nbeforexx\\r\\n");
    assert_eq!(bytes_held(&proxied), 0);
}

#[test]
fn a_slow_sender_holds_up_nobody_and_its_value_is_set_when_it_is_complete() {
    let proxied = Proxied::of_workers(1, |_| {});
    let (mut slow, rest) = begun(&proxied, Side::Old, "k");
    let mut other = proxied.client();
    for number in 1..=100 {
        assert_eq!(other.text("INCR n"), format!(":{number}\\r\\n"));
        assert_eq!(other.text("EXISTS k"), ":0\\r\\n");
    }
    let writer = send(&slow, [rest, encode(&[b"STRLEN", b"k"])].concat());
    assert_eq!(slow.reply(), b"+OK\r\n");
    assert_eq!(slow.reply(), format!(":{}\r\n", 8 * MB).into_bytes());
    writer.join().unwrap();
    assert!(contents(&proxied.old, "k") == value(8 * MB));
}

#[test]
fn a_key_that_moves_in_the_middle_is_not_set_and_one_that_stays_is() {
    let proxied = Proxied::start();
    proxied.weight(50);
    let (moves, stays) = (key_of(Side::Old, 0), key_of(Side::New, 0));
    let (mut first, first_rest) = begun(&proxied, Side::Old, &moves);
    let (mut second, second_rest) = begun(&proxied, Side::New, &stays);
    let asked = Instant::now();
    proxied.weight(100);
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "a slow sender was waited for"
    );
    assert_eq!(String::from_utf8(first.reply()).unwrap(), CUT_SHORT);
    let after = encode(&[b"SET", moves.as_bytes(), b"after"]);
    let writers = [
        send(&first, [first_rest, after].concat()),
        send(&second, second_rest),
    ];
    assert_eq!(first.reply(), b"+OK\r\n");
    assert_eq!(second.reply(), b"+OK\r\n");
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    assert_eq!(proxied.old.client().text("DBSIZE"), ":0\\r\\n");
    assert_eq!(contents(&proxied.new, &moves), b"after");
    assert!(contents(&proxied.new, &stays) == value(8 * MB));
}

#[test]
fn a_master_that_is_killed_or_replaced_in_the_middle_has_not_set_it() {
    let mut proxied = Proxied::start();
    let (mut replaced, replaced_rest) = begun(&proxied, Side::Old, "k");
    let next = Server::start();
    proxied.master(Side::Old, Some(&next));
    assert_eq!(String::from_utf8(replaced.reply()).unwrap(), CUT_SHORT);
    assert_eq!(proxied.old.client().text("EXISTS k"), ":0\\r\\n");
    let writer = send(&replaced, [replaced_rest, encode(&[b"SET", b"k", b"v"])].concat());
    assert_eq!(replaced.reply(), b"+OK\r\n");
    writer.join().unwrap();
    let former = std::mem::replace(&mut proxied.old, next);
    assert_eq!(contents(&proxied.old, "k"), b"v");
    drop(former);

    let (mut killed, killed_rest) = begun(&proxied, Side::Old, "k");
    proxied.old.kill();
    assert_eq!(String::from_utf8(killed.reply()).unwrap(), CUT_SHORT);
    let after = Server::start();
    proxied.master(Side::Old, Some(&after));
    let writer = send(&killed, [killed_rest, encode(&[b"EXISTS", b"k"])].concat());
    assert_eq!(killed.reply(), b":0\r\n");
    writer.join().unwrap();
}

#[test]
fn a_master_that_was_demoted_meanwhile_refuses_it_and_that_is_told_as_what_it_is() {
    let proxied = Proxied::start();
    let (mut client, rest) = begun(&proxied, Side::Old, "k");
    let demote = format!("REPLICAOF 127.0.0.1 {}", proxied.new.port);
    assert_eq!(proxied.old.client().text(&demote), "+OK\\r\\n");
    let writer = send(&client, rest);
    assert_eq!(String::from_utf8(client.reply()).unwrap(), CUT_SHORT);
    writer.join().unwrap();
    proxied.master(Side::Old, Some(&proxied.new));
    assert_eq!(client.text("SET k v"), "+OK\\r\\n");
}

#[test]
fn what_is_wrong_in_the_middle_is_told_as_by_redis_and_nothing_is_set() {
    let proxied = Proxied::with(|config| config.limits.request_bytes = 12 * MB);
    let direct = std::net::SocketAddr::from(([127, 0, 0, 1], proxied.old.port));
    let head = |count: usize| {
        let mut head =
            format!("*{count}\r\n$4\r\nHSET\r\n$1\r\nh\r\n$1\r\nf\r\n${}\r\n", 5 * MB).into_bytes();
        head.extend(value(5 * MB));
        head.extend_from_slice(b"\r\n");
        head
    };
    for wrong in [
        &b"$-5\r\n"[..],
        b"$999999999999\r\n",
        b"$x\r\n",
        b":1\r\n",
        b"\r\n",
    ] {
        let answer = |address| {
            let mut client = Client::connect(address);
            send(&client, [&head(6), wrong].concat()).join().unwrap();
            let reply = client.reply();
            assert_eq!(client.try_reply(), None);
            reply.escape_ascii().to_string()
        };
        assert_eq!(
            answer(proxied.address),
            answer(direct),
            "{}",
            wrong.escape_ascii()
        );
    }
    let mut client = proxied.client();
    let over = [
        head(8),
        b"$1\r\ng\r\n$5242880\r\n".to_vec(),
        value(5 * MB),
        b"\r\n$1\r\ni\r\n$3000000\r\n".to_vec(),
        value(3_000_000),
    ];
    let mut writing = client.stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || writing.write_all(&over.concat()));
    assert_eq!(
        String::from_utf8(client.reply()).unwrap(),
        "-TOOBIG the request is over the limit of 12582912 bytes; not executed\r\n"
    );
    assert_eq!(client.try_reply(), None);
    let _ = writer.join().unwrap();
    assert_eq!(proxied.client().text("EXISTS h"), ":0\\r\\n");
    wait_for("nothing to be held", || bytes_held(&proxied) == 0);
}

#[test]
fn a_server_that_takes_no_such_value_says_so_and_nobody_else_is_disturbed() {
    let proxied = Proxied::start();
    assert_eq!(
        proxied.old.client().text("CONFIG SET proto-max-bulk-len 1mb"),
        "+OK\\r\\n"
    );
    let mut other = proxied.client();
    let link = other.text("HELLO 2");
    let requests = [
        set("k", &value(24 * MB)),
        // Held until it is complete.
        set("k", &value(3 * MB)),
        held(24 * MB),
    ];
    for request in requests {
        let mut client = proxied.client();
        let writer = send(&client, request);
        let reply = client.reply();
        assert_eq!(
            reply,
            b"-ERR Protocol error: invalid bulk length\r\n",
            "{}",
            reply.escape_ascii()
        );
        writer.join().unwrap();
        assert_eq!(client.text("SET k v"), "+OK\\r\\n");
    }
    assert_eq!(other.text("HELLO 2"), link);
}

#[test]
fn a_pause_keeps_back_what_is_complete_but_for_its_end() {
    let proxied = Proxied::start();
    let (mut client, rest) = begun(&proxied, Side::Old, "k");
    let mut other = proxied.client();
    let asked = Instant::now();
    assert_eq!(other.text("CLIENT PAUSE 100000 WRITE"), "+OK\\r\\n");
    assert!(
        asked.elapsed() < Duration::from_millis(900),
        "a slow sender was waited for"
    );
    let writer = send(&client, rest);
    wait_for("the client to be paused", || {
        proxied.stats.paused.load(Ordering::Relaxed) == 1
    });
    assert_eq!(other.text("EXISTS k"), ":0\\r\\n");
    assert_eq!(other.text("CLIENT UNPAUSE"), "+OK\\r\\n");
    assert_eq!(client.reply(), b"+OK\r\n");
    writer.join().unwrap();
    assert_eq!(proxied.stats.paused.load(Ordering::Relaxed), 0);
}

#[test]
fn what_a_session_has_set_holds_for_large_values_too() {
    let proxied = Proxied::start();
    let large = value(5 * MB);
    let mut client = proxied.client();
    let batch = [
        encode(&[b"SELECT", b"1"]),
        set("k", &large),
        encode(&[b"MULTI"]),
        set("m", &large),
        encode(&[b"EXEC"]),
        encode(&[b"CLIENT", b"REPLY", b"SKIP"]),
        set("s", &large),
        encode(&[b"WATCH", b"k"]),
        set("w", &large),
        encode(&[b"UNWATCH"]),
        encode(&[b"EXISTS", b"k", b"m", b"s", b"w"]),
    ];
    let writer = send(&client, batch.concat());
    let replies: Vec<u8> = (0..9).flat_map(|_| client.reply()).collect();
    writer.join().unwrap();
    assert_eq!(
        replies.escape_ascii().to_string(),
        "+OK\\r\\n+OK\\r\\n+OK\\r\\n+QUEUED\\r\\n*1\\r\\n+OK\\r\\n+OK\\r\\n+OK\\r\\n+OK\\r\\n:4\\r\\n"
    );
    assert_eq!(proxied.old.client().text("DBSIZE"), ":0\\r\\n");
}

#[test]
fn as_many_are_passed_on_at_once_as_there_is_room_for() {
    let proxied = within(1);
    let (mut first, first_rest) = begun(&proxied, Side::Old, "a");
    let (second, _) = begun(&proxied, Side::Old, "b");
    let mut third = proxied.client();
    let writer = send(&third, set("c", &value(8 * MB)));
    wait_for("the third to wait", || waiting(&proxied) == 1);
    assert_eq!(bytes_held(&proxied), MB);
    send(&first, first_rest).join().unwrap();
    assert_eq!(first.reply(), b"+OK\r\n");
    assert_eq!(third.reply(), b"+OK\r\n");
    writer.join().unwrap();
    drop(second);
    wait_for("nothing to be held", || bytes_held(&proxied) == 0);
    assert_eq!(proxied.client().text("EXISTS a b c"), ":2\\r\\n");
}
