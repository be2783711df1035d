//! What is known of one node, and does its trouble count as evidence?
//!
//! Pure. *Healthy before* is kept here: a replica that was never in sync and keeping up for a while raises nothing, so that a
//! first sync, a restart or a new replica are not alarms; one that was and then is lost is evidence.

use std::time::{Duration, Instant};

use super::rate::Rate;
use super::tally::Tally;
use super::{NodeDetails, NodeInfo, ReplicaLine};
use crate::cluster::NodeAddr;

/// A condition that must hold for some time once; from then on it is remembered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Earned {
    since: Option<Instant>,
    done: bool,
}

impl Earned {
    pub(super) const fn done(self) -> bool {
        self.done
    }

    /// It holds, or does not, by evidence of `at`.
    pub(super) fn holds(&mut self, holds: bool, at: Instant, needed: Duration) {
        if !holds {
            self.since = None;
            return;
        }
        let since = *self.since.get_or_insert(at);
        self.done |= at.saturating_duration_since(since) >= needed;
    }
}

/// A heartbeat's delay, or the age of one that is missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beat {
    pub(super) at: Instant,
    pub(super) delay: Duration,
}

/// The last word of INFO and ROLE.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) at: Instant,
    pub(super) info: NodeInfo,
}

/// Details are asked for once a second: two may be late.
const DETAILS_LIFETIME: Duration = Duration::from_secs(3);

/// One node.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// When it last answered anything.
    pub(super) answered: Option<Instant>,
    pub(super) report: Option<Report>,
    pub(super) details: Option<(Instant, NodeDetails)>,
    pub(super) beat: Option<Beat>,
    /// Seconds behind its master, by its last report.
    pub(super) behind: Option<f64>,
    /// In sync and keeping up.
    pub(super) steady: Earned,
    /// Its heartbeats arrive in time.
    pub(super) beating: Earned,
    /// Its master has listed it under this address; only then is not being listed a loss.
    pub(super) listed: bool,
    /// It was healthy before a failover and is to be attached to the new master from then on.
    pub(super) expected_by: Option<Instant>,
    /// Bytes it has sent.
    pub(super) sent: Rate,
    /// Bytes of the stream it has written, or applied.
    pub(super) stream: Rate,
    /// New entries of its slowlog.
    pub(super) slow: Tally,
    /// It was told to follow another master, or none: the one it followed before. By its own word, which need not be the
    /// topology's name for that master.
    pub(super) left: Option<NodeAddr>,
    /// Since when the topology does not name it any more.
    pub(super) gone_since: Option<Instant>,
}

impl Node {
    /// Takes a report in; what changed since the one before is the caller's business.
    pub(super) fn report(&mut self, at: Instant, info: NodeInfo) {
        self.answered = self.answered.max(Some(at));
        self.report = Some(Report { at, info });
    }

    /// The last report, unless it is older than `stale_after`.
    pub(super) fn fresh(&self, now: Instant, stale_after: Duration) -> Option<&Report> {
        self.report
            .as_ref()
            .filter(|report| now.saturating_duration_since(report.at) <= stale_after)
    }

    /// The last details, unless they are old.
    pub(super) fn fresh_details(&self, now: Instant, stale_after: Duration) -> Option<&NodeDetails> {
        let lifetime = stale_after.max(DETAILS_LIFETIME);
        let (at, details) = self.details.as_ref()?;
        (now.saturating_duration_since(*at) <= lifetime).then_some(details)
    }

    /// The last heartbeat, unless it is older than `stale_after`.
    pub(super) fn fresh_beat(&self, now: Instant, stale_after: Duration) -> Option<Beat> {
        self.beat
            .filter(|beat| now.saturating_duration_since(beat.at) <= stale_after)
    }

    /// It is healthy, or was before a failover: its master is to have it.
    pub(super) const fn is_owed(&self) -> bool {
        self.steady.done() || self.expected_by.is_some()
    }

    /// It starts anew: restarted, promoted, or under another master.
    pub(super) fn forget_health(&mut self) {
        (self.steady, self.beating) = (Earned::default(), Earned::default());
        (self.beat, self.behind, self.expected_by) = (None, None, None);
        self.stream.clear();
    }
}

impl Report {
    /// By its own word: linked to its master and not in a first sync.
    pub(super) fn in_sync(&self) -> bool {
        self.info.link_up == Some(true) && self.info.sync_in_progress != Some(true)
    }

    /// How this master lists `replica`: online, attached but not online, or (`None`) not at all.
    pub(super) fn lists(&self, replica: &NodeAddr) -> Option<bool> {
        self.line(replica).map(|line| line.online)
    }

    /// Seconds since `replica` acknowledged anything to this master; 0 where it is not listed.
    pub(super) fn unacknowledged(&self, replica: &NodeAddr) -> u64 {
        self.line(replica).map_or(0, |line| line.lag_seconds)
    }

    fn line(&self, replica: &NodeAddr) -> Option<&ReplicaLine> {
        self.info.replicas.iter().find(|line| line.addr == *replica)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_earned_by_an_unbroken_time_and_then_kept() {
        let start = Instant::now();
        let needed = Duration::from_secs(3);
        let at = |millis| start + Duration::from_millis(millis);
        let mut earned = Earned::default();
        earned.holds(true, at(0), needed);
        earned.holds(false, at(2_000), needed);
        earned.holds(true, at(2_250), needed);
        earned.holds(true, at(5_249), needed);
        assert!(!earned.done());
        earned.holds(true, at(5_250), needed);
        assert!(earned.done());
        earned.holds(false, at(5_500), needed);
        assert!(earned.done());
    }
}
