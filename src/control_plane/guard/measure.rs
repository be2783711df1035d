//! What does each rule measure, now?
//!
//! Pure: reads a side's evidence. A rule names its worst node; it is unknown when a node that counts has no fresh evidence and
//! no other reaches the limit, so that a frozen probe is not taken for a healthy replica.
//!
//! A side whose master never had a replica has nothing to replicate: its replication rules are ok, at 0, or a lone
//! `redis://` node would be frozen for ever. A side that had replicas and has none left is unknown.

use std::time::Instant;

use super::Rule;
use super::evidence::{MASTERLESS_MAX, SideEvidence};
use super::hysteresis::Level;
use super::node::{Node, Report};
use super::tilt::Tilt;
use crate::cluster::NodeAddr;

/// Replicas acknowledge once a second. One that the topology dropped and that has not for longer is lost, though its master
/// keeps it listed as online until `repl-timeout` (60 s).
const ACK_LATE: u64 = 2;

/// One rule's measure.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reading {
    /// The worst node, or the one without evidence.
    pub(super) node: Option<NodeAddr>,
    /// In the rule's unit; `None`: no fresh evidence.
    pub(super) value: Option<f64>,
    /// The time the evidence is of.
    pub(super) at: Instant,
}

impl Reading {
    fn unknown(node: Option<&NodeAddr>, now: Instant) -> Self {
        Self {
            node: node.cloned(),
            value: None,
            at: now,
        }
    }

    fn of(node: Option<&NodeAddr>, value: f64, at: Instant) -> Self {
        Self {
            node: node.cloned(),
            value: Some(value),
            at,
        }
    }

    /// The reading against its limit.
    pub(super) fn level(&self, limit: f64) -> Level {
        match self.value {
            None => Level::Unknown,
            Some(value) if value >= limit => Level::Reached(self.at),
            Some(_) => Level::Below,
        }
    }
}

/// What is asked of the evidence: at which time, with how much trust in the clock.
#[derive(Clone, Copy)]
pub(super) struct Measure<'a> {
    pub(super) tilt: &'a Tilt,
    pub(super) now: Instant,
}

