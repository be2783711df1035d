//! Do the rules say what they should of a whole side, under virtual time?
//!
//! A modelled group: a master and replicas that answer probes and heartbeats every 100 ms, and whose troubles
//! are switched on by the tests. What real Redis does is asked of real Redis in `tests/guard.rs`.

mod classic;
mod early;
mod load;

use std::time::{Duration, Instant};

use super::{
    BufferLimit, NodeDetails, NodeInfo, Observation, ObservationKind, ReplicaClient, ReplicaLine, Rule,
    RuleVerdict, Rules, Verdict,
};
use crate::cluster::{NodeAddr, Side, Topology};
use crate::config::GuardConfig;

const STEP: Duration = Duration::from_millis(50);

#[derive(Clone)]
struct Model {
    addr: NodeAddr,
    is_master: bool,
    run_id: u32,
    follows: u16,
    answers: bool,
    /// Not frozen but gone: its connections are closed, so that the heartbeat's shell knows that it knows nothing.
    dead: bool,
    /// Its master lists it as online and waits for its acknowledgement.
    frozen_since: Option<Instant>,
    link_up: bool,
    syncing: bool,
    beat_delay: Duration,
    beats_arrive: bool,
    lag_bytes: u64,
    sync_full: u64,
    sync_partial_err: u64,
    /// Counts up with every connection to its master.
    connection: u64,
    omem: u64,
    dataset: u64,
    used_memory: u64,
    maxmemory: u64,
    evicted: u64,
    refused: u64,
    slowlog: u64,
    sent: u64,
    commands: u64,
    /// What it refuses: no CLIENT LIST, no SLOWLOG.
    is_tight_lipped: bool,
    /// It refuses at its cap, and does not say how often: before Redis 6.2.
    hides_refusals: bool,
    /// It does not say which end of its link is its own.
    says_no_link: bool,
}

struct Sim {
    rules: Rules,
    topology: Topology,
    nodes: Vec<Model>,
    start: Instant,
    now: Instant,
    steps: u64,
    offset: u64,
    /// Bytes written a step.
    pace: u64,
    /// By port, when the last heartbeat arrived.
    beats: Vec<Instant>,
    /// Rules that may be bad while all is quiet otherwise.
    excused: Vec<Rule>,
}

