//! Is there more to do than the nodes and their links can carry, and is it growing?
//!
//! Pure.

use std::time::{Duration, Instant};

use super::super::evidence::SideEvidence;
use super::super::evidence::reports::BAND_OVER;
use super::super::{Rule, node::Node};
use super::{Measure, Reading};
use crate::cluster::{NodeAddr, Side};

/// What the contract counts slowlog entries by.
const MINUTE: Duration = Duration::from_secs(60);
/// A pause of some seconds (a stall of our own, a rate that begins anew) is nothing to a trend over minutes.
const TRAFFIC_LIFETIME: Duration = Duration::from_secs(10);
/// Fewer commands a second than this are no traffic to speak of.
const TRAFFIC_LEAST: f64 = 50.0;

impl Measure<'_> {
    /// The node with most new entries within a minute.
    pub(super) fn slowlog_growth(self, side: &mut SideEvidence, limit: f64) -> Reading {
        let stale_after = side.config.stale_after;
        let master = side.master.clone();
        let mut counted = Vec::new();
        for (addr, node) in &mut side.nodes {
            let is_master = Some(addr) == master.as_ref();
            if !is_master && (!node.steady.done() || node.gone_since.is_some()) {
                continue;
            }
            let (count, last) = node.slow.count(MINUTE, self.now);
            // Far below 2^53: the log takes some thousand entries a second at most.
            #[allow(clippy::cast_precision_loss)]
            let count = count as f64;
            let details = node.fresh_details(self.now, stale_after);
            let told = details.filter(|details| details.slowlog_entries.is_some());
            counted.push((addr.clone(), told.map(|_| (count, last.unwrap_or(self.now)))));
        }
        self.worst(side, limit, counted.iter().map(|(addr, value)| (addr, *value)))
    }

    /// What the busiest node sends, to clients and replicas; `None` where no capacity is stated.
    pub(super) fn bandwidth(self, side: &SideEvidence, of: Side, limit: f64) -> Option<Reading> {
        let stated = side.config.bandwidth_mbit[of.index()]?;
        let capacity = stated as f64 * 1e6;
        let share = |(addr, node): (_, &Node)| -> (&NodeAddr, Option<(f64, Instant)>) {
            let fresh = node.fresh(self.now, side.config.stale_after);
            let rate = fresh.and_then(|_| node.sent.per_second(BAND_OVER));
            (addr, rate.map(|(bytes, at)| (bytes * 8.0 / capacity * 100.0, at)))
        };
        let counted = side.present().filter(|(_, node)| node.steady.done());
        let measured = side.master_node().into_iter().chain(counted).map(share);
        Some(
            self.worst(side, limit, measured)
                .by_report()
                .noted(format!("of {stated} Mbit/s")),
        )
    }

    /// Growth of both sides' commands until the horizon. It says 0 while it has not been seen for long enough to rise, or a
    /// restarted proxy would hold everything up for minutes; the note says for how long it was seen.
    pub(super) fn traffic_rising(self, side: &SideEvidence) -> Reading {
        let Some(report) = self.master_report(side) else {
            return Reading::unknown(side.master.as_ref(), self.now);
        };
        let window = side.config.rules.get(Rule::TrafficRising).window;
        let seen = side.traffic.span();
        let lifetime = side.config.stale_after.max(TRAFFIC_LIFETIME);
        let is_old = |at| self.now.saturating_duration_since(at) > lifetime;
        if side.traffic_at.is_some_and(is_old) {
            return Reading::unknown(side.master.as_ref(), self.now);
        }
        if seen < window {
            let note = format!("seen for {} s of {} s", seen.as_secs(), window.as_secs());
            return Reading::of(None, 0.0, report.at).noted(note);
        }
        let growth = side.traffic.growth(self.horizon, TRAFFIC_LEAST, window) * 100.0;
        let ahead = humantime::format_duration(Duration::from_secs(self.horizon.as_secs()));
        Reading::of(None, growth, report.at).noted(format!("in {ahead} if it goes on"))
    }
}
