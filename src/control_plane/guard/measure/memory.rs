//! Has the master room, and have its replicas the same data?
//!
//! Pure.

use super::super::Rule;
use super::super::evidence::SideEvidence;
use super::super::node::Report;
use super::{Measure, Reading};

impl Measure<'_> {
    /// Evictions and refusals of the last window. A cap that is reached and does not bite is none.
    pub(super) fn memory_cap(self, side: &mut SideEvidence) -> Reading {
        let window = side.config.rules.get(Rule::MemoryCap).window;
        let (count, last) = side.at_cap.count(window, self.now);
        match self.master_report(side) {
            Some(report) if report.info.evicted_keys.is_some() => {
                // Far below 2^53: a node cannot evict that much in a window.
                #[allow(clippy::cast_precision_loss)]
                let count = count as f64;
                let reading = Reading::of(side.master.as_ref(), count, last.unwrap_or(report.at));
                match self.hides_refusals(side, report) {
                    true => {
                        reading.noted("refused commands are not counted: it has no errorstats".to_owned())
                    }
                    false => reading,
                }
            }
            _ => Reading::unknown(side.master.as_ref(), self.now),
        }
    }

    /// Whether it has a cap at which it refuses, and does not say how often it did: before Redis 6.2, or where INFO is denied.
    fn hides_refusals(self, side: &SideEvidence, report: &Report) -> bool {
        let info = &report.info;
        let refuses = info.maxmemory.is_some_and(|cap| cap > 0)
            && info.maxmemory_policy.as_deref() == Some("noeviction");
        let details = side
            .master_node()
            .and_then(|(_, node)| node.fresh_details(self.now, side.config.stale_after));
        refuses && details.is_some_and(|details| details.oom_errors.is_none())
    }

    /// The widest gap, in percent of the larger; none below the floor. Replicas that are healthy only: one that loads or
    /// syncs has less.
    pub(super) fn memory_gap(self, side: &SideEvidence, limit: f64) -> Reading {
        let Some(master) = self.master_report(side).and_then(data) else {
            return Reading::unknown(side.master.as_ref(), self.now);
        };
        let floor = side.config.memory_gap_floor as f64;
        let counted = side.present().filter(|(_, node)| node.steady.done());
        let measured = counted.map(|(addr, node)| {
            let report = node
                .fresh(self.now, side.config.stale_after)
                .filter(|report| report.in_sync());
            let own = report.and_then(|report| Some((data(report)?, report.at)));
            let apart = own.map(|(own, at)| {
                let gap = (master - own).abs();
                (
                    if gap < floor {
                        0.0
                    } else {
                        gap / master.max(own) * 100.0
                    },
                    at,
                )
            });
            (addr, apart)
        });
        self.worst(side, limit, measured)
    }
}

/// Bytes of data: without buffers of clients, replicas and the backlog, where Redis tells them apart.
// Far below 2^53: it is memory of one machine.
#[allow(clippy::cast_precision_loss)]
fn data(report: &Report) -> Option<f64> {
    let info = &report.info;
    let counted = || {
        Some(
            info.used_memory?
                .saturating_sub(info.not_counted_for_evict.unwrap_or(0)),
        )
    };
    info.dataset.or_else(counted).map(|bytes| bytes as f64)
}
