//! What does the control plane hold of one route, and how does a decision become a snapshot?
//!
//! Shell: the controller decides, this publishes and has it saved. The only place that writes a route's snapshot.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use super::advice::{Fed, Situation};
use super::clock;
use super::detach::Detach;
use super::guard::{self, Observation, ObservationKind, Rule, RuleVerdict, Rules, Verdict};
use super::ledger::{Ledger, Messages};
use super::preflight::{Known, LastLook, Traffic};
use super::raise::{Looking, PendingRaise};
use super::record::Record;
use super::shift::{Change, ChangeKind, Controller, Health, Input, Refused, Standing};
use super::store::{Progress, Tray};
use super::trace::{self, Ahead, Header, Moved, Observed, Place, Reconfigured, Relearned, Tape, What};
use crate::cluster::{NodeAddr, Side, Topology};
use crate::config::GuardConfig;
use crate::data_plane::RouteShared;
use crate::routing::{Epoch, Publisher, RouteTable, SideView, Snapshot, Weight};

/// How often a state that could not be saved is tried again: a disk that was full has room some time.
const SAVE_AGAIN: Duration = Duration::from_secs(1);

/// What has become of saving the state.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Saved {
    /// The latest state is on disk, or on its way there.
    Ok,
    /// It is on disk again, after it could not be saved.
    Again,
    /// It cannot be saved. A raise is taken back, which wants publishing.
    Failed {
        why: String,
        /// Where the ramp was that has ended by it.
        ended_ramp: Option<String>,
    },
}

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
    /// What became of messages in transitions.
    pub(super) ledger: Ledger,
    /// What a look at both sides came to.
    pub(super) last_look: LastLook,
    /// How many there were.
    pub(super) looks: u64,
    /// The number of the one that is under way.
    pub(super) looking: Option<Looking>,
    /// The order that waits for it.
    pub(super) pending: Option<PendingRaise>,
    traffic: [Traffic; 2],
    publisher: Publisher,
    rules: [Option<Rules>; 2],
    news: guard::News,
    /// What the rules are given is also recorded here.
    tape: Option<Tape>,
    /// The settings in force.
    guard: GuardConfig,
    /// Whom old's master feeds.
    fed: Fed,
    /// What tripped last, in this process.
    tripped: Option<RuleVerdict>,
    /// `new` was tripped as unreachable: what it has in flight is not waited for.
    is_new_abandoned: bool,
    /// How far ahead the rules look.
    ahead: Ahead,
    /// By side: the last master there was.
    last_master: [Option<NodeAddr>; 2],
    progress: watch::Sender<Progress>,
    /// What has been given to the writer last.
    last_save: Epoch,
    /// The latest state could not be saved, and is tried again at this time.
    save_again: Option<Instant>,
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
        let standing = match &left {
            Some(record) => record.standing.clone(),
            None => Standing::at(config.weight),
        };
        let epoch = match &left {
            Some(record) if record.topology == found => record.epoch,
            Some(record) => record.epoch.next(),
            None => Epoch(1),
        };
        let reason = standing.latch.as_ref().map(|latch| latch.reason.clone());
        let now = clock::now();
        let controller = Controller::new(&config.name, has_new, config.ramp.clone(), standing, now);
        let first = snapshot(epoch, controller.weight(), &found, has_new, false);
        let progress = Progress {
            weight: left
                .as_ref()
                .map_or(Weight::ZERO, |record| record.standing.weight),
            ..Progress::default()
        };
        let mut route = Self {
            publisher: Publisher::new(first, workers),
            rules: Side::BOTH.map(|side| {
                let has_side = side == Side::Old || has_new;
                has_side.then(|| Rules::new(config.guard.clone(), side))
            }),
            tape: None,
            guard: config.guard.clone(),
            fed: Fed::default(),
            tripped: None,
            controller,
            topology: Default::default(),
            verdicts: Vec::new(),
            news: guard::News::default(),
            reason,
            ledger: Ledger::default(),
            last_look: LastLook::default(),
            looks: 0,
            looking: None,
            pending: None,
            traffic: Default::default(),
            is_new_abandoned: false,
            ahead: Ahead::default(),
            last_master: [None, None],
            progress: watch::Sender::new(progress),
            last_save: epoch,
            save_again: None,
            shared,
        };
        for (side, topology) in Side::BOTH.into_iter().zip(found) {
            route.learn(side, topology, now);
        }
        route
    }

    /// Records what the rules are given from now on, or nothing any more.
    pub(super) fn record(&mut self, place: Option<&Place>) {
        // The one before ends first: it may have the same file.
        self.tape = None;
        let [old, new] = self.topology.clone();
        let header = || Header {
            switchback_trace: trace::VERSION,
            by: env!("CARGO_PKG_VERSION").to_owned(),
            route: self.name().to_owned(),
            began: Timestamp::now(),
            lost: 0,
            guard: self.guard.clone(),
            weight: self.controller.weight(),
            target: self.controller.target(),
            ahead: self.ahead,
            old,
            new: self.has(Side::New).then_some(new),
        };
        self.tape = place.map(|place| Tape::start(place, header()));
    }

    /// What there is to tell of the recording: an event's kind and reason.
    pub(super) fn record_news(&mut self) -> Option<(&'static str, String)> {
        self.tape.as_mut()?.news()
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

    /// A side looks different now. Publishing is the caller's to ask for. Returns whether another node is master than
    /// the last one that was: to have none for a while is no change of master.
    pub(super) fn learn(&mut self, side: Side, topology: Topology, now: Instant) -> bool {
        if let Some(rules) = &mut self.rules[side.index()] {
            rules.topology(&topology, now);
        }
        if let Some(tape) = &mut self.tape {
            let nodes = topology.clone();
            tape.add(now, What::Topology(Relearned { side, nodes }));
        }
        if side == Side::Old && topology.master != self.topology[side.index()].master {
            self.fed.forget();
        }
        let last = &mut self.last_master[side.index()];
        let is_another = topology.master.is_some() && last.is_some() && topology.master != *last;
        if topology.master.is_some() {
            last.clone_from(&topology.master);
        }
        self.topology[side.index()] = topology;
        self.last_look.forget();
        is_another
    }

    /// Whether a node is the side's now. While there is no master the last one is: its silence is worth seeing.
    pub(super) fn watches(&self, side: Side, node: &NodeAddr) -> bool {
        let topology = &self.topology[side.index()];
        let is_last_master = || self.last_master[side.index()].as_ref() == Some(node);
        topology.has(node) || (topology.master.is_none() && is_last_master())
    }

    /// The guard's shells have measured something, and it is `now` that they are heard.
    pub(super) fn observe(&mut self, side: Side, observation: Observation, now: Instant) {
        if let Some(rules) = &mut self.rules[side.index()] {
            rules.observe(&observation);
        }
        let old_master = self.topology[Side::Old.index()].master.as_ref();
        if let ObservationKind::Info(info) = &observation.kind
            && side == Side::Old
            && old_master == Some(&observation.node)
        {
            self.fed
                .listed(&observation.node, info, &self.topology[Side::Old.index()]);
        }
        self.traffic[side.index()].observe(&observation);
        if let Some(tape) = &mut self.tape {
            let Observation { node, at, kind } = observation;
            let age = trace::nanos(now.saturating_duration_since(at));
            tape.add(
                now,
                What::Observed(Observed {
                    side,
                    node,
                    age,
                    kind,
                }),
            );
        }
    }

    /// Whether an order is to be decided only after a look at both sides: it would have the weight leave 0, and nothing
    /// else forbids it now.
    pub(super) fn needs_look(&self, input: &Input, now: Instant) -> bool {
        let health = Health {
            preflight: None,
            ..self.health(now)
        };
        self.controller.weight() == Weight::ZERO
            && input.leaves_zero()
            && self
                .controller
                .clone()
                .handle(input.clone(), &health, clock::both(now))
                .is_ok()
    }

    /// Whether a raise is under way that has not left 0 yet.
    pub(super) fn waits_at_zero(&self) -> bool {
        self.controller.weight() == Weight::ZERO && self.controller.target() > Weight::ZERO
    }

    /// Whom to look at, by side.
    pub(super) fn known(&mut self) -> [Option<Known>; 2] {
        Known::of(
            &self.shared.config,
            &self.topology,
            &mut self.traffic,
            clock::now(),
        )
    }

    /// Other thresholds from now on. What is known stays known: a reload must neither blind the guard at weight 50 nor
    /// be a way round "no `ARM` while a rule is bad".
    pub(super) fn reconfigure(&mut self, guard: &GuardConfig, now: Instant) {
        self.guard.clone_from(guard);
        for rules in self.rules.iter_mut().flatten() {
            rules.reconfigure(guard.clone());
        }
        if let Some(tape) = &mut self.tape {
            let config = Box::new(guard.clone());
            tape.add(now, What::Guard(Reconfigured { config }));
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
        // Paused or not: what holds a ramp up must not cease to because of that.
        let ahead = Ahead::of(self.controller.raise_left(now));
        let is_another = std::mem::replace(&mut self.ahead, ahead) != ahead;
        match &mut self.tape {
            Some(tape) if is_another => tape.add(now, What::Ahead(ahead)),
            Some(tape) => tape.look(now),
            None => {}
        }
        for rules in self.rules.iter_mut().flatten() {
            rules.horizon(ahead.time());
        }
        let verdicts = guard::verdicts(&mut self.rules, now);
        let before = std::mem::replace(&mut self.verdicts, verdicts);
        guard::changed(&before, &self.verdicts)
    }

    /// What is to be told of the last look.
    pub(super) fn news(&mut self, now: Instant) -> Vec<guard::Item> {
        self.news.of(&self.verdicts, now)
    }

    /// What the verdicts of the last look come to, and the last look at both sides where it counts.
    fn health(&self, now: Instant) -> Health {
        let is_zero = self.controller.weight() == Weight::ZERO;
        Health {
            preflight: self.last_look.reservation(now).filter(|_| is_zero),
            ..Health::of(&self.verdicts)
        }
    }

    /// Asks the controller.
    pub(super) fn decide(&mut self, input: Input, now: Instant) -> Result<Option<Change>, Refused> {
        let health = self.health(now);
        let change = self.controller.handle(input, &health, clock::both(now))?;
        if let Some(change) = &change {
            self.record_change(change, now);
            if change.kind == ChangeKind::Trip {
                self.tripped.clone_from(&change.evidence);
            }
            self.reason = Some(change.reason.clone());
            self.is_new_abandoned = match change.kind {
                ChangeKind::Trip => change.rule() == Some(Rule::Unreachable),
                ChangeKind::Armed => false,
                _ => self.is_new_abandoned,
            };
        }
        Ok(change)
    }

    /// What else is to be done, while the route is latched.
    pub(super) fn advice(&self) -> Option<String> {
        self.controller.latch()?;
        self.situation().advice()
    }

    /// What a verdict asks for, while it is bad.
    pub(super) fn next_step(&self, verdict: &RuleVerdict) -> Option<String> {
        (verdict.verdict == Verdict::Bad).then(|| self.situation().next_step(verdict))
    }

    fn situation(&self) -> Situation<'_> {
        let config = &self.shared.config;
        Situation {
            route: self.name(),
            cause: self.latched_by(),
            topology: &self.topology,
            old: &config.old,
            new: config.new.as_ref(),
            guard: &self.guard,
            fed: &self.fed,
        }
    }

    /// The rule behind the latch, the side and the node; `None`: an operator is behind it, or there is none.
    fn latched_by(&self) -> Option<(Rule, Side, Option<&NodeAddr>)> {
        let latch = self.controller.latch()?;
        if let Some(verdict) = self
            .tripped
            .as_ref()
            .filter(|verdict| verdict.rule.name() == latch.cause)
        {
            return Some((verdict.rule, verdict.side, verdict.evidence.node.as_ref()));
        }
        // Tripped before a restart: what was measured is kept as text.
        let rule = Rule::ALL.into_iter().find(|rule| rule.name() == latch.cause)?;
        let is_old = latch.reason.contains(" side=old");
        Some((rule, if is_old { Side::Old } else { Side::New }, None))
    }

    /// Whom the configuration has detached at a trip.
    pub(super) fn detaches(&self) -> Vec<Detach> {
        if !self.guard.detaches_on_trip {
            return Vec::new();
        }
        let config = &self.shared.config;
        let mut accesses = vec![config.old.node_access()];
        if let Some(new) = &config.new
            && new.node_access() != config.old.node_access()
        {
            accesses.insert(0, new.node_access());
        }
        let detach = |node: &NodeAddr| Detach {
            node: node.clone(),
            master: self.topology[Side::Old.index()].master.clone(),
            accesses: accesses.clone(),
        };
        self.guard.detach.iter().map(detach).collect()
    }

    fn record_change(&mut self, change: &Change, now: Instant) {
        let moved = || Moved {
            kind: change.kind.name().to_owned(),
            weight: self.controller.weight(),
            target: self.controller.target(),
            evidence: change.evidence.as_ref().map(ToString::to_string),
        };
        if let Some(tape) = &mut self.tape {
            tape.add(now, What::Moved(moved()));
        }
    }

    /// A route back was for another reason, or an operator's, and `new` does not answer either: what it still owes is not
    /// waited for from now on. `true` once, and it wants publishing.
    pub(super) fn abandon_new(&mut self) -> bool {
        let is_silent = |verdict: &RuleVerdict| verdict.verdict == Verdict::Bad;
        let abandons = !self.is_new_abandoned
            && self.controller.latch().is_some()
            && self.unreachable(Side::New).is_some_and(is_silent);
        self.is_new_abandoned |= abandons;
        abandons
    }

    fn unreachable(&self, side: Side) -> Option<&RuleVerdict> {
        let is_it = |verdict: &&RuleVerdict| verdict.side == side && verdict.rule == Rule::Unreachable;
        self.verdicts.iter().find(is_it)
    }

    /// Puts in force what has been decided and learnt, and has it saved.
    pub(super) fn publish(&mut self, tray: &Tray) -> Epoch {
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
        self.save(epoch, tray);
        epoch
    }

    /// Has the present state saved under `epoch`.
    pub(super) fn save(&mut self, epoch: Epoch, tray: &Tray) {
        let record = Record {
            standing: self.controller.standing(),
            epoch,
            topology: self.topology.clone(),
        };
        self.last_save = epoch;
        tray.save(self.name(), record, &self.progress);
    }

    /// The writer has news. Only the latest state counts: an older one that failed has been overtaken, and the outcome
    /// of a later one that is on its way decides.
    pub(super) fn saved(&mut self, now: Instant) -> Saved {
        let progress = self.progress.borrow().clone();
        let was_failing = self.save_again.is_some();
        if progress.saved >= self.last_save {
            self.save_again = None;
            return if was_failing { Saved::Again } else { Saved::Ok };
        }
        let Some((_, why)) = progress.failed.filter(|(failed, _)| *failed >= self.last_save) else {
            return Saved::Ok;
        };
        self.save_again = Some(now + SAVE_AGAIN);
        let before = self.controller.weight();
        let ended_ramp = self.controller.fall_back_to(progress.weight);
        let why = format!("state could not be saved: {why}");
        if self.controller.weight() < before || ended_ramp.is_some() {
            self.reason = Some(why.clone());
        } else if was_failing {
            return Saved::Ok;
        }
        Saved::Failed { why, ended_ramp }
    }

    /// Tries again to save what could not be saved, when it is time.
    pub(super) fn save_again(&mut self, now: Instant, tray: &Tray) {
        if self.save_again.is_some_and(|at| now >= at) {
            self.save_again = Some(now + SAVE_AGAIN);
            self.save(self.last_save, tray);
        }
    }

    /// Tries once more, as the process ends.
    pub(super) fn save_at_last(&mut self, tray: &Tray) {
        let progress = self.progress.borrow().clone();
        let failed = progress.failed.map(|(failed, _)| failed);
        if progress.saved < self.last_save && failed >= Some(self.last_save) {
            self.save(self.last_save, tray);
        }
    }

    /// A transition begins.
    pub(super) fn open_ledger(&mut self, what: &'static str) {
        self.ledger.begin(what, Messages::of(&self.shared.stats));
    }

    /// The ledger's entry of a transition that is over.
    pub(super) fn ledger_entry(&mut self, now: Instant) -> Option<String> {
        let stats = &self.shared.stats;
        self.ledger.tick(now, || Messages::of(stats))
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
        heir: topology.heir.clone().map(Arc::new),
        abandoned,
    };
    Snapshot {
        epoch,
        weight,
        old: view(&topology[0], false),
        new: has_new.then(|| view(&topology[1], is_new_abandoned)),
    }
}
