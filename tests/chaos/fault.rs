//! What may go wrong, and what may somebody do meanwhile?
//!
//! Pure: data.

use switchback::cluster::Side;

/// Something that begins, and ends some time later. A node is a master or a replica at the time that it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeFault {
    /// kill -9, and started again, empty, as soon as there is another master.
    MasterKilled,
    /// SIGSTOP.
    MasterFrozen,
    /// Its plug pulled.
    MasterUnplugged,
    /// Nothing reaches it of its replicas and Sentinels, and the proxy still does: two masters, for a while.
    MasterSplit,
    /// Its link sends little, what does not fit waits in a long queue or is lost at a short one.
    MasterNarrow(Link),
    ReplicaKilled,
    ReplicaFrozen,
    ReplicaUnplugged,
    ReplicaNarrow(Link),
    /// Sentinel is told to.
    FailedOver,
}

/// What a narrow link is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// A bandwidth cap.
    Capped,
    /// The same with seconds of queue.
    Slow,
    /// The same with hardly a queue.
    Lossy,
}

impl Link {
    /// Bits a second, and bytes of queue.
    pub(crate) fn shape(self) -> (u64, u32) {
        match self {
            Self::Capped => (4_000_000, 60_000),
            Self::Slow => (2_000_000, 1_000_000),
            Self::Lossy => (8_000_000, 4_000),
        }
    }

    pub(crate) const ALL: [Self; 3] = [Self::Capped, Self::Slow, Self::Lossy];
}

/// Something with the Sentinels of one side: with one of three, so that there is a majority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SentinelFault {
    Killed(usize),
    Frozen(usize),
    Unplugged(usize),
    /// A fourth one names a replica as master, later than all others.
    NamesReplica,
    /// The same with the other side's master.
    NamesStranger,
    /// The same with an address nobody listens on.
    NamesNobody,
}

/// Something with the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyFault {
    /// kill -9, and started again.
    Killed,
    /// SIGSTOP.
    Frozen,
    /// `UPGRADE`.
    Upgraded,
    /// `CONFIG RELOAD` of what is changed a little.
    Reloaded,
    /// `CONFIG RELOAD` of what is wrong.
    ReloadedWrong,
    /// Nothing more fits on the disk that its state is on.
    DiskFull,
    /// It may open no more descriptors than it has.
    OutOfDescriptors,
    /// Its wall clock jumps by so many seconds, and back.
    ClockJumps(i32),
}

/// Something an operator says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Raise(u32),
    RaiseOver(u32),
    Force(u32),
    Back,
    Arm,
}

/// What there is to play on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Means {
    /// Hosts with links of their own.
    pub(crate) has_hosts: bool,
    /// A disk of the proxy's own.
    pub(crate) has_disk: bool,
    /// A clock of the proxy's own.
    pub(crate) has_clock: bool,
}

/// One of all that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Node(Side, NodeFault),
    Sentinel(Side, SentinelFault),
    Proxy(ProxyFault),
    Operator(Order),
}

impl Fault {
    /// Whether it may be had.
    pub(crate) fn is_possible(self, means: Means) -> bool {
        match self {
            Self::Node(
                _,
                NodeFault::MasterUnplugged
                | NodeFault::MasterSplit
                | NodeFault::MasterNarrow(_)
                | NodeFault::ReplicaUnplugged
                | NodeFault::ReplicaNarrow(_),
            )
            | Self::Sentinel(_, SentinelFault::Unplugged(_)) => means.has_hosts,
            Self::Proxy(ProxyFault::DiskFull) => means.has_disk,
            Self::Proxy(ProxyFault::ClockJumps(_)) => means.has_clock,
            _ => true,
        }
    }

    /// Whether clients may miss messages meanwhile that no gap covers: the proxy has closed their connections, which tells them, or
    /// has told them by a clock that was wrong.
    pub(crate) fn keeps_gaps_from_clients(self) -> bool {
        matches!(
            self,
            Self::Proxy(ProxyFault::Killed | ProxyFault::Upgraded | ProxyFault::ClockJumps(_))
        )
    }
}
