//! What does the master hold back for a replica that does not take it?
//!
//! Pure. The earliest sign of all: the buffer grows before anything is late.

use super::super::NodeDetails;
use super::super::buffers::Connection;
use super::super::evidence::SideEvidence;
use super::{Measure, Reading};

impl Measure<'_> {
    pub(super) fn output_buffer(self, side: &SideEvidence, limit: f64) -> Reading {
        let stale_after = side.config.stale_after;
        let Some((at, connections)) = side.buffers.fresh(self.now, stale_after) else {
            return match self.master_report(side) {
                Some(report) if !side.had_replicas => Reading::of(side.master.as_ref(), 0.0, report.at),
                _ => Reading::unknown(side.master.as_ref(), self.now),
            };
        };
        let master = side
            .master_node()
            .and_then(|(_, node)| node.fresh_details(self.now, stale_after));
        let overflow = master.and_then(NodeDetails::overflow);
        let soon = side.config.overflow_within.as_secs_f64();
        let connections: Vec<_> = connections.collect();
        // One more than is known is somebody's first sync.
        let are_all_steady =
            side.present().all(|(_, node)| node.steady.done()) && side.present().count() == connections.len();
        let is_steady = |connection: &Connection| match &connection.of {
            Some(replica) => side.nodes.get(replica).is_some_and(|node| node.steady.done()),
            None => are_all_steady,
        };
        let counted = connections
            .into_iter()
            .filter(|connection| connection.flowing.done() && is_steady(connection));
        let read = counted.map(|connection| {
            let left = overflow.and_then(|limit| connection.overflows_in(&limit));
            let is_full = connection.bytes() >= limit || left.is_some_and(|left| left < soon);
            (is_full, connection.bytes(), left, connection)
        });
        let worst = read.max_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
        let Some((is_full, bytes, left, connection)) = worst else {
            return self.nothing_counts(side);
        };
        // Where it cannot be told whose it is, it is the master that holds it.
        let node = connection.of.as_ref().or(side.master.as_ref());
        let reading = Reading::of(node, bytes, at).by_report().if_reached(is_full);
        match left {
            Some(left) => reading.noted(format!("overflows in {left:.1} s as it grows")),
            None => reading,
        }
    }
}
