//! What becomes of clients that take more than a route's limits let them, of time or of anything else?

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use switchback::cluster::{Credentials, Secret};
use switchback::config::{Patience, Unauthenticated};
use switchback::stats::Closed;

use crate::parking::parked;
use crate::proxied::{Client, Proxied, wait_for};

/// Longer than a client is left its session.
const BEYOND_PARKING: Duration = Duration::from_secs(8);

fn patient(patience: Patience) -> Proxied {
    Proxied::with(|config| config.limits.patience = patience)
}

fn closed(proxied: &Proxied, why: Closed) -> u64 {
    proxied.stats.closed[why as usize].load(Ordering::Relaxed)
}

/// Everything that comes until the end.
fn last_words(client: &mut Client) -> String {
    String::from_utf8(client.rest()).unwrap()
}

#[test]
fn an_address_has_its_share_of_clients_and_others_come_in() {
    let proxied = Proxied::with(|config| config.limits.clients_per_address = 2);
    let mut first = proxied.client();
    let mut second = proxied.client();
    assert_eq!(first.text("PING"), "+PONG\\r\\n");
    assert_eq!(second.text("PING"), "+PONG\\r\\n");
    let refusal = "-ERR max number of clients of one address reached: 2 (clients_per_address)\r\n";
    assert_eq!(last_words(&mut proxied.client()), refusal);
    assert_eq!(closed(&proxied, Closed::Address), 1);
    let elsewhere = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    elsewhere
        .bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into())
        .unwrap();
    elsewhere.connect(&proxied.address.into()).unwrap();
    let mut elsewhere = TcpStream::from(elsewhere);
    elsewhere.write_all(b"PING\r\n").unwrap();
    let mut pong = [0; 7];
    elsewhere.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"+PONG\r\n");
    drop(second);
    wait_for("its place to be free", || proxied.clients() == 2);
    assert_eq!(proxied.client().text("PING"), "+PONG\\r\\n");
}

#[test]
fn a_command_has_as_many_keys_as_it_may_and_not_one_more() {
    let proxied = Proxied::with(|config| config.limits.keys_per_command = 3);
    for weight in [0, 50, 100] {
        proxied.weight(weight);
        let mut client = proxied.client();
        let refusal = "-TOOBIG the 4 keys of this command are over the limit of 3 (keys_per_command); not executed\\r\\n";
        assert_eq!(client.text("MSET a 1 b 2 c 3"), "+OK\\r\\n");
        assert_eq!(client.text("MSET a 1 b 2 c 3 d 4"), refusal);
        assert_eq!(client.text("EXISTS a b c"), ":3\\r\\n");
        assert_eq!(client.text("DEL a b c d"), refusal);
        // Words that are no keys are none.
        assert_eq!(client.text("RPUSH l 1 2 3 4 5 6 7"), ":7\\r\\n");
        assert_eq!(client.text("MULTI"), "+OK\\r\\n");
        assert_eq!(client.text("UNLINK {a}1 {a}2 {a}3 {a}4"), refusal);
        assert!(client.text("EXEC").starts_with("-EXECABORT"));
        assert_eq!(client.text("DEL a b c"), ":3\\r\\n");
        assert_eq!(client.text("DEL l"), ":1\\r\\n");
    }
}

#[test]
fn who_sends_no_whole_request_in_time_is_told_and_closed() {
    let within = Duration::from_secs(2);
    let proxied = patient(Patience {
        first_request: within,
        ..Patience::default()
    });
    let began = Instant::now();
    let mut good = proxied.client();
    assert_eq!(good.text("PING"), "+PONG\\r\\n");
    let mut silent = proxied.client();
    let mut drop_by_drop = proxied.client();
    for byte in b"*1\r\n$4\r\n" {
        drop_by_drop.stream.write_all(&[*byte]).unwrap();
    }
    let told = "-ERR closed: no request within 2s\r\n";
    assert_eq!(last_words(&mut silent), told);
    assert_eq!(last_words(&mut drop_by_drop), told);
    assert!(began.elapsed() >= within);
    assert_eq!(good.text("PING"), "+PONG\\r\\n");
    wait_for("their places to be free", || proxied.clients() == 1);
    assert_eq!(closed(&proxied, Closed::Late), 2);
}

#[test]
fn who_does_not_authenticate_in_time_is_told_and_closed() {
    let proxied = Proxied::with(|config| {
        config.limits.patience.auth = Duration::from_secs(2);
        config.unauthenticated = Unauthenticated::Default;
        let credentials = Credentials {
            user: None,
            password: Secret::new("any"),
        };
        config.old.node_auth = Some(credentials.clone());
        config.new.as_mut().unwrap().node_auth = Some(credentials);
    });
    for server in [&proxied.old, &proxied.new] {
        assert_eq!(server.client().text("CONFIG SET requirepass any"), "+OK\\r\\n");
    }
    let mut good = proxied.client();
    assert_eq!(good.text("AUTH any"), "+OK\\r\\n");
    let mut outside = proxied.client();
    assert!(outside.text("GET k").starts_with("-NOAUTH"));
    assert_eq!(
        last_words(&mut outside),
        "-ERR closed: not authenticated within 2s\r\n"
    );
    assert_eq!(good.text("GET k"), "$-1\\r\\n");
}

#[test]
fn who_is_silent_for_too_long_is_closed_unless_it_listens_or_waits() {
    let proxied = patient(Patience {
        idle: Duration::from_secs(2),
        ..Patience::default()
    });
    let mut listener = proxied.client();
    assert!(listener.text("SUBSCRIBE c").starts_with("*3"));
    let mut waiting = proxied.client();
    waiting.send(&[b"BLPOP", b"l", b"0"]);
    let mut monitor = proxied.client();
    assert_eq!(monitor.text("MONITOR"), "+OK\\r\\n");
    let mut idle = proxied.client();
    assert_eq!(idle.text("PING"), "+PONG\\r\\n");
    let mut never = proxied.client();
    assert_eq!(last_words(&mut idle), "");
    assert_eq!(last_words(&mut never), "");
    wait_for("their places to be free", || proxied.clients() == 3);
    assert_eq!(closed(&proxied, Closed::Idle), 2);
    let mut busy = proxied.client();
    assert_eq!(busy.text("RPUSH l x"), ":1\\r\\n");
    assert_eq!(busy.text("PUBLISH c m"), ":1\\r\\n");
    assert_eq!(waiting.reply(), b"*2\r\n$1\r\nl\r\n$1\r\nx\r\n");
    assert_eq!(listener.reply(), b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n");
}

#[test]
fn a_parked_client_is_late_as_any_other() {
    let proxied = patient(Patience {
        first_request: BEYOND_PARKING,
        // Or it would have to go before it could be told.
        idle: BEYOND_PARKING + Duration::from_secs(2),
        ..Patience::default()
    });
    let mut silent = proxied.client();
    let mut idle = proxied.client();
    assert_eq!(idle.text("PING"), "+PONG\\r\\n");
    wait_for("both to be parked", || parked("self").len() == 2);
    assert_eq!(last_words(&mut silent), "-ERR closed: no request within 8s\r\n");
    assert_eq!(last_words(&mut idle), "");
    wait_for("their places to be free", || proxied.clients() == 0);
    assert_eq!(
        [Closed::Late, Closed::Idle].map(|why| closed(&proxied, why)),
        [1, 1]
    );
}
