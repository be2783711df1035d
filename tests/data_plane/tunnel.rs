//! A client that wants a replica's stream has a connection of its own to the master.

use std::io::Read;

use switchback::cluster::Side;

use crate::proxied::{Client, Proxied, Server, key_of, wait_for};

fn allowing() -> Proxied {
    Proxied::with(|config| config.allow = vec!["psync", "replconf", "sync"])
}

fn replicas_of(server: &Server) -> usize {
    let list = server.client().text("CLIENT LIST TYPE replica");
    list.matches("id=").count()
}

/// Reads until the connection ends.
fn rest(client: &mut Client) -> usize {
    let (mut count, mut chunk) = (0, vec![0; 256 * 1024]);
    loop {
        match client.stream.read(&mut chunk) {
            Ok(0) | Err(_) => return count,
            Ok(more) => count += more,
        }
    }
}

#[test]
fn a_server_replicates_through_the_proxy_and_from_the_other_side_when_the_weight_has_moved() {
    let proxied = allowing();
    let port = proxied.address.port().to_string();
    let replica = Server::start_with(&["--replicaof", "127.0.0.1", &port]);
    let (mut client, mut on_replica) = (proxied.client(), replica.client());
    assert_eq!(client.text("SET a 1"), "+OK\\r\\n");
    wait_for("the first sync", || on_replica.text("GET a") == "$1\\r\\n1\\r\\n");
    assert_eq!(client.text("SET a 2"), "+OK\\r\\n");
    wait_for("the stream", || on_replica.text("GET a") == "$1\\r\\n2\\r\\n");
    let info = proxied.old.client().text("INFO replication");
    assert!(info.contains(&format!("port={}", replica.port)), "{info}");
    let seen = client.text("CLIENT LIST TYPE replica");
    assert!(
        seen.contains("flags=S") && seen.contains("cmd=replconf"),
        "{seen}"
    );
    assert_eq!(client.text("CLIENT LIST TYPE master"), "$0\\r\\n\\r\\n");
    assert_eq!(client.text("WAIT 1 5000"), ":1\\r\\n");

    proxied.new.client().text("SET b new");
    proxied.weight(50);
    wait_for("its end between weights", || replicas_of(&proxied.old) == 0);
    let refused = client.text("SYNC");
    assert!(refused.contains("while two masters share the keys"), "{refused}");
    proxied.weight(100);
    wait_for("new's data", || on_replica.text("GET b") == "$3\\r\\nnew\\r\\n");
    assert_eq!(on_replica.text("GET a"), "$-1\\r\\n");
    let successor = Server::start();
    successor.client().text("SET b successor");
    proxied.master(Side::New, Some(&successor));
    wait_for("the next master's data", || {
        on_replica.text("GET b") == "$9\\r\\nsuccessor\\r\\n"
    });
    assert_eq!(replicas_of(&proxied.new), 0);
    let before = proxied.clients();
    assert_eq!(on_replica.text("REPLICAOF NO ONE"), "+OK\\r\\n");
    wait_for("it to be gone", || {
        replicas_of(&successor) == 0 && proxied.clients() == before - 1
    });
}

#[test]
fn a_stream_that_is_not_read_waits_on_the_master() {
    const WRITTEN: usize = 48 << 20;
    let proxied = allowing();
    let mut slow = proxied.client();
    slow.send(&[b"SYNC"]);
    wait_for("its sync", || {
        let info = proxied.old.client().text("INFO replication");
        info.contains("state=online") || info.contains("state=send_bulk")
    });
    let mut client = proxied.client();
    for _ in 0..WRITTEN >> 20 {
        assert_eq!(client.call(&[b"SET", b"a", &vec![b'x'; 1 << 20]]), b"+OK\r\n");
    }
    let waiting = || {
        let list = proxied.old.client().text("CLIENT LIST TYPE replica");
        let bytes = list
            .split(" omem=")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        bytes.unwrap().parse::<usize>().unwrap()
    };
    let held = waiting();
    assert!(held > WRITTEN / 2, "{held}");
    assert_eq!(client.text("PING"), "+PONG\\r\\n");
    slow.stream.read_exact(&mut vec![0; WRITTEN]).unwrap();
    let reader = std::thread::spawn(move || rest(&mut slow));
    wait_for("all of it to have left", || waiting() < 1 << 20);
    assert_eq!(client.text("CLIENT KILL TYPE replica"), ":1\\r\\n");
    reader.join().unwrap();
    wait_for("its end", || replicas_of(&proxied.old) == 0);
}

#[test]
fn what_a_client_sends_behind_its_sync_is_the_masters_to_read() {
    let proxied = allowing();
    let mut client = proxied.client();
    let key = key_of(Side::Old, 0);
    let requests = [
        &b"PING\r\nREPLCONF listening-port 1234\r\nREPLCONF nonsense\r\nSET "[..],
        key.as_bytes(),
        b" v\r\n*1\r\n$4\r\nPI",
    ];
    std::io::Write::write_all(&mut client.stream, &requests.concat()).unwrap();
    assert_eq!(client.reply(), b"+PONG\r\n");
    assert_eq!(client.reply(), b"+OK\r\n");
    assert_eq!(client.reply(), b"-ERR syntax error\r\n");
    assert_eq!(client.reply(), b"+OK\r\n");
    std::io::Write::write_all(&mut client.stream, b"NG\r\n").unwrap();
    assert_eq!(client.reply(), b"+PONG\r\n");
    assert_eq!(proxied.client().text(&format!("GET {key}")), "$1\\r\\nv\\r\\n");
}

#[test]
fn nobody_has_a_stream_unasked() {
    let proxied = Proxied::start();
    let mut client = proxied.client();
    for request in ["SYNC", "PSYNC ? -1", "REPLCONF capa eof"] {
        let refused = client.text(request);
        assert!(refused.contains("is not supported by switchback"), "{refused}");
    }
    let proxied = Proxied::with(|config| config.allow = vec!["replconf"]);
    let mut client = proxied.client();
    assert_eq!(client.text("REPLCONF capa eof"), "+OK\\r\\n");
    assert!(client.text("SYNC").contains("is not supported by switchback"));
    assert_eq!(replicas_of(&proxied.old), 0);
}
