//! From when on may messages have been missed? A node whose answers come late, as over a link that is too narrow.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use switchback::cluster::{NodeAddr, Side};

use crate::proxied::{Client, Proxied, Server, wait_for};

const MESSAGE: &[u8] = b"*3\r\n$7\r\nmessage\r\n";

/// What a node says to its subscribers, held up on the way.
#[derive(Default)]
struct Held {
    is_on: AtomicBool,
    /// What has not been passed on yet, and to whom it goes.
    waiting: Mutex<Vec<(TcpStream, Vec<u8>)>>,
}

impl Held {
    /// The first byte of what waits comes through, and then the connections end.
    fn end_after_a_byte(&self) {
        for (stream, bytes) in self.waiting.lock().unwrap().drain(..) {
            (&stream).write_all(&bytes[..1]).unwrap();
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Stands before `server`, and holds its messages up while `held` is on.
fn stand_before(server: &Server) -> (NodeAddr, Arc<Held>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let node = NodeAddr::new("127.0.0.1", listener.local_addr().unwrap().port());
    let (held, port) = (Arc::<Held>::default(), server.port);
    let shared = Arc::clone(&held);
    std::thread::spawn(move || {
        for proxy in listener.incoming() {
            let proxy = proxy.unwrap();
            let Ok(node) = TcpStream::connect(("127.0.0.1", port)) else {
                return;
            };
            let (from, to) = (proxy.try_clone().unwrap(), node.try_clone().unwrap());
            std::thread::spawn(move || pass_on(from, &to, None));
            let held = Arc::clone(&shared);
            std::thread::spawn(move || pass_on(node, &proxy, Some(&held)));
        }
    });
    (node, held)
}

/// Passes bytes on until an end; what has a message in it is held up where `held` says so.
fn pass_on(mut from: TcpStream, mut to: &TcpStream, held: Option<&Held>) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let came = &bytes[..count];
        let is_message = came.windows(MESSAGE.len()).any(|bytes| bytes == MESSAGE);
        match held.filter(|held| is_message && held.is_on.load(Ordering::Relaxed)) {
            Some(held) => {
                let kept = (to.try_clone().unwrap(), came.to_vec());
                held.waiting.lock().unwrap().push(kept);
                // All that follows waits behind it.
                return;
            }
            None if to.write_all(came).is_err() => return,
            None => {}
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// One who listens for news and for gaps.
fn listener(proxied: &Proxied) -> Client {
    let mut client = proxied.client();
    for channel in ["news", "__switchback:gap"] {
        client.text(&format!("SUBSCRIBE {channel}"));
    }
    client
}

/// The same through something that holds up what its node tells, from now on.
fn held_up() -> (Proxied, Client, Arc<Held>) {
    let proxied = Proxied::start();
    let (node, held) = stand_before(&proxied.old);
    proxied.publish(|snapshot| snapshot.old.master = Some(Arc::new(node)));
    let client = listener(&proxied);
    held.is_on.store(true, Ordering::Relaxed);
    (proxied, client, held)
}

#[test]
fn a_gap_begins_when_all_had_certainly_been_heard_not_when_the_last_byte_came() {
    let (proxied, mut client, held) = held_up();
    assert_eq!(proxied.old.client().text("PUBLISH news lost"), ":1\\r\\n");
    let (published, published_at) = (Timestamp::now(), Instant::now());
    wait_for("the message to be an old one", || {
        published_at.elapsed() > Duration::from_millis(400) && !held.waiting.lock().unwrap().is_empty()
    });
    held.is_on.store(false, Ordering::Relaxed);
    held.end_after_a_byte();
    let (from, to) = gap(&mut client);
    assert!(
        from <= published && published <= to,
        "{published} in {from}..{to}"
    );
}

/// The next one told.
fn gap(client: &mut Client) -> (Timestamp, Timestamp) {
    let told = String::from_utf8(client.reply()).unwrap();
    let json = told.trim_end().rsplit("\r\n").next().unwrap();
    let gap: serde_json::Value = serde_json::from_str(json).unwrap();
    let time = |key: &str| gap[key].as_str().unwrap().parse::<Timestamp>().unwrap();
    (time("from"), time("to"))
}

#[test]
fn a_master_that_was_left_and_does_not_tell_all_it_had_is_told_as_a_gap() {
    let (proxied, mut client, held) = held_up();
    let next = Server::start();
    assert_eq!(proxied.old.client().text("PUBLISH news lost"), ":1\\r\\n");
    let published = Timestamp::now();
    wait_for("all that follows to be held up", || {
        !held.waiting.lock().unwrap().is_empty()
    });
    proxied.master(Side::Old, Some(&next));
    let (_, taken_over) = gap(&mut client);
    let (from, to) = gap(&mut client);
    assert!(taken_over < to, "{taken_over}, then {from}..{to}");
    assert!(
        from <= published && published <= to,
        "{published} in {from}..{to}"
    );
}

#[test]
fn clients_that_are_closed_at_the_end_learn_first_what_they_may_have_missed() {
    let (proxied, mut client, held) = held_up();
    assert_eq!(proxied.old.client().text("PUBLISH news lost"), ":1\\r\\n");
    let published = Timestamp::now();
    wait_for("the message to be held up", || {
        !held.waiting.lock().unwrap().is_empty()
    });
    proxied.shut_down(Duration::from_secs(10));
    let (from, to) = gap(&mut client);
    assert!(
        from <= published && published <= to,
        "{published} in {from}..{to}"
    );
    assert_eq!(client.rest(), b"");
}

#[test]
fn clients_that_have_missed_nothing_are_told_nothing_at_the_end() {
    let proxied = Proxied::start();
    let mut client = listener(&proxied);
    assert_eq!(proxied.old.client().text("PUBLISH news heard"), ":1\\r\\n");
    assert!(client.reply().ends_with(b"heard\r\n"));
    proxied.shut_down(Duration::from_secs(10));
    assert_eq!(client.rest(), b"");
}
