use std::time::{Duration, Instant};

use super::*;
use crate::cluster::{Credentials, Secret};
use crate::lab::{Server, ServerOptions, wait_for};

fn replica_of(master: &Server) -> Server {
    Server::start(&ServerOptions {
        replica_of: Some(master.addr()),
        ..ServerOptions::default()
    })
    .unwrap()
}

fn run(detach: Detach) -> Told {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(detach.run())
}

fn detach(node: &Server, master: Option<&Server>) -> Told {
    run(Detach {
        node: node.addr(),
        master: master.map(Server::addr),
        accesses: vec![Access::default()],
    })
}

fn role(server: &Server) -> String {
    server.info("replication", "role").unwrap()
}

#[test]
fn a_replica_of_the_old_master_is_detached_and_no_other_node_is_touched() {
    let old = Server::start(&ServerOptions::default()).unwrap();
    let (named, chained) = (replica_of(&old), replica_of(&old));
    chained
        .call(&["REPLICAOF", "127.0.0.1", &named.port().to_string()])
        .unwrap();
    let (kind, text) = detach(&chained, Some(&old));
    assert!(
        kind == "detach_skipped" && text.contains("not the old master"),
        "{kind} {text}"
    );
    let (kind, text) = detach(&named, None);
    assert!(
        kind == "detach_failed" && text.contains("no master"),
        "{kind} {text}"
    );
    assert_eq!(detach(&old, Some(&old)).0, "detach_skipped");
    assert_eq!([&old, &named, &chained].map(role), ["master", "slave", "slave"]);
    let (kind, text) = detach(&named, Some(&old));
    assert!(
        kind == "detached" && text.contains(&old.addr().to_string()),
        "{kind} {text}"
    );
    assert_eq!([&old, &named, &chained].map(role), ["master", "master", "slave"]);
    assert_eq!(detach(&named, Some(&old)).0, "detach_skipped");
}

#[test]
fn the_password_of_either_side_is_tried_and_a_wrong_one_is_told() {
    let old = Server::start(&ServerOptions::default()).unwrap();
    let named = Server::start(&ServerOptions {
        password: Some(Secret::new("of-old")),
        replica_of: Some(old.addr()),
        ..ServerOptions::default()
    })
    .unwrap();
    let with = |passwords: &[&str]| {
        let auth = |password: &&str| {
            let password = Secret::new(*password);
            let auth = Some(Credentials { user: None, password });
            Access { auth, tls: None }
        };
        run(Detach {
            node: named.addr(),
            master: Some(old.addr()),
            accesses: passwords.iter().map(auth).collect(),
        })
    };
    let (kind, text) = with(&["of-new"]);
    assert!(
        kind == "detach_failed" && text.contains("WRONGPASS"),
        "{kind} {text}"
    );
    assert_eq!(with(&["of-new", "of-old"]).0, "detached");
}

#[test]
fn a_frozen_node_is_given_up_within_seconds() {
    let old = Server::start(&ServerOptions::default()).unwrap();
    let named = replica_of(&old);
    named.signal(nix::sys::signal::Signal::SIGSTOP).unwrap();
    let began = Instant::now();
    let (kind, text) = detach(&named, Some(&old));
    assert!(
        kind == "detach_failed" && text.contains("no answer"),
        "{kind} {text}"
    );
    assert!(began.elapsed() < Duration::from_secs(5));
    named.signal(nix::sys::signal::Signal::SIGCONT).unwrap();
    wait_for("the node to thaw", Duration::from_secs(20), || {
        role(&named) == "slave"
    })
    .unwrap();
}
