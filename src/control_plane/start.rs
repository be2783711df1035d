//! How does the control plane come to know its routes before the first client is served?
//!
//! Shell: starts a watcher and the guard's shells for each side, waits a moment for every side's nodes, and makes each
//! route's publisher with what was found. Clients meanwhile wait in the kernel's queue, not for an error.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::spawn_local;
use tokio::time::{Instant, timeout_at};

use super::Event;
use super::guard;
use super::journal::Journal;
use super::preflight;
use super::route::RouteControl;
use super::run::{Control, Upgrades};
use super::sentinel;
use super::store::{Store, StoreError};
use crate::cluster::{Endpoint, Side, Topology};
use crate::config::{Config, GuardConfig, RouteConfig};
use crate::data_plane::{Gap, RouteShared};
use crate::limits::{EVENTS_KEPT, START_WAIT};
use crate::metrics::Gauges;
use crate::routing::{RouteTable, Subscription};

/// What comes from outside the control plane.
pub(crate) struct Outside {
    pub(crate) config: Config,
    pub(crate) config_file: Option<PathBuf>,
    /// By route: what its workers share.
    pub(crate) shared: Vec<Arc<RouteShared>>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) upgrades: Upgrades,
    pub(crate) inbox: mpsc::Receiver<Event>,
}

/// How the control plane has ended.
pub(crate) struct Ended {
    /// How long clients may take.
    pub(crate) grace: Duration,
    /// Another process is prepared to take over.
    pub(crate) hands_over: bool,
    /// Still holds the state directory, and may have something to write.
    pub(crate) store: Store,
}

/// The control plane, ready to run.
pub(crate) struct ControlPlane {
    control: Control,
    store: Store,
    /// What came in while the nodes were looked for.
    early: Vec<Event>,
    inbox: mpsc::Receiver<Event>,
}

impl ControlPlane {
    /// Finds the nodes and takes up every route where it was left. Must be called on a `LocalSet`.
    ///
    /// # Errors
    /// When the state directory cannot be used: a proxy that forgets its latch must not run.
    pub(crate) async fn start(outside: Outside) -> Result<Self, StoreError> {
        let Outside {
            config,
            config_file,
            shared,
            events,
            upgrades,
            mut inbox,
        } = outside;
        let store = Store::open(&config.proxy.state_dir)?;
        let mut left = Vec::new();
        for route in &config.routes {
            left.push(store.load(&route.name)?);
        }
        let routes = config.routes.iter().enumerate();
        let guards = routes
            .map(|(at, route)| watch_route(at, route, &events))
            .collect();
        let (found, early) = first_topologies(&config.routes, &mut inbox).await;
        for (at, shared) in shared.iter().enumerate() {
            spawn_local(forward_gaps(at, shared.pubsub.gaps(), events.clone()));
        }
        let workers = config.proxy.workers;
        let routes: Vec<RouteControl> = shared
            .into_iter()
            .zip(left)
            .zip(found)
            .map(|((shared, left), found)| RouteControl::new(shared, left, found, workers))
            .collect();
        let measured: Vec<_> = routes
            .iter()
            .map(|route| (&route.shared.config, Arc::clone(&route.shared.stats)))
            .collect();
        let gauges = Rc::new(Gauges::new(&measured));
        let control = Control {
            routes,
            tray: store.tray(),
            journal: Journal::default(),
            gauges,
            guards,
            look_at: Rc::new(|known| Box::pin(preflight::collect(known))),
            events,
            config,
            upgrades,
            hands_over: false,
            config_file,
        };
        Ok(Self {
            control,
            store,
            early,
            inbox,
        })
    }

    /// By route: the ends of the snapshot for worker number `worker`.
    pub(crate) fn subscriptions(&self, worker: usize) -> Vec<Subscription> {
        let routes = self.control.routes.iter();
        routes.map(|route| route.publisher().subscribe(worker)).collect()
    }

    /// By route: its name and snapshot, for readiness.
    pub(crate) fn tables(&self) -> Vec<(String, RouteTable)> {
        let routes = self.control.routes.iter();
        routes
            .map(|route| (route.name().to_owned(), route.table()))
            .collect()
    }

    pub(crate) fn gauges(&self) -> Rc<Gauges> {
        Rc::clone(&self.control.gauges)
    }

