//! Who watches which node of a side, as its topology changes?
//!
//! Shell: one future a side. It owns a probe for each node, a heartbeat's publisher on the master and a listener on each
//! replica, starts and ends them with the topology, and takes them with it when it is dropped.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::heartbeat::{End, SharedLedger, new_ledger};
use super::probe::{Sink, probe};
use crate::cluster::{Access, NodeAddr, Side, Topology};
use crate::config::GuardConfig;
use crate::control_plane::Event;
use crate::limits::NODES_MAX;

/// What one task does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Duty {
    Probe(NodeAddr),
    Publish(NodeAddr),
    Listen(NodeAddr),
}

/// Watches one side until `topology` or `events` is closed. While there is no master the last one is still watched: its
/// silence, or its word that it is a replica now, is what the rules want to know.
///
/// `access` is the nodes' own, [`crate::cluster::Endpoint::node_access`].
pub async fn watch_side(
    route: usize,
    side: Side,
    access: Access,
    config: GuardConfig,
    mut topology: watch::Receiver<Topology>,
    events: mpsc::Sender<Event>,
) {
    let mut shells = Shells {
        sink: Sink { route, side, events },
        access,
        probe_every: config.probe_interval,
        beat_every: config.heartbeat_interval,
        master: None,
        ledger: new_ledger(),
        running: BTreeMap::new(),
        tasks: JoinSet::new(),
    };
    loop {
        let now = topology.borrow_and_update().clone();
        shells.follow(now);
        tokio::select! {
            changed = topology.changed() => if changed.is_err() { return },
            () = shells.sink.events.closed() => return,
        }
    }
}

/// The tasks of one side. Dropped, the set ends them all.
struct Shells {
    sink: Sink,
    access: Access,
    probe_every: Duration,
    beat_every: Duration,
    master: Option<NodeAddr>,
    ledger: SharedLedger,
    running: BTreeMap<Duty, AbortHandle>,
    tasks: JoinSet<()>,
}

impl Shells {
    fn follow(&mut self, topology: Topology) {
        if topology.master.is_some() && topology.master != self.master {
            self.master = topology.master;
            // Another stream: what was published on the last master is not missing from this one's replicas.
            self.ledger = new_ledger();
            self.end(|duty| !matches!(duty, Duty::Probe(_)));
        }
        let mut wanted = Vec::new();
        if let Some(master) = &self.master {
            wanted.extend([Duty::Probe(master.clone()), Duty::Publish(master.clone())]);
        }
        for node in topology.replicas.into_iter().take(NODES_MAX) {
            if self.master.as_ref() != Some(&node) {
                wanted.extend([Duty::Probe(node.clone()), Duty::Listen(node)]);
            }
        }
        self.end(|duty| !wanted.contains(duty));
        for duty in wanted {
            self.begin(duty);
        }
    }

    fn end(&mut self, which: impl Fn(&Duty) -> bool) {
        self.running.retain(|duty, task| {
            let ends = which(duty);
            if ends {
                task.abort();
            }
            !ends
        });
        while self.tasks.try_join_next().is_some() {}
    }

    fn begin(&mut self, duty: Duty) {
        if self.running.contains_key(&duty) {
            return;
        }
        let access = self.access.clone();
        let task = match &duty {
            Duty::Probe(node) => {
                let (sink, node, every) = (self.sink.clone(), node.clone(), self.probe_every);
                self.tasks.spawn(probe(sink, node, access, every))
            }
            Duty::Publish(node) => self.tasks.spawn(self.heartbeat(node).publish()),
            Duty::Listen(node) => self.tasks.spawn(self.heartbeat(node).listen()),
        };
        self.running.insert(duty, task);
    }

    fn heartbeat(&self, node: &NodeAddr) -> End {
        End {
            sink: self.sink.clone(),
            node: node.clone(),
            access: self.access.clone(),
            every: self.beat_every,
            ledger: SharedLedger::clone(&self.ledger),
        }
    }
}
