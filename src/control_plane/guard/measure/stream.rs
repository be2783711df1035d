//! Does the stream reach the replicas in time, and all of them alike?
//!
//! Pure.

use super::super::Rule;
use super::super::evidence::SideEvidence;
use super::{Measure, Reading};

/// A stream of less than this is heartbeats and little else. Unit: bytes a second.
const STREAM_LEAST: f64 = 10_000.0;

impl Measure<'_> {
    pub(super) fn heartbeat_delay(self, side: &SideEvidence, limit: f64) -> Reading {
        let counted = side
            .present()
            .filter(|(_, node)| node.steady.done() && node.beating.done());
        let measured = counted.map(|(addr, node)| {
            let beat = node.fresh_beat(self.now, side.config.stale_after);
            (addr, beat.map(|beat| (beat.delay.as_secs_f64(), beat.at)))
        });
        self.worst(side, limit, measured)
    }

    pub(super) fn offset_lag(self, side: &SideEvidence, limit: f64) -> Reading {
        // Without the master's offsets a replica cannot be seen to lag, so their absence must not pass for health.
        if self.master_report(side).is_none() {
            return Reading::unknown(side.master.as_ref(), self.now);
        }
        let counted = side.present().filter(|(_, node)| node.steady.done());
        let measured = counted.map(|(addr, node)| {
            let report = node
                .fresh(self.now, side.config.stale_after)
                .filter(|report| report.in_sync());
            let behind = report.and_then(|report| Some((node.behind?, report.at)));
            (addr, behind)
        });
        self.worst(side, limit, measured)
    }

    /// Commands of apps come unevenly; what comes through the stream does not. The master's own rate counts as one more
    /// sibling's, or of two replicas it could not be told which is apart.
    pub(super) fn command_mismatch(self, side: &SideEvidence, limit: f64) -> Reading {
        let Some(report) = self.master_report(side) else {
            return Reading::unknown(side.master.as_ref(), self.now);
        };
        let window = side.config.rules.get(Rule::CommandMismatch).window;
        let counted = side.present().filter(|(_, node)| node.steady.done());
        // One of which nothing is known is not taken for one that does as the others do.
        let rate = |(addr, node): (_, &super::Node)| {
            let fresh = node.fresh(self.now, side.config.stale_after);
            let rate = fresh.and_then(|_| node.stream.per_second(window));
            (addr, rate)
        };
        let rates: Vec<_> = counted.map(rate).collect();
        let master = side.master_node().map(rate);
        let known = rates.iter().chain(&master).filter_map(|(_, rate)| *rate);
        let mut sorted: Vec<f64> = known.map(|(rate, _)| rate).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
        if rates.len() < 2 || median < STREAM_LEAST {
            return Reading::of(None, 0.0, report.at);
        }
        let apart = |(rate, at): (f64, _)| ((rate - median).abs() / median * 100.0, at);
        let measured = rates.into_iter().map(|(addr, rate)| (addr, rate.map(apart)));
        self.worst(side, limit, measured)
    }
}
