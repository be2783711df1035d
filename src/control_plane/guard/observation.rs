//! What can be measured about a side?
//!
//! Pure: data. The shells [`super::probe`] and [`super::heartbeat`] make these; [`super::rules`] judges them. Traces keep
//! them as JSON: what a later version adds has a default, so that an older trace can be read.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::cluster::NodeAddr;

/// One measurement, or one failure to measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The node that was asked.
    pub node: NodeAddr,
    /// When the answer was complete (or was given up).
    pub at: Instant,
    /// What was learnt.
    pub kind: ObservationKind,
}

/// See [`Observation`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObservationKind {
    /// The node answered INFO and ROLE.
    Info(Box<NodeInfo>),
    /// It did not, within the probe's bound.
    NoAnswer {
        /// Why, in a few words: `"timed out"`, `"connection refused"`.
        reason: String,
    },
    /// A heartbeat published on the master arrived at this replica; of the master itself: it acknowledged one.
    Heartbeat {
        /// Publish to arrival, both read from this process's monotonic clock.
        delay: Duration,
    },
    /// A heartbeat the master acknowledged, published this long ago, has not arrived at this replica yet.
    HeartbeatOutstanding {
        /// Age of the oldest one that is missing.
        age: Duration,
    },
}

/// The fields of INFO and ROLE that the rules read. Absent fields are `None`, never 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeInfo {
    /// From asking to the whole answer: what it says was true at some time in between.
    pub took: Duration,
    /// ROLE says master.
    pub is_master: bool,
    /// `run_id`: a change is a restart, so counters start again.
    pub run_id: Option<String>,
    /// `master_repl_offset` on a master, `slave_repl_offset` on a replica. Unit: bytes.
    pub repl_offset: Option<u64>,
    /// `connected_slaves`.
    pub connected_replicas: Option<u32>,
    /// The replicas a master lists: address, state is `online`, acknowledged offset, lag in seconds.
    pub replicas: Vec<ReplicaLine>,
    /// `master_host` and `master_port`, on a replica: whom it follows, as it was told.
    pub follows: Option<NodeAddr>,
    /// `master_link_status:up`, on a replica.
    pub link_up: Option<bool>,
    /// `master_sync_in_progress`, on a replica.
    pub sync_in_progress: Option<bool>,
    /// `sync_full`: full resyncs served since start.
    pub sync_full: Option<u64>,
    /// `sync_partial_err`: refused partial resyncs since start.
    pub sync_partial_err: Option<u64>,
    /// `used_memory`, bytes.
    pub used_memory: Option<u64>,
    /// `maxmemory`, bytes; 0 is no cap.
    pub maxmemory: Option<u64>,
    /// `total_commands_processed`.
    pub commands: Option<u64>,
    /// `used_memory_dataset`: `used_memory` without buffers of clients, replicas and the backlog. Unit: bytes.
    pub dataset: Option<u64>,
    /// `mem_not_counted_for_evict`: what of `used_memory` does not count against `maxmemory`. Unit: bytes.
    pub not_counted_for_evict: Option<u64>,
    /// `maxmemory_policy`: `noeviction`, `allkeys-lru`, …
    pub maxmemory_policy: Option<String>,
    /// `evicted_keys` since start.
    pub evicted_keys: Option<u64>,
    /// `total_net_output_bytes`: all it has sent since start, to replicas too.
    pub net_output_bytes: Option<u64>,
    /// The connections of a master's replicas; `None` on a replica, and where it was not told.
    pub replica_clients: Option<Vec<ReplicaClient>>,
    /// What is asked for once a second only; `None` in between.
    pub details: Option<Box<NodeDetails>>,
}

/// What a node is asked for once a second: it costs more, or changes seldom. Absent where it was refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeDetails {
    /// `errorstat_OOM`: commands refused at `maxmemory` since start; 0 where there was none.
    pub oom_errors: Option<u64>,
    /// Entries its slowlog has ever had since start; 0 while it is empty.
    pub slowlog_entries: Option<u64>,
    /// On a replica: its own end of the connection to its master, as the master sees it when no NAT lies between.
    pub master_link: Option<NodeAddr>,
    /// `client-output-buffer-limit replica`.
    pub replica_buffer_limit: Option<BufferLimit>,
    /// `repl-backlog-size`, bytes.
    pub backlog_size: Option<u64>,
}

impl NodeDetails {
    /// When a master closes a replica's connection: a hard limit below the backlog's size is taken for that size.
    pub(super) fn overflow(&self) -> Option<BufferLimit> {
        let limit = self.replica_buffer_limit?;
        let hard_bytes = match limit.hard_bytes {
            0 => 0,
            hard => hard.max(self.backlog_size.unwrap_or(0)),
        };
        Some(BufferLimit { hard_bytes, ..limit })
    }
}

/// `client-output-buffer-limit` of one class of clients; 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BufferLimit {
    /// Closed at once beyond this. Unit: bytes.
    pub hard_bytes: u64,
    /// Closed when beyond this for `soft_seconds`. Unit: bytes.
    pub soft_bytes: u64,
    /// See `soft_bytes`.
    pub soft_seconds: u64,
}

/// One line of a master's `CLIENT LIST TYPE replica`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplicaClient {
    /// `id`: another connection has another one.
    pub id: u64,
    /// `addr`: the replica's end of the connection, not the address it listens on.
    pub addr: NodeAddr,
    /// `omem`: what waits for it to be sent. Unit: bytes.
    pub omem_bytes: u64,
}

/// One `slaveN:` line of a master's INFO replication.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplicaLine {
    /// As the master lists it.
    pub addr: NodeAddr,
    /// `state=online`.
    pub online: bool,
    /// `offset`: acknowledged bytes.
    pub offset: u64,
    /// `lag`: seconds since its last acknowledgement.
    pub lag_seconds: u64,
}
