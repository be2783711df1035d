//! What does all that was observed of a side amount to?
//!
//! Pure: takes observations and topologies in, keeps one [`Node`] each, the master's offsets and the tallies of what it
//! counts. [`super::measure`] reads it.
//!
//! A side's own failover is recognised by what the nodes say of themselves, before Sentinel tells: a replica that becomes a
//! master, or that follows another one than before, begins a *handover*. While it lasts, nothing is known of the side's
//! replication (`unknown`, not `bad`). When the topology names the new master, the handover is over and health is
//! earned anew under it: each node has credit for one resync and one attachment, and each replica that was healthy
//! must be attached again within [`REATTACH`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::node::{Beat, Node};
use super::offsets::Offsets;
use super::tally::Tally;
use super::{NodeInfo, Observation, ObservationKind, Rule};
use crate::cluster::{NodeAddr, Topology};
use crate::config::GuardConfig;
use crate::limits::NODES_MAX;

/// How long a handover lasts after its last sign. Sentinel asks for INFO once a second during a failover and moves one
/// replica after the other: each takes two or three of those.
const HANDOVER: Duration = Duration::from_secs(10);
/// How long a handover lasts at most, whatever the signs.
const HANDOVER_MAX: Duration = Duration::from_secs(30);
/// How long a side may be without a master before that is as bad as one that does not answer: a failover is over by then.
pub(super) const MASTERLESS_MAX: Duration = HANDOVER;
/// How long after a failover replicas that were healthy may be away from the new master.
const REATTACH: Duration = HANDOVER;
/// How long the loss of a healthy replica counts after the topology has dropped it. Then it is gone for good.
const LOST_COUNTS: Duration = Duration::from_secs(30);

/// One side, as seen so far.
#[derive(Debug)]
pub(super) struct SideEvidence {
    pub(super) config: GuardConfig,
    pub(super) nodes: BTreeMap<NodeAddr, Node>,
    /// The present master, or the last one.
    pub(super) master: Option<NodeAddr>,
    pub(super) masterless_since: Option<Instant>,
    /// The side has, or once had, replicas.
    pub(super) had_replicas: bool,
    pub(super) offsets: Offsets,
    pub(super) resyncs: Tally,
    pub(super) changes: Tally,
    handover: Option<Handover>,
}

#[derive(Clone, Copy, Debug)]
struct Handover {
    began: Instant,
    sign: Instant,
}

impl SideEvidence {
    pub(super) fn new(config: GuardConfig) -> Self {
        Self {
            config,
            nodes: BTreeMap::new(),
            master: None,
            masterless_since: None,
            had_replicas: false,
            offsets: Offsets::default(),
            resyncs: Tally::default(),
            changes: Tally::default(),
            handover: None,
        }
    }

    /// Whether replicas are on their way from one master to another.
    pub(super) fn is_handing_over(&self, now: Instant) -> bool {
        self.handover.is_some_and(|handover| {
            now.saturating_duration_since(handover.sign) < HANDOVER
                && now.saturating_duration_since(handover.began) < HANDOVER_MAX
        })
    }

    /// The present master, or the last one, as a node.
    pub(super) fn master_node(&self) -> Option<(&NodeAddr, &Node)> {
        let master = self.master.as_ref()?;
        Some((master, self.nodes.get(master)?))
    }

    /// All nodes that are, or lately were, the master's replicas.
    pub(super) fn replicas(&self) -> impl Iterator<Item = (&NodeAddr, &Node)> {
        let master = self.master.as_ref();
        self.nodes.iter().filter(move |(addr, _)| Some(*addr) != master)
    }

    /// What the side consists of from now on.
    pub(super) fn topology(&mut self, topology: &Topology, now: Instant) {
        match &topology.master {
            None => {
                self.masterless_since.get_or_insert(now);
            }
            Some(master) => {
                self.masterless_since = None;
                self.follow_master(master, now);
            }
        }
        let replicas = &topology.replicas[..topology.replicas.len().min(NODES_MAX)];
        for addr in replicas.iter().chain(&topology.master) {
            self.admit(addr, now);
        }
        self.had_replicas |= !replicas.is_empty();
        for (addr, node) in &mut self.nodes {
            let named = replicas.contains(addr) || self.master.as_ref() == Some(addr);
            match (named, node.gone_since) {
                (true, _) => node.gone_since = None,
                (false, None) => node.gone_since = Some(now),
                (false, Some(_)) => {}
            }
        }
        self.drop_lost(now);
    }

    fn admit(&mut self, addr: &NodeAddr, now: Instant) {
        // Room for one whole topology and as many that were lost lately.
        if self.nodes.contains_key(addr) || self.nodes.len() > NODES_MAX * 2 {
            return;
        }
        self.nodes.insert(addr.clone(), Node::default());
        // Those that are there from the start are attached already.
        if self.had_replicas {
            self.resyncs.credit(now, 1);
            self.changes.credit(now, 1);
        }
    }

    fn follow_master(&mut self, master: &NodeAddr, now: Instant) {
        if self.master.as_ref() == Some(master) {
            return;
        }
        let is_first = self.master.replace(master.clone()).is_none();
        if !is_first {
            self.start_anew(now);
        }
    }

    /// Another master, or the same one restarted: offsets and counters are of another stream.
    fn start_anew(&mut self, now: Instant) {
        self.handover = None;
        self.offsets.clear();
        self.resyncs.clear();
        self.changes.clear();
        let others = self.replicas().count() as u64;
        self.resyncs.credit(now, others);
        self.changes.credit(now, others);
        for node in self.nodes.values_mut() {
            let is_owed = node.is_owed() && node.gone_since.is_none();
            node.forget_health();
            node.expected_by = is_owed.then(|| now + REATTACH);
        }
    }

