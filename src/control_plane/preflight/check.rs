//! What are the checks called, and which of them refuse?
//!
//! Pure: names and data.

use std::fmt;

/// What is checked beside the guard's rules, in the order it is reported: who is there, who is whose, what it can carry,
/// what it is set up as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// Every node answers.
    Nodes,
    /// A majority of Sentinels answers and names the same master.
    Sentinels,
    /// No node belongs to both sides.
    Overlap,
    /// No Sentinel of one side could promote a node of the other.
    SentinelPriority,
    /// No Sentinels but a side's own watch its nodes.
    SentinelClaims,
    /// Every replica is attached and in sync.
    ReplicaSync,
    /// No more replicas than usual.
    Replicas,
    /// Clients and replicas together leave room on the link.
    StreamBandwidth,
    /// So do two full syncs at the same time.
    FullSync,
    /// The backlog bridges a short outage of a replica.
    Backlog,
    /// A replica's output buffer holds what is written during its full sync.
    OutputBufferLimit,
    /// Room in memory for the data, and for a fork.
    MemoryHeadroom,
    /// Forks work, are quick, and none is under way.
    Fork,
    /// The clocks agree.
    Clock,
    /// New is not older than old.
    Version,
    /// New's `maxmemory` is not smaller.
    Maxmemory,
    /// The policy is the same.
    MaxmemoryPolicy,
    /// New has as many databases.
    Databases,
    /// New knows old's users.
    AclUsers,
    /// New has old's libraries.
    Functions,
    /// New has old's modules.
    Modules,
    /// What is kept on disk is the same.
    Persistence,
}

impl Check {
    /// All of them, in report order.
    pub const ALL: [Self; 22] = [
        Self::Nodes,
        Self::Sentinels,
        Self::Overlap,
        Self::SentinelPriority,
        Self::SentinelClaims,
        Self::ReplicaSync,
        Self::Replicas,
        Self::StreamBandwidth,
        Self::FullSync,
        Self::Backlog,
        Self::OutputBufferLimit,
        Self::MemoryHeadroom,
        Self::Fork,
        Self::Clock,
        Self::Version,
        Self::Maxmemory,
        Self::MaxmemoryPolicy,
        Self::Databases,
        Self::AclUsers,
        Self::Functions,
        Self::Modules,
        Self::Persistence,
    ];

    /// The name in tables, events and refusals.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Sentinels => "sentinels",
            Self::Overlap => "overlap",
            Self::SentinelPriority => "sentinel_priority",
            Self::SentinelClaims => "sentinel_claims",
            Self::ReplicaSync => "replica_sync",
            Self::Replicas => "replicas",
            Self::StreamBandwidth => "stream_bandwidth",
            Self::FullSync => "full_sync",
            Self::Backlog => "backlog",
            Self::OutputBufferLimit => "output_buffer_limit",
            Self::MemoryHeadroom => "memory_headroom",
            Self::Fork => "fork",
            Self::Clock => "clock",
            Self::Version => "version",
            Self::Maxmemory => "maxmemory",
            Self::MaxmemoryPolicy => "maxmemory_policy",
            Self::Databases => "databases",
            Self::AclUsers => "acl_users",
            Self::Functions => "functions",
            Self::Modules => "modules",
            Self::Persistence => "persistence",
        }
    }

    /// Whether not knowing refuses too. It does where ignorance is the danger itself: who could be promoted, and who is in
    /// sync. What needs a permission or a number that may well not be given is told instead.
    pub const fn refuses_unknown(self) -> bool {
        match self {
            Self::Nodes | Self::Sentinels | Self::Overlap | Self::SentinelPriority | Self::ReplicaSync => {
                true
            }
            Self::SentinelClaims
            | Self::Replicas
            | Self::StreamBandwidth
            | Self::FullSync
            | Self::Backlog
            | Self::OutputBufferLimit
            | Self::MemoryHeadroom
            | Self::Fork
            | Self::Clock
            | Self::Version
            | Self::Maxmemory
            | Self::MaxmemoryPolicy
            | Self::Databases
            | Self::AclUsers
            | Self::Functions
            | Self::Modules
            | Self::Persistence => false,
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
