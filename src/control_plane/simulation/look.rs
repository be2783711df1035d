//! What does a look at both sides see?
//!
//! Pure: the facts of the modelled nodes and Sentinels, beside all that is healthy on every node.

use std::time::Instant;

use super::nodes::Nodes;
use super::schedule::SENTINELS;
use super::sentinels::Sentinels;
use crate::cluster::{NodeAddr, Side};
use crate::control_plane::preflight::{
    Facts, Known, KnownNode, NodeAnswer, NodeFacts, SentinelAnswer, SentinelFacts, SideFacts, healthy_answer,
};

/// What is learnt of whom is known.
pub(super) fn look(
    known: &[Option<Known>; 2],
    sides: &[Nodes; 2],
    sentinels: &[Option<Sentinels>; 2],
    now: u64,
    instant: Instant,
) -> Facts {
    let one = |side: Side| {
        let known = known[side.index()].as_ref()?;
        let nodes = &sides[side.index()];
        let sentinels = sentinels[side.index()].as_ref();
        let foreigner = sides[side.other().index()].addr(0);
        let answer = |index: usize| {
            let listeners = if sentinels.is_some() { SENTINELS as u64 } else { 0 };
            let mut answer = NodeAnswer {
                info: nodes.group.info(&nodes.group.nodes[index], instant),
                hello_listeners: Ok(listeners),
                ..healthy_answer(1, 0)
            };
            answer.info.took = std::time::Duration::from_millis(1);
            match nodes.answers(index) {
                true => Ok(answer),
                false => Err("timed out".to_owned()),
            }
        };
        let in_topology = |index: &usize| known.topology.has(nodes.addr(*index));
        let is_named = |index: &usize| sentinels.is_some() && nodes.is_up(*index);
        let asked = (0..nodes.count()).filter(|index| in_topology(index) || is_named(index));
        Some(SideFacts {
            topology: known.topology.clone(),
            nodes: asked
                .map(|index| NodeFacts {
                    addr: nodes.addr(index).clone(),
                    answer: answer(index),
                })
                .collect(),
            master_name: sentinels.map(|_| side.name().to_owned()),
            sentinels: sentinels.map_or_else(Vec::new, |sentinels| {
                (0..SENTINELS)
                    .map(|index| said(index, sentinels, nodes, foreigner, now))
                    .collect()
            }),
            stream: known.stream,
        })
    };
    Facts {
        sides: Side::BOTH.map(one),
    }
}

fn said(index: usize, sentinels: &Sentinels, nodes: &Nodes, foreigner: &NodeAddr, now: u64) -> SentinelFacts {
    let known = |addr: &NodeAddr, is_down| KnownNode {
        addr: addr.clone(),
        run_id: nodes
            .index(addr)
            .map_or_else(String::new, |index| nodes.group.nodes[index].run_id.to_string()),
        priority: 100,
        is_down,
    };
    let answer = match sentinels.view(index, nodes, foreigner, now) {
        Err(_) => Err("no answer".to_owned()),
        Ok(view) => Ok(SentinelAnswer {
            id: view.id,
            master: Some(known(&view.named, view.flags.s_down)),
            replicas: view
                .replicas
                .iter()
                .map(|replica| known(&replica.addr, replica.flags.s_down))
                .collect(),
            sentinels: view.sentinels.into_iter().map(|other| other.addr).collect(),
            monitored: vec![(
                sentinels.side.name().to_owned(),
                known(&view.named, view.flags.s_down),
            )],
        }),
    };
    SentinelFacts {
        addr: sentinels.addr(index),
        answer,
    }
}
