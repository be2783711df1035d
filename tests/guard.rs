//! Does the guard see what really happens to real servers, in time, and nothing where nothing is wrong?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use switchback::cluster::{Credentials, NodeAddr, Secret, Side, Topology};
use switchback::config::GuardConfig;
use switchback::control_plane::guard::{
    ObservationKind, Rule, RuleVerdict, Rules, Verdict, trip, watch_side, worst,
};
use switchback::control_plane::{Event, sentinel};
use switchback::lab::{Group, GroupOptions, Server, ServerOptions};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use tokio::time::interval;

/// How often the control loop judges.
const JUDGE_EVERY: Duration = Duration::from_millis(50);
/// An idle machine needs far less; tests may leave none idle.
const PATIENCE: Duration = Duration::from_secs(40);

/// A control loop reduced to one side's guard.
struct Guard {
    rules: Rules,
    events: mpsc::Receiver<Event>,
    topology: watch::Sender<Topology>,
    delays: Vec<(NodeAddr, Duration)>,
    tripped: Vec<String>,
    reasons: Vec<String>,
}

impl Guard {
    /// Starts the shells on the present [`LocalSet`]; `events` may have other senders.
    fn start(auth: Option<Credentials>) -> (Self, mpsc::Sender<Event>) {
        let (sender, events) = mpsc::channel(1_024);
        let (topology, changes) = watch::channel(Topology::default());
        let config = GuardConfig::default();
        let shells = watch_side(0, Side::New, auth, config.clone(), changes, sender.clone());
        tokio::task::spawn_local(shells);
        let guard = Self {
            rules: Rules::new(config, Side::New),
            events,
            topology,
            delays: Vec::new(),
            tripped: Vec::new(),
            reasons: Vec::new(),
        };
        (guard, sender)
    }

    fn set_topology(&mut self, topology: Topology) {
        self.rules.topology(&topology, Instant::now());
        self.topology.send_replace(topology);
    }

    /// Runs until the verdicts are as wanted, and returns them.
    async fn until(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&[RuleVerdict]) -> bool,
    ) -> Vec<RuleVerdict> {
        let began = Instant::now();
        let mut ticks = interval(JUDGE_EVERY);
        loop {
            tokio::select! {
                event = self.events.recv() => self.handle(event.unwrap()),
                _ = ticks.tick() => {}
            }
            let verdicts = self.rules.verdicts(Instant::now());
            if let Some(bad) = trip(&verdicts) {
                self.tripped.push(bad.to_string());
            }
            if wanted(&verdicts) {
                return verdicts;
            }
            if began.elapsed() > PATIENCE {
                let said: Vec<String> = verdicts
                    .iter()
                    .map(|one| format!("{} {one}", one.verdict.name()))
                    .collect();
                panic!(
                    "waited {PATIENCE:?} for {what}\n{}\n{:#?}\n{:?}",
                    said.join("\n"),
                    self.rules.nodes(Instant::now()),
                    self.reasons
                );
            }
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Observation { observation, .. } => {
                if let ObservationKind::Heartbeat { delay } = &observation.kind {
                    self.delays.push((observation.node.clone(), *delay));
                }
                self.rules.observe(&observation);
            }
            Event::Topology { topology, reason, .. } => {
                self.reasons.push(format!("{topology:?} {reason}"));
                self.set_topology(topology);
            }
            Event::Notice { kind, text, .. } => self.reasons.push(format!("{kind} {text}")),
            _ => {}
        }
    }

    /// Until all is well and every replica's trouble would be noticed.
    async fn until_healthy(&mut self) {
        let counts_not = |guard: &Self| {
            let nodes = guard.rules.nodes(Instant::now());
            nodes.len() < 1 + guard.topology.borrow().replicas.len()
                || nodes
                    .iter()
                    .any(|node| node.is_master != Some(true) && !node.counts)
        };
        self.until("health", |verdicts| worst(verdicts) == Verdict::Ok)
            .await;
        let began = Instant::now();
        while counts_not(self) {
            assert!(
                began.elapsed() < PATIENCE,
                "{:?}",
                self.rules.nodes(Instant::now())
            );
            self.step().await;
        }
        self.until("health", |verdicts| worst(verdicts) == Verdict::Ok)
            .await;
        assert_eq!(self.tripped, [] as [&str; 0]);
    }

    async fn step(&mut self) {
        let mut stepped = false;
        self.until("a step", |_| std::mem::replace(&mut stepped, true))
            .await;
    }

    async fn until_bad(&mut self, rule: Rule) -> RuleVerdict {
        let verdicts = self
            .until(rule.name(), |verdicts| of(verdicts, rule).verdict == Verdict::Bad)
            .await;
        of(&verdicts, rule).clone()
    }
}

