//! How does the simulated proxy come to know a side's nodes?
//!
//! Pure: the real part that decides ([`Follower`], or [`Fixed`]), given what the modelled Sentinels and nodes answer, at the
//! intervals of the shell that asks the real ones.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::nodes::Nodes;
use super::schedule::SENTINELS;
use super::sentinels::Sentinels;
use crate::cluster::{NodeAddr, Side, Topology};
use crate::control_plane::sentinel::simulated::{Answer, Fault, Fixed, Follower, Input, Outcome, Role};
use crate::limits::VIEW_LIFETIME;

/// From one question to the next. Unit: milliseconds.
const ASKED_EVERY: u64 = 1_000;

#[derive(Debug)]
enum Decider {
    Fixed(Box<Fixed>),
    Sentinel(Box<Follower>),
}

/// What was heard of a node last.
#[derive(Debug, Default)]
struct Heard {
    /// Its last ROLE: it is a master.
    is_master: Option<bool>,
    /// Questions since then that had no answer.
    unanswered: u32,
}

/// One side's.
#[derive(Debug)]
pub(super) struct Watcher {
    side: Side,
    decider: Decider,
    /// Whom it asks, and when next.
    due: BTreeMap<NodeAddr, u64>,
    heard: BTreeMap<NodeAddr, Heard>,
    pub(super) topology: Topology,
    /// When a Sentinel last answered that tells the truth, as it sees it; none may have, since the process began.
    truth_at: Option<u64>,
    is_asked_now: bool,
}

impl Watcher {
    pub(super) fn new(side: Side, sentinels: Option<&Sentinels>, nodes: &Nodes, now: Instant) -> Self {
        let decider = match sentinels {
            Some(sentinels) => {
                let configured: Vec<_> = (0..SENTINELS).map(|index| sentinels.addr(index)).collect();
                Decider::Sentinel(Box::new(Follower::new(now, &configured, side.name())))
            }
            None => Decider::Fixed(Box::new(Fixed::new(now, nodes.addr(0)))),
        };
        Self {
            side,
            decider,
            due: BTreeMap::new(),
            heard: BTreeMap::new(),
            topology: Topology::default(),
            truth_at: None,
            is_asked_now: false,
        }
    }

    /// Asks whoever is due and takes in what was announced. Returns the topologies that came of it.
    ///
    /// # Errors
    /// What must not be.
    pub(super) fn go_round(
        &mut self,
        sides: &[Nodes; 2],
        sentinels: Option<&mut Sentinels>,
        now: u64,
        instant: Instant,
    ) -> Result<Vec<(Topology, String)>, String> {
        let mut found = Vec::new();
        if let Some(sentinels) = sentinels {
            for (by, message) in sentinels.take_announced() {
                let sentinel = sentinels.addr(by);
                self.take(
                    (now, instant),
                    Input::Announced { sentinel, message },
                    sides,
                    &mut found,
                )?;
            }
            let foreigner = sides[self.side.other().index()].addr(0);
            for index in 0..SENTINELS {
                let sentinel = sentinels.addr(index);
                if !self.is_due(&sentinel, now) {
                    continue;
                }
                if sentinels.is_truthful(index) {
                    self.truth_at = Some(now);
                }
                let input = match sentinels.view(index, &sides[self.side.index()], foreigner, now) {
                    Ok(view) => Input::Answered { sentinel, view },
                    Err(garbles) => Input::Failed {
                        sentinel,
                        fault: if garbles { Fault::Garbage } else { Fault::Lost },
                        text: "no answer".to_owned(),
                    },
                };
                self.take((now, instant), input, sides, &mut found)?;
            }
        }
        for node in self.wanted_nodes(instant) {
            if !self.is_due(&node, now) {
                continue;
            }
            let known = sides.iter().find_map(|nodes| Some((nodes, nodes.index(&node)?)));
            let answer = known.map_or(Answer::Silent, |(nodes, index)| nodes.role(index));
            let heard = self.heard.entry(node.clone()).or_default();
            match &answer {
                Answer::Role(role) => {
                    *heard = Heard {
                        is_master: Some(matches!(role, Role::Master(_))),
                        unanswered: 0,
                    }
                }
                Answer::Refused(_) | Answer::Silent => heard.unanswered += 1,
            }
            self.take((now, instant), Input::Role { node, answer }, sides, &mut found)?;
        }
        self.take((now, instant), Input::Tick, sides, &mut found)?;
        self.forget_unwanted(instant);
        self.is_asked_now |= match &self.decider {
            Decider::Fixed(_) => false,
            Decider::Sentinel(follower) => follower.is_urgent(instant),
        };
        if std::mem::take(&mut self.is_asked_now) {
            self.due.values_mut().for_each(|due| *due = 0);
        }
        Ok(found)
    }

