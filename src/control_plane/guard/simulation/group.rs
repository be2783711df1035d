//! How does a modelled group answer probes and heartbeats?
//!
//! Pure: a master and its replicas, whose troubles are switched on by whoever drives it. Shared with the simulation of the whole control
//! plane.

use std::time::{Duration, Instant};

use super::super::{BufferLimit, NodeDetails, NodeInfo, ObservationKind, ReplicaClient, ReplicaLine};
use crate::cluster::NodeAddr;

/// One node.
#[derive(Clone, Debug)]
pub(in crate::control_plane) struct Model {
    pub(in crate::control_plane) addr: NodeAddr,
    pub(in crate::control_plane) is_master: bool,
    pub(in crate::control_plane) run_id: u32,
    /// The port of the master it was told to follow.
    pub(in crate::control_plane) follows: u16,
    pub(in crate::control_plane) answers: bool,
    /// Not frozen but gone: its connections are closed, so that the heartbeat's shell knows that it knows nothing.
    pub(in crate::control_plane) dead: bool,
    /// Its master lists it as online and waits for its acknowledgement.
    pub(in crate::control_plane) frozen_since: Option<Instant>,
    pub(in crate::control_plane) link_up: bool,
    pub(in crate::control_plane) syncing: bool,
    pub(in crate::control_plane) beat_delay: Duration,
    pub(in crate::control_plane) beats_arrive: bool,
    pub(in crate::control_plane) lag_bytes: u64,
    pub(in crate::control_plane) sync_full: u64,
    pub(in crate::control_plane) sync_partial_err: u64,
    /// Counts up with every connection to its master.
    pub(in crate::control_plane) connection: u64,
    pub(in crate::control_plane) omem: u64,
    pub(in crate::control_plane) dataset: u64,
    pub(in crate::control_plane) used_memory: u64,
    pub(in crate::control_plane) maxmemory: u64,
    pub(in crate::control_plane) evicted: u64,
    pub(in crate::control_plane) refused: u64,
    pub(in crate::control_plane) slowlog: u64,
    pub(in crate::control_plane) sent: u64,
    pub(in crate::control_plane) commands: u64,
    /// What it refuses: no CLIENT LIST, no SLOWLOG.
    pub(in crate::control_plane) is_tight_lipped: bool,
    /// It refuses at its cap, and does not say how often: before Redis 6.2.
    pub(in crate::control_plane) hides_refusals: bool,
    /// It does not say which end of its link is its own.
    pub(in crate::control_plane) says_no_link: bool,
}

/// A master and its replicas.
#[derive(Clone, Debug)]
pub(in crate::control_plane) struct Group {
    host: &'static str,
    pub(in crate::control_plane) nodes: Vec<Model>,
    pub(in crate::control_plane) steps: u64,
    /// In how many steps a node says its details once.
    pub(in crate::control_plane) details_every: u64,
    pub(in crate::control_plane) offset: u64,
    /// Bytes written a step.
    pub(in crate::control_plane) pace: u64,
    /// By node, when the last heartbeat arrived.
    pub(in crate::control_plane) beats: Vec<Instant>,
}

impl Group {
    /// Healthy; node 0 is the master, and the ports follow each other.
    pub(in crate::control_plane) fn new(
        host: &'static str,
        first_port: u16,
        replicas: u16,
        now: Instant,
    ) -> Self {
        let node = |index| Model::new(host, first_port + index, first_port);
        Self {
            host,
            nodes: (0..=replicas).map(node).collect(),
            steps: 0,
            details_every: 20,
            offset: 1_000,
            pace: 50,
            beats: vec![now; usize::from(replicas) + 1],
        }
    }

    /// One node more, a replica of the first; its index.
    pub(in crate::control_plane) fn add(&mut self, now: Instant) -> usize {
        let first = self.nodes[0].addr.port;
        let index = self.nodes.len();
        let port = first + u16::try_from(index).unwrap();
        self.nodes.push(Model::new(self.host, port, first));
        self.beats.push(now);
        index
    }

    /// Time passes, and something is written.
    pub(in crate::control_plane) fn step(&mut self) {
        self.steps += 1;
        self.offset += self.pace;
    }

    /// What a probe comes to.
    pub(in crate::control_plane) fn probed(&self, index: usize, now: Instant) -> ObservationKind {
        let node = &self.nodes[index];
        match node.answers {
            true => ObservationKind::Info(Box::new(self.info(node, now))),
            false => ObservationKind::NoAnswer {
                reason: "timed out".to_owned(),
            },
        }
    }

