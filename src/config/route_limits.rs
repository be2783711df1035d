//! How is `[route.limits]` read?
//!
//! Pure.

use std::time::Duration;

use super::keys::Keys;
use super::model::{HoldLimits, Patience, PubSubOutput, RouteLimits};
use super::section::Section;

/// Keys of `[route.limits]`.
pub(super) const LIMITS: Keys = Keys {
    known: &[
        "clients",
        "clients_per_address",
        "keys_per_command",
        "first_request_timeout",
        "auth_timeout",
        "idle_timeout",
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
const HOUR: Duration = Duration::from_secs(3_600);
const MILLI: Duration = Duration::from_millis(1);

/// `[route.limits]`; absent keys, and an absent table, mean the defaults.
pub(super) fn read(section: Option<&Section<'_>>) -> RouteLimits {
    let limits = RouteLimits::default();
    let Some(section) = section else { return limits };
    let (pubsub, patience) = (limits.pubsub_output, limits.patience);
    let count = |key, default, range| section.or(key, default, |found| found.count(range));
    let bytes = |key, default, range| section.or(key, default, |found| found.bytes(range));
    let duration = |key, default, range| section.or(key, default, |found| found.duration(range));
    RouteLimits {
        clients: count("clients", limits.clients, 1..=1_000_000),
        clients_per_address: count("clients_per_address", limits.clients_per_address, 0..=1_000_000),
        // Redis takes no more words in a command.
        keys_per_command: count("keys_per_command", limits.keys_per_command, 1..=1 << 30),
        patience: Patience {
            first_request: duration(
                "first_request_timeout",
                patience.first_request,
                Duration::ZERO..=HOUR,
            ),
            auth: duration("auth_timeout", patience.auth, Duration::ZERO..=HOUR),
            idle: duration("idle_timeout", patience.idle, Duration::ZERO..=720 * HOUR),
        },
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
            soft_time: duration("pubsub_output_soft_time", pubsub.soft_time, Duration::ZERO..=HOUR),
        },
    }
}
