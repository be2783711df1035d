//! What does every worker need to know to route a command, at this moment?
//!
//! Pure: immutable once published. A change is a new snapshot with the next epoch, never a write to this one.

use std::sync::Arc;

use super::Weight;
use crate::cluster::{NodeAddr, Side};

/// Counts every published change of a route's snapshot; grows by one, survives a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch of the next change.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// One side as the data plane sees it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SideView {
    /// Where this side's commands go. `None`: hold them (no master known, or a failover is under way).
    pub master: Option<Arc<NodeAddr>>,
    /// Replicas, for `subscribe_to = "replica"`.
    pub replicas: Arc<[NodeAddr]>,
    /// While there is no master because Sentinel is making this node one: where subscriptions are prepared, and nothing else
    /// may go.
    pub heir: Option<Arc<NodeAddr>>,
    /// The side was tripped as `unreachable`: what it has in flight is not waited for.
    pub abandoned: bool,
}

/// A route's routing state. Shared read-only between all workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Which change this is.
    pub epoch: Epoch,
    /// Share of slots on `new`; `Weight::ZERO` for a route without `new`.
    pub weight: Weight,
    /// By [`Side::index`]; `new` is `None` for a route that only follows `old`.
    pub old: SideView,
    /// The new side, if the route has one.
    pub new: Option<SideView>,
}

impl Snapshot {
    /// The view of a side; `None` only for `new` on a route without it.
    pub fn side(&self, side: Side) -> Option<&SideView> {
        match side {
            Side::Old => Some(&self.old),
            Side::New => self.new.as_ref(),
        }
    }
}
