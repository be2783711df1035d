//! What do a side's nodes do, and what is wrong with them?
//!
//! Pure: the guard's own modelled [`Group`], with lives: nodes die, freeze, come back, are made masters and replicas.

use std::time::{Duration, Instant};

use super::schedule::{NODES, Trouble};
use crate::cluster::{NodeAddr, Side};
use crate::control_plane::guard::ObservationKind;
use crate::control_plane::guard::simulation::{Group, Model};
use crate::control_plane::sentinel::simulated::{Answer, Role};

/// How long a full resync takes. Unit: milliseconds.
const SYNC: u64 = 700;
/// Nodes of a side listen on the ports from this one on.
const FIRST_PORT: u16 = 1;

/// The nodes of one side, as they are.
#[derive(Debug)]
pub(super) struct Nodes {
    side: Side,
    pub(super) group: Group,
    troubles: [Trouble; NODES],
    /// In a full resync until then.
    syncs_until: [u64; NODES],
    /// Since when it is dead or frozen.
    pub(super) down_since: [Option<u64>; NODES],
    /// Since when the proxy gets nothing from it.
    pub(super) silent_since: [Option<u64>; NODES],
}

impl Nodes {
    pub(super) fn new(side: Side, replicas: u16, details_every: u64, now: Instant) -> Self {
        let mut group = Group::new(side.name(), FIRST_PORT, replicas, now);
        group.details_every = details_every;
        for node in &mut group.nodes {
            node.run_id += if side == Side::New { 10 } else { 0 };
        }
        Self {
            side,
            group,
            troubles: [Trouble::Well; NODES],
            syncs_until: [0; NODES],
            down_since: [None; NODES],
            silent_since: [None; NODES],
        }
    }

    pub(super) fn count(&self) -> usize {
        self.group.nodes.len()
    }

    pub(super) fn addr(&self, index: usize) -> &NodeAddr {
        &self.group.nodes[index].addr
    }

    pub(super) fn index(&self, addr: &NodeAddr) -> Option<usize> {
        let index = usize::from(addr.port.checked_sub(FIRST_PORT)?);
        (addr.host == self.side.name() && index < self.count()).then_some(index)
    }

    /// Something else is wrong with a node from now on.
    pub(super) fn trouble(&mut self, index: usize, trouble: Trouble, now: u64) {
        let index = index % self.count();
        let was_dead = self.troubles[index] == Trouble::Dead;
        let begins_anew = trouble == Trouble::Restarted || (was_dead && trouble != Trouble::Dead);
        self.troubles[index] = match trouble {
            Trouble::Restarted => Trouble::Well,
            other => other,
        };
        if begins_anew {
            let node = &mut self.group.nodes[index];
            node.run_id += 100;
            node.sync_full = 0;
            node.sync_partial_err = 0;
            let port = node.addr.port;
            // Its own, or those of all that it feeds.
            let fed =
                (0..self.count()).filter(|other| self.group.nodes[*other].follows == port || *other == index);
            for other in fed.collect::<Vec<_>>() {
                self.resync(other, now);
            }
        }
        let is_down = matches!(self.troubles[index], Trouble::Dead | Trouble::Frozen);
        self.down_since[index] = is_down.then(|| self.down_since[index].unwrap_or(now));
        let is_silent = is_down || trouble == Trouble::Cut;
        self.silent_since[index] = is_silent.then(|| self.silent_since[index].unwrap_or(now));
    }

    /// Its data is sent to it anew, if it is a replica.
    fn resync(&mut self, index: usize, now: u64) {
        if self.group.nodes[index].is_master {
            return;
        }
        self.syncs_until[index] = now + SYNC;
        self.group.nodes[index].connection += 1;
        if let Some(master) = self.followed(index) {
            self.group.nodes[master].sync_full += 1;
        }
    }

    fn followed(&self, index: usize) -> Option<usize> {
        let port = self.group.nodes[index].follows;
        let master = self.group.nodes.iter().position(|node| node.addr.port == port)?;
        (self.group.nodes[master].is_master && self.troubles[master] != Trouble::Dead).then_some(master)
    }

    /// Told to be a master.
    pub(super) fn promote(&mut self, index: usize) {
        let node = &mut self.group.nodes[index];
        node.is_master = true;
        node.follows = node.addr.port;
    }

    /// Told to follow another.
    pub(super) fn demote(&mut self, index: usize, master: usize, now: u64) {
        let port = self.group.nodes[master].addr.port;
        let node = &mut self.group.nodes[index];
        if !node.is_master && node.follows == port {
            return;
        }
        (node.is_master, node.follows) = (false, port);
        self.resync(index, now);
    }

    pub(super) fn is_up(&self, index: usize) -> bool {
        self.down_since[index].is_none()
    }

    /// Whether the proxy gets anything from it.
    pub(super) fn answers(&self, index: usize) -> bool {
        self.silent_since[index].is_none()
    }

    /// Time passes.
    pub(super) fn step(&mut self, now: u64, instant: Instant, step: u64) {
        self.group.step();
        for index in 0..self.count() {
            let trouble = self.troubles[index];
            let loops = trouble == Trouble::Looping && now >= self.syncs_until[index] + SYNC;
            if loops {
                self.resync(index, now);
            }
            let is_linked = self.followed(index).is_some();
            let pace = self.group.pace;
            let node = &mut self.group.nodes[index];
            node.answers = !matches!(trouble, Trouble::Dead | Trouble::Frozen);
            node.dead = trouble == Trouble::Dead;
            node.frozen_since = match trouble {
                Trouble::Frozen => node.frozen_since.or(Some(instant)),
                _ => None,
            };
            node.syncing = !node.is_master && is_linked && now < self.syncs_until[index];
            node.link_up = is_linked && !node.syncing && !node.is_master;
            node.lag_bytes = match trouble {
                Trouble::Lagging => node.lag_bytes + pace,
                _ => 0,
            };
            node.beat_delay = Duration::from_millis(match trouble {
                Trouble::Lagging => step * 4,
                _ => 2,
            });
            node.beats_arrive = trouble != Trouble::Mute;
            node.omem = match trouble {
                Trouble::Swollen => node.omem + 500_000,
                _ => 20_000,
            };
        }
    }

    /// What a probe of the proxy's comes to.
    pub(super) fn probed(&self, index: usize, now: Instant) -> ObservationKind {
        match self.answers(index) {
            true => self.group.probed(index, now),
            false => ObservationKind::NoAnswer {
                reason: "timed out".to_owned(),
            },
        }
    }

    /// What the heartbeat's shells say of it.
    pub(super) fn beat(&mut self, index: usize, now: Instant) -> Option<ObservationKind> {
        if self.troubles[index] == Trouble::Cut {
            self.group.beats[index] = now;
        }
        // A master's own only says that it answers, as its probe does.
        if self.troubles[index] == Trouble::Cut || self.group.nodes[index].is_master {
            return None;
        }
        self.group.beat(index, now)
    }

    /// Its ROLE.
    pub(super) fn role(&self, index: usize) -> Answer {
        if !self.answers(index) {
            return Answer::Silent;
        }
        let node = &self.group.nodes[index];
        Answer::Role(match node.is_master {
            true => Role::Master(self.online(node).map(|replica| replica.addr.clone()).collect()),
            false => Role::Replica,
        })
    }

    fn online<'a>(&'a self, master: &'a Model) -> impl Iterator<Item = &'a Model> {
        let nodes = self.group.nodes.iter();
        nodes.filter(|node| node.link_up && node.follows == master.addr.port && !node.dead)
    }
}