fn addr(port: u16) -> NodeAddr {
    NodeAddr::new("h", port)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Sim {
    /// Node 0 is the master.
    fn new(replicas: u16) -> Self {
        Self::with(GuardConfig::default(), replicas)
    }

    fn with(config: GuardConfig, replicas: u16) -> Self {
        let now = Instant::now();
        let mut sim = Self {
            rules: Rules::new(config, Side::New),
            topology: Topology::default(),
            nodes: (0..=replicas).map(model).collect(),
            start: now,
            now,
            steps: 0,
            offset: 1_000,
            pace: 50,
            beats: vec![now; usize::from(replicas) + 1],
            excused: Vec::new(),
        };
        sim.set_topology(Some(0), 1..=replicas);
        sim
    }

    fn healthy(replicas: u16) -> Self {
        let mut sim = Self::new(replicas);
        sim.run(millis(5_000));
        sim.all(Verdict::Ok);
        sim
    }

    fn set_topology(&mut self, master: Option<u16>, replicas: impl IntoIterator<Item = u16>) {
        self.topology = Topology {
            master: master.map(addr),
            replicas: replicas.into_iter().map(addr).collect(),
            heir: None,
        };
        self.rules.topology(&self.topology, self.now);
    }

    fn add(&mut self) -> usize {
        // One more than usual is what that rule is for.
        self.excused = vec![Rule::ReplicaExcess];
        let port = u16::try_from(self.nodes.len()).unwrap();
        self.nodes.push(model(port));
        self.beats.push(self.now);
        usize::from(port)
    }

    /// Runs for a time, and checks that nothing turns bad in it.
    fn quiet(&mut self, time: Duration) {
        let excused = self.excused.clone();
        self.run_while(time, |verdicts| {
            for verdict in verdicts.iter().filter(|verdict| !excused.contains(&verdict.rule)) {
                assert_ne!(verdict.verdict, Verdict::Bad, "{verdict}");
            }
            true
        });
    }

    fn run(&mut self, time: Duration) {
        self.run_while(time, |_| true);
    }

    /// Runs until a rule is as wanted, at most for `within`; returns how long it took.
    fn until(&mut self, rule: Rule, wanted: Verdict, within: Duration) -> Duration {
        let began = self.now;
        let took = self.run_while(within, |verdicts| of(verdicts, rule).verdict != wanted);
        assert_eq!(self.verdict(rule).verdict, wanted, "{rule} after {took:?}");
        self.now - began
    }

    /// Runs, doing something before every step, until a rule is bad; returns how long it took.
    fn until_bad_by(
        &mut self,
        rule: Rule,
        within: Duration,
        mut before_step: impl FnMut(&mut Self),
    ) -> Duration {
        let began = self.now;
        while self.verdict(rule).verdict != Verdict::Bad {
            assert!(self.now - began < within, "{}", self.verdict(rule));
            before_step(self);
            self.quiet_but(rule);
        }
        self.now - began
    }

    fn quiet_but(&mut self, rule: Rule) {
        let excused = self.excused.clone();
        self.excused.push(rule);
        self.quiet(STEP);
        self.excused = excused;
    }

    fn run_while(&mut self, time: Duration, mut go_on: impl FnMut(&[RuleVerdict]) -> bool) -> Duration {
        let began = self.now;
        while self.now - began < time {
            self.step();
            if !go_on(&self.rules.verdicts(self.now)) {
                break;
            }
        }
        self.now - began
    }

    fn step(&mut self) {
        self.now += STEP;
        self.steps += 1;
        self.offset += self.pace;
        self.rules.tick(self.now);
        for index in 0..self.nodes.len() {
            if self.steps.is_multiple_of(2) {
                self.probe(index);
                self.beat(index);
            }
        }
    }

    fn probe(&mut self, index: usize) {
        let node = &self.nodes[index];
        let kind = if node.answers {
            ObservationKind::Info(Box::new(self.info(node)))
        } else {
            ObservationKind::NoAnswer {
                reason: "timed out".to_owned(),
            }
        };
        self.observe(index, kind);
    }

    fn observe(&mut self, index: usize, kind: ObservationKind) {
        self.rules.observe(&Observation {
            node: self.nodes[index].addr.clone(),
            at: self.now,
            kind,
        });
    }

    fn info(&self, node: &Model) -> NodeInfo {
        let attached: Vec<&Model> = self
            .nodes
            .iter()
            .filter(|other| !other.is_master && other.follows == node.addr.port)
            .filter(|other| other.answers || other.frozen_since.is_some())
            .filter(|other| node.is_master && (other.link_up || other.syncing))
            .collect();
        NodeInfo {
            is_master: node.is_master,
            run_id: Some(node.run_id.to_string()),
            repl_offset: Some(self.offset.saturating_sub(node.lag_bytes)),
            connected_replicas: Some(u32::try_from(attached.len()).unwrap()),
            replicas: attached
                .iter()
                .map(|other| ReplicaLine {
                    addr: other.addr.clone(),
                    online: !other.syncing,
                    offset: 0,
                    lag_seconds: other.frozen_since.map_or(0, |since| (self.now - since).as_secs()),
                })
                .collect(),
            follows: (!node.is_master).then(|| addr(node.follows)),
            link_up: (!node.is_master).then_some(node.link_up),
            sync_in_progress: (!node.is_master).then_some(node.syncing),
            sync_full: Some(node.sync_full),
            sync_partial_err: Some(node.sync_partial_err),
            used_memory: Some(node.used_memory),
            maxmemory: Some(node.maxmemory),
            maxmemory_policy: Some("noeviction".to_owned()),
            dataset: Some(node.dataset),
            evicted_keys: Some(node.evicted),
            net_output_bytes: Some(node.sent),
            commands: Some(node.commands),
            replica_clients: (node.is_master && !node.is_tight_lipped)
                .then(|| attached.iter().map(client).collect()),
            details: ((self.steps % 20 == 2) && !node.is_tight_lipped).then(|| details(node)),
            ..NodeInfo::default()
        }
    }

    fn beat(&mut self, index: usize) {
        let node = &self.nodes[index];
        let linked = self.nodes.iter().any(|master| {
            master.is_master && master.answers && master.addr.port == node.follows && !node.is_master
        });
        let delay = node.beat_delay;
        if node.dead {
            self.beats[index] = self.now;
        } else if node.answers && ((linked && node.link_up && node.beats_arrive) || node.is_master) {
            self.beats[index] = self.now;
            self.observe(index, ObservationKind::Heartbeat { delay });
        } else if !node.is_master && self.nodes.iter().any(|node| node.is_master && node.answers) {
            let age = self.now - self.beats[index];
            self.observe(index, ObservationKind::HeartbeatOutstanding { age });
        }
    }

    fn verdict(&mut self, rule: Rule) -> RuleVerdict {
        of(&self.rules.verdicts(self.now), rule).clone()
    }

    fn all(&mut self, wanted: Verdict) {
        let verdicts = self.rules.verdicts(self.now);
        for verdict in verdicts
            .iter()
            .filter(|verdict| !self.excused.contains(&verdict.rule))
        {
            assert_eq!(verdict.verdict, wanted, "{verdict}");
        }
    }

    /// Sentinel's clean failover from node 0 to node 1, in the order Sentinel does it.
    fn fail_over(&mut self) {
        self.nodes[1].is_master = true;
        self.quiet(millis(1_000));
        for index in 2..self.nodes.len() {
            self.nodes[index].link_up = false;
            self.nodes[index].follows = 1;
            self.quiet(millis(500));
            self.nodes[index].link_up = true;
            self.nodes[1].sync_full += 1;
            self.nodes[1].sync_partial_err += 1;
            self.quiet(millis(1_500));
        }
        let others: Vec<u16> = (2..u16::try_from(self.nodes.len()).unwrap()).collect();
        self.set_topology(Some(1), others.iter().copied());
        self.quiet(millis(500));
        self.nodes[0].is_master = false;
        self.nodes[0].follows = 1;
        self.nodes[0].syncing = true;
        self.nodes[0].link_up = false;
        self.nodes[1].sync_full += 1;
        self.nodes[1].sync_partial_err += 1;
        self.quiet(millis(1_000));
        self.set_topology(Some(1), others.into_iter().chain([0]));
        self.nodes[0].syncing = false;
        self.nodes[0].link_up = true;
        self.quiet(millis(1_000));
    }
}

/// A replica's end of its link: a port of its own for each connection.
fn end(node: &Model) -> NodeAddr {
    NodeAddr::new(
        "h",
        40_000 + node.addr.port * 100 + u16::try_from(node.connection).unwrap(),
    )
}

fn client(replica: &&Model) -> ReplicaClient {
    ReplicaClient {
        id: u64::from(replica.addr.port) * 1_000 + replica.connection,
        addr: end(replica),
        omem_bytes: replica.omem,
    }
}

fn details(node: &Model) -> Box<NodeDetails> {
    Box::new(NodeDetails {
        oom_errors: (!node.hides_refusals).then_some(node.refused),
        slowlog_entries: Some(node.slowlog),
        master_link: (!node.is_master && !node.says_no_link).then(|| end(node)),
        replica_buffer_limit: Some(BufferLimit {
            hard_bytes: 4 << 20,
            soft_bytes: 0,
            soft_seconds: 0,
        }),
        ..NodeDetails::default()
    })
}

fn model(port: u16) -> Model {
    Model {
        addr: addr(port),
        is_master: port == 0,
        run_id: u32::from(port),
        follows: 0,
        answers: true,
        dead: false,
        frozen_since: None,
        link_up: true,
        syncing: false,
        beat_delay: millis(2),
        beats_arrive: true,
        lag_bytes: 0,
        sync_full: 7,
        sync_partial_err: 3,
        connection: 1,
        omem: 20_000,
        dataset: 1_000_000_000,
        used_memory: 1_000_000_000,
        maxmemory: 0,
        evicted: 5,
        refused: 6,
        slowlog: 128,
        sent: 1_000_000,
        commands: 1_000,
        is_tight_lipped: false,
        hides_refusals: false,
        says_no_link: false,
    }
}

fn of(verdicts: &[RuleVerdict], rule: Rule) -> &RuleVerdict {
    verdicts.iter().find(|verdict| verdict.rule == rule).unwrap()
}
