//! What does the control plane hold of one route, and how does a decision become a snapshot?
//!
//! Shell: the controller decides, this publishes and has it saved. The only place that writes a route's snapshot.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::guard::{self, Observation, Rule, RuleVerdict, Rules, Verdict};
use super::record::Record;
use super::shift::{Change, ChangeKind, Controller, Health, Input, Refused};
use super::store::{Progress, Store};
use crate::cluster::{Side, Topology};
use crate::config::GuardConfig;
use crate::data_plane::RouteShared;
use crate::routing::{Epoch, Publisher, RouteTable, SideView, Snapshot, Weight};

/// One route.
pub(super) struct RouteControl {
    pub(super) shared: Arc<RouteShared>,
    pub(super) controller: Controller,
    /// By side. What was there at the last publication, or has been confirmed since.
    pub(super) topology: [Topology; 2],
    /// Of both sides, as of the last look.
    pub(super) verdicts: Vec<RuleVerdict>,
    /// Why the route is as it is: the last change's reason.
    pub(super) reason: Option<String>,
    publisher: Publisher,
    rules: [Option<Rules>; 2],
    /// `new` was tripped as unreachable: what it has in flight is not waited for.
    is_new_abandoned: bool,
    progress: watch::Sender<Progress>,
    saved_weight: Weight,
    unsaved: VecDeque<(Epoch, Weight)>,
}

impl RouteControl {
    /// A route as it was left, or as configured when it has never been here. The nodes it was left with are published
    /// only when they are among those `found` now; with the same nodes the epoch is the same too.
    pub(super) fn new(
        shared: Arc<RouteShared>,
        left: Option<Record>,
        found: [Topology; 2],
        workers: usize,
    ) -> Self {
        let config = &shared.config;
        let has_new = config.new.is_some();
        let (weight, latch) = match &left {
            Some(record) => (record.weight, record.latch.clone()),
            None => (config.weight, None),
        };
        let epoch = match &left {
            Some(record) if record.topology == found => record.epoch,
            Some(record) => record.epoch.next(),
            None => Epoch(1),
        };
        let reason = latch.as_ref().map(|latch| latch.reason.clone());
        let controller = Controller::new(&config.name, has_new, weight, latch);
        let first = snapshot(epoch, controller.weight(), &found, has_new, false);
        let saved_weight = left.as_ref().map_or(Weight::ZERO, |record| record.weight);
        let mut route = Self {
            publisher: Publisher::new(first, workers),
            rules: Side::BOTH.map(|side| {
                let has_side = side == Side::Old || has_new;
                has_side.then(|| Rules::new(config.guard.clone(), side))
            }),
            controller,
            topology: Default::default(),
            verdicts: Vec::new(),
            reason,
            is_new_abandoned: false,
            progress: watch::Sender::default(),
            saved_weight,
            unsaved: VecDeque::new(),
            shared,
        };
        let now = Instant::now();
        for (side, topology) in Side::BOTH.into_iter().zip(found) {
            route.learn(side, topology, now);
        }
        route
    }

    pub(super) fn name(&self) -> &str {
        &self.shared.config.name
    }

    pub(super) fn has(&self, side: Side) -> bool {
        self.rules[side.index()].is_some()
    }