    fn is_due(&mut self, peer: &NodeAddr, now: u64) -> bool {
        let due = self.due.entry(peer.clone()).or_insert(0);
        let is_due = *due <= now;
        if is_due {
            *due = now + ASKED_EVERY;
        }
        is_due
    }

    fn wanted_nodes(&self, now: Instant) -> BTreeSet<NodeAddr> {
        match &self.decider {
            Decider::Fixed(fixed) => fixed.wanted_nodes(),
            Decider::Sentinel(follower) => follower.wanted_nodes(now),
        }
    }

    /// Who is asked again later was not heard of before.
    fn forget_unwanted(&mut self, now: Instant) {
        let wanted = self.wanted_nodes(now);
        self.heard.retain(|node, _| wanted.contains(node));
    }

    fn take(
        &mut self,
        (now, instant): (u64, Instant),
        input: Input,
        sides: &[Nodes; 2],
        found: &mut Vec<(Topology, String)>,
    ) -> Result<(), String> {
        let Outcome {
            topology,
            notices: _,
            ask_now,
        } = match &mut self.decider {
            Decider::Fixed(fixed) => fixed.handle(instant, input),
            Decider::Sentinel(follower) => follower.handle(instant, input),
        };
        self.is_asked_now |= ask_now;
        if let Some((topology, reason)) = topology {
            self.check(&topology, sides, now)?;
            self.topology = topology.clone();
            found.push((topology, reason));
        }
        Ok(())
    }

    /// What is followed has said that it is a master, and what is listed as a replica is alive.
    fn check(&self, next: &Topology, sides: &[Nodes; 2], now: u64) -> Result<(), String> {
        let side = self.side;
        let said = |node: &NodeAddr| self.heard.get(node).and_then(|heard| heard.is_master);
        if let Some(master) = &next.master {
            // One that is only silent stays, if it is what it was.
            if said(master) == Some(false)
                || (said(master).is_none() && matches!(self.decider, Decider::Sentinel(_)))
            {
                return Err(format!(
                    "{side} follows {master}, which has not said that it is a master"
                ));
            }
        }
        // A liar whom nobody contradicts is believed, until somebody does.
        let is_foreign = |node: &NodeAddr| sides[side.index()].index(node).is_none();
        let followed = |topology: &Topology| topology.master.clone().or(topology.heir.clone());
        let is_fresh = |at: u64| Duration::from_millis(now - at) <= VIEW_LIFETIME;
        let is_contradicted = self.truth_at.is_some_and(is_fresh);
        let was_foreign = followed(&self.topology).is_some_and(|node| is_foreign(&node));
        if let Some(node) = followed(next).filter(is_foreign)
            && is_contradicted
            && !was_foreign
        {
            return Err(format!("{side} follows {node}, which is none of its nodes"));
        }
        for replica in &next.replicas {
            let heard = self.heard.get(replica);
            if heard.is_none_or(|heard| heard.is_master != Some(false) || heard.unanswered > 1) {
                return Err(format!("{side} lists {replica} as a replica: {heard:?}"));
            }
        }
        Ok(())
    }
}