    /// Runs until somebody asks for the end.
    pub(crate) async fn run(mut self) -> Ended {
        let grace = self.control.run(self.early, self.inbox).await;
        Ended {
            grace,
            hands_over: self.control.hands_over,
            store: self.store,
        }
    }
}

/// Starts what watches one route's sides. Topologies pass through here on their way to the loop, so that the guard's
/// shells follow them too. Returns what the guard's shells go by from now on.
pub(super) fn watch_route(
    at: usize,
    route: &RouteConfig,
    events: &mpsc::Sender<Event>,
) -> watch::Sender<GuardConfig> {
    let guard = watch::Sender::new(route.guard.clone());
    let endpoints = [Some(route.old.clone()), route.new.clone()];
    for (side, endpoint) in Side::BOTH.into_iter().zip(endpoints) {
        let Some(endpoint) = endpoint else { continue };
        let (found, nodes) = watch::channel(Topology::default());
        spawn_local(measure(
            at,
            side,
            endpoint.clone(),
            guard.subscribe(),
            nodes,
            events.clone(),
        ));
        spawn_local(follow(at, side, endpoint, found, events.clone()));
    }
    guard
}

/// Runs the guard's shells of one side, anew when they are to ask at other intervals.
async fn measure(
    at: usize,
    side: Side,
    endpoint: Endpoint,
    mut guard: watch::Receiver<GuardConfig>,
    nodes: watch::Receiver<Topology>,
    events: mpsc::Sender<Event>,
) {
    loop {
        let config = guard.borrow_and_update().clone();
        let intervals = |config: &GuardConfig| (config.probe_interval, config.heartbeat_interval);
        let now = intervals(&config);
        let access = endpoint.node_access();
        tokio::select! {
            () = guard::watch_side(at, side, access, config, nodes.clone(), events.clone()) => return,
            changed = guard.wait_for(|next| intervals(next) != now) => if changed.is_err() { return },
        }
    }
}

async fn follow(
    at: usize,
    side: Side,
    endpoint: Endpoint,
    found: watch::Sender<Topology>,
    events: mpsc::Sender<Event>,
) {
    let (own, mut news) = mpsc::channel(16);
    let watching = spawn_local(sentinel::watch(at, side, endpoint, own));
    while let Some(event) = news.recv().await {
        if let Event::Topology { topology, .. } = &event {
            found.send_replace(topology.clone());
        }
        if events.send(event).await.is_err() {
            break;
        }
    }
    watching.abort();
}

/// What subscribers may have missed, on its way to the loop.
async fn forward_gaps(route: usize, mut gaps: broadcast::Receiver<Arc<Gap>>, events: mpsc::Sender<Event>) {
    loop {
        let event = match gaps.recv().await {
            Ok(gap) => Event::Gap { route, gap },
            Err(broadcast::error::RecvError::Lagged(count)) => Event::GapsMissed { route, count },
            Err(broadcast::error::RecvError::Closed) => return,
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

/// What every side looks like, as far as it is found within the wait, and what else came in meanwhile.
async fn first_topologies(
    routes: &[RouteConfig],
    inbox: &mut mpsc::Receiver<Event>,
) -> (Vec<[Topology; 2]>, Vec<Event>) {
    let mut found: Vec<[Option<Topology>; 2]> = routes
        .iter()
        .map(|route| [None, route.new.is_none().then(Topology::default)])
        .collect();
    let mut early = Vec::new();
    let deadline = Instant::now() + START_WAIT;
    while found.iter().flatten().any(Option::is_none) {
        match timeout_at(deadline, inbox.recv()).await {
            Ok(Some(Event::Topology {
                route,
                side,
                topology,
                ..
            })) => {
                if let Some(sides) = found.get_mut(route) {
                    sides[side.index()] = Some(topology);
                }
            }
            // Measurements come again.
            Ok(Some(Event::Observation { .. })) => {}
            Ok(Some(end @ Event::Shutdown { .. })) => {
                early.push(end);
                break;
            }
            Ok(Some(event)) if early.len() < EVENTS_KEPT => early.push(event),
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break,
        }
    }
    let found = found
        .into_iter()
        .map(|sides| sides.map(Option::unwrap_or_default))
        .collect();
    (found, early)
}
