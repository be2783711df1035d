//! What do nodes see of the proxy, and what does it ask of them?

use std::fmt::Write as _;
use std::path::Path;

use switchback::cluster::NodeAddr;
use switchback::lab::{Directory, Process, Reply, wait_for};

use crate::authority::{Authority, Identity, text};
use crate::groups::{replica, server};
use crate::running::{Running, SOON};

/// A table of a side's TLS.
fn asking(side: &str, authority: &Authority, more: &str) -> String {
    format!("[route.{side}_tls]\nca = \"{}\"\n{more}\n", text(&authority.ca()))
}

fn showing(identity: &Identity) -> String {
    format!(
        "cert = \"{}\"\nkey = \"{}\"\n",
        text(&identity.cert),
        text(&identity.key)
    )
}

/// Whether an app's command gets to the node.
fn is_served(running: &Running) -> bool {
    running.say(&["TOPOLOGY", "r"]);
    let mut client = running.client();
    client.call(&["SET", "k", "v"]).unwrap().text().as_deref() == Some("OK")
}

#[test]
fn a_node_is_spoken_to_within_tls_and_shown_a_certificate() {
    let authority = Authority::new();
    let (node, at) = server(&authority, &authority.sign("node", &["127.0.0.1"]), true);
    let own = authority.sign("own", &["switchback"]);
    let running = Running::start(
        &format!("rediss://{at}"),
        None,
        &asking("old", &authority, &showing(&own)),
    );
    assert!(is_served(&running));
    assert_eq!(node.call(&["GET", "k"]).unwrap().text().as_deref(), Some("v"));
}

#[test]
fn commands_of_every_kind_of_link_go_through() {
    let authority = Authority::new();
    let (_node, at) = server(&authority, &authority.sign("node", &["127.0.0.1"]), false);
    let running = Running::start(&format!("rediss://{at}"), None, &asking("old", &authority, ""));
    let mut app = running.client();
    let mut say = |words: &[&str]| app.call(words).unwrap();
    say(&["MULTI"]);
    say(&["INCR", "n"]);
    assert_eq!(say(&["EXEC"]).elements(), [Reply::Integer(1)]);
    say(&["RPUSH", "l", "x"]);
    assert_eq!(
        say(&["BLPOP", "l", "1"]).elements()[1].text().as_deref(),
        Some("x")
    );
    let large = "v".repeat(3_000_000);
    assert_eq!(say(&["SET", "large", &large]).text().as_deref(), Some("OK"));
    assert_eq!(say(&["GET", "large"]).text(), Some(large));
    assert_eq!(say(&["SELECT", "3"]).text().as_deref(), Some("OK"));
    assert_eq!(say(&["DBSIZE"]), Reply::Integer(0));
}

#[test]
fn a_node_that_another_has_signed_gets_nothing() {
    let (authority, others) = (Authority::new(), Authority::new());
    let (node, at) = server(&others, &others.sign("node", &["127.0.0.1"]), false);
    let more = asking("old", &authority, "[route.limits]\nhold_time = \"300ms\"");
    let running = Running::start(&format!("rediss://{at}"), None, &more);
    let refusal = running.client().call(&["SET", "k", "v"]).unwrap();
    assert!(format!("{refusal:?}").contains("NOUPSTREAM"), "{refusal:?}");
    assert_eq!(node.call(&["EXISTS", "k"]).unwrap(), Reply::Integer(0));
    assert!(running.log().contains("certificate"), "{}", running.log());
}

#[test]
fn a_name_is_compared_unless_it_is_not_to_be() {
    let authority = Authority::new();
    let (_node, at) = server(&authority, &authority.sign("node", &["redis.internal"]), false);
    let url = format!("rediss://{at}");
    let hold = "[route.limits]\nhold_time = \"300ms\"";
    let refused = Running::start(&url, None, &asking("old", &authority, hold));
    let refusal = refused.client().call(&["SET", "k", "v"]).unwrap();
    assert!(format!("{refusal:?}").contains("NOUPSTREAM"), "{refusal:?}");
    for more in ["server_name = \"redis.internal\"", "verify = \"ca\""] {
        let running = Running::start(&url, None, &asking("old", &authority, more));
        assert!(is_served(&running), "{more}");
    }
}