    /// Forgets nodes that are not the side's any more.
    pub(super) fn drop_lost(&mut self, now: Instant) {
        self.nodes.retain(|_, node| {
            node.gone_since
                .is_none_or(|gone| now.saturating_duration_since(gone) < LOST_COUNTS)
        });
    }

    /// Takes one observation in; of a node that is not the side's, nothing is kept.
    pub(super) fn observe(&mut self, observation: &Observation) {
        let (addr, at) = (&observation.node, observation.at);
        if !self.nodes.contains_key(addr) {
            return;
        }
        match &observation.kind {
            ObservationKind::Info(info) if self.master.as_ref() == Some(addr) => {
                self.master_reports(addr, at, info);
            }
            ObservationKind::Info(info) => self.replica_reports(addr, at, info),
            // It is the silence that is measured, see `measure`; why it is silent is told by the shell.
            ObservationKind::NoAnswer { .. } => {}
            ObservationKind::Heartbeat { delay } => {
                self.beat(addr, at, *delay);
                self.answered(addr, at);
            }
            ObservationKind::HeartbeatOutstanding { age } => self.beat(addr, at, *age),
        }
    }

    /// The node is alive.
    pub(super) fn answered(&mut self, addr: &NodeAddr, at: Instant) {
        if let Some(node) = self.nodes.get_mut(addr) {
            node.answered = node.answered.max(Some(at));
        }
    }

    fn beat(&mut self, addr: &NodeAddr, at: Instant, delay: Duration) {
        let limit = self.config.rules.get(Rule::HeartbeatDelay).limit;
        if let Some(node) = self.nodes.get_mut(addr) {
            node.beat = Some(Beat { at, delay });
            let in_time = delay.as_secs_f64() < limit;
            node.beating.holds(in_time, at, self.config.healthy_before);
        }
    }

    fn master_reports(&mut self, addr: &NodeAddr, at: Instant, info: &NodeInfo) {
        let before = self.nodes.get(addr).and_then(|node| node.report.clone());
        if let Some(before) = before {
            if before.info.is_master && !info.is_master {
                self.sign_of_handover(at);
            }
            if restarted(&before.info, info) {
                self.start_anew(at);
            } else {
                // A refused partial resync is answered by the full one in the same command: not two events.
                let resyncs = risen(before.info.sync_full, info.sync_full)
                    .max(risen(before.info.sync_partial_err, info.sync_partial_err));
                self.resyncs.event(at, resyncs);
                let replicas = (before.info.connected_replicas, info.connected_replicas);
                if let (Some(before), Some(now)) = replicas {
                    self.changes.event(at, u64::from(before.abs_diff(now)));
                }
            }
        }
        if let Some(offset) = info.repl_offset.filter(|_| info.is_master) {
            self.offsets.push(at, offset);
        }
        self.had_replicas |= info.connected_replicas.is_some_and(|count| count > 0);
        for line in &info.replicas {
            if let Some(node) = self.nodes.get_mut(&line.addr) {
                node.listed = true;
            }
        }
        if let Some(node) = self.nodes.get_mut(addr) {
            node.report(at, info.clone());
        }
    }

    fn replica_reports(&mut self, addr: &NodeAddr, at: Instant, info: &NodeInfo) {
        let asked = at.checked_sub(info.took).unwrap_or(at);
        let behind = info
            .repl_offset
            .and_then(|offset| self.offsets.behind(asked, offset));
        let keeps_up = behind.is_none_or(|behind| behind < self.config.rules.get(Rule::OffsetLag).limit);
        let (healthy_before, stale_after) = (self.config.healthy_before, self.config.stale_after);
        let Some(node) = self.nodes.get_mut(addr) else {
            return;
        };
        let was_silent = node.fresh(at, stale_after).is_none();
        let before = node.report.take().map(|report| report.info);
        node.report(at, info.clone());
        node.behind = behind;
        let in_sync = node.report.as_ref().is_some_and(|report| report.in_sync());
        match before {
            Some(before) if moved(&before, info) => {
                let is_owed = node.is_owed() && !info.is_master;
                node.forget_health();
                node.expected_by = is_owed.then(|| at + REATTACH);
                self.sign_of_handover(at);
            }
            Some(before) if restarted(&before, info) => {
                node.forget_health();
                self.resyncs.credit(at, 1);
                self.changes.credit(at, 2);
            }
            Some(_) => node
                .steady
                .holds(in_sync && keeps_up && !was_silent, at, healthy_before),
            None if !in_sync => {
                self.resyncs.credit(at, 1);
                self.changes.credit(at, 1);
            }
            None => node.steady.holds(keeps_up, at, healthy_before),
        }
    }

    fn sign_of_handover(&mut self, at: Instant) {
        let began = match self.handover {
            Some(handover) if self.is_handing_over(at) => handover.began,
            _ => at,
        };
        self.handover = Some(Handover { began, sign: at });
    }
}

fn restarted(before: &NodeInfo, now: &NodeInfo) -> bool {
    before.run_id.is_some() && now.run_id.is_some() && before.run_id != now.run_id
}

/// Whether a replica was promoted, or told to follow another master than before.
fn moved(before: &NodeInfo, now: &NodeInfo) -> bool {
    let promoted = now.is_master && !before.is_master;
    promoted || (before.follows.is_some() && now.follows.is_some() && before.follows != now.follows)
}

fn risen(before: Option<u64>, now: Option<u64>) -> u64 {
    match (before, now) {
        (Some(before), Some(now)) => now.saturating_sub(before),
        _ => 0,
    }
}
