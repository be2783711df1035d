//! Is the proxy, at 0 and at 100, to be told from the server behind it?

// Clippy knows functions that are tests, not the functions those are made of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../data_plane/proxied.rs"]
#[allow(
    dead_code,
    reason = "made for the data plane's tests, of which this needs a part"
)]
mod proxied;

mod differences;
#[path = "../support/words.rs"]
mod words;

use std::io::{Read, Write};

use proxied::{Client, Proxied, Server};
use words::request;

const SCRIPT: &str = include_str!("script.txt");

/// One line of the script.
struct Line {
    text: &'static str,
    bytes: Vec<u8>,
}

fn script() -> Vec<Line> {
    let lines = SCRIPT
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parsed = |text: &'static str| {
        let bytes = match text.strip_prefix('!') {
            Some(inline) => format!("{inline}\r\n").into_bytes(),
            None => request(text),
        };
        Line { text, bytes }
    };
    lines.map(parsed).collect()
}

/// Long replies are shown in part.
fn shown(reply: &[u8]) -> String {
    reply[..reply.len().min(2_000)].escape_ascii().to_string()
}

#[test]
fn each_command_of_a_long_script_has_the_reply_of_a_server_at_0_and_at_100() {
    for (weight, protocol) in [(0, "2"), (100, "2"), (0, "3"), (100, "3")] {
        compare(weight, &[], &format!("HELLO {protocol}"));
    }
}

#[test]
fn each_command_of_a_long_script_has_the_reply_of_a_server_that_asks_for_a_password() {
    let password = "CONFIG SET requirepass secret";
    for (weight, protocol) in [(0, "2"), (100, "3")] {
        compare(
            weight,
            &[password],
            &format!("HELLO {protocol} AUTH default secret"),
        );
    }
}

#[test]
fn each_command_of_a_long_script_has_the_reply_of_a_server_for_a_user_too() {
    let user = "ACL SETUSER alice on >secret ~* &* +@all";
    for (weight, protocol) in [(0, "3"), (100, "2")] {
        compare(weight, &[user], &format!("HELLO {protocol} AUTH alice secret"));
    }
}

/// Runs the script. `first` is said to every server, `hello` by every client and again when RESET has made it nobody.
fn compare(weight: u16, first: &[&str], hello: &str) {
    let script = script();
    assert!(script.len() >= 300, "{} commands", script.len());
    let direct = Server::start();
    let proxied = Proxied::start();
    for server in [&direct, &proxied.old, &proxied.new] {
        let mut client = server.client();
        for line in first {
            assert_eq!(client.text(line), "+OK\\r\\n", "{line}");
        }
    }
    proxied.weight(weight);
    let (mut there, mut here) = (direct.client(), proxied.client());
    let greet = |client: &mut Client| assert!(client.text(hello).contains("standalone"), "{hello}");
    greet(&mut there);
    greet(&mut here);
    // It tells ports and ages once a password was wrong.
    let is_compared = |line: &&Line| first.is_empty() || line.text != "ACL LOG";
    for line in script.iter().filter(is_compared) {
        let expected = ask(&mut there, &line.bytes);
        let got = ask(&mut here, &line.bytes);
        assert!(
            got == expected,
            "at {weight}, {hello}: {}\n  direct:  {}\n  proxied: {}",
            line.text,
            shown(&expected),
            shown(&got)
        );
        if expected == b"+RESET\r\n" && !first.is_empty() {
            greet(&mut there);
            greet(&mut here);
        }
    }
    assert_eq!(there.try_reply(), None, "closed by QUIT");
    assert_eq!(here.try_reply(), None, "closed by QUIT");
}

fn ask(client: &mut Client, request: &[u8]) -> Vec<u8> {
    client.stream.write_all(request).unwrap();
    client.reply()
}

#[test]
fn the_same_script_in_one_pipeline_has_the_same_replies() {
    let all: Vec<u8> = script().into_iter().flat_map(|line| line.bytes).collect();
    let answers = |mut client: Client| {
        let mut writing = client.stream.try_clone().unwrap();
        let all = all.clone();
        let writer = std::thread::spawn(move || writing.write_all(&all).unwrap());
        let mut replies = Vec::new();
        client.stream.read_to_end(&mut replies).unwrap();
        writer.join().unwrap();
        replies
    };
    let direct = Server::start();
    let expected = answers(direct.client());
    assert!(
        expected.ends_with(b"+OK\r\n:0\r\n+OK\r\n"),
        "FLUSHALL, DBSIZE, QUIT"
    );
    for weight in [0, 100] {
        let proxied = Proxied::start();
        proxied.weight(weight);
        let got = answers(proxied.client());
        let same = got.iter().zip(&expected).take_while(|(a, b)| a == b).count();
        let around = |bytes: &[u8]| shown(&bytes[same.saturating_sub(200)..bytes.len().min(same + 200)]);
        assert!(
            got == expected,
            "at {weight}, byte {same}\n  direct:  {}\n  proxied: {}",
            around(&expected),
            around(&got)
        );
    }
}

#[test]
fn a_value_of_64_megabytes_comes_back_as_from_a_server() {
    let value: Vec<u8> = (0..64 * 1024 * 1024u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let requests: [&[&[u8]]; 7] = [
        &[b"SET", b"big", &value],
        &[b"GET", b"big"],
        &[b"APPEND", b"big", b"tail"],
        &[b"GETRANGE", b"big", b"67108000", b"-1"],
        &[b"MGET", b"big", b"nothing"],
        &[b"HSET", b"h", b"f", &value],
        &[b"HGETALL", b"h"],
    ];
    let direct = Server::start();
    let mut there = direct.client();
    for weight in [0, 100] {
        let proxied = Proxied::start();
        proxied.weight(weight);
        let mut here = proxied.client();
        assert_eq!(there.text("FLUSHALL"), here.text("FLUSHALL"));
        for words in requests {
            assert!(
                here.call(words) == there.call(words),
                "{}",
                words[0].escape_ascii()
            );
        }
    }
}

#[test]
fn every_documented_difference_is_one_and_is_worded_as_documented() {
    for weight in [0, 100] {
        let direct = Server::start();
        // Numbers of clients must not agree by accident.
        (0..200).for_each(|_| drop(direct.client()));
        let proxied = Proxied::start();
        proxied.weight(weight);
        for difference in differences::DIFFERENCES {
            let last_reply = |mut client: Client| {
                let replies = difference
                    .lines
                    .iter()
                    .map(|line| ask(&mut client, &request(line)));
                replies.last().unwrap().escape_ascii().to_string()
            };
            let (there, here) = (last_reply(direct.client()), last_reply(proxied.client()));
            let of = difference.lines.join(", ");
            assert_ne!(there, here, "{of}: no difference; take it off the list");
            assert!(here.contains(difference.proxied), "{of}: {here}");
        }
    }
}

#[test]
fn what_only_the_proxy_bounds_is_told() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    let name = [b'n'; 1_025];
    assert_eq!(client.call(&[b"CLIENT", b"SETNAME", &name[1..]]), b"+OK\r\n");
    assert_eq!(
        client.call(&[b"CLIENT", b"SETNAME", &name]),
        b"-TOOBIG the client name is over the limit of 1024 bytes; not executed\r\n"
    );
    client.stream.write_all(b"*1048577\r\n").unwrap();
    assert_eq!(
        client.reply(),
        b"-ERR Protocol error: invalid multibulk length\r\n"
    );
    assert_eq!(client.try_reply(), None);
}
