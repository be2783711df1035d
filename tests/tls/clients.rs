//! What does a client see of a listener with TLS?

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use switchback::lab::{Server, ServerOptions, wait_for};

use crate::authority::{Authority, Identity, text};
use crate::parking::parked;
use crate::running::{Running, SOON};
use crate::tls_client::TlsClient;

pub(crate) fn listening(identity: &Identity) -> String {
    format!(
        "[route.tls]\ncert = \"{}\"\nkey = \"{}\"\n",
        text(&identity.cert),
        text(&identity.key)
    )
}

fn begin(authority: &Authority, more: &str) -> (Server, Running) {
    let server = Server::start(&ServerOptions::default()).unwrap();
    let identity = authority.sign("proxy", &["127.0.0.1"]);
    let running = Running::start(
        &format!("redis://{}", server.addr()),
        None,
        &(listening(&identity) + more),
    );
    (server, running)
}

#[test]
fn redis_cli_is_served_as_without() {
    let authority = Authority::new();
    let (_server, running) = begin(&authority, "");
    let output = Command::new("redis-cli")
        .args(["--tls", "--cacert", &text(&authority.ca())])
        .args(["-h", "127.0.0.1", "-p", &running.listen.port.to_string()])
        .args(["-r", "3", "INCR", "n"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n2\n3\n", "{output:?}");
}

#[test]
fn many_commands_in_one_write_are_answered_in_order() {
    let authority = Authority::new();
    let (_server, running) = begin(&authority, "");
    let mut client = TlsClient::connect(&running.listen, &authority, None).unwrap();
    let (mut requests, mut replies) = (Vec::new(), Vec::new());
    for number in 0..20_000 {
        requests.extend_from_slice(format!("*2\r\n$4\r\nECHO\r\n$6\r\n{number:06}\r\n").as_bytes());
        replies.extend_from_slice(format!("$6\r\n{number:06}\r\n").as_bytes());
    }
    client.says(&requests, &replies);
}

#[test]
fn a_large_value_comes_whole_to_who_reads_slowly_and_quits_behind_it() {
    const BYTES: usize = 24 * 1024 * 1024;
    let authority = Authority::new();
    let (_server, running) = begin(&authority, "");
    let mut client = TlsClient::connect(&running.listen, &authority, None).unwrap();
    let value: Vec<u8> = (0..BYTES).map(|at| b'a' + (at / 7 % 26) as u8).collect();
    let head = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${BYTES}\r\n");
    client.says(&[head.as_bytes(), &value, b"\r\n"].concat(), b"+OK\r\n");
    client
        .send(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nQUIT\r\n")
        .unwrap();
    let head = format!("${BYTES}\r\n");
    assert_eq!(client.read(head.len()).unwrap(), head.as_bytes());
    for piece in value.chunks(1024 * 1024) {
        // As if it did something with what it has read: the proxy's socket is full meanwhile.
        std::thread::sleep(Duration::from_millis(5));
        assert!(client.read(piece.len()).unwrap() == piece);
    }
    assert_eq!(client.rest().unwrap(), b"\r\n+OK\r\n");
}

#[test]
fn messages_come_to_a_client_that_says_nothing() {
    let authority = Authority::new();
    let (_server, running) = begin(&authority, "");
    let mut listener = TlsClient::connect(&running.listen, &authority, None).unwrap();
    listener.says(
        b"*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nc\r\n",
        b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n",
    );
    let mut publisher = TlsClient::connect(&running.listen, &authority, None).unwrap();
    for number in 0..1_000 {
        let request = format!("*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$3\r\n{number:03}\r\n");
        publisher.says(request.as_bytes(), b":1\r\n");
        let message = format!("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3\r\n{number:03}\r\n");
        assert_eq!(listener.read(message.len()).unwrap(), message.as_bytes());
    }
}

#[test]
fn a_client_that_was_silent_for_long_is_still_the_one_it_was() {
    let authority = Authority::new();
    let (_server, running) = begin(&authority, "");
    let mut client = TlsClient::connect(&running.listen, &authority, None).unwrap();
    client.says(b"*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$1\r\nn\r\n", b"+OK\r\n");
    let process = running.pid().to_string();
    wait_for("it to be parked", SOON, || parked(&process).len() == 1).unwrap();
    client.says(b"*2\r\n$6\r\nCLIENT\r\n$7\r\nGETNAME\r\n", b"$1\r\nn\r\n");
}

#[test]
fn without_tls_nobody_is_served_and_nobody_else_disturbed() {
    let authority = Authority::new();
    let (_server, running) = begin(&authority, "");
    let mut client = TlsClient::connect(&running.listen, &authority, None).unwrap();
    for nonsense in [
        &b"*1\r\n$4\r\nPING\r\n"[..],
        b"\x16\x03\x01\xff\xff",
        &[0; 70_000],
    ] {
        let mut plain = TcpStream::connect(("127.0.0.1", running.listen.port)).unwrap();
        plain.set_read_timeout(Some(SOON)).unwrap();
        let _ = plain.write_all(nonsense);
        let mut said = Vec::new();
        // Closed, with an alert at most.
        let _ = plain.read_to_end(&mut said);
        assert!(!said.windows(4).any(|word| word == b"PONG"), "{said:?}");
    }
    client.says(b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n");
}

#[test]
fn with_client_ca_only_who_shows_its_certificate_is_served() {
    let (authority, others) = (Authority::new(), Authority::new());
    let more = format!("client_ca = \"{}\"\n", text(&authority.ca()));
    let (_server, running) = begin(&authority, &more);
    let known = authority.sign("app", &["app"]);
    let unknown = others.sign("app", &["app"]);
    let mut client = TlsClient::connect(&running.listen, &authority, Some(&known)).unwrap();
    client.says(b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n");
    for shown in [None, Some(&unknown)] {
        let pong = TlsClient::connect(&running.listen, &authority, shown).and_then(|mut client| {
            client.send(b"*1\r\n$4\r\nPING\r\n")?;
            client.read(7)
        });
        assert!(pong.is_err(), "{pong:?}");
    }
    client.says(b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n");
    let served = || running.status()["clients"] == 1;
    wait_for("nobody else to be counted", SOON, served).unwrap();
}

#[test]
fn who_does_not_finish_its_handshake_is_closed() {
    let authority = Authority::new();
    let (_server, running) = begin(&authority, "");
    let mut slow = TcpStream::connect(("127.0.0.1", running.listen.port)).unwrap();
    slow.set_read_timeout(Some(SOON)).unwrap();
    slow.write_all(b"\x16\x03\x01").unwrap();
    assert_eq!(slow.read(&mut [0; 64]).unwrap(), 0);
    let series = "switchback_clients_closed_total{route=\"r\",reason=\"tls\"}";
    let is_counted = || running.status()["clients"] == 0 && running.metric(series) == Some(1.0);
    wait_for("it to be counted", SOON, is_counted).unwrap();
}
