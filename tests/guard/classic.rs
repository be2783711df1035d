//! Freezes, losses, loops and failovers: the rules on links, delays and counters.

use std::time::{Duration, Instant};

use switchback::cluster::{Credentials, Secret, Side};
use switchback::control_plane::guard::{Rule, trip};
use switchback::control_plane::sentinel;
use switchback::lab::{Group, GroupOptions, Server, ServerOptions};

use crate::harness::{Guard, Load, PATIENCE, is_well, options, run, servers, topology};

#[test]
fn a_healthy_group_behind_a_password_is_ok_and_its_heartbeats_are_quick() {
    run(async {
        let password = Some(Secret::new("of-nodes"));
        let servers = servers(&ServerOptions {
            password: password.clone(),
            ..options()
        });
        let (mut guard, _) = Guard::start(password.map(|password| Credentials { user: None, password }));
        guard.set_topology(topology(&servers));
        guard.until_healthy().await;
        guard.go_on(Duration::from_secs(2)).await;
        guard.until_healthy().await;
        for server in &servers {
            let mut delays: Vec<Duration> = guard
                .delays
                .iter()
                .filter(|(node, _)| *node == server.addr())
                .map(|(_, delay)| *delay)
                .collect();
            delays.sort_unstable();
            assert!(
                delays.len() > 15,
                "{} heartbeats of {}",
                delays.len(),
                server.addr()
            );
            let median = delays[delays.len() / 2];
            assert!(median < Duration::from_millis(50), "{median:?}");
        }
        let nodes = guard.rules.nodes(Instant::now());
        assert_eq!(nodes.len(), 3);
        assert!(nodes.iter().all(|node| node.is_master.is_some()));
        let replicas = nodes.iter().filter(|node| node.is_master == Some(false));
        assert!(
            replicas
                .clone()
                .all(|node| node.counts && node.lag_bytes.is_some())
        );
        assert_eq!(replicas.count(), 2);
    });
}

#[test]
fn a_lone_master_is_ok_and_unreachable_when_it_is_frozen() {
    run(async {
        let master = Server::start(&options()).unwrap();
        let mut guard = Guard::watching(std::slice::from_ref(&master)).await;
        master.signal(nix::sys::signal::Signal::SIGSTOP).unwrap();
        guard.until_bad(Rule::Unreachable).await;
    });
}

#[test]
fn a_frozen_master_is_unreachable_within_a_second_and_ok_when_it_thaws() {
    run(async {
        let servers = servers(&options());
        let mut guard = Guard::watching(&servers).await;
        servers[0].signal(nix::sys::signal::Signal::SIGSTOP).unwrap();
        let frozen = Instant::now();
        let verdict = guard.until_bad(Rule::Unreachable).await;
        let took = frozen.elapsed();
        // Counted from the last answer, which was up to a heartbeat before the freeze.
        assert!(took >= Duration::from_millis(600), "{took:?}");
        assert!(took < Duration::from_millis(1_500), "{took:?}");
        println!("master frozen: unreachable after {took:?}");
        assert_eq!(verdict.evidence.node, Some(servers[0].addr()));
        servers[0].signal(nix::sys::signal::Signal::SIGCONT).unwrap();
        guard.until("health", is_well).await;
    });
}

#[test]
fn a_frozen_replica_is_a_heartbeat_delay_well_within_a_second() {
    run(async {
        let servers = servers(&options());
        let mut guard = Guard::watching(&servers).await;
        servers[2].signal(nix::sys::signal::Signal::SIGSTOP).unwrap();
        let frozen = Instant::now();
        let verdict = guard.until_bad(Rule::HeartbeatDelay).await;
        let took = frozen.elapsed();
        println!("replica frozen: heartbeat_delay after {took:?}");
        assert!(
            took >= Duration::from_millis(550) && took < Duration::from_millis(1_500),
            "{took:?}"
        );
        assert_eq!(verdict.evidence.node, Some(servers[2].addr()));
        servers[2].signal(nix::sys::signal::Signal::SIGCONT).unwrap();
        guard.until("health", is_well).await;
    });
}

