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
