//! What have the workers carried, as Prometheus wants to hear it?
//!
//! Shell: copies a route's counters at each scrape. Handles are resolved once; workers never meet a metric by name.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::names;
use crate::cluster::Side;
use crate::config::RouteConfig;
use crate::stats::{Closed, LATENCY_BUCKETS, Latencies, RouteStats};

pub(super) struct Traffic {
    stats: Arc<RouteStats>,
    clients: Gauge,
    closed: [Counter; Closed::ALL.len()],
    held: Gauge,
    request_bytes: Gauge,
    requests_waiting: Gauge,
    holds: Copied,
    delivered: Counter,
    subscriptions: Gauge,
    evictions: Counter,
    sides: Vec<(Side, OfSide)>,
}

struct OfSide {
    commands: Counter,
    errors: Counter,
    published: Counter,
    gaps: Counter,
    told: Counter,
    retried: Counter,
    upstreams: Gauge,
    latency: Copied,
}

/// A histogram, and how much of the workers' counts it has got already.
struct Copied {
    histogram: Histogram,
    counts: [Cell<u64>; LATENCY_BUCKETS],
    micros: Cell<u64>,
}

impl Traffic {
    pub(super) fn new(config: &RouteConfig, stats: Arc<RouteStats>) -> Self {
        let route = || config.name.clone();
        let of_side = |side: Side| OfSide {
            commands: counter!(names::COMMANDS, "route" => route(), "side" => side.name()),
            errors: counter!(names::COMMAND_ERRORS, "route" => route(), "side" => side.name(), "kind" => "server"),
            published: counter!(names::PUBLISHED, "route" => route(), "side" => side.name()),
            gaps: counter!(names::GAPS, "route" => route(), "side" => side.name()),
            told: counter!(names::UNCERTAIN, "route" => route(), "side" => side.name(), "outcome" => "told"),
            retried: counter!(names::UNCERTAIN, "route" => route(), "side" => side.name(), "outcome" => "retried"),
            upstreams: gauge!(names::UPSTREAMS, "route" => route(), "side" => side.name()),
            latency: Copied::new(
                histogram!(names::COMMAND_SECONDS, "route" => route(), "side" => side.name()),
            ),
        };
        let sides = Side::BOTH
            .into_iter()
            .filter(|side| *side == Side::Old || config.new.is_some());
        Self {
            stats,
            clients: gauge!(names::CLIENTS, "route" => route()),
            closed: Closed::ALL
                .map(|why| counter!(names::CLIENTS_CLOSED, "route" => route(), "reason" => why.name())),
            held: gauge!(names::HELD, "route" => route()),
            request_bytes: gauge!(names::REQUEST_BYTES, "route" => route()),
            requests_waiting: gauge!(names::REQUESTS_WAITING, "route" => route()),
            holds: Copied::new(histogram!(names::HOLD_SECONDS, "route" => route())),
            delivered: counter!(names::DELIVERED, "route" => route()),
            subscriptions: gauge!(names::SUBSCRIPTIONS, "route" => route()),
            evictions: counter!(names::EVICTIONS, "route" => route()),
            sides: sides.map(|side| (side, of_side(side))).collect(),
        }
    }

    pub(super) fn refresh(&self) {
        let stats = &self.stats;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.clients.set(stats.clients.load(Ordering::Relaxed) as f64);
        for (counter, count) in self.closed.iter().zip(&stats.closed) {
            counter.absolute(load(count));
        }
        self.held.set(stats.held.load(Ordering::Relaxed) as f64);
        self.request_bytes
            .set(stats.request_bytes_held.load(Ordering::Relaxed) as f64);
        self.requests_waiting
            .set(stats.requests_waiting.load(Ordering::Relaxed) as f64);
        self.holds.copy(&stats.holds);
        self.delivered.absolute(load(&stats.delivered));
        self.evictions.absolute(load(&stats.subscriber_evictions));
        self.subscriptions
            .set(stats.subscriptions.load(Ordering::Relaxed) as f64);
        for (side, of_side) in &self.sides {
            let at = side.index();
            of_side.commands.absolute(load(&stats.commands[at]));
            of_side.errors.absolute(load(&stats.errors[at]));
            of_side.published.absolute(load(&stats.published[at]));
            of_side.gaps.absolute(load(&stats.gaps[at]));
            of_side.told.absolute(load(&stats.uncertain_told[at]));
            of_side.retried.absolute(load(&stats.uncertain_retried[at]));
            of_side
                .upstreams
                .set(stats.upstream_connections[at].load(Ordering::Relaxed) as f64);
            of_side.latency.copy(&stats.latency[at]);
        }
    }
}

impl Copied {
    fn new(histogram: Histogram) -> Self {
        Self {
            histogram,
            counts: std::array::from_fn(|_| Cell::default()),
            micros: Cell::default(),
        }
    }

    /// Records what has been counted since the last call: every count in its own bucket, at values whose sum comes as
    /// near the true one as the buckets allow.
    fn copy(&self, from: &Latencies) {
        let fresh: Vec<u64> = from
            .counts
            .iter()
            .zip(&self.counts)
            .map(|(count, copied)| {
                let count = count.load(Ordering::Relaxed);
                count.saturating_sub(copied.replace(count))
            })
            .collect();
        let micros = from.micros.load(Ordering::Relaxed);
        let sum = micros.saturating_sub(self.micros.replace(micros)) as f64;
        let guessed: f64 = fresh
            .iter()
            .enumerate()
            .map(|(at, count)| middle(at) * *count as f64)
            .sum();
        let scale = if guessed > 0.0 { sum / guessed } else { 1.0 };
        for (at, count) in fresh.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            let (low, high) = bounds(at);
            let micros = (middle(at) * scale).clamp(low, high);
            self.histogram
                .record_many(micros / 1e6, usize::try_from(count).unwrap_or(usize::MAX));
        }
    }
}

/// What a bucket holds, in microseconds, both ends included. Bucket `n` counts durations of less than `2^n` that are not
/// in an earlier one; Prometheus counts a value that equals a bound below it, so the low end stays clear of it.
fn bounds(bucket: usize) -> (f64, f64) {
    let below = |power: usize| (1u64 << power) as f64;
    match bucket {
        0 => (0.0, 1.0),
        at if at == LATENCY_BUCKETS - 1 => (below(at - 1) + 0.5, f64::MAX),
        at => (below(at - 1) + 0.5, below(at)),
    }
}

fn middle(bucket: usize) -> f64 {
    1.5 * (1u64 << bucket) as f64 / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::latency_bucket;

    #[test]
    fn every_bucket_holds_the_latencies_that_are_counted_in_it() {
        for micros in [0u32, 1, 2, 3, 4, 7, 8, 1_000, 4_194_303, 4_194_304, u32::MAX] {
            let (low, high) = bounds(latency_bucket(micros));
            // What is counted as 3 microseconds took 3 and a bit.
            assert!(
                (low..=high).contains(&(f64::from(micros) + 0.5)),
                "{micros}: {low}..{high}"
            );
        }
        for bucket in 0..LATENCY_BUCKETS {
            let (low, high) = bounds(bucket);
            assert!((low..=high).contains(&middle(bucket)), "{bucket}");
        }
    }
}
