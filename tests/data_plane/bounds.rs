//! Bad input, large values, slow and vanishing clients.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::atomic::Ordering;

use nix::sys::signal::Signal;
use switchback::cluster::Side;
use switchback::data_plane::bind;
use switchback::limits::SHARE_BYTES_MAX;

use crate::proxied::{Client, Proxied, encode, key_of, wait_for};

#[test]
fn what_one_client_broke_off_is_not_the_beginning_of_another_ones() {
    let proxied = Proxied::of_workers(1, |_| {});
    let mut other = proxied.client();
    for broken in [
        &b"*2\r\n$3\r\nGET\r\n$-5\r\n"[..],
        b"*3\r\n$3\r\nGET\r\n:1\r\n",
        b"GET \"a\r\n",
    ] {
        let mut client = proxied.client();
        client.stream.write_all(broken).unwrap();
        assert!(client.reply().starts_with(b"-ERR Protocol error"));
        assert_eq!(other.text("PING"), "+PONG\\r\\n");
        assert_eq!(proxied.client().text("ECHO hello"), "$5\\r\\nhello\\r\\n");
    }
}

#[test]
fn malformed_requests_get_the_answer_of_redis_and_harm_nobody() {
    let proxied = Proxied::start();
    let mut bystander = proxied.client();
    let direct = std::net::SocketAddr::from(([127, 0, 0, 1], proxied.old.port));
    let nested = b"*1\r\n".repeat(100_000);
    let cases: [&[u8]; 21] = [
        b"*x\r\n",
        b"*1\r\n$-2\r\n",
        b"*1\r\n$1073741824\r\n",
        b"*2\r\n$3\r\nGET\r\n:1\r\n",
        b"*99999999999\r\n",
        // Forwarded, these would have Redis close the link that others share.
        b"*02\r\n$3\r\nGET\r\n$1\r\nk\r\n",
        b"*2\r\n$3\r\nGET\r\n$01\r\nk\r\n",
        b"*2\r\n$4\r\nECHO\r\n$-0\r\n\r\n",
        b"GET \"unbalanced\r\n",
        b"PING\r\n*1\r\n$x\r\n",
        b"*-1\r\n*0\r\n\r\nPING\r\nQUIT\r\n",
        b"*1\r\n$04\r\nPING\r\n",
        b"*01\r\n$4\r\nPING\r\n",
        b"*-0\r\n",
        b"*1\r\n'\r\n",
        b"*1\r\n\xff\r\n",
        b"*1\r\n\r\n",
        b"Host: example\r\nPING\r\n",
        b"*2\r\n$6\r\npost\0x\r\n$1\r\n/\r\n",
        b"SET \"a\"b c\r\n",
        &nested,
    ];
    // Its id there tells one connection from another: malformed bytes must not reach it.
    let link = bystander.text("HELLO 2");
    for case in cases.into_iter().cycle().take(cases.len() * 3) {
        let answer = |address| {
            let mut client = Client::connect(address);
            let _ = client.stream.write_all(case);
            let mut all = Vec::new();
            let kept_open = client.stream.read_to_end(&mut all).is_err_and(|error| {
                matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                )
            });
            assert!(!kept_open, "neither answered nor closed");
            all.escape_ascii().to_string()
        };
        let shown = case[..case.len().min(40)].escape_ascii();
        assert_eq!(answer(proxied.address), answer(direct), "{shown}");
    }
    assert_eq!(bystander.text("HELLO 2"), link);
    assert_eq!(bystander.text("PING"), "+PONG\\r\\n");
    wait_for("the malformed clients to be gone", || proxied.clients() == 1);
}

#[test]
fn a_count_redis_would_accept_but_nobody_sends_is_refused() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    client.stream.write_all(b"*2147483647\r\n").unwrap();
    assert_eq!(
        client.reply(),
        b"-ERR Protocol error: invalid multibulk length\r\n"
    );
    assert_eq!(client.try_reply(), None);
}

