//! Is every replica attached to its master, and no more than usual?
//!
//! Pure.

use std::time::Instant;

use super::super::Rule;
use super::super::evidence::SideEvidence;
use super::super::evidence::reports::attached;
use super::super::node::{Node, Report};
use super::{Measure, Reading};
use crate::cluster::{NodeAddr, Side};

/// Replicas acknowledge once a second. One that the topology dropped and that has not for longer is lost, though its master
/// keeps it listed as online until `repl-timeout` (60 s).
const ACK_LATE: u64 = 2;

impl Measure<'_> {
    pub(super) fn link_down(self, side: &SideEvidence, limit: f64) -> Reading {
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

    pub(super) fn tally(self, rule: Rule, side: &mut SideEvidence) -> Reading {
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

    /// Replicas beyond the usual number; unknown until that has been learnt.
    pub(super) fn replica_excess(self, side: &SideEvidence, of: Side) -> Reading {
        let Some(report) = self.master_report(side) else {
            return Reading::unknown(side.master.as_ref(), self.now);
        };
        let attached = attached(&report.info);
        let stated = side.config.replicas_usual[of.index()];
        match side.usual.number(stated) {
            Some((usual, from)) => {
                let excess = u32::try_from(attached.saturating_sub(usual)).unwrap_or(u32::MAX);
                let note = format!("{attached} attached, usual {usual}, {from}");
                Reading::of(side.master.as_ref(), f64::from(excess), report.at).noted(note)
            }
            None if attached == 0 => Reading::of(side.master.as_ref(), 0.0, report.at),
            None => {
                let note = "the usual number is not learnt yet".to_owned();
                Reading::unknown(side.master.as_ref(), self.now).noted(note)
            }
        }
    }
}
