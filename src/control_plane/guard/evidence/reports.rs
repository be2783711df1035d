//! What does one observation add to what is known of a side?
//!
//! Pure. Counters are compared with the report before; a node that restarted began them again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::super::buffers::BufferRules;
use super::super::node::Beat;
use super::super::{NodeDetails, NodeInfo, Observation, ObservationKind, ReplicaLine, Rule};
use super::{REATTACH, SideEvidence};
use crate::cluster::NodeAddr;
use crate::limits::NODES_MAX;

/// What a node sends is measured over this.
pub(in super::super) const BAND_OVER: Duration = Duration::from_secs(1);
/// So are commands, for a trend over minutes.
pub(in super::super) const COMMANDS_OVER: Duration = Duration::from_secs(2);
/// Evictions and refusals count from this share of `maxmemory` on: an app's script may call its own errors OOM.
const NEAR_CAP: f64 = 0.9;

/// Whose are the connections of a master's replicas?
#[derive(Debug, Default)]
struct Owners {
    /// By the replica's own word.
    by_end: BTreeMap<NodeAddr, NodeAddr>,
    /// `None`: the host has several.
    by_host: BTreeMap<String, Option<NodeAddr>>,
}

impl Owners {
    fn of(&self, end: &NodeAddr) -> Option<NodeAddr> {
        let by_host = || self.by_host.get(&end.host).cloned().flatten();
        self.by_end.get(end).cloned().or_else(by_host)
    }
}

impl SideEvidence {
    /// Takes one observation in; of a node that is not the side's, nothing is kept.
    pub(in super::super) fn observe(&mut self, observation: &Observation) {
        let (addr, at) = (&observation.node, observation.at);
        if !self.nodes.contains_key(addr) {
            return;
        }
        match &observation.kind {
            ObservationKind::Info(info) => {
                match self.master.as_ref() == Some(addr) {
                    true => self.master_reports(addr, at, info),
                    false => self.replica_reports(addr, at, info),
                }
                self.count(addr, at, info);
            }
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
    pub(in super::super) fn answered(&mut self, addr: &NodeAddr, at: Instant) {
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
                self.welcome(at, &info.replicas);
                // A refused partial resync is answered by the full one in the same command: not two events.
                let resyncs = risen(before.info.sync_full, info.sync_full)
                    .max(risen(before.info.sync_partial_err, info.sync_partial_err));
                self.resyncs.event(at, resyncs);
                let replicas = (before.info.connected_replicas, info.connected_replicas);
                if let (Some(before), Some(now)) = replicas {
                    self.changes.event(at, u64::from(before.abs_diff(now)));
                }
                if is_at_cap(info) {
                    self.at_cap
                        .event(at, risen(before.info.evicted_keys, info.evicted_keys));
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
        if info.is_master {
            self.master_lists(addr, at, info);
        }
    }

    /// Replicas nobody has named yet: their first sync and their attachment are no surprise.
    fn welcome(&mut self, at: Instant, replicas: &[ReplicaLine]) {
        for line in replicas {
            let is_known = self.nodes.contains_key(&line.addr) || self.strangers.len() > NODES_MAX;
            if !is_known && self.strangers.insert(line.addr.clone()) {
                self.resyncs.credit(at, 1);
                self.changes.credit(at, 1);
            }
        }
    }

    /// The master's word on its replicas' connections and their number.
    fn master_lists(&mut self, addr: &NodeAddr, at: Instant, info: &NodeInfo) {
        if let Some(clients) = &info.replica_clients {
            let master = self.nodes.get(addr);
            let details = master.and_then(|node| node.fresh_details(at, self.config.stale_after));
            let rules = BufferRules {
                limit: self.config.rules.get(Rule::OutputBuffer).limit,
                healthy_before: self.config.healthy_before,
                overflow: details.and_then(NodeDetails::overflow),
                dates_badly: self.dates_badly,
            };
            let owners = self.owners();
            self.buffers.list(at, clients, |end| owners.of(end), &rules);
        }
        let known = self.present().count();
        let healthy = self.present().filter(|(_, node)| node.steady.done()).count();
        self.usual.report(at, attached(info), healthy, known);
    }

    /// Whose connection is one from this address?
    fn owners(&self) -> Owners {
        let mut owners = Owners::default();
        for (addr, node) in self.present() {
            let link = node
                .details
                .as_ref()
                .and_then(|(_, details)| details.master_link.clone());
            owners.by_end.extend(link.map(|link| (link, addr.clone())));
            let on_host = owners.by_host.entry(addr.host.clone());
            on_host
                .and_modify(|one| *one = None)
                .or_insert_with(|| Some(addr.clone()));
        }
        owners
    }

    /// What grows on every node, whatever its role.
    fn count(&mut self, addr: &NodeAddr, at: Instant, info: &NodeInfo) {
        let is_master = self.master.as_ref() == Some(addr) && info.is_master;
        let compared_over = self.config.rules.get(Rule::CommandMismatch).window;
        let Some(node) = self.nodes.get_mut(addr) else {
            return;
        };
        // A question that took long was answered at some time of it: too wide for a rate.
        if self.dates_badly || info.took > BAND_OVER / 4 {
            node.sent.clear();
            node.stream.clear();
            if is_master {
                self.commands.clear();
            }
        } else {
            if let Some(sent) = info.net_output_bytes {
                node.sent.push(at, sent, BAND_OVER);
            }
            if let Some(offset) = info.repl_offset {
                node.stream.push(at, offset, compared_over);
            }
            if let Some(commands) = info.commands.filter(|_| is_master) {
                self.commands.push(at, commands, COMMANDS_OVER);
            }
        }
        if let Some(details) = &info.details {
            let before = node
                .details
                .replace((at, (**details).clone()))
                .map(|(_, before)| before);
            let before = before.unwrap_or_default();
            // From an empty log on one entry is counted: it may have been emptied, and its numbers go on.
            let slow = match before.slowlog_entries {
                Some(0) => details.slowlog_entries.unwrap_or(0).min(1),
                before => risen(before, details.slowlog_entries),
            };
            node.slow.event(at, slow);
            if is_master && is_at_cap(info) {
                self.at_cap
                    .event(at, risen(before.oom_errors, details.oom_errors));
            }
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
                node.left = match node.left.take().or(before.follows) {
                    came_back if came_back == info.follows => None,
                    left => left,
                };
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

/// Replicas a master lists, each once: one that has dialled anew may be listed under its old connection too.
pub(in super::super) fn attached(info: &NodeInfo) -> usize {
    let listed: BTreeSet<_> = info.replicas.iter().map(|line| &line.addr).collect();
    listed.len()
}

fn is_at_cap(info: &NodeInfo) -> bool {
    match (info.used_memory, info.maxmemory) {
        // Far below 2^53: it is memory of one machine.
        #[allow(clippy::cast_precision_loss)]
        (Some(used), Some(cap)) if cap > 0 => used as f64 >= cap as f64 * NEAR_CAP,
        _ => false,
    }
}
