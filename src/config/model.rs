//! What can be configured, and what holds when nothing is said?
//!
//! Pure: plain data, already checked. Built by [`super::parse`] (a file) or by `run`'s flags; nothing here reads a file.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cluster::{Credentials, Endpoint, NodeAddr, Side};
use crate::control_plane::guard::RuleTable;
use crate::control_plane::shift::Window;
use crate::routing::Weight;
use crate::tls::ListenerTls;

/// Everything one process runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The process itself.
    pub proxy: ProxyConfig,
    /// At least one; names and listen addresses are unique.
    pub routes: Vec<RouteConfig>,
}

/// `[proxy]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxyConfig {
    /// Worker threads; already resolved, never 0.
    pub workers: usize,
    /// Unix socket of the admin commands; mode 0600.
    pub admin_socket: PathBuf,
    /// Where operators may come from other hosts; `None`: nowhere.
    pub admin_remote: Option<AdminRemote>,
    /// Where `/metrics`, `/healthz` and `/readyz` are served; `None`: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Where weight, epoch and latch of every route are kept.
    pub state_dir: PathBuf,
    /// Where what every route's guard sees is recorded; `None`: nowhere.
    pub trace_dir: Option<PathBuf>,
    /// Bytes of one route's recordings. Default 1 GiB.
    pub trace_bytes: usize,
}

/// `admin_listen`, `[proxy.admin_tls]` and `[proxy.admin_auth]`: all of them, or none.
#[derive(Clone, Debug, PartialEq)]
pub struct AdminRemote {
    /// Where.
    pub listen: SocketAddr,
    /// Never without.
    pub tls: ListenerTls,
    /// Nor without.
    pub auth: Credentials,
}

impl ProxyConfig {
    /// `admin_socket` when nothing is said; the commands that talk to a running proxy look here too.
    pub const ADMIN_SOCKET: &str = "/run/switchback/admin.sock";
    /// `metrics_listen` when nothing is said.
    pub const METRICS_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9640);
    /// `state_dir` when nothing is said.
    pub const STATE_DIR: &str = "/var/lib/switchback";
    /// `trace_bytes` when nothing is said: some hours of a route with two sides of three nodes.
    pub const TRACE_BYTES: usize = 1024 * 1024 * 1024;
}

/// What is done with a command that was sent and never answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUncertain {
    /// Tell the app: `-UNCERTAIN`. The command may or may not have been executed.
    Error,
    /// Send it again: it may be executed twice.
    Retry,
}

/// Where subscriptions are placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscribeTo {
    /// On the side's master.
    Master,
    /// On its replicas, the master as fallback.
    Replica,
}

/// As whom a client's commands run before it has authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unauthenticated {
    /// The route's own user, where a side has credentials; otherwise as [`Self::Default`].
    Route,
    /// The server's default user, who may ask for a password: a side's credentials are the proxy's alone.
    Default,
}

/// One `[[route]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteConfig {
    /// Label of metrics and first word of admin commands: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`, and not `json`, which
    /// admin commands take for a format.
    pub name: String,
    /// Addresses apps connect to. At least one.
    pub listen: Vec<SocketAddr>,
    /// What listeners show; `None`: clients come without TLS.
    pub tls: Option<ListenerTls>,
    /// The side that has the traffic now.
    pub old: Endpoint,
    /// The side that is to have it.
    pub new: Option<Endpoint>,
    /// Used only when the state directory knows nothing of the route.
    pub weight: Weight,
    /// Where subscriptions are placed.
    pub subscribe_to: SubscribeTo,
    /// As whom a client's commands run before it has authenticated.
    pub unauthenticated: Unauthenticated,
    /// Writes that were sent and never answered.
    pub uncertain: OnUncertain,
    /// The same for PUBLISH and SPUBLISH.
    pub uncertain_publish: OnUncertain,
    /// Commands passed on though they are refused by default, by their names in lower case.
    pub allow: Vec<&'static str>,
    /// What the guard measures and does.
    pub guard: GuardConfig,
    /// By which steps, and when, its weight rises.
    pub ramp: RampConfig,
    /// What one app, and all of them, may take.
    pub limits: RouteLimits,
}

