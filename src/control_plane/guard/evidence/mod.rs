//! What does all that was observed of a side amount to?
//!
//! Pure: takes observations ([`reports`]) and topologies in, keeps one [`Node`] each, the master's offsets and the tallies
//! of what it counts. [`super::measure`] reads it.
//!
//! A side's own failover is recognised by what the nodes say of themselves, before Sentinel tells: a replica that becomes a
//! master, or that follows another one than before, begins a *handover*. While it lasts, nothing is known of the side's
//! replication (`unknown`, not `bad`). When the topology names the new master, the handover is over and health is
//! earned anew under it: each node has credit for one resync and one attachment, and each replica that was healthy
//! must be attached again within [`REATTACH`].

pub(super) mod reports;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::buffers::Buffers;
use super::node::Node;
use super::offsets::Offsets;
use super::rate::Rate;
use super::tally::Tally;
use super::trend::Trend;
use super::usual::Usual;
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
    /// Keys evicted and commands refused by a master at its cap.
    pub(super) at_cap: Tally,
    pub(super) buffers: Buffers,
    pub(super) usual: Usual,
    /// The master's commands.
    pub(super) commands: Rate,
    /// Commands of both sides, as the rules' owner adds them up, and when it did last.
    pub(super) traffic: Trend,
    pub(super) traffic_at: Option<Instant>,
    /// This process was stalled lately: what it read is not dated well enough for a rate.
    pub(super) dates_badly: bool,
    /// Replicas its master has listed and the topology has not named yet: Sentinel asks a master every ten seconds.
    strangers: BTreeSet<NodeAddr>,
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
            at_cap: Tally::default(),
            buffers: Buffers::default(),
            usual: Usual::default(),
            commands: Rate::default(),
            traffic: Trend::default(),
            traffic_at: None,
            dates_badly: false,
            strangers: BTreeSet::new(),
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

    /// The replicas the topology names.
    pub(super) fn present(&self) -> impl Iterator<Item = (&NodeAddr, &Node)> {
        self.replicas().filter(|(_, node)| node.gone_since.is_none())
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
        let master = self.master.as_ref();
        let is_named = |addr: &NodeAddr| replicas.contains(addr) || master == Some(addr);
        // Sent away from a master that goes on, and then forgotten by Sentinel: no loss.
        let is_sent_away = |node: &Node| node.left.is_some() && topology.master.is_some();
        // One that follows another while Sentinel holds to the master was no sign of a handover either. A new master that
        // Sentinel has not named yet is not listed as a replica any more, and was.
        let is_elsewhere = |node: &Node| {
            let report = node.report.as_ref();
            is_sent_away(node) && report.is_some_and(|report| !report.info.is_master)
        };
        if self
            .nodes
            .iter()
            .any(|(addr, node)| !is_named(addr) && is_elsewhere(node))
        {
            self.handover = None;
        }
        self.nodes
            .retain(|addr, node| is_named(addr) || !is_sent_away(node));
        for (addr, node) in &mut self.nodes {
            let named = is_named(addr);
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
        // Those that are there from the start are attached already, and a stranger has had its credit.
        if !self.strangers.remove(addr) && self.had_replicas {
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
        self.at_cap.clear();
        self.buffers.clear();
        self.commands.clear();
        self.strangers.clear();
        let others = self.replicas().count() as u64;
        self.resyncs.credit(now, others);
        self.changes.credit(now, others);
        for node in self.nodes.values_mut() {
            let is_owed = node.is_owed() && node.gone_since.is_none();
            node.forget_health();
            node.left = None;
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

    fn sign_of_handover(&mut self, at: Instant) {
        let began = match self.handover {
            Some(handover) if self.is_handing_over(at) => handover.began,
            _ => at,
        };
        self.handover = Some(Handover { began, sign: at });
    }
}
