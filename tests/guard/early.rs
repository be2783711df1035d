//! Buffers, memory, slow commands, too many replicas, a full link: what comes before replication breaks.

use std::time::{Duration, Instant};

use switchback::config::GuardConfig;
use switchback::control_plane::guard::{Rule, Verdict};
use switchback::lab::{Server, ServerOptions, wait_for};

use crate::harness::{Guard, Load, of, options, run, servers, topology};

#[test]
fn a_replica_that_does_not_take_the_stream_fills_its_buffer_and_is_named() {
    run(async {
        let servers = servers(&options());
        let mut guard = Guard::watching(&servers).await;
        servers[2].signal(nix::sys::signal::Signal::SIGSTOP).unwrap();
        let began = Instant::now();
        let load = Load::of(&servers[0], 16_384, 1);
        let verdict = guard.until_bad(Rule::OutputBuffer).await;
        println!("replica frozen under load: {verdict} after {:?}", began.elapsed());
        load.stop();
        assert_eq!(verdict.evidence.node, Some(servers[2].addr()));
        assert!(verdict.evidence.measured >= 262_144.0, "{verdict}");
        servers[2].signal(nix::sys::signal::Signal::SIGCONT).unwrap();
        let clear = |verdicts: &[_]| of(verdicts, Rule::OutputBuffer).verdict == Verdict::Ok;
        guard.until("an empty buffer", clear).await;
    });
}

/// A master alone at 16 MB that does as `policy` says, under writes of 64 MB.
fn at_the_cap(policy: &str) {
    run(async {
        let cap = ["maxmemory 16mb".to_owned(), format!("maxmemory-policy {policy}")];
        let master = Server::start(&ServerOptions {
            config: [&options().config[..], &cap].concat(),
            ..options()
        })
        .unwrap();
        let mut guard = Guard::watching(std::slice::from_ref(&master)).await;
        let load = Load::start(&master);
        let verdict = guard.until_bad(Rule::MemoryCap).await;
        println!("at the cap with {policy}: {verdict}");
        load.stop();
        assert_eq!(verdict.evidence.node, Some(master.addr()));
        let clear = |verdicts: &[_]| of(verdicts, Rule::MemoryCap).verdict == Verdict::Ok;
        guard.until("no more writes", clear).await;
    });
}

#[test]
fn a_master_that_evicts_at_its_cap_is_bad_until_it_does_not() {
    at_the_cap("allkeys-lru");
}

#[test]
fn a_master_that_refuses_at_its_cap_is_bad_until_it_does_not() {
    at_the_cap("noeviction");
}

#[test]
fn slow_commands_are_counted_by_the_minute() {
    run(async {
        let servers = servers(&options());
        let mut guard = Guard::watching(&servers).await;
        servers[0]
            .call(&["CONFIG", "SET", "slowlog-log-slower-than", "0"])
            .unwrap();
        for _ in 0..60 {
            servers[0].call(&["PING"]).unwrap();
        }
        let verdict = guard.until_bad(Rule::SlowlogGrowth).await;
        assert_eq!(verdict.evidence.node, Some(servers[0].addr()));
        assert!(verdict.evidence.measured >= 60.0, "{verdict}");
    });
}

#[test]
fn a_replica_beyond_the_usual_number_is_told_before_the_topology_has_it() {
    run(async {
        let servers = servers(&options());
        let mut guard = Guard::watching(&servers).await;
        // Learnt of the master's next word: one that joins before that is not told from the usual ones so soon.
        let is_learnt = |verdicts: &[_]| {
            let note = of(verdicts, Rule::ReplicaExcess).evidence.note.as_deref();
            note == Some("2 attached, usual 2, learnt")
        };
        guard.until("the usual number to be learnt", is_learnt).await;
        let third = Server::start(&ServerOptions {
            replica_of: Some(servers[0].addr()),
            ..options()
        })
        .unwrap();
        let verdict = guard.until_bad(Rule::ReplicaExcess).await;
        assert_eq!(verdict.evidence.node, Some(servers[0].addr()));
        assert_eq!(
            verdict.evidence.note.as_deref(),
            Some("3 attached, usual 2, learnt")
        );
        drop(third);
        let clear = |verdicts: &[_]| of(verdicts, Rule::ReplicaExcess).verdict == Verdict::Ok;
        guard.until("the usual number", clear).await;
        assert_eq!(guard.tripped, [] as [&str; 0]);
    });
}

#[test]
fn a_node_that_sends_more_than_its_link_can_carry_is_told() {
    run(async {
        let servers = servers(&options());
        let config = GuardConfig {
            bandwidth_mbit: [None, Some(8)],
            ..GuardConfig::default()
        };
        let (mut guard, _) = Guard::with(config, None);
        guard.set_topology(topology(&servers));
        guard.until_healthy().await;
        // Replication alone: what clients write is sent to two replicas.
        let load = Load::start(&servers[0]);
        let verdict = guard.until_bad(Rule::Bandwidth).await;
        println!("link full: {verdict}");
        load.stop();
        assert_eq!(verdict.evidence.node, Some(servers[0].addr()));
        assert_eq!(verdict.evidence.note.as_deref(), Some("of 8 Mbit/s"));
        guard.go_on(Duration::from_secs(1)).await;
    });
}

#[test]
fn what_a_node_sends_to_replicas_is_counted_once() {
    let servers = servers(&options());
    let state = |line: &str| servers[0].info("replication", line).unwrap();
    let patience = Duration::from_secs(20);
    wait_for("both replicas", patience, || {
        ["slave0", "slave1"]
            .iter()
            .all(|line| state(line).contains("state=online"))
    })
    .unwrap();
    let sent = |field: &str| servers[0].info("stats", field).unwrap().parse::<u64>().unwrap();
    let before = sent("total_net_output_bytes");
    let mut client = servers[0].client().unwrap();
    let value = vec![b'x'; 1_000_000];
    for _ in 0..20 {
        client.send(&[b"SET".as_slice(), b"key", &value]).unwrap();
        client.receive().unwrap();
    }
    wait_for("both copies", patience, || {
        sent("total_net_repl_output_bytes") >= 40_000_000
    })
    .unwrap();
    let sent = sent("total_net_output_bytes") - before;
    assert!((40_000_000..60_000_000).contains(&sent), "{sent}");
}
