//! Do the rules say what they should of a whole side, under virtual time?
//!
//! A modelled group: a master and replicas that answer probes and heartbeats every 100 ms, and whose troubles
//! are switched on by the tests. What real Redis does is asked of real Redis in `tests/guard.rs`.

mod classic;
mod early;
mod group;
mod load;

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

pub(in crate::control_plane) use group::{Group, Model};

use super::{Observation, ObservationKind, Rule, RuleVerdict, Rules, Verdict};
use crate::cluster::{NodeAddr, Side, Topology};
use crate::config::GuardConfig;

const STEP: Duration = Duration::from_millis(50);

struct Sim {
    rules: Rules,
    topology: Topology,
    group: Group,
    start: Instant,
    now: Instant,
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
            group: Group::new("h", 0, replicas, now),
            start: now,
            now,
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
        let now = self.now;
        self.group.add(now)
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
        self.group.step();
        self.rules.tick(self.now);
        for index in 0..self.nodes.len() {
            if self.steps.is_multiple_of(2) {
                self.probe(index);
                self.beat(index);
            }
        }
    }

    fn probe(&mut self, index: usize) {
        let kind = self.group.probed(index, self.now);
        self.observe(index, kind);
    }

    fn beat(&mut self, index: usize) {
        let now = self.now;
        if let Some(kind) = self.group.beat(index, now) {
            self.observe(index, kind);
        }
    }

    fn observe(&mut self, index: usize, kind: ObservationKind) {
        self.rules.observe(&Observation {
            node: self.nodes[index].addr.clone(),
            at: self.now,
            kind,
        });
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

impl Deref for Sim {
    type Target = Group;

    fn deref(&self) -> &Group {
        &self.group
    }
}

impl DerefMut for Sim {
    fn deref_mut(&mut self) -> &mut Group {
        &mut self.group
    }
}

fn of(verdicts: &[RuleVerdict], rule: Rule) -> &RuleVerdict {
    verdicts.iter().find(|verdict| verdict.rule == rule).unwrap()
}
