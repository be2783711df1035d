//! What can happen to the control plane? Everything its one loop reacts to, in one enum.
//!
//! Pure: data. Shells (Sentinel watchers, probes, heartbeats, the admin socket) send these; [`super::run`] handles them.

use std::sync::Arc;
use std::time::Duration;

use crate::cluster::{Side, Topology};
use crate::control_plane::admin::Request;
use crate::control_plane::guard::Observation;
use crate::control_plane::preflight::Facts;
use crate::data_plane::Gap;

/// One input of the control loop. `route` is the route's index in the configuration.
#[derive(Debug)]
pub enum Event {
    /// A side's watcher has a new confirmed topology. Sent on change only.
    Topology {
        /// Route index.
        route: usize,
        /// Which side of it.
        side: Side,
        /// What the side looks like now.
        topology: Topology,
        /// Why, in a few words for `EVENTS`: `"+switch-master confirmed by ROLE"`.
        reason: String,
    },
    /// A side's watcher saw something an operator wants to read of, without a change of topology: a Sentinel that
    /// went away or came back, `+sdown`, a `+switch-master` refused because ROLE disagreed.
    Notice {
        /// Route index.
        route: usize,
        /// Which side of it.
        side: Side,
        /// The event's kind: `sentinel_lost`, `sdown`, `switch_refused`, …
        kind: &'static str,
        /// One line, no secrets.
        text: String,
    },
    /// The guard's shells measured something, or failed to.
    Observation {
        /// Route index.
        route: usize,
        /// Which side of it.
        side: Side,
        /// The measurement.
        observation: Observation,
    },
    /// Both sides of a route have been looked at before its weight leaves 0.
    Looked {
        /// Route index.
        route: usize,
        /// Which look it was: an earlier one than the last is of no use.
        number: u64,
        /// What was seen.
        facts: Box<Facts>,
    },
    /// A worker's subscribers may have missed messages.
    Gap {
        /// Route index.
        route: usize,
        /// Which, and when.
        gap: Arc<Gap>,
    },
    /// Gaps came faster than they could be listed; the counter has them all.
    GapsMissed {
        /// Route index.
        route: usize,
        /// How many.
        count: u64,
    },
    /// An operator's command, with the way back for its reply.
    Admin(Request),
    /// The writer of a route's state has news.
    Saved {
        /// Route index.
        route: usize,
    },
    /// A route back has reached every worker.
    RoutedBack(RoutedBack),
    /// The configuration file is to be read again.
    Reload,
    /// Another process is to take over: by a signal.
    Upgrade,
    /// It is prepared to.
    HandOver,
    /// The process is to end.
    Shutdown {
        /// How long in-flight replies are waited for.
        grace: Duration,
    },
}

/// What a route back took.
#[derive(Clone, Debug, PartialEq)]
pub struct RoutedBack {
    /// Route index.
    pub route: usize,
    /// A rule's name, or `operator`.
    pub cause: String,
    /// From the first bad evidence to the decision.
    pub evidence_to_decision: Duration,
    /// From the first bad evidence to the last command that was handed to a socket of `new`; zero when there was none.
    pub evidence_to_last_command: Duration,
    /// From the decision to the last worker's confirmation; `None` when it did not come in time.
    pub published_to_all: Option<Duration>,
}
