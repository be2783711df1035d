//! What are the guard's rules called, and in which unit does each measure?
//!
//! Pure: the names of the contract.

use std::fmt;

/// The rules of the contract, in the order reports list them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// The master does not answer.
    Unreachable,
    /// A heartbeat published on the master takes too long to reach a replica. Unit: seconds.
    HeartbeatDelay,
    /// Replicas whose link to their master is down, or that are known but not connected. Unit: replicas.
    LinkDown,
    /// Full resyncs and refused partial ones in a window, beyond a first sync. Unit: resyncs.
    ResyncLoop,
    /// Changes of `connected_slaves` in a window. Unit: changes.
    ReplicaFlap,
    /// A replica's distance from its master, in seconds of the present write rate. Unit: seconds.
    OffsetLag,
    /// What the master holds back for a replica that does not take it. Unit: bytes.
    OutputBuffer,
    /// Keys evicted and commands refused at `maxmemory`, in a window. Unit: evictions.
    MemoryCap,
    /// The data of a master and a replica apart. Unit: percent of the larger.
    MemoryGap,
    /// New entries of a node's slowlog in a minute. Unit: entries.
    SlowlogGrowth,
    /// The rate at which a replica applies the stream, apart from its siblings'. Unit: percent of theirs.
    CommandMismatch,
    /// Replicas attached to a master beyond the usual number. Unit: replicas.
    ReplicaExcess,
    /// What a node sends, replication included, against the stated capacity of its link. Unit: percent of it.
    Bandwidth,
    /// Growth of the command rate until the horizon, if it goes on as it does. Unit: percent of the present rate.
    TrafficRising,
}

impl Rule {
    /// All rules, in report order.
    pub const ALL: [Self; 14] = [
        Self::Unreachable,
        Self::HeartbeatDelay,
        Self::LinkDown,
        Self::ResyncLoop,
        Self::ReplicaFlap,
        Self::OffsetLag,
        Self::OutputBuffer,
        Self::MemoryCap,
        Self::MemoryGap,
        Self::SlowlogGrowth,
        Self::CommandMismatch,
        Self::ReplicaExcess,
        Self::Bandwidth,
        Self::TrafficRising,
    ];

    /// The name in config, metrics, events and replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::HeartbeatDelay => "heartbeat_delay",
            Self::LinkDown => "link_down",
            Self::ResyncLoop => "resync_loop",
            Self::ReplicaFlap => "replica_flap",
            Self::OffsetLag => "offset_lag",
            Self::OutputBuffer => "output_buffer",
            Self::MemoryCap => "memory_cap",
            Self::MemoryGap => "memory_gap",
            Self::SlowlogGrowth => "slowlog_growth",
            Self::CommandMismatch => "command_mismatch",
            Self::ReplicaExcess => "replica_excess",
            Self::Bandwidth => "bandwidth",
            Self::TrafficRising => "traffic_rising",
        }
    }

    /// The unit of the rule's measure and limit.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Unreachable | Self::HeartbeatDelay | Self::OffsetLag => "seconds",
            Self::LinkDown | Self::ReplicaExcess => "replicas",
            Self::ResyncLoop => "resyncs",
            Self::ReplicaFlap => "changes",
            Self::OutputBuffer => "bytes",
            Self::MemoryCap => "evictions",
            Self::SlowlogGrowth => "entries",
            Self::MemoryGap | Self::CommandMismatch | Self::Bandwidth | Self::TrafficRising => "percent",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