impl RouteConfig {
    /// One of its sides, if it has it.
    pub fn side(&self, side: Side) -> Option<&Endpoint> {
        match side {
            Side::Old => Some(&self.old),
            Side::New => self.new.as_ref(),
        }
    }
}

/// `[route.guard]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GuardConfig {
    /// How often every node is asked for INFO and ROLE. Default 100 ms.
    pub probe_interval: Duration,
    /// How often a heartbeat is published on each master. Default 100 ms.
    pub heartbeat_interval: Duration,
    /// Evidence older than this is no evidence. Default 2 s.
    pub stale_after: Duration,
    /// A pause of the control loop longer than this is the proxy's own stall: tilt. Default 500 ms.
    pub tilt_after: Duration,
    /// How long after a stall the guard distrusts what it sees. Default 2 s.
    pub tilt_for: Duration,
    /// How long a replica must have been in sync and keeping up before its loss or lag is evidence, so that a first sync
    /// or a restart is not. Default 3 s.
    pub healthy_before: Duration,
    /// By [`crate::cluster::Side::index`]: how many replicas a master usually has. `None`, the default: learnt from the
    /// first evidence that all of them are healthy.
    pub replicas_usual: [Option<usize>; 2],
    /// By side: what a node's network link can carry, in Mbit/s. `None`, the default: [`crate::control_plane::guard::Rule::Bandwidth`] is not
    /// evaluated.
    pub bandwidth_mbit: [Option<usize>; 2],
    /// [`crate::control_plane::guard::Rule::OutputBuffer`] is bad too when a buffer would overflow within this, growing as it does. Default 3 s.
    pub overflow_within: Duration,
    /// [`crate::control_plane::guard::Rule::MemoryGap`] does not look at less than this between master and replica, in bytes. Default 64 MiB.
    pub memory_gap_floor: usize,
    /// Nodes that do not belong to `old`: advice counts them as such, and [`Self::detaches_on_trip`] is about them. Default: none.
    pub detach: Vec<NodeAddr>,
    /// At a trip, those of [`Self::detach`] that are replicas of old's master are told `REPLICAOF NO ONE`. Default: no.
    pub detaches_on_trip: bool,
    /// Threshold, duration and action of every rule.
    pub rules: RuleTable,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            probe_interval: Duration::from_millis(100),
            heartbeat_interval: Duration::from_millis(100),
            stale_after: Duration::from_secs(2),
            tilt_after: Duration::from_millis(500),
            tilt_for: Duration::from_secs(2),
            healthy_before: Duration::from_secs(3),
            replicas_usual: [None; 2],
            bandwidth_mbit: [None; 2],
            overflow_within: Duration::from_secs(3),
            memory_gap_floor: 64 * 1024 * 1024,
            detach: Vec::new(),
            detaches_on_trip: false,
            rules: RuleTable::default(),
        }
    }
}

/// `[route.ramp]`.
#[derive(Clone, Debug, PartialEq)]
pub struct RampConfig {
    /// The weights of a ramp: at least one, rising, above 0. Default 1, 5, 25, 50 and 100 %.
    pub steps: Vec<Weight>,
    /// How long both sides must be healthy, without a break, before a ramp's next step. Default 5 m.
    pub hold: Duration,
    /// The hours in which a weight may rise, in whatever way; `None`: all. Open for longer than [`Self::hold`].
    pub window: Option<Window>,
}

impl RampConfig {
    /// Where a ramp ends.
    pub fn last_step(&self) -> Weight {
        self.steps.last().copied().unwrap_or(Weight::ZERO)
    }
}