#[test]
fn a_value_of_64_megabytes_passes_and_does_not_keep_others_waiting() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    let value: Vec<u8> = (0..64 * 1024 * 1024u32).map(|n| (n % 251) as u8).collect();
    assert_eq!(client.call(&[b"SET", b"big", &value]), b"+OK\r\n");
    client.send(&[b"GET", b"big"]);
    // Its reply is not read yet: another client's commands go on.
    let mut other = proxied.client();
    for _ in 0..100 {
        assert_eq!(other.text("PING"), "+PONG\\r\\n");
    }
    let reply = client.reply();
    assert_eq!(reply.len(), value.len() + b"$67108864\r\n\r\n".len());
    assert!(reply[11..].starts_with(&value));
    assert_eq!(client.text("STRLEN big"), ":67108864\\r\\n");
}

#[test]
fn a_value_too_large_for_the_server_costs_nobody_else_their_link() {
    let proxied = Proxied::start();
    let mut direct = proxied.old.client();
    assert_eq!(direct.text("CONFIG SET proto-max-bulk-len 1mb"), "+OK\\r\\n");
    let mut bystanders: Vec<Client> = (0..8).map(|_| proxied.client()).collect();
    let links: Vec<String> = bystanders
        .iter_mut()
        .map(|client| client.text("HELLO 2"))
        .collect();
    for bystander in &mut bystanders {
        let mut client = proxied.client();
        assert_eq!(
            client.call(&[b"SET", b"k", &vec![b'v'; 1024 * 1024 + 1]]),
            b"-ERR Protocol error: invalid bulk length\r\n"
        );
        assert_eq!(client.text("SET k v"), "+OK\\r\\n");
        assert_eq!(bystander.text("GET k"), "$1\\r\\nv\\r\\n");
    }
    for (client, link) in bystanders.iter_mut().zip(links) {
        assert_eq!(client.text("HELLO 2"), link);
    }
}

#[test]
fn large_and_small_requests_of_one_client_keep_their_order() {
    let proxied = Proxied::start();
    proxied.weight(50);
    let mut client = proxied.client();
    let keys = [Side::Old, Side::New].map(|side| key_of(side, 0));
    let [a, b] = [keys[0].as_bytes(), keys[1].as_bytes()];
    let large = vec![b'l'; 700_000];
    let mut batch = Vec::new();
    let mut expected = Vec::new();
    for round in 0..10u32 {
        let number = round.to_string();
        let number = number.as_bytes();
        for key in [a, b] {
            batch.extend(encode(&[b"SET", key, &large]));
            batch.extend(encode(&[b"APPEND", key, number]));
            batch.extend(encode(&[b"STRLEN", key]));
            expected.extend_from_slice(b"+OK\r\n:700001\r\n:700001\r\n");
        }
        batch.extend(encode(&[b"MSET", a, &large, b, b"s"]));
        batch.extend(encode(&[b"MULTI"]));
        batch.extend(encode(&[b"SET", b, &large]));
        batch.extend(encode(&[b"STRLEN", b]));
        batch.extend(encode(&[b"EXEC"]));
        batch.extend(encode(&[b"STRLEN", a]));
        batch.extend(encode(&[b"EXISTS", b, a]));
        expected.extend_from_slice(
            b"+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:700000\r\n:700000\r\n:2\r\n",
        );
    }
    let mut writing = client.stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || writing.write_all(&batch).unwrap());
    let mut got = vec![0; expected.len()];
    client.stream.read_exact(&mut got).unwrap();
    assert_eq!(
        got.escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
    writer.join().unwrap();
}

