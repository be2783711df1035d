//! What does each rule measure, now?
//!
//! Pure: reads a side's evidence. A rule names its worst node; it is unknown when a node that counts has no fresh evidence and
//! no other reaches the limit, so that a frozen probe is not taken for a healthy replica.
//!
//! A side whose master never had a replica has nothing to replicate: its replication rules are ok, at 0, or a lone
//! `redis://` node would be frozen for ever. A side that had replicas and has none left is unknown.

mod buffer;
mod links;
mod load;
mod master;
mod memory;
mod stream;

use std::time::{Duration, Instant};

use super::Rule;
use super::evidence::SideEvidence;
use super::hysteresis::Level;
use super::node::{Node, Report};
use super::tilt::Tilt;
use crate::cluster::{NodeAddr, Side};

/// One rule's measure.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reading {
    /// The worst node, or the one without evidence.
    pub(super) node: Option<NodeAddr>,
    /// In the rule's unit; `None`: no fresh evidence.
    pub(super) value: Option<f64>,
    /// What an operator has to know to read it.
    pub(super) note: Option<String>,
    /// The time the evidence is of.
    at: Instant,
    /// The last time that shows it; `None`: it holds now.
    seen: Option<Instant>,
    /// Whether it is bad, where that is not for the limit alone to say.
    is_reached: Option<bool>,
}

impl Reading {
    fn unknown(node: Option<&NodeAddr>, now: Instant) -> Self {
        Self {
            node: node.cloned(),
            value: None,
            note: None,
            at: now,
            seen: None,
            is_reached: None,
        }
    }

    fn of(node: Option<&NodeAddr>, value: f64, at: Instant) -> Self {
        Self {
            value: Some(value),
            at,
            ..Self::unknown(node, at)
        }
    }

    /// It is read off one report, and has lasted no longer than reports say.
    fn by_report(mut self) -> Self {
        self.seen = Some(self.at);
        self
    }

    fn noted(mut self, note: String) -> Self {
        self.note = Some(note);
        self
    }

    fn if_reached(mut self, is_reached: bool) -> Self {
        self.is_reached = Some(is_reached);
        self
    }

    /// The reading against its limit.
    pub(super) fn level(&self, limit: f64, now: Instant) -> Level {
        match self.value {
            None => Level::Unknown,
            Some(value) if self.is_reached.unwrap_or(value >= limit) => {
                Level::Reached(self.at, self.seen.unwrap_or(now))
            }
            Some(_) => Level::Below,
        }
    }
}

/// What is asked of the evidence: at which time, with how much trust in the clock.
#[derive(Clone, Copy)]
pub(super) struct Measure<'a> {
    pub(super) side: Side,
    pub(super) tilt: &'a Tilt,
    /// How far ahead a trend is carried on.
    pub(super) horizon: Duration,
    pub(super) now: Instant,
}

impl Measure<'_> {
    /// Measures one rule; `None` when it is not evaluated here.
    pub(super) fn rule(self, rule: Rule, side: &mut SideEvidence) -> Option<Reading> {
        let limit = side.config.rules.get(rule).limit;
        let is_between =
            side.master.is_none() || side.masterless_since.is_some() || side.is_handing_over(self.now);
        Some(match rule {
            Rule::Unreachable => self.unreachable(side, limit),
            Rule::Bandwidth if side.config.bandwidth_mbit[self.side.index()].is_none() => return None,
            _ if is_between => Reading::unknown(side.master.as_ref(), self.now),
            Rule::HeartbeatDelay => self.heartbeat_delay(side, limit),
            Rule::LinkDown => self.link_down(side, limit),
            Rule::ResyncLoop | Rule::ReplicaFlap => self.tally(rule, side),
            Rule::OffsetLag => self.offset_lag(side, limit),
            Rule::OutputBuffer => self.output_buffer(side, limit),
            Rule::MemoryCap => self.memory_cap(side),
            Rule::MemoryGap => self.memory_gap(side, limit),
            Rule::SlowlogGrowth => self.slowlog_growth(side, limit),
            Rule::CommandMismatch => self.command_mismatch(side, limit),
            Rule::ReplicaExcess => self.replica_excess(side, self.side),
            Rule::Bandwidth => self.bandwidth(side, self.side, limit)?,
            Rule::TrafficRising => self.traffic_rising(side),
        })
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
            _ => Reading::unknown(side.present().next().map(|(addr, _)| addr), self.now),
        }
    }
}
