//! Whom does a Sentinel-watched side follow?
//!
//! Pure: the half of [`Follower`] that moves [`Follower::current`]: to whom Sentinels name and ROLE confirms, and to whom
//! a Sentinel is just promoting.

use std::time::Instant;

use super::super::agreement::{Candidate, candidates};
use super::{Current, Follower, Instance, InstanceKind, Promotion, Standing};
use crate::cluster::NodeAddr;
use crate::limits::{DISCOVERY_WAIT, PROMOTION_WAIT, SILENT_MASTER_AFTER};

impl Follower {
    /// Only of a Sentinel that agrees with us about the present, and only to a node of the group: a stale or lying one
    /// must not have commands held.
    pub(super) fn promoting(&mut self, now: Instant, sentinel: &NodeAddr, instance: &Instance) {
        let Some(current) = &self.current else { return };
        let agrees = self
            .sentinels
            .view(now, sentinel)
            .is_some_and(|view| view.named == current.addr && view.epoch >= current.epoch);
        let is_member = instance.kind == InstanceKind::Replica && self.is_member(now, &instance.addr);
        if !agrees || !is_member || self.promotion.is_some() || instance.addr == current.addr {
            return;
        }
        self.promotion = Some(Promotion {
            target: instance.addr.clone(),
            by: sentinel.clone(),
            since: now,
            from: current.clone(),
        });
    }

    pub(super) fn abort_promotion(&mut self, by: &NodeAddr) {
        if self
            .promotion
            .as_ref()
            .is_some_and(|promotion| promotion.by == *by)
        {
            self.return_from_promotion();
        }
    }

    pub(super) fn end_promotion(&mut self, now: Instant) {
        let Some(promotion) = &self.promotion else { return };
        if now.saturating_duration_since(promotion.since) > PROMOTION_WAIT {
            let text = format!("nobody confirms the promotion of {}", promotion.target);
            self.notices.tell(now, "promotion_unconfirmed", &text);
            self.return_from_promotion();
        }
    }

    fn return_from_promotion(&mut self) {
        if let Some(promotion) = self.promotion.take() {
            self.reason = format!("the promotion of {} came to nothing", promotion.target);
            self.promoted = None;
            self.current = Some(promotion.from);
        }
    }

    /// Moves [`Self::current`] to whom Sentinels name and ROLE confirms.
    pub(super) fn elect(&mut self, now: Instant) {
        // Those that answer first may be the stale ones.
        let waiting = now.saturating_duration_since(self.started) < DISCOVERY_WAIT;
        if self.current.is_none() && waiting && !self.sentinels.all_tried() {
            return;
        }
        self.follow_promotion(now);
        let current = self.current.as_ref().map(|current| &current.addr);
        let named = candidates(self.sentinels.views(now).map(|(_, view)| view), current);
        let first = named.first().cloned();
        let mut newer_refuted = true;
        for candidate in named {
            match self.nodes.standing(now, &candidate.addr) {
                Standing::Master if self.admits(now, &candidate, newer_refuted) => {
                    self.accept(now, candidate);
                    break;
                }
                Standing::Replica => {}
                Standing::Master | Standing::Silent(_) | Standing::Unknown => newer_refuted = false,
            }
        }
        if let Some(first) = first {
            self.tell_refusal(now, &first);
        }
    }

    fn follow_promotion(&mut self, now: Instant) {
        let (Some(promotion), Some(current)) = (&self.promotion, &mut self.current) else {
            return;
        };
        let confirmed = self
            .nodes
            .is_master_since(now, &promotion.target, promotion.since);
        if confirmed && current.addr != promotion.target {
            let is_clean = self.nodes.standing(now, &current.addr) == Standing::Master;
            self.promoted = is_clean.then_some(now);
            current.addr = promotion.target.clone();
            self.reason = format!("promoted by Sentinel {}, confirmed by ROLE", promotion.by);
        }
    }

