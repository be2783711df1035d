//! A control loop reduced to one side's guard, on real servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use switchback::cluster::{Access, Credentials, NodeAddr, Side, Topology};
use switchback::config::GuardConfig;
use switchback::control_plane::Event;
use switchback::control_plane::guard::{
    ObservationKind, Rule, RuleVerdict, Rules, Verdict, trip, watch_side, worst,
};
use switchback::lab::{Server, ServerOptions};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use tokio::time::interval;

/// How often the control loop judges.
const JUDGE_EVERY: Duration = Duration::from_millis(50);
/// An idle machine needs far less; tests may leave none idle.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// A control loop reduced to one side's guard.
pub(crate) struct Guard {
    pub(crate) rules: Rules,
    events: mpsc::Receiver<Event>,
    pub(crate) topology: watch::Sender<Topology>,
    pub(crate) delays: Vec<(NodeAddr, Duration)>,
    /// Every verdict that asked for a route back.
    pub(crate) tripped: Vec<String>,
    /// What was told.
    pub(crate) reasons: Vec<String>,
    /// Probes that had no answer.
    pub(crate) silences: usize,
    /// Probes that had one.
    pub(crate) answers: usize,
}

impl Guard {
    /// Starts the shells on the present [`LocalSet`]; `events` may have other senders.
    pub(crate) fn start(auth: Option<Credentials>) -> (Self, mpsc::Sender<Event>) {
        Self::with(GuardConfig::default(), auth)
    }

    pub(crate) fn with(config: GuardConfig, auth: Option<Credentials>) -> (Self, mpsc::Sender<Event>) {
        let (sender, events) = mpsc::channel(1_024);
        let (topology, changes) = watch::channel(Topology::default());
        let access = Access { auth, tls: None };
        let shells = watch_side(0, Side::New, access, config.clone(), changes, sender.clone());
        tokio::task::spawn_local(shells);
        let guard = Self {
            rules: Rules::new(config, Side::New),
            events,
            topology,
            delays: Vec::new(),
            tripped: Vec::new(),
            reasons: Vec::new(),
            silences: 0,
            answers: 0,
        };
        (guard, sender)
    }

    /// Watches servers in sync, until all is well with them.
    pub(crate) async fn watching(servers: &[Server]) -> Self {
        let (mut guard, _) = Self::start(None);
        guard.set_topology(topology(servers));
        guard.until_healthy().await;
        guard
    }

    pub(crate) fn set_topology(&mut self, topology: Topology) {
        self.rules.topology(&topology, Instant::now());
        self.topology.send_replace(topology);
    }

    /// Runs until the verdicts are as wanted, and returns them.
    pub(crate) async fn until(
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
                match &observation.kind {
                    ObservationKind::Heartbeat { delay } => {
                        self.delays.push((observation.node.clone(), *delay));
                    }
                    ObservationKind::NoAnswer { .. } => self.silences += 1,
                    ObservationKind::Info(_) => self.answers += 1,
                    ObservationKind::HeartbeatOutstanding { .. } => {}
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
    pub(crate) async fn until_healthy(&mut self) {
        let counts_not = |guard: &Self| {
            let nodes = guard.rules.nodes(Instant::now());
            nodes.len() < 1 + guard.topology.borrow().replicas.len()
                || nodes
                    .iter()
                    .any(|node| node.is_master != Some(true) && !node.counts)
        };
        self.until("health", is_well).await;
        let began = Instant::now();
        while counts_not(self) {
            assert!(
                began.elapsed() < PATIENCE,
                "{:?}",
                self.rules.nodes(Instant::now())
            );
            self.step().await;
        }
        self.until("health", is_well).await;
        assert_eq!(self.tripped, [] as [&str; 0]);
    }

    /// Goes on until something is so that no verdict tells.
    pub(crate) async fn go_on_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !is_so(self) {
            assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
            self.step().await;
        }
    }

    pub(crate) async fn step(&mut self) {
        let mut stepped = false;
        self.until("a step", |_| std::mem::replace(&mut stepped, true))
            .await;
    }

    /// Runs for a time.
    pub(crate) async fn go_on(&mut self, time: Duration) {
        let later = Instant::now() + time;
        self.until("a time", |_| Instant::now() >= later).await;
    }

    pub(crate) async fn until_bad(&mut self, rule: Rule) -> RuleVerdict {
        let verdicts = self
            .until(rule.name(), |verdicts| of(verdicts, rule).verdict == Verdict::Bad)
            .await;
        of(&verdicts, rule).clone()
    }
}

/// A replica more than usual is told, and is no harm.
pub(crate) fn is_well(verdicts: &[RuleVerdict]) -> bool {
    let counted = verdicts
        .iter()
        .filter(|verdict| verdict.rule != Rule::ReplicaExcess);
    worst(&counted.cloned().collect::<Vec<_>>()) == Verdict::Ok
}

pub(crate) fn of(verdicts: &[RuleVerdict], rule: Rule) -> &RuleVerdict {
    verdicts.iter().find(|verdict| verdict.rule == rule).unwrap()
}

/// A master with two replicas, all in sync.
pub(crate) fn servers(options: &ServerOptions) -> Vec<Server> {
    let master = Server::start(options).unwrap();
    let replica = ServerOptions {
        replica_of: Some(master.addr()),
        ..options.clone()
    };
    let mut servers = vec![master];
    servers.extend((0..2).map(|_| Server::start(&replica).unwrap()));
    servers
}

pub(crate) fn topology(servers: &[Server]) -> Topology {
    Topology {
        master: Some(servers[0].addr()),
        replicas: servers[1..].iter().map(Server::addr).collect(),
        heir: None,
    }
}

pub(crate) fn options() -> ServerOptions {
    ServerOptions {
        // The default waits 5 s for further replicas before a first sync.
        config: vec!["repl-diskless-sync-delay 0".to_owned()],
        ..ServerOptions::default()
    }
}

pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test);
}

/// A writer, until it is dropped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    writing: Option<JoinHandle<()>>,
}

impl Load {
    /// Writes 1 MB values to a server, as fast as it goes.
    pub(crate) fn start(server: &Server) -> Self {
        Self::of(server, 1_000_000, 16)
    }

    /// Writes values to a server, so many at once.
    pub(crate) fn of(server: &Server, bytes: usize, at_once: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let mut client = server.client().unwrap();
        let value = vec![b'x'; bytes];
        let writing = std::thread::spawn(move || {
            let mut key = 0_u64;
            while !stopped.load(Ordering::Relaxed) {
                key = (key + 1) % 64;
                for _ in 0..at_once {
                    client
                        .send(&[b"SET".as_slice(), key.to_string().as_bytes(), &value])
                        .unwrap();
                }
                for _ in 0..at_once {
                    client.receive().unwrap();
                }
            }
        });
        Self {
            stop,
            writing: Some(writing),
        }
    }

    /// Ends it; a write that failed fails the test.
    pub(crate) fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.writing.take().unwrap().join().unwrap();
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