#[test]
fn a_request_over_the_limit_is_refused_at_the_limit_and_passes_below_it() {
    let proxied = Proxied::with(|config| config.limits.request_bytes = 1_000);
    let mut client = proxied.client();
    assert_eq!(client.call(&[b"SET", b"k", &[b'x'; 900]]), b"+OK\r\n");
    assert_eq!(
        client.call(&[b"SET", b"k", &[b'x'; 1_001]]),
        b"-ERR Protocol error: invalid bulk length\r\n"
    );
    let mut client = proxied.client();
    let many: Vec<&[u8]> = std::iter::once(&b"DEL"[..])
        .chain(std::iter::repeat_n(&b"key"[..], 500))
        .collect();
    client.stream.write_all(&encode(&many)[..2_000]).unwrap();
    let reply = String::from_utf8(client.reply()).unwrap();
    assert_eq!(
        reply,
        "-TOOBIG the request is over the limit of 1000 bytes; not executed\r\n"
    );
    assert_eq!(client.try_reply(), None);
}

#[test]
fn a_pipeline_of_a_hundred_thousand_is_answered_in_order() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    let mut writing = client.stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        for number in 0..100_000 {
            writing
                .write_all(&encode(&[b"ECHO", format!("{number:06}").as_bytes()]))
                .unwrap();
        }
    });
    for number in 0..100_000 {
        assert_eq!(client.reply(), format!("$6\r\n{number:06}\r\n").into_bytes());
    }
    writer.join().unwrap();
}

#[test]
fn a_client_that_writes_everything_before_it_reads_is_served() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    assert_eq!(client.call(&[b"SET", b"k", &[b'v'; 1_000]]), b"+OK\r\n");
    let batch = encode(&[b"GET", b"k"]).repeat(50_000);
    client.stream.write_all(&batch).unwrap();
    for _ in 0..50_000 {
        assert_eq!(client.reply().len(), 1_009);
    }
}

#[test]
fn a_half_closed_client_gets_all_its_answers() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    client
        .stream
        .write_all(&encode(&[b"PING"]).repeat(1_000))
        .unwrap();
    client.stream.shutdown(Shutdown::Write).unwrap();
    let mut all = Vec::new();
    client.stream.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"+PONG\r\n".repeat(1_000));
}

#[test]
fn clients_that_vanish_mid_value_leave_nothing_behind() {
    let proxied = Proxied::start();
    for _ in 0..50 {
        let mut client = proxied.client();
        client
            .stream
            .write_all(b"*3\r\n$3\r\nSET\r\n$1\r\nv\r\n$1000000\r\nhalf")
            .unwrap();
    }
    wait_for("the clients to be gone", || proxied.clients() == 0);
    assert_eq!(proxied.client().text("EXISTS v"), ":0\\r\\n");
}

#[test]
fn one_client_too_many_is_told_as_by_redis() {
    let proxied = Proxied::with(|config| config.limits.clients = 2);
    let (mut first, mut second) = (proxied.client(), proxied.client());
    assert_eq!(first.text("PING"), "+PONG\\r\\n");
    assert_eq!(second.text("PING"), "+PONG\\r\\n");
    let mut third = proxied.client();
    assert_eq!(third.reply(), b"-ERR max number of clients reached\r\n");
    assert_eq!(third.try_reply(), None);
    drop(first);
    wait_for("the place to be free", || proxied.clients() == 1);
    assert_eq!(proxied.client().text("PING"), "+PONG\\r\\n");
}

#[test]
fn a_reader_too_slow_for_its_output_buffer_is_closed_and_nobody_else() {
    let proxied = Proxied::with(|config| config.limits.output_buffer_bytes = 4 * 1024 * 1024);
    let mut bystander = proxied.client();
    let mut slow = proxied.client();
    assert_eq!(slow.call(&[b"SET", b"k", &vec![b'v'; 1024 * 1024]]), b"+OK\r\n");
    slow.stream
        .write_all(&encode(&[b"GET", b"k"]).repeat(200))
        .unwrap();
    wait_for("the slow client to be closed", || proxied.clients() == 1);
    assert_eq!(bystander.text("PING"), "+PONG\\r\\n");
}

