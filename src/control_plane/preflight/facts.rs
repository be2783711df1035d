//! What has been learnt of both sides, and what could not be?
//!
//! Pure: data. Never a password, nor a hash of one as the server stores it: users and libraries are kept as digests under a
//! key that is drawn anew for each collection, good for nothing but telling equal from different.

use std::collections::BTreeMap;

use crate::cluster::{NodeAddr, Side, Topology};
use crate::control_plane::guard::NodeInfo;

/// Something that was asked: the answer, or why there is none, in a few words without secrets.
pub type Learnt<T> = Result<T, String>;

/// Both sides.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// By [`Side::index`]; `None`: the route has no such side.
    pub sides: [Option<SideFacts>; 2],
}

impl Facts {
    /// One side.
    pub fn side(&self, side: Side) -> Option<&SideFacts> {
        self.sides[side.index()].as_ref()
    }
}

/// One side.
#[derive(Clone, Debug, Default)]
pub struct SideFacts {
    /// As far as it is known; its master's ROLE says so.
    pub topology: Topology,
    /// Every node that was asked: those of the topology, and those Sentinels know.
    pub nodes: Vec<NodeFacts>,
    /// The name Sentinel monitors the master under; `None`: a fixed address.
    pub master_name: Option<String>,
    /// Every Sentinel that was asked.
    pub sentinels: Vec<SentinelFacts>,
    /// Growth of the master's replication stream lately. Unit: bytes a second.
    pub stream: Option<f64>,
}

impl SideFacts {
    /// The answer of one node.
    pub fn answer(&self, node: &NodeAddr) -> Option<&NodeAnswer> {
        let found = self.nodes.iter().find(|facts| facts.addr == *node)?;
        found.answer.as_ref().ok()
    }

    /// The master, and its answer.
    pub fn master(&self) -> Option<(&NodeAddr, &NodeAnswer)> {
        let master = self.topology.master.as_ref()?;
        Some((master, self.answer(master)?))
    }

    /// The nodes that answered, of those the topology names.
    pub fn members(&self) -> impl Iterator<Item = (&NodeAddr, &NodeAnswer)> {
        let named = self.nodes.iter().filter(|facts| self.topology.has(&facts.addr));
        named.filter_map(|facts| Some((&facts.addr, facts.answer.as_ref().ok()?)))
    }
}

/// One node.
#[derive(Clone, Debug)]
pub struct NodeFacts {
    /// Where it is.
    pub addr: NodeAddr,
    /// What it said; an error when nothing of use.
    pub answer: Learnt<NodeAnswer>,
}

/// What a node said. INFO and ROLE it must say; the rest is each for itself.
#[derive(Clone, Debug)]
pub struct NodeAnswer {
    /// What the guard reads too.
    pub info: NodeInfo,
    /// Further fields of INFO.
    pub fields: InfoFields,
    /// Its clock minus ours. Unit: seconds.
    pub clock_ahead: Learnt<f64>,
    /// How far off that may be: half of the time the question took. Unit: seconds.
    pub clock_slack: f64,
    /// Connections that listen to Sentinels' greetings: one for each Sentinel and name.
    pub hello_listeners: Learnt<u64>,
    /// `CONFIG GET`, by name.
    pub settings: BTreeMap<&'static str, Learnt<String>>,
    /// `ACL LIST`, by user.
    pub users: Learnt<BTreeMap<String, UserDigest>>,
    /// `FUNCTION LIST`: digests of the code, by library.
    pub functions: Learnt<BTreeMap<String, u64>>,
}

impl NodeAnswer {
    /// One setting.
    pub fn setting(&self, name: &str) -> Learnt<&str> {
        match self.settings.get(name) {
            Some(Ok(value)) => Ok(value),
            Some(Err(why)) => Err(why.clone()),
            None => Err("not asked".to_owned()),
        }
    }
}

/// Fields of INFO that the guard has no use for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InfoFields {
    /// By name; absent ones are absent.
    pub values: BTreeMap<&'static str, String>,
    /// Modules and their versions.
    pub modules: BTreeMap<String, u64>,
}

impl InfoFields {
    /// A number; `None` when it is absent or none.
    pub fn number(&self, name: &str) -> Option<f64> {
        let number: f64 = self.values.get(name)?.parse().ok()?;
        number.is_finite().then_some(number)
    }

    /// A text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}

/// An ACL user, as far as equality goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserDigest {
    /// Of its passwords' hashes.
    pub passwords: u64,
    /// Of all its other rules.
    pub rules: u64,
}

/// One Sentinel.
#[derive(Clone, Debug)]
pub struct SentinelFacts {
    /// Where it is.
    pub addr: NodeAddr,
    /// What it said; an error when nothing of use.
    pub answer: Learnt<SentinelAnswer>,
}

/// What a Sentinel said.
#[derive(Clone, Debug, Default)]
pub struct SentinelAnswer {
    /// Its own id: it has one, whatever addresses lead to it.
    pub id: Option<String>,
    /// The master it names.
    pub master: Option<KnownNode>,
    /// The replicas it knows, dead ones too.
    pub replicas: Vec<KnownNode>,
    /// The other Sentinels it knows.
    pub sentinels: Vec<NodeAddr>,
    /// Every master it monitors, by name.
    pub monitored: Vec<(String, KnownNode)>,
}

/// A node, as a Sentinel knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownNode {
    /// Where it is.
    pub addr: NodeAddr,
    /// Its run id: a node has one, whatever addresses lead to it. Empty when unknown.
    pub run_id: String,
    /// `replica-priority`: 0 is never promoted.
    pub priority: u64,
    /// The Sentinel finds it down.
    pub is_down: bool,
}
