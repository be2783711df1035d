//! What operators and apps do every day: none of it may route traffic back.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use switchback::cluster::Side;
use switchback::control_plane::sentinel;
use switchback::lab::{Group, GroupOptions, Server};

use crate::harness::{Guard, Load, is_well, options, run, servers};

/// Redis under a load that a good machine hardly notices, and `trouble` on top; nothing trips, and all is well after it.
async fn quiet(servers: &[Server], trouble: impl AsyncFnOnce(&mut Guard, &[Server])) {
    let mut guard = Guard::watching(servers).await;
    let load = Load::of(&servers[0], 1_000, 1);
    guard.go_on(Duration::from_secs(1)).await;
    trouble(&mut guard, servers).await;
    guard.go_on(Duration::from_secs(2)).await;
    load.stop();
    guard.until("health", is_well).await;
    assert_eq!(guard.tripped, [] as [&str; 0], "{:#?}", guard.reasons);
}

/// Until a field of INFO is 0 again.
async fn until_over(guard: &mut Guard, server: &Server, field: &str) {
    let is_over = |_: &Guard| server.info("persistence", field).unwrap() == "0";
    guard.go_on_until(field, is_over).await;
}

#[test]
fn replicas_restarted_one_after_the_other_trip_nothing() {
    run(async {
        let mut servers = servers(&options());
        let mut guard = Guard::watching(&servers).await;
        let load = Load::of(&servers[0], 1_000, 1);
        for index in [1, 2, 1] {
            servers[index].kill().unwrap();
            // Longer than the rule on lost links once allowed.
            guard.go_on(Duration::from_secs(3)).await;
            servers[index].restart().unwrap();
            let address = servers[index].addr();
            let counts = |guard: &Guard| {
                let nodes = guard.rules.nodes(Instant::now());
                nodes.iter().any(|node| node.node == address && node.counts)
            };
            guard.go_on(Duration::from_secs(1)).await;
            guard.go_on_until("the replica to count", counts).await;
        }
        load.stop();
        guard.until("health", is_well).await;
        assert_eq!(guard.tripped, [] as [&str; 0], "{:#?}", guard.reasons);
    });
}

#[test]
fn saving_and_rewriting_under_load_trip_nothing() {
    run(async {
        let servers = servers(&options());
        let fill = "for i = 1, 100000 do redis.call('SET', 'key:' .. i, string.rep('x', 200)) end";
        servers[0].call(&["EVAL", fill, "0"]).unwrap();
        quiet(&servers, async |guard, servers| {
            servers[0].call(&["BGSAVE"]).unwrap();
            until_over(guard, &servers[0], "rdb_bgsave_in_progress").await;
            servers[0].call(&["BGREWRITEAOF"]).unwrap();
            until_over(guard, &servers[0], "aof_rewrite_in_progress").await;
            servers[0].call(&["CONFIG", "SET", "appendonly", "yes"]).unwrap();
            until_over(guard, &servers[0], "aof_rewrite_in_progress").await;
        })
        .await;
    });
}

#[test]
fn a_big_delete_and_a_slow_script_trip_nothing() {
    run(async {
        let servers = servers(&options());
        let fill = "for i = 1, 50000 do redis.call('SADD', 'big', 'member:' .. ARGV[1] + i) end";
        for from in (0..500_000).step_by(50_000) {
            servers[0].call(&["EVAL", fill, "0", &from.to_string()]).unwrap();
        }
        quiet(&servers, async |guard, servers| {
            servers[0].call(&["DEL", "big"]).unwrap();
            guard.go_on(Duration::from_secs(1)).await;
            let spin = "local began = redis.call('TIME') \
                local function passed() local now = redis.call('TIME') \
                return (now[1] - began[1]) * 1000 + (now[2] - began[2]) / 1000 end \
                while passed() < 400 do end return passed()";
            for _ in 0..3 {
                // On a thread of its own: the guard must not wait for it.
                let mut client = servers[0].client().unwrap();
                let running = std::thread::spawn(move || client.ask(&["EVAL", spin, "0"]).unwrap());
                guard
                    .go_on_until("the script to end", |_| running.is_finished())
                    .await;
                running.join().unwrap();
                guard.go_on(Duration::from_millis(500)).await;
            }
        })
        .await;
    });
}

#[test]
fn load_that_doubles_in_a_second_trips_nothing() {
    run(async {
        let servers = servers(&options());
        quiet(&servers, async |guard, servers| {
            let load = Load::of(&servers[0], 1_000, 2);
            guard.go_on(Duration::from_secs(3)).await;
            load.stop();
        })
        .await;
    });
}

#[test]
fn a_proxy_that_was_stalled_for_two_seconds_trips_nothing() {
    run(async {
        let servers = servers(&options());
        quiet(&servers, async |_, _| {
            // This is the stall itself: nothing of this process's guard runs meanwhile.
            std::thread::sleep(Duration::from_secs(2));
        })
        .await;
    });
}

#[test]
fn a_lost_quorum_of_sentinels_trips_nothing() {
    run(async {
        let group = Group::start(GroupOptions {
            config: options().config,
            ..GroupOptions::named("side")
        })
        .unwrap();
        let (mut guard, events) = Guard::start(None);
        tokio::task::spawn_local(sentinel::watch(0, Side::New, group.endpoint(), events));
        guard.until_healthy().await;
        for sentinel in &group.sentinels()[1..] {
            sentinel.signal(Signal::SIGSTOP).unwrap();
        }
        guard.go_on(Duration::from_secs(15)).await;
        for sentinel in &group.sentinels()[1..] {
            sentinel.signal(Signal::SIGCONT).unwrap();
        }
        guard.until("health", is_well).await;
        assert_eq!(guard.tripped, [] as [&str; 0], "{:#?}", guard.reasons);
    });
}
