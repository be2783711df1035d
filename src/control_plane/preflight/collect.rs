//! How are all the facts of a route's sides collected?
//!
//! Shell: everyone at once, twice at most: first whom we know, then whom they name. Bounded in peers and in time, whoever
//! is silent: two rounds of [`crate::limits::PREFLIGHT_ASK_TIMEOUT`] for connecting and as long for asking.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::rc::Rc;
use std::time::Instant;

use tokio::task::JoinSet;

use super::ask;
use super::facts::{Facts, Learnt, NodeAnswer, NodeFacts, SentinelAnswer, SentinelFacts, SideFacts};
use super::traffic::Traffic;
use crate::cluster::{Discovery, Endpoint, NodeAddr, Side, Topology};
use crate::config::RouteConfig;

use crate::limits::{NODES_MAX, SENTINELS_MAX};

/// What is known of a side before anybody is asked.
#[derive(Clone, Debug)]
pub struct Known {
    /// As configured.
    pub endpoint: Endpoint,
    /// As far as it is known.
    pub topology: Topology,
    /// See [`SideFacts::stream`].
    pub stream: Option<f64>,
}

impl Known {
    /// What is known of both sides of a route.
    pub fn of(
        route: &RouteConfig,
        topology: &[Topology; 2],
        traffic: &mut [Traffic; 2],
        now: Instant,
    ) -> [Option<Self>; 2] {
        Side::BOTH.map(|side| {
            let endpoint = match side {
                Side::Old => Some(route.old.clone()),
                Side::New => route.new.clone(),
            };
            endpoint.map(|endpoint| Self {
                endpoint,
                topology: topology[side.index()].clone(),
                stream: traffic[side.index()].bytes_per_second(now),
            })
        })
    }
}

/// One peer's answer.
enum Answer {
    Node(Box<Learnt<NodeAnswer>>),
    Sentinel(Learnt<SentinelAnswer>),
}

type Peer = (usize, NodeAddr);

/// Asks both sides. Must be called on a `LocalSet`.
pub async fn collect(known: [Option<Known>; 2]) -> Facts {
    let digest = Rc::new(RandomState::new());
    let mut facts = Facts {
        sides: Side::BOTH.map(|side| known[side.index()].as_ref().map(side_facts)),
    };
    let (mut nodes, mut sentinels) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..2 {
        let mut asked = JoinSet::new();
        for (side, known) in known.iter().enumerate() {
            let (Some(known), Some(facts)) = (known, &facts.sides[side]) else {
                continue;
            };
            for addr in wanted_nodes(known, facts) {
                if nodes.insert((side, addr.clone())) {
                    asked.spawn_local(ask_node((side, addr), known.endpoint.clone(), Rc::clone(&digest)));
                }
            }
            for (addr, master_name) in wanted_sentinels(known, facts) {
                if sentinels.insert((side, addr.clone())) {
                    asked.spawn_local(ask_sentinel((side, addr), known.endpoint.clone(), master_name));
                }
            }
        }
        while let Some(done) = asked.join_next().await {
            if let Ok(((side, addr), answer)) = done
                && let Some(facts) = &mut facts.sides[side]
            {
                facts.add(addr, answer);
            }
        }
    }
    for side in facts.sides.iter_mut().flatten() {
        side.nodes.sort_by(|one, other| one.addr.cmp(&other.addr));
        side.sentinels.sort_by(|one, other| one.addr.cmp(&other.addr));
        let mut ids = BTreeSet::new();
        side.sentinels.retain(|sentinel| {
            let answer = sentinel.answer.as_ref().ok();
            let id = answer.and_then(|answer| answer.id.clone());
            id.is_none_or(|id| ids.insert(id))
        });
    }
    facts
}

fn side_facts(known: &Known) -> SideFacts {
    SideFacts {
        topology: known.topology.clone(),
        master_name: match &known.endpoint.discovery {
            Discovery::Fixed(_) => None,
            Discovery::Sentinel { master_name, .. } => Some(master_name.clone()),
        },
        stream: known.stream,
        ..SideFacts::default()
    }
}

impl SideFacts {
    fn add(&mut self, addr: NodeAddr, answer: Answer) {
        match answer {
            Answer::Node(answer) => self.nodes.push(NodeFacts {
                addr,
                answer: *answer,
            }),
            Answer::Sentinel(answer) => self.sentinels.push(SentinelFacts { addr, answer }),
        }
    }
}

/// The topology's nodes, and those Sentinels name and find alive.
fn wanted_nodes(known: &Known, facts: &SideFacts) -> Vec<NodeAddr> {
    let fixed = match &known.endpoint.discovery {
        Discovery::Fixed(addr) => Some(addr),
        Discovery::Sentinel { .. } => None,
    };
    let answers = facts.sentinels.iter().filter_map(|one| one.answer.as_ref().ok());
    let named = answers.flat_map(|answer| answer.master.iter().chain(&answer.replicas));
    let alive = named.filter(|node| !node.is_down).map(|node| &node.addr);
    let all = known.topology.master.iter().chain(&known.topology.replicas);
    let all: BTreeSet<&NodeAddr> = all.chain(fixed).chain(alive).collect();
    all.into_iter().take(NODES_MAX).cloned().collect()
}

/// The configured Sentinels, and those they know.
fn wanted_sentinels(known: &Known, facts: &SideFacts) -> Vec<(NodeAddr, String)> {
    let Discovery::Sentinel {
        sentinels,
        master_name,
    } = &known.endpoint.discovery
    else {
        return Vec::new();
    };
    let answers = facts.sentinels.iter().filter_map(|one| one.answer.as_ref().ok());
    let learnt = answers.flat_map(|answer| &answer.sentinels);
    let all: BTreeSet<&NodeAddr> = sentinels.iter().chain(learnt).collect();
    let all = all.into_iter().take(SENTINELS_MAX);
    all.map(|addr| (addr.clone(), master_name.clone())).collect()
}

async fn ask_node(peer: Peer, endpoint: Endpoint, digest: Rc<RandomState>) -> (Peer, Answer) {
    let answer = ask::node(&peer.1, &endpoint.node_access(), &digest).await;
    (peer, Answer::Node(Box::new(answer)))
}

async fn ask_sentinel(peer: Peer, endpoint: Endpoint, master_name: String) -> (Peer, Answer) {
    let answer = ask::sentinel(&peer.1, &endpoint.sentinel_access(), &master_name).await;
    (peer, Answer::Sentinel(answer))
}