    pub(super) fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    pub(super) fn table(&self) -> RouteTable {
        self.publisher.table()
    }

    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.publisher.current().epoch
    }

    /// A side looks different now. Publishing is the caller's to ask for.
    pub(super) fn learn(&mut self, side: Side, topology: Topology, now: Instant) {
        if let Some(rules) = &mut self.rules[side.index()] {
            rules.topology(&topology, now);
        }
        self.topology[side.index()] = topology;
    }

    /// The guard's shells have measured something.
    pub(super) fn observe(&mut self, side: Side, observation: &Observation) {
        if let Some(rules) = &mut self.rules[side.index()] {
            rules.observe(observation);
        }
    }

    /// Other thresholds from now on. The evidence is gathered anew: until then the verdicts are unknown, which freezes.
    pub(super) fn reconfigure(&mut self, guard: &GuardConfig, now: Instant) {
        for side in Side::BOTH {
            if let Some(rules) = &mut self.rules[side.index()] {
                *rules = Rules::new(guard.clone(), side);
                rules.topology(&self.topology[side.index()], now);
            }
        }
    }

    /// The loop has come round: rules find out whether this process was stalled.
    pub(super) fn tick(&mut self, now: Instant) {
        for rules in self.rules.iter_mut().flatten() {
            rules.tick(now);
        }
    }

    /// Judges both sides. Returns the verdicts that have changed since the last look.
    pub(super) fn judge(&mut self, now: Instant) -> Vec<RuleVerdict> {
        let verdicts: Vec<RuleVerdict> = self
            .rules
            .iter_mut()
            .flatten()
            .flat_map(|rules| rules.verdicts(now))
            .collect();
        let before = std::mem::replace(&mut self.verdicts, verdicts);
        let verdict_before = |now: &RuleVerdict| {
            let same = before
                .iter()
                .find(|was| was.side == now.side && was.rule == now.rule);
            same.map_or(Verdict::Unknown, |was| was.verdict)
        };
        self.verdicts
            .iter()
            .filter(|verdict| verdict.verdict != verdict_before(verdict))
            .cloned()
            .collect()
    }

    /// Asks the controller, with the verdicts of the last look.
    pub(super) fn decide(&mut self, input: Input, now: Instant) -> Result<Option<Change>, Refused> {
        let old_is_unreachable = self.verdicts.iter().any(|verdict| {
            verdict.side == Side::Old && verdict.rule == Rule::Unreachable && verdict.verdict == Verdict::Bad
        });
        let health = Health {
            trip: guard::trip(&self.verdicts).cloned(),
            freeze: guard::freeze(&self.verdicts).cloned(),
            old_is_unreachable,
        };
        let change = self.controller.handle(input, &health, now)?;
        if let Some(change) = &change {
            self.reason = Some(change.reason.clone());
            self.is_new_abandoned = match change.kind {
                ChangeKind::Trip => change.rule() == Some(Rule::Unreachable),
                ChangeKind::Armed => false,
                _ => self.is_new_abandoned,
            };
        }
        Ok(change)
    }

    /// Puts in force what has been decided and learnt, and has it saved.
    pub(super) fn publish(&mut self, store: &Store) -> Epoch {
        let epoch = self.epoch().next();
        let weight = self.controller.weight();
        let has_new = self.has(Side::New);
        self.publisher.publish(snapshot(
            epoch,
            weight,
            &self.topology,
            has_new,
            self.is_new_abandoned,
        ));
        self.save(epoch, store);
        epoch
    }

    /// Has the present state saved under `epoch`.
    pub(super) fn save(&mut self, epoch: Epoch, store: &Store) {
        let record = Record {
            weight: self.controller.weight(),
            epoch,
            latch: self.controller.latch().cloned(),
            topology: self.topology.clone(),
        };
        self.unsaved.push_back((epoch, record.weight));
        store.save(self.name(), record, &self.progress);
    }

    /// The writer has news. `Some`: a raise could not be saved and is taken back; it says why, and wants publishing.
    pub(super) fn saved(&mut self) -> Option<String> {
        let progress = self.progress.borrow().clone();
        let is_done = |epoch: Epoch| {
            epoch <= progress.saved
                || progress
                    .failed
                    .as_ref()
                    .is_some_and(|(failed, _)| epoch <= *failed)
        };
        let mut is_last_failed = false;
        while let Some((epoch, weight)) = self.unsaved.pop_front_if(|(epoch, _)| is_done(*epoch)) {
            is_last_failed = epoch > progress.saved;
            if !is_last_failed {
                self.saved_weight = weight;
            }
        }
        let (_, why) = progress.failed.filter(|_| is_last_failed)?;
        let text = format!("state could not be saved: {why}");
        let before = self.controller.weight();
        self.controller.fall_back_to(self.saved_weight);
        if self.controller.weight() < before {
            self.reason = Some(text.clone());
        }
        Some(text)
    }

    /// The side's worst verdict.
    pub(super) fn side_verdict(&self, side: Side) -> Verdict {
        let of_side: Vec<RuleVerdict> = self
            .verdicts
            .iter()
            .filter(|verdict| verdict.side == side)
            .cloned()
            .collect();
        guard::worst(&of_side)
    }
}

fn snapshot(
    epoch: Epoch,
    weight: Weight,
    topology: &[Topology; 2],
    has_new: bool,
    is_new_abandoned: bool,
) -> Snapshot {
    let view = |topology: &Topology, abandoned| SideView {
        master: topology.master.clone().map(Arc::new),
        replicas: topology.replicas.clone().into(),
        abandoned,
    };
    Snapshot {
        epoch,
        weight,
        old: view(&topology[0], false),
        new: has_new.then(|| view(&topology[1], is_new_abandoned)),
    }
}
