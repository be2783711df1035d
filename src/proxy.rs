//! How does a proxy begin and end?
//!
//! Shell: takes everything that can fail (addresses, socket, state) before it serves anyone, starts a thread a worker,
//! runs the control plane on the calling thread, and drains when asked to end.

mod descriptors;
mod sockets;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle as Thread;
use std::time::{Duration, Instant};

use descriptors::{raise_descriptor_limit, share_descriptors};
use sd_notify::NotifyState;
use sockets::{bind_one, copies, listen, seats};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, LocalSet, spawn_local};

use crate::config::{AdminRemote, Config};
use crate::control_plane::admin::{AdminListener, BindError};
use crate::control_plane::{ControlPlane, Ended, Event, Outside, Store, StoreError, admin};
use crate::data_plane::{self, ListenError, RouteShared};
use crate::limits::CONTROL_QUEUE_MAX;
use crate::metrics::{self, Glance, Pages, Readiness};
use crate::shutdown::Signals;
use crate::upgrade::{self, Inherited, Predecessor, Successor, UpgradeError};

/// How long the last state may take to get on disk at the end.
const LAST_SAVE_WAIT: Duration = Duration::from_secs(2);

/// Why a proxy does not run. One line, naming what and where.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A route's address.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The admin socket.
    #[error(transparent)]
    Admin(#[from] BindError),
    /// An address of the process's own.
    #[error("{key} {address}: {source}")]
    Bind {
        /// Its key.
        key: &'static str,
        /// As configured.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The state directory.
    #[error(transparent)]
    State(#[from] StoreError),
    /// Nobody could take over, or be taken over from.
    #[error(transparent)]
    Upgrade(#[from] UpgradeError),
    /// It ran, and was told a second time to end.
    #[error("ended at once: a second signal came before clients had their replies")]
    Cut,
    /// A thread, a runtime, the metrics recorder.
    #[error("{0}")]
    Process(String),
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::Process(error.to_string())
    }
}

/// Runs a proxy until a signal or an operator ends it. `config_file` is what a reload reads.
///
/// # Errors
/// When it cannot start; nothing is left behind then.
pub fn run(config: Config, config_file: Option<PathBuf>) -> Result<(), StartError> {
    let descriptors = raise_descriptor_limit(&config);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, serve(config, config_file, descriptors))
}

async fn serve(
    config: Config,
    config_file: Option<PathBuf>,
    descriptors: Option<u64>,
) -> Result<(), StartError> {
    // From here on a signal leaves nothing behind: there will be a socket's file.
    let signals = Signals::listen()?;
    let workers = config.proxy.workers;
    let mut inherited = Inherited::from_env();
    let predecessor = Predecessor::from_env()?;
    let mut sockets = listen(&config, &mut inherited)?;
    let page = bind_one("metrics_listen", config.proxy.metrics_listen, &mut inherited)?;
    let remote = config.proxy.admin_remote.clone();
    let door = bind_one(
        "admin_listen",
        remote.as_ref().map(|remote| remote.listen),
        &mut inherited,
    )?;
    drop(inherited);
    let copies = copies(&sockets, page.iter().chain(&door))?;
    // What there can only be one of comes after this.
    if let Some(predecessor) = &predecessor {
        predecessor.wait_for_it()?;
    }
    let admin = AdminListener::bind(&config.proxy.admin_socket)?;
    let prometheus = metrics::install().map_err(|error| StartError::Process(error.to_string()))?;
    let (events, inbox) = mpsc::channel(CONTROL_QUEUE_MAX);
    let (upgrades, orders) = mpsc::channel(1);
    let shared: Vec<Arc<RouteShared>> = config
        .routes
        .iter()
        .map(|route| Arc::new(RouteShared::new(route.clone())))
        .collect();
    share_descriptors(&config, &shared, descriptors);
    let cut = spawn_local(signals.heed(events.clone()));
    let control = ControlPlane::start(Outside {
        config,
        config_file,
        shared: shared.clone(),
        events: events.clone(),
        upgrades,
        inbox,
    })
    .await?;
    let (stop, stopped) = watch::channel(None);
    let mut threads = Vec::new();
    for worker in 0..workers {
        let seats = seats(&shared, &control, &mut sockets, worker);
        threads.push(data_plane::start(worker, seats, stopped.clone())?);
    }
    let page = page.map(tokio::net::TcpListener::from_std).transpose()?;
    let page = page.map(|page| {
        let pages = Pages {
            gauges: control.gauges(),
            glance: Glance::new(events.clone()),
            readiness: Readiness::new(control.tables(), stopped.clone()),
            prometheus,
        };
        spawn_local(metrics::serve(page, pages))
    });
    let operators = spawn_local(serve_operators(admin, door.zip(remote), events.clone()));
    let upgrade = spawn_local(upgrade::prepare_successors(orders, copies, events));
    tracing::info!(workers, routes = shared.len(), "serving");
    if let Some(predecessor) = predecessor {
        predecessor.has_successor();
        spawn_local(predecessor.outlive(control.tables()));
    }
    tell_service_manager(&[NotifyState::MainPid(std::process::id()), NotifyState::Ready]);
    let Ended {
        grace,
        hands_over,
        store,
    } = control.run().await;
    if !hands_over {
        upgrade.abort();
    }
    // Without a successor the last copies of the sockets are gone now: nobody waits in a queue for nobody.
    let mut successor = upgrade.await.ok();
    if let Some(page) = page.filter(|_| successor.is_some()) {
        page.abort();
    }
    let mut outcome = Ok(());
    let mut left = Some((operators, store));
    if let Some(successor) = &mut successor {
        give_up(&mut left).await;
        outcome = successor.go().await.map_err(StartError::from);
    } else {
        tell_service_manager(&[NotifyState::Stopping]);
    }
    tracing::info!(?grace, "ending: no new clients");
    stop.send_replace(Some(grace));
    let is_cut = tokio::select! {
        () = drain(threads, grace) => Ok(()),
        () = hung_up(&mut successor) => Ok(()),
        _ = cut => Err(StartError::Cut),
    };
    give_up(&mut left).await;
    outcome.and(is_cut)
}

/// Until the control loop is gone and the last replies are written.
async fn serve_operators(
    here: AdminListener,
    elsewhere: Option<(TcpListener, AdminRemote)>,
    events: mpsc::Sender<Event>,
) {
    let remote = async {
        if let Some((socket, remote)) = elsewhere {
            admin::serve_remote(socket, remote, events.clone()).await;
        }
    };
    tokio::join!(admin::serve(here, events.clone()), remote);
}

/// Ends what there can only be one of, if that has not been done: the next proxy must find what this one has written, and its admin
/// socket's place free.
async fn give_up(left: &mut Option<(JoinHandle<()>, Store)>) {
    if let Some((operators, store)) = left.take() {
        store.close(LAST_SAVE_WAIT).await;
        // It has ended with the loop, and waits for its last replies.
        let _ = operators.await;
    }
}

/// Whoever has taken over cannot wait for this process any longer.
async fn hung_up(successor: &mut Option<Successor>) {
    match successor {
        Some(successor) => successor.hangs_up().await,
        None => std::future::pending().await,
    }
}

/// Of whoever is not there to hear it, nothing is expected.
fn tell_service_manager(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// Waits for the workers, a little longer than they have been given.
async fn drain(threads: Vec<Thread<()>>, grace: Duration) {
    let deadline = Instant::now() + grace + Duration::from_secs(1);
    while Instant::now() < deadline && !threads.iter().all(Thread::is_finished) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
