//! How does a proxy begin and end?
//!
//! Shell: takes everything that can fail (addresses, socket, state) before it serves anyone, starts a thread a worker,
//! runs the control plane on the calling thread, and drains when asked to end.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::{mpsc, watch};
use tokio::task::{LocalSet, spawn_local};

use crate::config::Config;
use crate::control_plane::admin::{AdminListener, BindError};
use crate::control_plane::{ControlPlane, Ended, Outside, StoreError, admin};
use crate::data_plane::{self, ListenError, RouteShared, Seat};
use crate::limits::CONTROL_QUEUE_MAX;
use crate::metrics::{self, Glance, Pages, Readiness};
use crate::shutdown::Signals;

/// How long the last state may take to get on disk at the end.
const LAST_SAVE_WAIT: Duration = Duration::from_secs(2);
/// Descriptors a proxy needs beside its clients': links, Sentinels, probes, files.
const SPARE_DESCRIPTORS: u64 = 512;

/// Why a proxy does not run. One line, naming what and where.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A route's address.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The admin socket.
    #[error(transparent)]
    Admin(#[from] BindError),
    /// The metrics address.
    #[error("metrics_listen {address}: {source}")]
    Metrics {
        /// As configured.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The state directory.
    #[error(transparent)]
    State(#[from] StoreError),
    /// It ran, and was told a second time to end.
    #[error("ended at once: a second signal came before clients had their replies")]
    Cut,
    /// A thread, a runtime, the metrics recorder.
    #[error("{0}")]
    Process(String),
}

impl From<std::io::Error> for StartError {
    fn from(error: std::io::Error) -> Self {
        Self::Process(error.to_string())
    }
}

/// Runs a proxy until a signal or an operator ends it. `config_file` is what a reload reads.
///
/// # Errors
/// When it cannot start; nothing is left behind then.
pub fn run(config: Config, config_file: Option<PathBuf>) -> Result<(), StartError> {
    raise_descriptor_limit(&config);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, serve(config, config_file))
}

async fn serve(config: Config, config_file: Option<PathBuf>) -> Result<(), StartError> {
    // From here on a signal leaves nothing behind: there will be a socket's file.
    let signals = Signals::listen()?;
    let workers = config.proxy.workers;
    let mut sockets = Vec::new();
    for route in &config.routes {
        let bound = route
            .listen
            .iter()
            .map(|address| data_plane::bind(&route.name, *address, workers));
        sockets.push(bound.collect::<Result<Vec<_>, _>>()?);
    }
    let admin = AdminListener::bind(&config.proxy.admin_socket)?;
    let page = bind_metrics(&config)?;
    let prometheus = metrics::install().map_err(|error| StartError::Process(error.to_string()))?;
    let (events, inbox) = mpsc::channel(CONTROL_QUEUE_MAX);
    let shared: Vec<Arc<RouteShared>> = config
        .routes
        .iter()
        .map(|route| Arc::new(RouteShared::new(route.clone())))
        .collect();
    let cut = spawn_local(signals.heed(events.clone()));
    let control = ControlPlane::start(Outside {
        config,
        config_file,
        shared: shared.clone(),
        events: events.clone(),
        inbox,
    })
    .await?;
    let (stop, stopped) = watch::channel(None);
    let mut threads = Vec::new();
    for worker in 0..workers {
        let seats = seats(&shared, &control, &mut sockets, worker);
        threads.push(data_plane::start(worker, seats, stopped.clone())?);
    }
    if let Some(page) = page {
        let pages = Pages {
            gauges: control.gauges(),
            glance: Glance::new(events.clone()),
            readiness: Readiness::new(control.tables(), stopped.clone()),
            prometheus,
        };
        spawn_local(metrics::serve(page, pages));
    }
    let operators = spawn_local(admin::serve(admin, events));
    tracing::info!(workers, routes = shared.len(), "serving");
    let Ended { grace, store } = control.run().await;
    tracing::info!(?grace, "ending: no new clients");
    stop.send_replace(Some(grace));
    let outcome = tokio::select! {
        () = drain(threads, grace) => Ok(()),
        _ = cut => Err(StartError::Cut),
    };
    // Last of all the directory is given free: the next proxy must find what this one has written.
    store.close(LAST_SAVE_WAIT).await;
    // It has ended with the loop, and waits for its last replies.
    let _ = operators.await;
    outcome
}

/// What one worker serves: of each address of each route one socket, and its end of the snapshot.
fn seats(
    shared: &[Arc<RouteShared>],
    control: &ControlPlane,
    sockets: &mut [Vec<Vec<TcpListener>>],
    worker: usize,
) -> Vec<Seat> {
    let routes = shared.iter().zip(control.subscriptions(worker)).zip(sockets);
    let seat =
        |((shared, subscription), sockets): ((&Arc<RouteShared>, _), &mut Vec<Vec<TcpListener>>)| Seat {
            shared: Arc::clone(shared),
            subscription,
            listeners: sockets.iter_mut().filter_map(Vec::pop).collect(),
        };
    routes.map(seat).collect()
}

fn bind_metrics(config: &Config) -> Result<Option<tokio::net::TcpListener>, StartError> {
    let Some(address) = config.proxy.metrics_listen else {
        return Ok(None);
    };
    let bind = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)
    };
    bind()
        .map(Some)
        .map_err(|source| StartError::Metrics { address, source })
}

/// Waits for the workers, a little longer than they have been given.
async fn drain(threads: Vec<JoinHandle<()>>, grace: Duration) {
    let deadline = Instant::now() + grace + Duration::from_secs(1);
    while Instant::now() < deadline && !threads.iter().all(JoinHandle::is_finished) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// As many descriptors as the routes' clients may need, as far as the hard limit allows.
fn raise_descriptor_limit(config: &Config) {
    let clients: usize = config.routes.iter().map(|route| route.limits.clients).sum();
    let wanted = clients as u64 * 2 + SPARE_DESCRIPTORS;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    if soft < wanted {
        let raised = wanted.min(hard);
        let _ = setrlimit(Resource::RLIMIT_NOFILE, raised, hard);
        if raised < wanted {
            tracing::warn!(
                wanted,
                limit = raised,
                "not enough descriptors for every client the limits allow"
            );
        }
    }
}