    /// Whether a node that says it is master is followed, going by who names it.
    fn admits(&self, now: Instant, candidate: &Candidate, newer_refuted: bool) -> bool {
        let majority = candidate.votes_ever * 2 > self.sentinels.known();
        let Some(current) = &self.current else {
            return majority || newer_refuted && self.is_of_the_group(now, &candidate.addr);
        };
        if candidate.addr == current.addr {
            return true;
        }
        if candidate.epoch > current.epoch {
            return majority || self.is_member(now, &candidate.addr);
        }
        // An older or equal epoch. Before Sentinel saw the promotion that is followed, all of them are.
        let promoted = self
            .promotion
            .as_ref()
            .is_some_and(|one| one.target == current.addr);
        majority && !promoted && self.is_superseded(now, current)
    }

    /// Whether a node has been of the group, and not by the word of one Sentinel alone: it might list a stranger first, and name it
    /// then.
    fn is_member(&self, now: Instant, addr: &NodeAddr) -> bool {
        self.members.contains(addr) && self.is_of_the_group(now, addr)
    }

    /// Whether most Sentinels that answer have this node in their group: what is asked of a node before any is followed.
    fn is_of_the_group(&self, now: Instant, addr: &NodeAddr) -> bool {
        let (mut having, mut all) = (0, 0);
        for (_, view) in self.sentinels.views(now) {
            all += 1;
            having += usize::from(view.has_member(addr));
        }
        having * 2 > all
    }

    /// Whether nothing speaks for the present master any more.
    fn is_superseded(&self, now: Instant, current: &Current) -> bool {
        match self.nodes.standing(now, &current.addr) {
            Standing::Replica => true,
            Standing::Silent(time) => time >= SILENT_MASTER_AFTER,
            Standing::Master | Standing::Unknown => !self
                .sentinels
                .views(now)
                .any(|(_, view)| view.epoch >= current.epoch),
        }
    }

    fn accept(&mut self, now: Instant, candidate: Candidate) {
        let Candidate { ref addr, epoch, .. } = candidate;
        let addr = addr.clone();
        let same = self.current.as_ref().is_some_and(|current| current.addr == addr);
        // Named by Sentinels: what was promised is done, or undone by a newer failover.
        let settled = |one: &Promotion| one.target == addr || one.from.addr != addr;
        if self.promotion.as_ref().is_some_and(settled) {
            self.promotion = None;
        }
        if !same {
            self.promoted = None;
            let known = self.sentinels.known();
            let naming = self
                .sentinels
                .views(now)
                .filter(|(_, view)| view.named == addr)
                .count();
            self.reason =
                format!("named by {naming} of {known} Sentinels at epoch {epoch}, confirmed by ROLE");
        }
        let minority = candidate.votes_ever * 2 <= self.sentinels.known();
        let floor = match &self.current {
            // A stale one alone must not make older epochs acceptable.
            Some(current) if same && minority => current.epoch,
            _ => 0,
        };
        let epoch = epoch.max(floor);
        self.current = Some(Current { addr, epoch });
    }

    /// Tells once of a master that Sentinels name first and that is not followed, for another reason than that it has
    /// not been asked since.
    fn tell_refusal(&mut self, now: Instant, first: &Candidate) {
        let key = (first.addr.clone(), first.epoch);
        let Some(named_at) = self.sentinels.named_at(now, &first.addr) else {
            return;
        };
        let newer = self
            .current
            .as_ref()
            .is_some_and(|current| first.epoch > current.epoch);
        if !newer || self.refused.as_ref() == Some(&key) {
            return;
        }
        let why = if self.nodes.is_replica_since(now, &first.addr, named_at) {
            "says it is a replica"
        } else if self.nodes.is_master_since(now, &first.addr, named_at) {
            "is not of the group, and too few Sentinels name it"
        } else {
            return;
        };
        let (addr, epoch) = &key;
        let text = format!("{addr} is named master at epoch {epoch}, but {why}");
        self.notices.tell(now, "switch_refused", &text);
        self.refused = Some(key);
    }
}
