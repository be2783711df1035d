//! How is `[route.limits]` read?
//!
//! Pure.

use std::time::Duration;

use super::keys::Keys;
use super::model::{HoldLimits, PubSubOutput, RouteLimits};
use super::section::Section;

/// Keys of `[route.limits]`.
pub(super) const LIMITS: Keys = Keys {
    known: &[
        "clients",
        "request_bytes",
        "request_buffer_bytes",
        "output_buffer_bytes",
        "in_flight",
        "hold_commands",
        "hold_time",
        "drain",
        "subscriptions",
        "pubsub_output_hard",
        "pubsub_output_soft",
        "pubsub_output_soft_time",
    ],
};

const KB: usize = 1 << 10;
const MB: usize = 1 << 20;
const GB: usize = 1 << 30;
const MILLI: Duration = Duration::from_millis(1);

/// `[route.limits]`; absent keys, and an absent table, mean the defaults.
pub(super) fn read(section: Option<&Section<'_>>) -> RouteLimits {
    let limits = RouteLimits::default();
    let Some(section) = section else { return limits };
    let pubsub = limits.pubsub_output;
    let count = |key, default, range| section.or(key, default, |found| found.count(range));
    let bytes = |key, default, range| section.or(key, default, |found| found.bytes(range));
    let duration = |key, default, range| section.or(key, default, |found| found.duration(range));
    RouteLimits {
        clients: count("clients", limits.clients, 1..=1_000_000),
        // The proxy streams large requests, but Redis reads none beyond 1 GB (`client-query-buffer-limit`).
        request_bytes: bytes("request_bytes", limits.request_bytes, KB..=GB),
        request_buffer_bytes: bytes("request_buffer_bytes", limits.request_buffer_bytes, MB..=64 * GB),
        output_buffer_bytes: bytes(
            "output_buffer_bytes",
            limits.output_buffer_bytes,
            64 * KB..=64 * GB,
        ),
        in_flight: count("in_flight", limits.in_flight, 1..=1_000_000),
        hold: HoldLimits {
            // 0 holds nothing: `-NOUPSTREAM` at once.
            commands: count("hold_commands", limits.hold.commands, 0..=1_000_000),
            time: duration(
                "hold_time",
                limits.hold.time,
                10 * MILLI..=Duration::from_secs(600),
            ),
        },
        drain: duration("drain", limits.drain, 10 * MILLI..=Duration::from_secs(60)),
        subscriptions: count("subscriptions", limits.subscriptions, 1..=10_000_000),
        pubsub_output: PubSubOutput {
            hard_bytes: bytes("pubsub_output_hard", pubsub.hard_bytes, 0..=64 * GB),
            soft_bytes: bytes("pubsub_output_soft", pubsub.soft_bytes, 0..=64 * GB),
            soft_time: duration(
                "pubsub_output_soft_time",
                pubsub.soft_time,
                Duration::ZERO..=Duration::from_secs(3_600),
            ),
        },
    }
}
