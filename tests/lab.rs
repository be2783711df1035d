//! Does the lab start what it says, and leave nothing behind?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use switchback::cluster::Secret;
use switchback::lab::{Group, GroupOptions, LabError, Network, Process, Reply, Server, ServerOptions};

fn runs(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn pids(group: &Group) -> Vec<u32> {
    let servers = group.servers().iter().map(Server::pid);
    servers
        .chain(group.sentinels().iter().map(|one| one.pid()))
        .collect()
}

#[test]
fn a_group_fails_over_when_asked_and_is_gone_with_its_value() {
    let group = Group::start(GroupOptions::named("mine")).unwrap();
    let pids = pids(&group);
    assert_eq!(pids.len(), 6);
    let folders: Vec<PathBuf> = group
        .servers()
        .iter()
        .map(|one| one.directory().to_owned())
        .collect();
    let before = group.master().unwrap();
    assert_eq!(before, group.servers()[0].addr());
    let after = group.failover().unwrap();
    assert_ne!(after, before);
    assert_eq!(
        group.server(&after).unwrap().call(&["SET", "k", "v"]).unwrap(),
        Reply::Status("OK".to_owned())
    );
    group.settle().unwrap();
    assert_eq!(
        group
            .server(&before)
            .unwrap()
            .info("replication", "role")
            .unwrap(),
        "slave"
    );
    assert!(pids.iter().all(|pid| runs(*pid)));
    drop(group);
    assert!(pids.iter().all(|pid| !runs(*pid)));
    assert!(folders.iter().all(|folder| !folder.exists()));
}

#[test]
fn a_killed_master_is_replaced_and_comes_back_as_a_replica_behind_passwords() {
    let mut options = GroupOptions::named("locked");
    options.sentinel_password = Some(Secret::new("of-sentinels"));
    options.password = Some(Secret::new("of-nodes"));
    let mut group = Group::start(options).unwrap();
    assert!(!format!("{group:?}").contains("of-"));
    let before = group.master().unwrap();
    group.kill(&before).unwrap();
    assert!(!group.server_mut(&before).unwrap().is_running());
    let after = group.wait_for_master_other_than(&before).unwrap();
    assert_ne!(after, before);
    group.server_mut(&before).unwrap().restart().unwrap();
    group.settle().unwrap();
    assert_eq!(
        group
            .server(&before)
            .unwrap()
            .info("replication", "role")
            .unwrap(),
        "slave"
    );
}

#[test]
fn a_panic_takes_its_servers_with_it() {
    let (send, pid) = std::sync::mpsc::channel();
    let panicked = std::thread::spawn(move || {
        let server = Server::start(&ServerOptions::default()).unwrap();
        server.signal(Signal::SIGSTOP).unwrap();
        send.send(server.pid()).unwrap();
        panic!("as a failing test does");
    });
    assert!(panicked.join().is_err());
    assert!(!runs(pid.recv().unwrap()));
}

#[test]
fn a_server_outlives_the_thread_that_started_it() {
    let start = || Server::start(&ServerOptions::default()).unwrap();
    let server = std::thread::spawn(start).join().unwrap();
    assert_eq!(server.call(&["PING"]).unwrap(), Reply::Status("PONG".to_owned()));
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Process::start::<&str>(Path::new("redis-nonsense"), &[], &folder.path().join("log"));
    assert_eq!(
        missing.unwrap_err().to_string(),
        "redis-nonsense is not installed: apt-get install redis-nonsense"
    );
    let refused = Server::start(&ServerOptions {
        config: vec!["no-such-setting 1".to_owned()],
        ..ServerOptions::default()
    });
    match refused {
        Err(LabError::Ended { log, .. }) => assert!(log.contains("no-such-setting"), "{log}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_network_is_left_with_nothing_of_it_in_sight_and_its_links_are_as_narrow_as_asked() {
    let namespace = || std::fs::read_link("/proc/thread-self/ns/net").unwrap();
    let outside = namespace();
    let network = match Network::create(2) {
        Ok(network) => network,
        Err(error) => {
            println!("not allowed here: {error}");
            assert_eq!(namespace(), outside);
            return;
        }
    };
    let server = Server::start(&ServerOptions {
        host: Some(network.hosts()[0].clone()),
        ..ServerOptions::default()
    })
    .unwrap();
    let pid = server.pid();
    assert_ne!(
        std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap(),
        namespace()
    );
    let value = vec![b'x'; 200_000];
    let mut client = server.client().unwrap();
    client.ask(&[b"SET".as_slice(), b"key", &value]).unwrap();
    network.hosts()[0].cap(8_000_000).unwrap();
    let began = Instant::now();
    for _ in 0..5 {
        client.ask(&[b"GET".as_slice(), b"key"]).unwrap();
    }
    // A million bytes are a second, less the burst that is allowed.
    let took = began.elapsed();
    assert!(took > Duration::from_millis(800), "{took:?}");
    drop((server, network));
    assert_eq!(namespace(), outside);
}