    /// What one of its nodes says.
    pub(in crate::control_plane) fn info(&self, node: &Model, now: Instant) -> NodeInfo {
        let attached: Vec<&Model> = self
            .nodes
            .iter()
            .filter(|other| !other.is_master && other.follows == node.addr.port)
            .filter(|other| other.answers || other.frozen_since.is_some())
            .filter(|other| node.is_master && (other.link_up || other.syncing))
            .collect();
        NodeInfo {
            is_master: node.is_master,
            run_id: Some(node.run_id.to_string()),
            repl_offset: Some(self.offset.saturating_sub(node.lag_bytes)),
            connected_replicas: Some(u32::try_from(attached.len()).unwrap()),
            replicas: attached
                .iter()
                .map(|other| ReplicaLine {
                    addr: other.addr.clone(),
                    online: !other.syncing,
                    offset: 0,
                    lag_seconds: other.frozen_since.map_or(0, |since| (now - since).as_secs()),
                })
                .collect(),
            follows: (!node.is_master).then(|| NodeAddr::new(self.host, node.follows)),
            link_up: (!node.is_master).then_some(node.link_up),
            sync_in_progress: (!node.is_master).then_some(node.syncing),
            sync_full: Some(node.sync_full),
            sync_partial_err: Some(node.sync_partial_err),
            used_memory: Some(node.used_memory),
            maxmemory: Some(node.maxmemory),
            maxmemory_policy: Some("noeviction".to_owned()),
            dataset: Some(node.dataset),
            evicted_keys: Some(node.evicted),
            net_output_bytes: Some(node.sent),
            commands: Some(node.commands),
            replica_clients: (node.is_master && !node.is_tight_lipped)
                .then(|| attached.iter().map(client).collect()),
            details: ((self.steps % self.details_every == 2) && !node.is_tight_lipped).then(|| details(node)),
            ..NodeInfo::default()
        }
    }

    /// What the heartbeat's shells have to say of a node; `None`: nothing.
    pub(in crate::control_plane) fn beat(&mut self, index: usize, now: Instant) -> Option<ObservationKind> {
        let node = &self.nodes[index];
        let linked = self.nodes.iter().any(|master| {
            master.is_master && master.answers && master.addr.port == node.follows && !node.is_master
        });
        let delay = node.beat_delay;
        if node.dead {
            self.beats[index] = now;
            None
        } else if node.answers && ((linked && node.link_up && node.beats_arrive) || node.is_master) {
            self.beats[index] = now;
            Some(ObservationKind::Heartbeat { delay })
        } else if !node.is_master && self.nodes.iter().any(|node| node.is_master && node.answers) {
            let age = now - self.beats[index];
            Some(ObservationKind::HeartbeatOutstanding { age })
        } else {
            None
        }
    }
}

/// A replica's end of its link: a port of its own for each connection.
fn end(node: &Model) -> NodeAddr {
    NodeAddr::new(
        node.addr.host.as_str(),
        40_000 + node.addr.port * 100 + u16::try_from(node.connection).unwrap(),
    )
}

fn client(replica: &&Model) -> ReplicaClient {
    ReplicaClient {
        id: u64::from(replica.addr.port) * 1_000 + replica.connection,
        addr: end(replica),
        omem_bytes: replica.omem,
    }
}

fn details(node: &Model) -> Box<NodeDetails> {
    Box::new(NodeDetails {
        oom_errors: (!node.hides_refusals).then_some(node.refused),
        slowlog_entries: Some(node.slowlog),
        master_link: (!node.is_master && !node.says_no_link).then(|| end(node)),
        replica_buffer_limit: Some(BufferLimit {
            hard_bytes: 4 << 20,
            soft_bytes: 0,
            soft_seconds: 0,
        }),
        ..NodeDetails::default()
    })
}

impl Model {
    /// A healthy one; the master, where it follows itself.
    fn new(host: &'static str, port: u16, follows: u16) -> Self {
        Self {
            addr: NodeAddr::new(host, port),
            is_master: port == follows,
            run_id: u32::from(port),
            follows,
            answers: true,
            dead: false,
            frozen_since: None,
            link_up: true,
            syncing: false,
            beat_delay: Duration::from_millis(2),
            beats_arrive: true,
            lag_bytes: 0,
            sync_full: 7,
            sync_partial_err: 3,
            connection: 1,
            omem: 20_000,
            dataset: 1_000_000_000,
            used_memory: 1_000_000_000,
            maxmemory: 0,
            evicted: 5,
            refused: 6,
            slowlog: 128,
            sent: 1_000_000,
            commands: 1_000,
            is_tight_lipped: false,
            hides_refusals: false,
            says_no_link: false,
        }
    }
}
