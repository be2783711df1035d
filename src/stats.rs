//! What has a route carried so far? Counters that workers write and the control plane and the metrics read.
//!
//! Shell: relaxed atomics; a worker adds up locally and flushes once per turn of its loop, never per command.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// Buckets of the latency histograms.
pub const LATENCY_BUCKETS: usize = 24;

/// The bucket of a latency: bucket `n` holds latencies below `2^n` microseconds, the last one the rest.
#[inline]
pub fn latency_bucket(micros: u32) -> usize {
    ((u32::BITS - micros.leading_zeros()) as usize).min(LATENCY_BUCKETS - 1)
}

/// Durations, counted by bucket and added up.
#[derive(Debug, Default)]
pub struct Latencies {
    /// By [`latency_bucket`].
    pub counts: [AtomicU64; LATENCY_BUCKETS],
    /// Sum, in microseconds.
    pub micros: AtomicU64,
}

impl Latencies {
    /// Adds one.
    pub fn add(&self, micros: u32) {
        self.counts[latency_bucket(micros)].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(u64::from(micros), Ordering::Relaxed);
    }
}

/// Why the proxy itself has closed a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// There were as many as there may be.
    Clients,
    /// The same, of its address.
    Address,
    /// It has not agreed on TLS.
    Tls,
    /// No request or no password in time.
    Late,
    /// It was silent for too long.
    Idle,
}

impl Closed {
    /// All of them, in the order of [`RouteStats::closed`].
    pub const ALL: [Self; 5] = [Self::Clients, Self::Address, Self::Tls, Self::Late, Self::Idle];

    /// The value of the label `reason`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Address => "address",
            Self::Tls => "tls",
            Self::Late => "late",
            Self::Idle => "idle",
        }
    }
}

/// One route's counters, all workers together. Index by side: [`crate::cluster::Side::index`].
#[derive(Debug)]
pub struct RouteStats {
    /// When the counters started; `last_sent_nanos` counts from here.
    pub origin: Instant,
    /// Client connections open now.
    pub clients: AtomicUsize,
    /// Clients closed by the proxy itself, by [`Closed`].
    pub closed: [AtomicU64; Closed::ALL.len()],
    /// Of the clients, those whose next command waits for CLIENT PAUSE to be over.
    pub paused: AtomicUsize,
    /// The control plane's word, for clients that ask: the route stays at 0 until an operator arms it.
    pub latched: AtomicBool,
    /// Clients with a command waiting for a usable master.
    pub held: AtomicUsize,
    /// Bytes of large requests that are held, or promised to requests that are still coming.
    pub request_bytes_held: AtomicUsize,
    /// Large requests that are not read on before there is room for them.
    pub requests_waiting: AtomicUsize,
    /// Waits for a usable master that are over.
    pub holds: Latencies,
    /// Commands sent to each side.
    pub commands: [AtomicU64; 2],
    /// Error replies of each side passed on to apps.
    pub errors: [AtomicU64; 2],
    /// PUBLISH and SPUBLISH sent to each side.
    pub published: [AtomicU64; 2],
    /// Commands that were sent and never answered: told to the app as `-UNCERTAIN`.
    pub uncertain_told: [AtomicU64; 2],
    /// The same, sent again by policy or because they only read.
    pub uncertain_retried: [AtomicU64; 2],
    /// PUBLISH and SPUBLISH that a side, or the proxy, answered with an error.
    pub publish_failed: [AtomicU64; 2],
    /// PUBLISH and SPUBLISH that were sent and never answered, told as `-UNCERTAIN`.
    pub publish_uncertain: [AtomicU64; 2],
    /// The same, sent again by policy.
    pub publish_retried: [AtomicU64; 2],
    /// Messages handed to clients: one for each subscription of a client that matches.
    pub delivered: AtomicU64,
    /// Subscriptions of clients now.
    pub subscriptions: AtomicUsize,
    /// Clients closed because they did not keep up with their messages.
    pub subscriber_evictions: AtomicU64,
    /// Windows in which messages of a side may have been missed, one for each worker they concern.
    pub gaps: [AtomicU64; 2],
    /// Upstream connections open now.
    pub upstream_connections: [AtomicUsize; 2],
    /// Command latencies of each side, enqueued to answered.
    pub latency: [Latencies; 2],
    /// Time of the last command handed to a socket of each side, in nanoseconds since `origin`; 0 is never.
    pub last_sent_nanos: [AtomicU64; 2],
}

impl RouteStats {
    /// A client's connection has been closed for this.
    pub(crate) fn closed(&self, why: Closed) {
        self.closed[why as usize].fetch_add(1, Ordering::Relaxed);
    }
}

impl Default for RouteStats {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            clients: AtomicUsize::default(),
            closed: Default::default(),
            paused: AtomicUsize::default(),
            latched: AtomicBool::default(),
            held: AtomicUsize::default(),
            request_bytes_held: AtomicUsize::default(),
            requests_waiting: AtomicUsize::default(),
            holds: Latencies::default(),
            commands: Default::default(),
            errors: Default::default(),
            published: Default::default(),
            uncertain_told: Default::default(),
            uncertain_retried: Default::default(),
            publish_failed: Default::default(),
            publish_uncertain: Default::default(),
            publish_retried: Default::default(),
            delivered: AtomicU64::default(),
            subscriptions: AtomicUsize::default(),
            subscriber_evictions: AtomicU64::default(),
            gaps: Default::default(),
            upstream_connections: Default::default(),
            latency: Default::default(),
            last_sent_nanos: Default::default(),
        }
    }
}