#[test]
fn both_sides_are_watched_and_weights_move_within_tls() {
    let authority = Authority::new();
    let identity = authority.sign("node", &["127.0.0.1"]);
    let ((old, old_at), (new, new_at)) = (
        server(&authority, &identity, false),
        server(&authority, &identity, false),
    );
    let replicas = [&old_at, &new_at].map(|master| replica(&authority, &identity, master));
    let running = Running::start(
        &format!("rediss://{old_at}"),
        Some(&format!("rediss://{new_at}")),
        &(asking("old", &authority, "") + &asking("new", &authority, "")),
    );
    running.raise("100");
    running.client().call(&["SET", "moved", "1"]).unwrap();
    assert_eq!(new.call(&["EXISTS", "moved"]).unwrap(), Reply::Integer(1));
    assert_eq!(old.call(&["EXISTS", "moved"]).unwrap(), Reply::Integer(0));
    let replica_of_old = replicas[0].1.to_string();
    running.wait_until("a heartbeat to come through a replica", |status| {
        status["old"]["replicas"].to_string().contains(&replica_of_old)
    });
    assert_eq!(running.say(&["BACK", "r"]), "OK");
    running.client().call(&["SET", "back", "1"]).unwrap();
    assert_eq!(old.call(&["EXISTS", "back"]).unwrap(), Reply::Integer(1));
}

#[test]
fn sentinels_are_asked_and_followed_within_tls() {
    let authority = Authority::new();
    let identity = authority.sign("node", &["127.0.0.1"]);
    let (mut master, at) = server(&authority, &identity, false);
    let (_replica, replica_at) = replica(&authority, &identity, &at);
    let (_sentinel, sentinel_at, _directory) = sentinel(&authority, &identity, &at);
    let running = Running::start(
        &format!("rediss+sentinel://{sentinel_at}/m"),
        None,
        &asking("old", &authority, ""),
    );
    running.wait_until("the master to be known", |status| {
        status["old"]["master"] == at.to_string()
    });
    assert!(is_served(&running));
    running.wait_until("the replica to be known", |status| {
        status["old"]["replicas"]
            .to_string()
            .contains(&replica_at.to_string())
    });
    master.kill().unwrap();
    running.wait_until("the failover to be followed", |status| {
        status["old"]["master"] == replica_at.to_string()
    });
    assert!(is_served(&running));
}

/// One Sentinel, without any port but for TLS.
fn sentinel(authority: &Authority, identity: &Identity, master: &NodeAddr) -> (Process, NodeAddr, Directory) {
    let directory = Directory::create("tls-sentinel").unwrap();
    let port = switchback::lab::free_port().unwrap();
    let mut config = format!("port 0\ntls-port {port}\ndir {:?}\n", directory.path());
    for (key, path) in [
        ("tls-ca-cert-file", &authority.ca()),
        ("tls-cert-file", &identity.cert),
        ("tls-key-file", &identity.key),
    ] {
        writeln!(config, "{key} {}", text(path)).unwrap();
    }
    writeln!(
        config,
        "tls-auth-clients no\ntls-replication yes\nsentinel monitor m {} {} 1\n\
         sentinel down-after-milliseconds m 1000\nsentinel failover-timeout m 5000",
        master.host, master.port
    )
    .unwrap();
    let file = directory.write("sentinel.conf", &config).unwrap();
    let log = directory.path().join("log");
    let process = Process::start_on(None, Path::new("redis-sentinel"), &[file.as_os_str()], &log).unwrap();
    let is_there = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    wait_for("the Sentinel to listen", SOON, is_there).unwrap();
    (process, NodeAddr::new("127.0.0.1", port), directory)
}
