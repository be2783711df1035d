//! How does the real control plane run under a simulated world?
//!
//! Shell: [`Control`] with everything that it calls, on a clock that stands still unless it is moved. What it does by tasks is done by
//! them; what would ask the network, and the disk, is left to the world. Dropped with its tasks, it is what kill -9 leaves: nothing.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::setting::Configured;
use super::watcher::Watcher;
use crate::cluster::Topology;
use crate::control_plane::Event;
use crate::control_plane::admin::Reply;
use crate::control_plane::journal::Journal;
use crate::control_plane::preflight::{Facts, Known};
use crate::control_plane::record::Record;
use crate::control_plane::route::RouteControl;
use crate::control_plane::run::Control;
use crate::control_plane::store::Tray;
use crate::data_plane::RouteShared;
use crate::limits::CONTROL_QUEUE_MAX;
use crate::metrics::Gauges;
use crate::routing::{Epoch, Subscription};

/// Workers of the simulated proxy.
const WORKERS: usize = 2;

/// A look at both sides that somebody waits for.
pub(super) struct Asked {
    pub(super) known: [Option<Known>; 2],
    pub(super) answer: oneshot::Sender<Facts>,
    /// When the world got to know of it. Unit: milliseconds.
    pub(super) since: Option<u64>,
}

/// One worker's end of the snapshot.
struct Worker {
    subscription: Subscription,
    /// What it routes by.
    routes_by: Epoch,
    /// A newer one, and since when it is there.
    sees: Option<(Epoch, u64)>,
}

/// A process.
pub(super) struct Process {
    pub(super) control: Control,
    pub(super) inbox: mpsc::Receiver<Event>,
    pub(super) watchers: [Watcher; 2],
    pub(super) asked: Rc<RefCell<Vec<Asked>>>,
    workers: Vec<Worker>,
    /// Since when it runs, and since when without a stall. Unit: milliseconds.
    pub(super) runs_since: u64,
}

thread_local! {
    /// Nothing of it is looked at.
    static GAUGES: RefCell<Option<Rc<Gauges>>> = const { RefCell::new(None) };
}

impl Process {
    /// As [`ControlPlane::start`](crate::control_plane::ControlPlane::start) does it, once the first topologies have been found.
    /// Must be called on a `LocalSet`.
    pub(super) fn start(
        configured: &Configured,
        shared: &Arc<RouteShared>,
        left: Option<Record>,
        watchers: [Watcher; 2],
        now: u64,
    ) -> Self {
        let found: [Topology; 2] = watchers.each_ref().map(|watcher| watcher.topology.clone());
        let route = RouteControl::new(Arc::clone(shared), left, found, WORKERS);
        let (events, inbox) = mpsc::channel(CONTROL_QUEUE_MAX);
        let asked = Rc::<RefCell<Vec<Asked>>>::default();
        let asks = Rc::clone(&asked);
        let gauges = GAUGES.with_borrow_mut(|gauges| {
            let measured = [(&shared.config, Arc::clone(&shared.stats))];
            Rc::clone(gauges.get_or_insert_with(|| Rc::new(Gauges::new(&configured.config, &measured))))
        });
        let workers = (0..WORKERS)
            .map(|worker| Worker {
                subscription: route.publisher().subscribe(worker),
                routes_by: Epoch(0),
                sees: None,
            })
            .collect();
        let mut control = Control {
            routes: vec![route],
            tray: Arc::default(),
            journal: Journal::default(),
            gauges,
            guards: vec![watch::Sender::new(shared.config.guard.clone())],
            look_at: Rc::new(move |known| {
                let (answer, facts) = oneshot::channel();
                asks.borrow_mut().push(Asked {
                    known,
                    answer,
                    since: None,
                });
                Box::pin(async move { facts.await.unwrap_or_default() })
            }),
            events,
            config: configured.config.clone(),
            upgrades: mpsc::channel(1).0,
            hands_over: false,
            config_file: Some(configured.files[0].clone()),
        };
        control.start(0);
        Self {
            control,
            inbox,
            watchers,
            asked,
            workers,
            runs_since: now,
        }
    }

    pub(super) fn route(&self) -> &RouteControl {
        &self.control.routes[0]
    }

    pub(super) fn tray(&self) -> Arc<Tray> {
        Arc::clone(&self.control.tray)
    }

    /// Workers see the snapshot, and confirm it after a while.
    pub(super) fn work(&mut self, now: u64, takes: u64) {
        for worker in &mut self.workers {
            let epoch = worker.subscription.load().epoch;
            let (sees, since) = *worker.sees.get_or_insert((epoch, now));
            if now < since + takes {
                continue;
            }
            // What is newer than what it has taken in, it sees next.
            worker.sees = (epoch != sees).then_some((epoch, now));
            if sees > worker.routes_by {
                worker.routes_by = sees;
                worker.subscription.acknowledge(sees);
            }
        }
    }

    /// The oldest epoch that any worker routes by.
    pub(super) fn routed_by_all(&self) -> Epoch {
        self.workers
            .iter()
            .map(|worker| worker.routes_by)
            .min()
            .unwrap_or_default()
    }
}

/// An operator who waits for an answer.
pub(super) struct Waiting<T> {
    pub(super) order: T,
    pub(super) reply: oneshot::Receiver<Reply>,
    pub(super) since: u64,
    /// The epoch with which it was in force, once it was decided.
    pub(super) decided: Option<Epoch>,
    /// It has been taken back since, because it could not be saved.
    pub(super) is_taken_back: bool,
}
