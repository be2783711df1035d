//! Which masters do the Sentinels name, and in which order are they to be believed?
//!
//! Pure: views in, candidates out, best first. The higher config epoch wins, not the larger number of Sentinels: in a
//! failover the leader knows of the new master before all others do. What this trusts too much, ROLE corrects.

use super::reply::{Flags, ReplicaState, SentinelState};
use crate::cluster::NodeAddr;

/// What one Sentinel said in one poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Its run id, where it tells (Redis 6.2).
    pub(crate) id: Option<String>,
    /// The master, as GET-MASTER-ADDR-BY-NAME has it: the promoted replica as soon as the leader saw its promotion.
    pub(crate) named: NodeAddr,
    /// `config-epoch`
    pub(crate) epoch: u64,
    /// Of the master in SENTINEL MASTER: the old one until the failover has ended.
    pub(crate) flags: Flags,
    /// SENTINEL REPLICAS.
    pub(crate) replicas: Vec<ReplicaState>,
    /// SENTINEL SENTINELS.
    pub(crate) sentinels: Vec<SentinelState>,
}

impl View {
    /// It finds the master down, together with others, or is failing it over.
    pub(crate) fn sees_failover(&self) -> bool {
        self.flags.o_down || self.flags.failover_in_progress
    }

    /// Whether this node is of its group, as master or replica.
    pub(crate) fn has_member(&self, addr: &NodeAddr) -> bool {
        self.named == *addr || self.replicas.iter().any(|replica| replica.addr == *addr)
    }
}

/// A node that Sentinels name as master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Where it is.
    pub(crate) addr: NodeAddr,
    /// The highest epoch anyone names it at.
    pub(crate) epoch: u64,
    /// How many Sentinels name it at that epoch.
    pub(crate) votes: usize,
    /// How many name it at all.
    pub(crate) votes_ever: usize,
}

/// The masters named, newest epoch first, then most votes at it, then `current` before others.
pub(crate) fn candidates<'a>(
    views: impl Iterator<Item = &'a View>,
    current: Option<&NodeAddr>,
) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    for view in views {
        let known = found.iter_mut().find(|candidate| candidate.addr == view.named);
        match known {
            Some(candidate) => candidate.count(view.epoch),
            None => found.push(Candidate {
                addr: view.named.clone(),
                epoch: view.epoch,
                votes: 1,
                votes_ever: 1,
            }),
        }
    }
    found.sort_by(|a, b| {
        let rank = |one: &Candidate| (one.epoch, one.votes, current == Some(&one.addr));
        rank(b).cmp(&rank(a)).then_with(|| a.addr.cmp(&b.addr))
    });
    found
}

impl Candidate {
    fn count(&mut self, epoch: u64) {
        self.votes_ever += 1;
        if epoch > self.epoch {
            self.epoch = epoch;
            self.votes = 1;
        } else if epoch == self.epoch {
            self.votes += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(port: u16, epoch: u64) -> View {
        View {
            id: None,
            named: NodeAddr::new("h", port),
            epoch,
            flags: Flags::default(),
            replicas: Vec::new(),
            sentinels: Vec::new(),
        }
    }

    fn order(views: &[View], current: Option<u16>) -> Vec<u16> {
        let current = current.map(|port| NodeAddr::new("h", port));
        let found = candidates(views.iter(), current.as_ref());
        found.iter().map(|candidate| candidate.addr.port).collect()
    }

    #[test]
    fn one_sentinel_at_a_newer_epoch_goes_before_many_at_an_older_one() {
        assert_eq!(order(&[view(1, 3), view(1, 3), view(2, 4)], Some(1)), [2, 1]);
    }

    #[test]
    fn at_one_epoch_the_majority_goes_first_and_the_present_master_wins_a_tie() {
        assert_eq!(order(&[view(1, 3), view(2, 3), view(2, 3)], Some(1)), [2, 1]);
        assert_eq!(order(&[view(1, 3), view(2, 3)], Some(2)), [2, 1]);
        assert_eq!(order(&[view(1, 3), view(2, 3)], None), [1, 2]);
    }

    #[test]
    fn only_votes_at_the_newest_epoch_rank_but_all_are_counted() {
        let found = candidates([view(1, 3), view(1, 4), view(1, 4)].iter(), None);
        assert_eq!((found[0].epoch, found[0].votes, found[0].votes_ever), (4, 2, 3));
    }
}