#[test]
fn a_script_may_return_the_words_of_a_demoted_node() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    let script = b"return redis.error_reply('READONLY it says')";
    assert_eq!(client.call(&[b"EVAL", script, b"0"]), b"-READONLY it says\r\n");
    assert_eq!(client.text("PING"), "+PONG\\r\\n");
}

#[test]
fn an_address_in_use_is_told_and_whoever_uses_it_keeps_all_its_clients() {
    let proxied = Proxied::start();
    for workers in [1, 4] {
        let error = bind("second", proxied.address, workers).unwrap_err().to_string();
        let expected = format!(
            "route 'second' cannot listen on {}: Address already in use",
            proxied.address
        );
        assert!(error.starts_with(&expected), "{error}");
        for _ in 0..50 {
            assert_eq!(proxied.client().text("PING"), "+PONG\\r\\n");
        }
    }
}

#[test]
fn a_client_that_resets_its_connection_leaves_no_trace_in_anothers_replies() {
    let proxied = Proxied::start();
    let mut bystanders: Vec<Client> = (0..4).map(|_| proxied.client()).collect();
    for round in 0..20 {
        let mut client = proxied.client();
        client.send(&[b"BLPOP", b"nothing", b"0.01"]);
        client
            .stream
            .write_all(&encode(&[b"ECHO", b"theirs"]).repeat(500))
            .unwrap();
        let socket = socket2::SockRef::from(&client.stream);
        socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(client);
        for bystander in &mut bystanders {
            let mine = format!("mine {round}");
            let expected = format!("${}\r\n{mine}\r\n", mine.len());
            assert_eq!(bystander.call(&[b"ECHO", mine.as_bytes()]), expected.into_bytes());
        }
    }
    wait_for("the clients to be gone", || proxied.clients() == bystanders.len());
}

#[test]
fn what_comes_behind_quit_is_not_executed() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    let batch = [&b"SET"[..], b"before", b"1"];
    let after = [&b"SET"[..], b"after", b"1"];
    client
        .stream
        .write_all(&[encode(&batch), encode(&[b"QUIT"]), encode(&after)].concat())
        .unwrap();
    let mut replies = Vec::new();
    client.stream.read_to_end(&mut replies).unwrap();
    assert_eq!(replies, b"+OK\r\n+OK\r\n");
    assert_eq!(proxied.client().text("EXISTS before after"), ":1\\r\\n");
}

/// However much a client asks for, what others ask for next waits for its share alone.
#[test]
fn of_what_one_client_pipelines_others_wait_for_half_a_megabyte_at_most() {
    const BYTES: usize = 64 << 10;
    let proxied = Proxied::of_workers(1, |_| {});
    let (mut greedy, mut other) = (proxied.client(), proxied.client());
    let value = vec![b'x'; BYTES];
    assert_eq!(greedy.call(&[b"SET", b"large", &value]), b"+OK\r\n");
    let large = greedy.call(&[b"GET", b"large"]);
    assert_eq!(other.text("PING"), "+PONG\\r\\n");
    // Counted some time after they have left.
    let sent = || proxied.stats.commands[Side::Old.index()].load(Ordering::Relaxed);
    let before = 3;
    wait_for("what came before to be counted", || sent() == before);
    proxied.old.signal(Signal::SIGSTOP);
    let request = encode(&[b"GET", b"large"]);
    greedy.stream.write_all(&request.repeat(100)).unwrap();
    let share = SHARE_BYTES_MAX.div_ceil(large.len() as u64);
    wait_for("its share to leave", || sent() >= before + share);
    other.send(&[b"GET", b"n"]);
    wait_for("the other's to leave", || sent() > before + share);
    assert_eq!(sent(), before + share + 1);
    proxied.old.signal(Signal::SIGCONT);
    assert_eq!(other.reply(), b"$-1\r\n");
    (0..100).for_each(|_| assert_eq!(greedy.reply(), large));
}
