//! Is a client that has had nothing to say for a while, and whose session is given up for that, as it was?

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use switchback::cluster::Side;

use crate::clients::{field, id, lines};
use crate::parking::parked;
use crate::proxied::{Client, Proxied, Server, encode, key_of, wait_for};

/// A client, its number, and that of its socket in the proxy.
struct Known {
    client: Client,
    id: String,
    socket: String,
}

impl Known {
    fn of(proxied: &Proxied) -> Self {
        let mut client = proxied.client();
        let line = lines(&mut client, "CLIENT INFO").remove(0);
        Self {
            client,
            id: field(&line, "id").to_owned(),
            socket: field(&line, "fd").to_owned(),
        }
    }

    fn is_parked(&self) -> bool {
        parked("self").contains(&self.socket)
    }

    fn wait_until_parked(&self) {
        wait_for("a client to be parked", || self.is_parked());
    }

    /// As CLIENT LIST has it, asked by another.
    fn line(&self, watcher: &mut Client) -> String {
        lines(watcher, &format!("CLIENT LIST ID {}", self.id)).remove(0)
    }

    fn is_closed(&mut self) -> bool {
        self.client.try_reply().is_none()
    }
}

/// Without what time changes.
fn lasting(line: &str) -> String {
    let is_lasting = |part: &&str| !part.starts_with("age=") && !part.starts_with("idle=");
    line.split(' ').filter(is_lasting).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_parked_client_is_listed_as_it_was_and_goes_on_as_it_was() {
    let proxied = Proxied::start();
    let mut watcher = proxied.client();
    let mut known = Known::of(&proxied);
    for request in [
        "HELLO 3",
        "SELECT 5",
        "CLIENT SETNAME here",
        "CLIENT NO-EVICT on",
        "SET k v",
    ] {
        assert!(!known.client.text(request).starts_with('-'), "{request}");
    }
    let begun = Instant::now();
    let before = known.line(&mut watcher);
    assert_eq!(field(&before, "flags"), "e");
    for _ in 0..2 {
        known.wait_until_parked();
        let there = known.line(&mut watcher);
        assert_eq!(lasting(&there), lasting(&before));
        assert!(field(&there, "idle").parse::<u64>().unwrap() >= 1, "{there}");
        assert!(field(&there, "age").parse::<u64>().unwrap() >= 1, "{there}");
        assert_eq!(proxied.clients(), 2);
        assert_eq!(lines(&mut watcher, "CLIENT LIST TYPE normal").len(), 2);
        assert_eq!(watcher.text(&format!("CLIENT UNBLOCK {}", known.id)), ":0\\r\\n");

        assert_eq!(known.client.text("GET k"), "$1\\r\\nv\\r\\n");
        assert!(!known.is_parked());
        assert_eq!(known.client.text("GET none"), "_\\r\\n");
        assert_eq!(known.client.text("CLIENT GETNAME"), "$4\\r\\nhere\\r\\n");
        assert_eq!(known.client.text("CLIENT ID"), format!(":{}\\r\\n", known.id));
        assert_eq!(known.client.text("SET k v"), "+OK\\r\\n");
        let after = known.line(&mut watcher);
        assert_eq!(lasting(&after), lasting(&before));
        let age = field(&after, "age").parse::<u64>().unwrap();
        assert!(age.abs_diff(begun.elapsed().as_secs()) <= 1, "{after}");
    }
}

#[test]
fn a_parked_client_is_killed_or_leaves_and_its_place_is_free() {
    let proxied = Proxied::with(|config| config.limits.clients = 5);
    let mut watcher = proxied.client();
    let mut all: Vec<Known> = (0..4).map(|_| Known::of(&proxied)).collect();
    all.iter().for_each(Known::wait_until_parked);
    assert_eq!(
        proxied.client().try_reply().unwrap(),
        b"-ERR max number of clients reached\r\n"
    );

    let kill = format!("CLIENT KILL ID {}", all[0].id);
    assert_eq!(watcher.text(&kill), ":1\\r\\n");
    assert!(all[0].is_closed());
    assert_eq!(watcher.text(&kill), ":0\\r\\n");
    wait_for("a place", || proxied.clients() == 4);

    all[1].client.stream.shutdown(Shutdown::Write).unwrap();
    assert!(all[1].is_closed());
    drop(all.remove(2));
    wait_for("two more", || proxied.clients() == 2);
    assert_eq!(proxied.client().text("PING"), "+PONG\\r\\n");

    let last = &mut all[2];
    last.wait_until_parked();
    let own = last.client.stream.local_addr().unwrap();
    assert_eq!(watcher.text(&format!("CLIENT KILL {own}")), "+OK\\r\\n");
    assert!(last.is_closed());
}

#[test]
fn a_parked_clients_user_is_looked_after_and_its_end_ends_it() {
    let proxied = Proxied::start();
    for server in [&proxied.old, &proxied.new] {
        let said = server.client().text("ACL SETUSER alice on >secret ~* +@all");
        assert_eq!(said, "+OK\\r\\n");
    }
    let mut known = Known::of(&proxied);
    assert_eq!(known.client.text("AUTH alice secret"), "+OK\\r\\n");
    known.wait_until_parked();
    let mut watcher = proxied.client();
    assert_eq!(field(&known.line(&mut watcher), "user"), "alice");
    assert_eq!(known.client.text("ACL WHOAMI"), "$5\\r\\nalice\\r\\n");
    known.wait_until_parked();
    for server in [&proxied.old, &proxied.new] {
        assert_eq!(server.client().text("ACL DELUSER alice"), ":1\\r\\n");
    }
    assert!(known.is_closed());
    wait_for("its place", || proxied.clients() == 1);
}

#[test]
fn parked_clients_are_closed_at_once_when_the_proxy_ends() {
    let proxied = Proxied::start();
    let mut all: Vec<Known> = (0..8).map(|_| Known::of(&proxied)).collect();
    all.iter().for_each(Known::wait_until_parked);
    let begun = Instant::now();
    proxied.shut_down(Duration::from_secs(60));
    assert!(all.iter_mut().all(Known::is_closed));
    drop(proxied);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn whoever_is_in_the_middle_of_something_is_not_parked() {
    let proxied = Proxied::start();
    let mut writer = proxied.client();
    let begin = |requests: &[&str]| {
        let mut known = Known::of(&proxied);
        for request in requests {
            assert!(!known.client.text(request).starts_with('-'), "{request}");
        }
        known
    };
    let mut watching = begin(&["WATCH w", "MULTI", "SET t 1"]);
    let mut subscribed = begin(&["SUBSCRIBE c"]);
    let mut tracking = begin(&["HELLO 3", "CLIENT TRACKING on", "GET tracked"]);
    let mut muted = begin(&[]);
    muted.client.send(&[b"CLIENT", b"REPLY", b"OFF"]);
    let mut blocked = begin(&[]);
    blocked.client.send(&[b"BLPOP", b"q", b"0"]);
    let mut half = begin(&[]);
    let request = encode(&[b"ECHO", b"whole"]);
    let (head, tail) = request.split_at(request.len() / 2);
    half.client.stream.write_all(head).unwrap();

    // So long as it takes another to be parked twice.
    let mut other = begin(&[]);
    for _ in 0..2 {
        other.wait_until_parked();
        assert_eq!(other.client.text("PING"), "+PONG\\r\\n");
    }
    let there = parked("self");
    for known in [&watching, &subscribed, &tracking, &muted, &blocked, &half] {
        assert!(!there.contains(&known.socket), "{}", known.line(&mut writer));
    }

    half.client.stream.write_all(tail).unwrap();
    assert_eq!(half.client.reply(), b"$5\r\nwhole\r\n");
    assert_eq!(watching.client.text("EXEC"), "*1\\r\\n+OK\\r\\n");
    assert_eq!(writer.text("PUBLISH c m"), ":1\\r\\n");
    assert_eq!(
        subscribed.client.reply(),
        b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n"
    );
    assert_eq!(writer.text("SET tracked 2"), "+OK\\r\\n");
    assert!(tracking.client.reply().starts_with(b">2\r\n$10\r\ninvalidate"));
    assert_eq!(writer.text("RPUSH q e"), ":1\\r\\n");
    assert_eq!(blocked.client.reply(), b"*2\r\n$1\r\nq\r\n$1\r\ne\r\n");
    muted.client.send(&[b"PING"]);
    assert_eq!(muted.client.text("CLIENT REPLY ON"), "+OK\\r\\n");
}

#[test]
fn who_gets_another_clients_invalidations_gets_them_parked_too() {
    let proxied = Proxied::start();
    let mut told = Known::of(&proxied);
    assert!(told.client.text("HELLO 3").starts_with("%7"));
    told.wait_until_parked();
    let mut tracking = proxied.client();
    assert_eq!(
        tracking.text(&format!("CLIENT TRACKING ON REDIRECT {}", told.id)),
        "+OK\\r\\n"
    );
    assert_eq!(tracking.text("GET k"), "$-1\\r\\n");
    assert!(told.is_parked());
    assert_eq!(proxied.old.client().text("SET k 1"), "+OK\\r\\n");
    assert_eq!(
        told.client.reply(),
        b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
    );
}

#[test]
fn a_parked_client_comes_back_to_what_has_changed_meanwhile() {
    let proxied = Proxied::start();
    let mut known = Known::of(&proxied);
    let key = key_of(Side::New, 0);
    let set = |server: &Server, value: &str| {
        assert_eq!(server.client().text(&format!("SET {key} {value}")), "+OK\\r\\n");
    };
    set(&proxied.old, "old");
    set(&proxied.new, "new");
    assert_eq!(known.client.text(&format!("GET {key}")), "$3\\r\\nold\\r\\n");
    known.wait_until_parked();
    proxied.weight(50);
    assert_eq!(known.client.text(&format!("GET {key}")), "$3\\r\\nnew\\r\\n");
    known.wait_until_parked();
    let mut watcher = proxied.client();
    assert_eq!(watcher.text("CLIENT PAUSE 100000 WRITE"), "+OK\\r\\n");
    known.client.send(&[b"SET", key.as_bytes(), b"newer"]);
    wait_for("the pause to hold it", || {
        field(&known.line(&mut watcher), "flags") == "b"
    });
    assert_eq!(watcher.text("CLIENT UNPAUSE"), "+OK\\r\\n");
    assert_eq!(known.client.reply(), b"+OK\r\n");
}

#[test]
fn thousands_of_idle_clients_are_parked_and_all_answered_when_they_come_at_once() {
    const MANY: usize = 1_500;
    let (soft, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    assert!(hard >= 4_096, "{soft} and {hard} descriptors");
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, hard.min(8_192), hard)
        .unwrap();
    let proxied = Proxied::with(|config| config.limits.clients = MANY + 10);
    let mut all: Vec<Client> = (0..MANY).map(|_| proxied.client()).collect();
    wait_for("all to be there", || proxied.clients() == MANY);
    for round in 0..2 {
        wait_for("all to be parked", || parked("self").len() == MANY);
        for (number, client) in all.iter_mut().enumerate() {
            let value = format!("{round}:{number}");
            let key = format!("k{number}");
            let mut requests = encode(&[b"SET", key.as_bytes(), value.as_bytes()]);
            requests.extend(encode(&[b"GET", key.as_bytes()]));
            requests.extend(encode(&[b"CLIENT", b"ID"]));
            client.stream.write_all(&requests).unwrap();
        }
        let mut ids = HashSet::new();
        for (number, client) in all.iter_mut().enumerate() {
            let value = format!("{round}:{number}");
            assert_eq!(client.reply(), b"+OK\r\n");
            let wanted = format!("${}\r\n{value}\r\n", value.len());
            assert_eq!(client.reply(), wanted.as_bytes());
            assert!(ids.insert(client.reply()));
        }
        assert_eq!(proxied.clients(), MANY);
    }
    wait_for("all to be parked", || parked("self").len() == MANY);
    let mut watcher = proxied.client();
    assert_eq!(lines(&mut watcher, "CLIENT LIST").len(), MANY + 1);
    assert_eq!(watcher.text("CLIENT KILL TYPE normal"), format!(":{MANY}\\r\\n"));
    for mut client in all {
        assert_eq!(client.stream.read(&mut [0]).unwrap_or(0), 0);
    }
    wait_for("none to be left", || proxied.clients() == 1);
    let _ = id(&mut watcher);
}
