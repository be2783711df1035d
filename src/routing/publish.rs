//! How does a decision reach every worker, and how do we know that it has?
//!
//! Shell: one `ArcSwap` and one watch channel a route. There is exactly one [`Publisher`] per route and it is not
//! `Clone`: the controller owns it. Workers hold a [`Subscription`] each and acknowledge the epoch they route by.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use super::{Epoch, Snapshot};

struct Shared {
    current: ArcSwap<Snapshot>,
    acknowledged: Box<[AtomicU64]>,
    progress: Notify,
}

/// The sole writer of a route's snapshot. Kept by the controller.
pub struct Publisher {
    shared: Arc<Shared>,
    epoch: watch::Sender<Epoch>,
}

/// A route's snapshot as others may read it; cheap to clone, cannot write.
#[derive(Clone)]
pub struct RouteTable {
    shared: Arc<Shared>,
    epoch: watch::Receiver<Epoch>,
}

/// One worker's end: waits for changes, loads them, acknowledges them.
pub struct Subscription {
    shared: Arc<Shared>,
    epoch: watch::Receiver<Epoch>,
    worker: usize,
}

impl Publisher {
    /// A publisher with its first snapshot, for `workers` workers. The first snapshot still needs acknowledging.
    pub fn new(first: Snapshot, workers: usize) -> Self {
        let epoch = watch::Sender::new(first.epoch);
        let acknowledged = (0..workers).map(|_| AtomicU64::new(0)).collect();
        let shared = Shared {
            current: ArcSwap::from_pointee(first),
            acknowledged,
            progress: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
            epoch,
        }
    }

    /// The snapshot in force.
    pub fn current(&self) -> Arc<Snapshot> {
        self.shared.current.load_full()
    }

    /// Makes `snapshot` the one in force and wakes every worker. Its epoch must be the next one.
    pub fn publish(&self, snapshot: Snapshot) {
        debug_assert_eq!(snapshot.epoch, self.current().epoch.next(), "epochs grow by one");
        let epoch = snapshot.epoch;
        self.shared.current.store(Arc::new(snapshot));
        self.epoch.send_replace(epoch);
    }

    /// A reader's view.
    pub fn table(&self) -> RouteTable {
        RouteTable {
            shared: Arc::clone(&self.shared),
            epoch: self.epoch.subscribe(),
        }
    }

    /// The end for worker number `worker`, counted from 0.
    pub fn subscribe(&self, worker: usize) -> Subscription {
        Subscription {
            shared: Arc::clone(&self.shared),
            epoch: self.epoch.subscribe(),
            worker,
        }
    }
}

impl RouteTable {
    /// The snapshot in force.
    pub fn current(&self) -> Arc<Snapshot> {
        self.shared.current.load_full()
    }

    /// The oldest epoch any worker still routes by.
    pub fn acknowledged(&self) -> Epoch {
        let oldest = self
            .shared
            .acknowledged
            .iter()
            .map(|epoch| epoch.load(Ordering::Acquire))
            .min();
        Epoch(oldest.unwrap_or(u64::MAX))
    }

    /// Resolves once every worker routes by `epoch` or a later one. Cancel-safe; waits for as long as a worker is
    /// stalled, so the caller bounds it.
    pub async fn acknowledged_by_all(&self, epoch: Epoch) {
        loop {
            let progress = self.shared.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if self.acknowledged() >= epoch {
                return;
            }
            progress.await;
        }
    }

    /// Resolves at the next change; `false` when the publisher is gone. Cancel-safe.
    pub async fn changed(&mut self) -> bool {
        self.epoch.changed().await.is_ok()
    }
}

impl Subscription {
    /// The snapshot in force. Cost: one atomic load and a reference count; called once per change, not per command.
    pub fn load(&self) -> Arc<Snapshot> {
        self.shared.current.load_full()
    }

    /// Resolves at the next change; `false` when the publisher is gone. Cancel-safe.
    pub async fn changed(&mut self) -> bool {
        self.epoch.changed().await.is_ok()
    }

    /// Says that this worker sends nothing any more by a snapshot older than `epoch`.
    pub fn acknowledge(&self, epoch: Epoch) {
        if let Some(slot) = self.shared.acknowledged.get(self.worker) {
            slot.store(epoch.0, Ordering::Release);
        }
        self.shared.progress.notify_waiters();
    }
}