#[test]
fn a_killed_replica_is_a_link_down_and_names_it() {
    run(async {
        let mut servers = servers(&options());
        let mut guard = Guard::watching(&servers).await;
        servers[1].kill().unwrap();
        let killed = Instant::now();
        let verdict = guard.until_bad(Rule::LinkDown).await;
        println!("replica killed: link_down after {:?}", killed.elapsed());
        assert_eq!(verdict.evidence.node, Some(servers[1].addr()));
        assert_eq!(verdict.evidence.measured, 1.0);
    });
}

#[test]
fn a_replica_that_joins_and_one_that_restarts_quickly_raise_nothing() {
    run(async {
        let mut servers = servers(&options());
        let mut guard = Guard::watching(&servers).await;
        let joining = ServerOptions {
            replica_of: Some(servers[0].addr()),
            ..options()
        };
        servers.push(Server::start(&joining).unwrap());
        guard.set_topology(topology(&servers));
        guard.until_healthy().await;
        servers[1].restart().unwrap();
        let address = servers[1].addr();
        let counts = |guard: &Guard, wanted| {
            let nodes = guard.rules.nodes(Instant::now());
            nodes
                .iter()
                .any(|node| node.node == address && node.counts == wanted)
        };
        for was in [true, false] {
            guard
                .go_on_until("the replica to count no more, and again", |guard| {
                    !counts(guard, was)
                })
                .await;
        }
        guard.until_healthy().await;
    });
}

#[test]
fn a_resync_loop_by_a_tiny_output_buffer_is_told() {
    run(async {
        let servers = servers(&options());
        let mut guard = Guard::watching(&servers).await;
        for limit in [
            ["CONFIG", "SET", "repl-backlog-size", "16kb"],
            ["CONFIG", "SET", "client-output-buffer-limit", "replica 1mb 1mb 1"],
        ] {
            servers[0].call(&limit).unwrap();
        }
        let load = Load::start(&servers[0]);
        let began = Instant::now();
        let verdicts = guard.until("any trip", |verdicts| trip(verdicts).is_some()).await;
        println!(
            "resync loop: {} after {:?}",
            trip(&verdicts).unwrap(),
            began.elapsed()
        );
        let verdict = guard.until_bad(Rule::ResyncLoop).await;
        println!("resync loop: {verdict} after {:?}", began.elapsed());
        load.stop();
    });
}

#[test]
fn a_clean_failover_by_sentinel_trips_nothing_and_ends_healthy() {
    run(async {
        let group = Group::start(GroupOptions {
            config: options().config,
            ..GroupOptions::named("side")
        })
        .unwrap();
        let (mut guard, events) = Guard::start(None);
        tokio::task::spawn_local(sentinel::watch(0, Side::New, group.endpoint(), events));
        guard.until_healthy().await;
        for _ in 0..2 {
            let before = guard.topology.borrow().master.clone().unwrap();
            group.sentinels()[0]
                .call(&["SENTINEL", "FAILOVER", group.name()])
                .unwrap();
            let topology = guard.topology.clone();
            guard
                .until("another master", |_| {
                    let topology = topology.borrow();
                    topology.master.as_ref().is_some_and(|master| *master != before)
                })
                .await;
            guard
                .until("health on all nodes", |verdicts| {
                    is_well(verdicts) && topology.borrow().replicas.len() == 2
                })
                .await;
            assert_eq!(guard.tripped, [] as [&str; 0], "{:#?}", guard.reasons);
            group.settle().unwrap();
        }
    });
}

#[test]
fn nodes_that_leave_the_topology_are_not_asked_any_more_and_nobody_is_when_the_side_ends() {
    run(async {
        let servers = servers(&options());
        let mut guard = Guard::watching(&servers).await;
        let clients = |server: &Server| {
            let list = server.call(&["CLIENT", "LIST"]).unwrap();
            list.text().unwrap().matches("name=switchback-").count()
        };
        assert_eq!((clients(&servers[0]), clients(&servers[1])), (2, 2));
        guard.set_topology(topology(&servers[..2]));
        guard
            .until("the replica's release", |_| clients(&servers[2]) == 0)
            .await;
        assert_eq!((clients(&servers[0]), clients(&servers[1])), (2, 2));
        drop(guard);
        let deadline = Instant::now() + PATIENCE;
        while clients(&servers[0]) + clients(&servers[1]) > 0 {
            assert!(Instant::now() < deadline, "connections outlive the side");
            tokio::task::yield_now().await;
        }
    });
}