fn of(verdicts: &[RuleVerdict], rule: Rule) -> &RuleVerdict {
    verdicts.iter().find(|verdict| verdict.rule == rule).unwrap()
}

/// A master with two replicas, all in sync.
fn servers(options: &ServerOptions) -> Vec<Server> {
    let master = Server::start(options).unwrap();
    let replica = ServerOptions {
        replica_of: Some(master.addr()),
        ..options.clone()
    };
    let mut servers = vec![master];
    servers.extend((0..2).map(|_| Server::start(&replica).unwrap()));
    servers
}

fn topology(servers: &[Server]) -> Topology {
    Topology {
        master: Some(servers[0].addr()),
        replicas: servers[1..].iter().map(Server::addr).collect(),
    }
}

fn options() -> ServerOptions {
    ServerOptions {
        // The default waits 5 s for further replicas before a first sync.
        config: vec!["repl-diskless-sync-delay 0".to_owned()],
        ..ServerOptions::default()
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test);
}

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
        let later = Instant::now() + Duration::from_secs(2);
        guard
            .until("two quiet seconds", |_| Instant::now() >= later)
            .await;
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
        let (mut guard, _) = Guard::start(None);
        guard.set_topology(topology(std::slice::from_ref(&master)));
        guard.until_healthy().await;
        master.signal(nix::sys::signal::Signal::SIGSTOP).unwrap();
        guard.until_bad(Rule::Unreachable).await;
    });
}

#[test]
fn a_frozen_master_is_unreachable_within_a_second_and_ok_when_it_thaws() {
    run(async {
        let servers = servers(&options());
        let (mut guard, _) = Guard::start(None);
        guard.set_topology(topology(&servers));
        guard.until_healthy().await;
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
        guard
            .until("health", |verdicts| worst(verdicts) == Verdict::Ok)
            .await;
    });
}

#[test]
fn a_frozen_replica_is_a_heartbeat_delay_well_within_a_second() {
    run(async {
        let servers = servers(&options());
        let (mut guard, _) = Guard::start(None);
        guard.set_topology(topology(&servers));
        guard.until_healthy().await;
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
        guard
            .until("health", |verdicts| worst(verdicts) == Verdict::Ok)
            .await;
    });
}

#[test]
fn a_killed_replica_is_a_link_down_and_names_it() {
    run(async {
        let mut servers = servers(&options());
        let (mut guard, _) = Guard::start(None);
        guard.set_topology(topology(&servers));
        guard.until_healthy().await;
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
        let (mut guard, _) = Guard::start(None);
        guard.set_topology(topology(&servers));
        guard.until_healthy().await;
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
        while counts(&guard, true) {
            let mut once = false;
            guard
                .until("a step", |_| std::mem::replace(&mut once, true))
                .await;
        }
        while counts(&guard, false) {
            let mut once = false;
            guard
                .until("a step", |_| std::mem::replace(&mut once, true))
                .await;
        }
        guard.until_healthy().await;
    });
}

/// Writes 1 MB values to a server until told to stop.
fn load(
    server: &Server,
) -> (
    std::sync::Arc<std::sync::atomic::AtomicBool>,
    std::thread::JoinHandle<()>,
) {
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let mut client = server.client().unwrap();
    let value = vec![b'x'; 1_000_000];
    let writing = std::thread::spawn(move || {
        let mut key = 0_u64;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            key = (key + 1) % 64;
            for _ in 0..16 {
                client
                    .send(&[b"SET".as_slice(), key.to_string().as_bytes(), &value])
                    .unwrap();
            }
            for _ in 0..16 {
                client.receive().unwrap();
            }
        }
    });
    (stop, writing)
}

#[test]
fn a_resync_loop_by_a_tiny_output_buffer_is_told() {
    run(async {
        let servers = servers(&options());
        let (mut guard, _) = Guard::start(None);
        guard.set_topology(topology(&servers));
        guard.until_healthy().await;
        for limit in [
            ["CONFIG", "SET", "repl-backlog-size", "16kb"],
            ["CONFIG", "SET", "client-output-buffer-limit", "replica 1mb 1mb 1"],
        ] {
            servers[0].call(&limit).unwrap();
        }
        let (stop, writing) = load(&servers[0]);
        let began = Instant::now();
        let verdicts = guard.until("any trip", |verdicts| trip(verdicts).is_some()).await;
        println!(
            "resync loop: {} after {:?}",
            trip(&verdicts).unwrap(),
            began.elapsed()
        );
        let verdict = guard.until_bad(Rule::ResyncLoop).await;
        println!("resync loop: {verdict} after {:?}", began.elapsed());
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        writing.join().unwrap();
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
                    worst(verdicts) == Verdict::Ok && topology.borrow().replicas.len() == 2
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
        let (mut guard, _) = Guard::start(None);
        guard.set_topology(topology(&servers));
        guard.until_healthy().await;
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