impl Measure<'_> {
    /// Measures one rule; `None` when it is not evaluated here.
    pub(super) fn rule(self, rule: Rule, side: &mut SideEvidence) -> Option<Reading> {
        let limit = side.config.rules.get(rule).limit;
        if rule == Rule::Unreachable {
            return Some(self.unreachable(side, limit));
        }
        if !is_built(rule) {
            return None;
        }
        if side.master.is_none() || side.masterless_since.is_some() || side.is_handing_over(self.now) {
            return Some(Reading::unknown(side.master.as_ref(), self.now));
        }
        Some(match rule {
            Rule::Unreachable => self.unreachable(side, limit),
            Rule::HeartbeatDelay => self.heartbeat_delay(side, limit),
            Rule::LinkDown => self.link_down(side, limit),
            Rule::ResyncLoop | Rule::ReplicaFlap => self.tally(rule, side),
            Rule::OffsetLag => self.offset_lag(side, limit),
            _ => return None,
        })
    }

    /// How long the master has been silent; a master that never answered is unknown. Without a master it is still the last
    /// one that is asked: if it is silent, that is why there is none. If it answers, a failover is under way, which
    /// has [`MASTERLESS_MAX`] to end.
    fn unreachable(self, side: &SideEvidence, limit: f64) -> Reading {
        let Some((addr, node)) = side.master_node() else {
            return Reading::unknown(None, self.now);
        };
        let Some(answered) = node.answered.map(|answered| self.tilt.clip(answered)) else {
            return Reading::unknown(Some(addr), self.now);
        };
        let silence = self.now.saturating_duration_since(answered);
        if silence.as_secs_f64() >= limit {
            let reached = std::time::Duration::try_from_secs_f64(limit).unwrap_or_default();
            return Reading::of(Some(addr), silence.as_secs_f64(), answered + reached);
        }
        if let Some(since) = side.masterless_since {
            let without = self.now.saturating_duration_since(self.tilt.clip(since));
            return if without >= MASTERLESS_MAX && without.as_secs_f64() >= limit {
                Reading::of(None, without.as_secs_f64(), since + MASTERLESS_MAX)
            } else {
                Reading::unknown(Some(addr), self.now)
            };
        }
        if silence > side.config.stale_after {
            return Reading::unknown(Some(addr), self.now);
        }
        Reading::of(Some(addr), silence.as_secs_f64(), answered)
    }

    fn heartbeat_delay(self, side: &SideEvidence, limit: f64) -> Reading {
        let counted = present(side).filter(|(_, node)| node.steady.done() && node.beating.done());
        let measured = counted.map(|(addr, node)| {
            let beat = node.fresh_beat(self.now, side.config.stale_after);
            (addr, beat.map(|beat| (beat.delay.as_secs_f64(), beat.at)))
        });
        self.worst(side, limit, measured)
    }

    fn offset_lag(self, side: &SideEvidence, limit: f64) -> Reading {
        // Without the master's offsets a replica cannot be seen to lag, so their absence must not pass for health.
        if self.master_report(side).is_none() {
            return Reading::unknown(side.master.as_ref(), self.now);
        }
        let counted = present(side).filter(|(_, node)| node.steady.done());
        let measured = counted.map(|(addr, node)| {
            let report = node
                .fresh(self.now, side.config.stale_after)
                .filter(|report| report.in_sync());
            let behind = report.and_then(|report| Some((node.behind?, report.at)));
            (addr, behind)
        });
        self.worst(side, limit, measured)
    }

    fn link_down(self, side: &SideEvidence, limit: f64) -> Reading {
        let master = self.master_report(side);
        let mut counted = 0;
        let mut down: (u32, Option<&NodeAddr>, Option<Instant>) = (0, None, None);
        let mut silent = None;
        for (addr, node) in side.replicas().filter(|(_, node)| self.must_be_linked(node)) {
            counted += 1;
            match self.is_down(side, master, addr, node) {
                Some((true, at)) => down = (down.0 + 1, down.1.or(Some(addr)), down.2.max(Some(at))),
                Some((false, _)) => {}
                None => silent = Some(addr),
            }
        }
        let value = f64::from(down.0);
        match (down, silent) {
            ((_, node, Some(at)), _) if value >= limit => Reading::of(node, value, at),
            (_, Some(addr)) => Reading::unknown(Some(addr), self.now),
            _ if counted == 0 => self.nothing_counts(side),
            ((_, node, at), None) => Reading::of(node, value, at.unwrap_or(self.now)),
        }
    }

    fn must_be_linked(self, node: &Node) -> bool {
        node.steady.done() || node.expected_by.is_some_and(|by| self.now >= by)
    }

    /// Whether a replica that must be linked is not, and the time the evidence is of. Its own word and its master's are
    /// both asked: a half-open link is seen by one end only, and a dead replica says nothing.
    fn is_down(
        self,
        side: &SideEvidence,
        master: Option<&Report>,
        addr: &NodeAddr,
        node: &Node,
    ) -> Option<(bool, Instant)> {
        let own = node.fresh(self.now, side.config.stale_after);
        let listing = master.filter(|_| node.listed);
        if node.steady.done() {
            let own = own.map(|own| (!own.in_sync(), own.at));
            let listing = listing.map(|master| {
                let silent = node.gone_since.is_some() && master.unacknowledged(addr) > ACK_LATE;
                (silent || master.lists(addr) != Some(true), master.at)
            });
            return match (own, listing) {
                (Some(own), Some(listing)) => Some(if listing.0 { listing } else { own }),
                (own, listing) => own.or(listing),
            };
        }
        // Owed since a failover: it may still be in the full resync that brought about, so any attachment will do.
        let own = own.map(|own| {
            let attached = own.info.link_up == Some(true) || own.info.sync_in_progress == Some(true);
            (!attached, own.at)
        });
        let listing = listing.map(|master| (master.lists(addr).is_none(), master.at));
        match (own, listing) {
            (Some(own), Some(listing)) => Some(if listing.0 { own } else { listing }),
            (own, listing) => own.or(listing),
        }
    }

    fn tally(self, rule: Rule, side: &mut SideEvidence) -> Reading {
        let window = side.config.rules.get(rule).window;
        let tally = match rule {
            Rule::ResyncLoop => &mut side.resyncs,
            _ => &mut side.changes,
        };
        let (count, last) = tally.count(window, self.now);
        let Some(report) = self.master_report(side) else {
            return Reading::unknown(side.master.as_ref(), self.now);
        };
        // Far below 2^53: a node cannot resync that often in a window.
        #[allow(clippy::cast_precision_loss)]
        let count = count as f64;
        Reading::of(side.master.as_ref(), count, last.unwrap_or(report.at))
    }

    fn master_report(self, side: &SideEvidence) -> Option<&Report> {
        let (_, node) = side.master_node()?;
        node.fresh(self.now, side.config.stale_after)
            .filter(|report| report.info.is_master)
    }

    fn worst<'n>(
        self,
        side: &SideEvidence,
        limit: f64,
        measured: impl Iterator<Item = (&'n NodeAddr, Option<(f64, Instant)>)>,
    ) -> Reading {
        let mut worst: Option<(&NodeAddr, f64, Instant)> = None;
        let mut silent = None;
        for (addr, value) in measured {
            match value {
                None => silent = Some(addr),
                Some((value, at)) if worst.is_none_or(|worst| value > worst.1) => {
                    worst = Some((addr, value, at));
                }
                Some(_) => {}
            }
        }
        match (worst, silent) {
            (Some((addr, value, at)), _) if value >= limit => Reading::of(Some(addr), value, at),
            (_, Some(addr)) => Reading::unknown(Some(addr), self.now),
            (Some((addr, value, at)), None) => Reading::of(Some(addr), value, at),
            (None, None) => self.nothing_counts(side),
        }
    }

    fn nothing_counts(self, side: &SideEvidence) -> Reading {
        match self.master_report(side) {
            Some(report) if !side.had_replicas => Reading::of(None, 0.0, report.at),
            _ => Reading::unknown(present(side).next().map(|(addr, _)| addr), self.now),
        }
    }
}

/// The others may be set already, and are not evaluated yet.
const fn is_built(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::HeartbeatDelay | Rule::LinkDown | Rule::ResyncLoop | Rule::ReplicaFlap | Rule::OffsetLag
    )
}

/// The replicas the topology names.
fn present(side: &SideEvidence) -> impl Iterator<Item = (&NodeAddr, &Node)> {
    side.replicas().filter(|(_, node)| node.gone_since.is_none())
}
