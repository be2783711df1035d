//! How is one side followed while the proxy runs?
//!
//! Shell: gives a side's answers to the part that decides, asks whom that wants asked, and passes on what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep_until;

use super::ask::Asker;
use super::fixed::Fixed;
use super::topology::{Follower, Input, Outcome};
use crate::cluster::{Access, Discovery, Endpoint, NodeAddr, Side};
use crate::control_plane::Event;
use crate::limits::{FOLLOW_INTERVAL, FOLLOW_URGENT_INTERVAL, WATCH_INPUTS_MAX};

/// Follows a side's topology until it is dropped or nobody receives `events`. Runs inside a
/// [`LocalSet`](tokio::task::LocalSet). `route` only labels the events.
///
/// Sends [`Event::Topology`] on change, the first when a master is confirmed, and [`Event::Notice`]s.
pub async fn watch(route: usize, side: Side, endpoint: Endpoint, events: mpsc::Sender<Event>) {
    let (inputs, mut waiting) = mpsc::channel(WATCH_INPUTS_MAX);
    let mut decider = Decider::new(Instant::now(), &endpoint.discovery);
    let mut asked = Asked::new(endpoint, inputs);
    let mut ticked = tokio::time::Instant::now();
    loop {
        asked.keep(&decider);
        let urgent = decider.is_urgent(Instant::now());
        let interval = if urgent {
            FOLLOW_URGENT_INTERVAL
        } else {
            FOLLOW_INTERVAL
        };
        let input = tokio::select! {
            biased;
            () = sleep_until(ticked + interval) => {
                ticked = tokio::time::Instant::now();
                if urgent {
                    asked.ask_now();
                }
                Input::Tick
            }
            Some(input) = waiting.recv() => input,
        };
        let outcome = decider.handle(Instant::now(), input);
        if outcome.ask_now {
            asked.ask_now();
        }
        if !pass_on(route, side, outcome, &events).await {
            return;
        }
    }
}

/// Returns whether anyone listens.
async fn pass_on(route: usize, side: Side, outcome: Outcome, events: &mpsc::Sender<Event>) -> bool {
    let topology = outcome
        .topology
        .into_iter()
        .map(|(topology, reason)| Event::Topology {
            route,
            side,
            topology,
            reason,
        });
    let notices = outcome.notices.into_iter().map(|notice| Event::Notice {
        route,
        side,
        kind: notice.kind,
        text: notice.text,
    });
    for event in topology.chain(notices) {
        if events.send(event).await.is_err() {
            return false;
        }
    }
    !events.is_closed()
}

/// The part that decides.
#[derive(Debug)]
enum Decider {
    Fixed(Box<Fixed>),
    Sentinel(Box<Follower>, String),
}

impl Decider {
    fn new(now: Instant, discovery: &Discovery) -> Self {
        match discovery {
            Discovery::Fixed(addr) => Self::Fixed(Box::new(Fixed::new(now, addr))),
            Discovery::Sentinel {
                sentinels,
                master_name,
            } => {
                let follower = Follower::new(now, sentinels, master_name);
                Self::Sentinel(Box::new(follower), master_name.clone())
            }
        }
    }

    fn handle(&mut self, now: Instant, input: Input) -> Outcome {
        match self {
            Self::Fixed(fixed) => fixed.handle(now, input),
            Self::Sentinel(follower, _) => follower.handle(now, input),
        }
    }

    fn wanted_nodes(&self) -> BTreeSet<NodeAddr> {
        match self {
            Self::Fixed(fixed) => fixed.wanted_nodes(),
            Self::Sentinel(follower, _) => follower.wanted_nodes(Instant::now()),
        }
    }

    fn is_urgent(&self, now: Instant) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Sentinel(follower, _) => follower.is_urgent(now),
        }
    }
}

/// The tasks that ask. All end with this.
#[derive(Debug)]
struct Asked {
    endpoint: Endpoint,
    inputs: mpsc::Sender<Input>,
    tasks: JoinSet<()>,
    sentinels: BTreeMap<NodeAddr, Task>,
    nodes: BTreeMap<NodeAddr, Task>,
}

#[derive(Debug)]
struct Task {
    now: Rc<Notify>,
    handle: AbortHandle,
}

impl Asked {
    fn new(endpoint: Endpoint, inputs: mpsc::Sender<Input>) -> Self {
        Self {
            endpoint,
            inputs,
            tasks: JoinSet::new(),
            sentinels: BTreeMap::new(),
            nodes: BTreeMap::new(),
        }
    }

    /// Starts and ends tasks until exactly those are asked that are wanted.
    fn keep(&mut self, decider: &Decider) {
        let wanted = decider.wanted_nodes();
        drop_unwanted(&mut self.nodes, &wanted);
        for peer in wanted {
            if !self.nodes.contains_key(&peer) {
                let asker = self.asker(&peer, self.endpoint.node_access());
                let now = asker.now.clone();
                let handle = self.tasks.spawn_local(asker.follow_node());
                self.nodes.insert(peer, Task { now, handle });
            }
        }
        if let Decider::Sentinel(follower, master_name) = decider {
            let wanted = follower.wanted_sentinels();
            drop_unwanted(&mut self.sentinels, &wanted);
            for peer in wanted {
                if !self.sentinels.contains_key(&peer) {
                    let asker = self.asker(&peer, self.endpoint.sentinel_access());
                    let now = asker.now.clone();
                    let handle = self.tasks.spawn_local(asker.follow_sentinel(master_name.clone()));
                    self.sentinels.insert(peer, Task { now, handle });
                }
            }
        }
        while self.tasks.try_join_next().is_some() {}
    }

    fn asker(&self, peer: &NodeAddr, access: Access) -> Asker {
        Asker {
            peer: peer.clone(),
            access,
            inputs: self.inputs.clone(),
            now: Rc::new(Notify::new()),
        }
    }

    fn ask_now(&self) {
        for task in self.sentinels.values().chain(self.nodes.values()) {
            task.now.notify_one();
        }
    }
}

fn drop_unwanted(tasks: &mut BTreeMap<NodeAddr, Task>, wanted: &BTreeSet<NodeAddr>) {
    tasks.retain(|peer, task| {
        let keep = wanted.contains(peer);
        if !keep {
            task.handle.abort();
        }
        keep
    });
}