impl Default for RampConfig {
    fn default() -> Self {
        let percent = [1, 5, 25, 50, 100];
        Self {
            steps: percent
                .iter()
                .filter_map(|percent| Weight::from_steps(percent * 100))
                .collect(),
            hold: Duration::from_secs(300),
            window: None,
        }
    }
}

/// `[route.limits]`.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteLimits {
    /// Client connections at once, all workers together. Default 10,000, as Redis's `maxclients`.
    pub clients: usize,
    /// Of these, from one address; 0, the default: no such limit.
    pub clients_per_address: usize,
    /// Keys of one command. Default 1,048,576.
    pub keys_per_command: usize,
    /// How long a client may take.
    pub patience: Patience,
    /// Largest request, in bytes. Default 512 MiB and a little, as Redis's `proto-max-bulk-len`.
    pub request_bytes: usize,
    /// Bytes of large requests held at once, all clients together; beyond it, they are read no further until there is room. Default
    /// 640 MiB: the largest request, and some beside it.
    pub request_buffer_bytes: usize,
    /// Replies waiting for one client, in bytes: beyond it, the client is closed. Default 1 GiB.
    pub output_buffer_bytes: usize,
    /// Commands of one client sent and not yet answered; beyond it, its socket is not read. Default 1,024.
    pub in_flight: usize,
    /// Commands waiting for a usable master.
    pub hold: HoldLimits,
    /// How long a command that was sent to a node that has since lost its mastership is waited for. Default 1 s.
    pub drain: Duration,
    /// Subscriptions of one client, of all kinds together; what goes beyond is refused. Default 50,000.
    pub subscriptions: usize,
    /// What may wait for a client with subscriptions.
    pub pubsub_output: PubSubOutput,
}

/// How long clients may take for what they ought to do. Default: for ever, as Redis lets them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patience {
    /// To send a first whole request; zero: for ever.
    pub first_request: Duration,
    /// To authenticate, where servers ask for a password; zero: for ever.
    pub auth: Duration,
    /// To say something again; zero: for ever. Of no client that subscribes, monitors or waits in a blocking command.
    pub idle: Duration,
}

/// As `client-output-buffer-limit pubsub` of Redis, with its defaults: a client that does not keep up is closed, since it
/// would otherwise miss messages unknowingly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PubSubOutput {
    /// Bytes beyond which it is closed at once; 0: no such bound. Default 32 MiB.
    pub hard_bytes: usize,
    /// Bytes beyond which it is closed after [`Self::soft_time`]; 0: no such bound. Default 8 MiB.
    pub soft_bytes: usize,
    /// How long it may stay beyond `soft_bytes`. Default 60 s.
    pub soft_time: Duration,
}

/// How many commands wait for a usable master, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldLimits {
    /// Clients of one route with a held command, all workers together; the next one gets `-NOUPSTREAM`. Default 10,000.
    pub commands: usize,
    /// Longest wait before `-NOUPSTREAM`. Default 30 s: Sentinel's default `down-after-milliseconds`, and less than
    /// most client libraries' patience with a failover.
    pub time: Duration,
}

impl Default for RouteLimits {
    fn default() -> Self {
        Self {
            clients: 10_000,
            clients_per_address: 0,
            keys_per_command: 1 << 20,
            patience: Patience::default(),
            request_bytes: 513 * 1024 * 1024,
            request_buffer_bytes: 640 * 1024 * 1024,
            output_buffer_bytes: 1024 * 1024 * 1024,
            in_flight: 1_024,
            hold: HoldLimits {
                commands: 10_000,
                time: Duration::from_secs(30),
            },
            drain: Duration::from_secs(1),
            subscriptions: 50_000,
            pubsub_output: PubSubOutput {
                hard_bytes: 32 * 1024 * 1024,
                soft_bytes: 8 * 1024 * 1024,
                soft_time: Duration::from_secs(60),
            },
        }
    }
}
