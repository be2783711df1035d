//! What do the hubs of all workers know of each other?
//!
//! Shell: how far each has got after a change, a line on which gaps are told, what is too large, and who listens. The lock is taken when a worker starts
//! and while a change settles, never on a message's or a request's path.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;

use super::audience::Audience;
use super::ceiling::Ceiling;
use super::gap::Gap;
use crate::limits::GAPS_QUEUED_MAX;
use crate::routing::Epoch;

/// How far one worker has got with the changes of a route; see [`super::settling`].
#[derive(Debug)]
pub(crate) struct Marks {
    /// Nothing it sent by a snapshot older than this is under way to a side that lost slots.
    drained: AtomicU64,
    /// Nor have its subscribers anything to come from there.
    passed: AtomicU64,
}

impl Marks {
    pub(super) fn set(&self, drained: Epoch, passed: Epoch) {
        self.drained.fetch_max(drained.0, Ordering::Release);
        self.passed.fetch_max(passed.0, Ordering::Release);
    }
}

/// What the workers of a route share for publishing and subscribing.
pub struct PubSubShared {
    workers: Mutex<Vec<Arc<Marks>>>,
    gaps: broadcast::Sender<Arc<Gap>>,
    pub(crate) ceiling: Ceiling,
    pub(crate) audience: Arc<Audience>,
}

impl Default for PubSubShared {
    fn default() -> Self {
        Self {
            workers: Mutex::default(),
            gaps: broadcast::Sender::new(GAPS_QUEUED_MAX),
            ceiling: Ceiling::default(),
            audience: Arc::default(),
        }
    }
}

impl fmt::Debug for PubSubShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PubSubShared").finish_non_exhaustive()
    }
}

impl PubSubShared {
    /// A hub of a worker that routes by `epoch` takes part.
    pub(crate) fn enter(&self, epoch: Epoch) -> Arc<Marks> {
        let marks = Arc::new(Marks {
            drained: AtomicU64::new(epoch.0),
            passed: AtomicU64::new(epoch.0),
        });
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.push(Arc::clone(&marks));
        marks
    }

    /// A hub takes part no more.
    pub(super) fn leave(&self, marks: &Arc<Marks>) {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.retain(|other| !Arc::ptr_eq(other, marks));
    }

    /// Up to which epoch every worker has drained, and up to which every hub has passed.
    pub(super) fn reached(&self) -> (Epoch, Epoch) {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let least = |of: fn(&Marks) -> &AtomicU64| {
            let reached = workers.iter().map(|marks| of(marks).load(Ordering::Acquire));
            Epoch(reached.min().unwrap_or(u64::MAX))
        };
        (least(|marks| &marks.drained), least(|marks| &marks.passed))
    }

    /// Tells every worker and the control plane.
    pub(super) fn tell(&self, gap: Gap) {
        // Nobody listens only when the process ends.
        let _ = self.gaps.send(Arc::new(gap));
    }

    /// Gaps from now on, of all workers. Who does not keep up is told how many it has missed.
    pub fn gaps(&self) -> broadcast::Receiver<Arc<Gap>> {
        self.gaps.subscribe()
    }
}
