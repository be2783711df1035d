//! What are the metrics called, and what does each mean?
//!
//! Shell: installs the process's recorder and describes every metric to it, once.

use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;

use crate::stats::LATENCY_BUCKETS;

pub(super) const COMMANDS: &str = "switchback_commands_total";
pub(super) const COMMAND_SECONDS: &str = "switchback_command_seconds";
pub(super) const COMMAND_ERRORS: &str = "switchback_command_errors_total";
pub(super) const CLIENTS: &str = "switchback_client_connections";
pub(super) const CLIENTS_CLOSED: &str = "switchback_clients_closed_total";
pub(super) const UPSTREAMS: &str = "switchback_upstream_connections";
pub(super) const WEIGHT: &str = "switchback_weight_ratio";
pub(super) const EPOCH: &str = "switchback_epoch";
pub(super) const LATCHED: &str = "switchback_route_latched";
pub(super) const ROUTE_BACKS: &str = "switchback_route_backs_total";
pub(super) const ROUTE_BACK_SECONDS: &str = "switchback_route_back_seconds";
pub(super) const GUARD_BAD: &str = "switchback_guard_bad";
pub(super) const DELAY: &str = "switchback_replication_delay_seconds";
pub(super) const LAG: &str = "switchback_replication_lag_bytes";
pub(super) const NODE_UP: &str = "switchback_node_up";
pub(super) const NODE_ROLE: &str = "switchback_node_role";
pub(super) const MASTER_CHANGES: &str = "switchback_master_changes_total";
pub(super) const PUBLISHED: &str = "switchback_published_total";
pub(super) const DELIVERED: &str = "switchback_delivered_total";
pub(super) const SUBSCRIPTIONS: &str = "switchback_subscriptions";
pub(super) const EVICTIONS: &str = "switchback_subscriber_evictions_total";
pub(super) const GAPS: &str = "switchback_pubsub_gaps_total";
pub(super) const UNCERTAIN: &str = "switchback_uncertain_total";
pub(super) const HELD: &str = "switchback_held_commands";
pub(super) const REQUEST_BYTES: &str = "switchback_request_bytes_held";
pub(super) const REQUESTS_WAITING: &str = "switchback_requests_waiting";
pub(super) const HOLD_SECONDS: &str = "switchback_hold_seconds";
pub(super) const BUILD_INFO: &str = "switchback_build_info";

/// Every gauge that is true is set at each scrape; one that was not, and has been on the page for this long, leaves it. A
/// node that is gone must not look up.
const FORGET_AFTER: Duration = Duration::from_secs(1);

/// Upper bounds of the latency buckets in seconds: what workers count by, so that nothing is rounded.
fn latency_bounds() -> Vec<f64> {
    (0..LATENCY_BUCKETS - 1)
        .map(|power| f64::from(1u32 << power) / 1e6)
        .collect()
}

/// Makes this process's metrics go to a Prometheus page, whose text the handle gives.
///
/// # Errors
/// When the process has a recorder already.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let bounds = latency_bounds();
    let route_back = [
        0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0,
    ];
    let handle = PrometheusBuilder::new()
        .idle_timeout(MetricKindMask::GAUGE, Some(FORGET_AFTER))
        .set_buckets_for_metric(Matcher::Full(COMMAND_SECONDS.to_owned()), &bounds)?
        .set_buckets_for_metric(Matcher::Full(HOLD_SECONDS.to_owned()), &bounds)?
        .set_buckets_for_metric(Matcher::Full(ROUTE_BACK_SECONDS.to_owned()), &route_back)?
        .install_recorder()?;
    describe();
    Ok(handle)
}

fn describe() {
    describe_counter!(COMMANDS, "Commands sent to a side");
    describe_histogram!(
        COMMAND_SECONDS,
        Unit::Seconds,
        "Time from a command's entry into a link's queue to its reply"
    );
    describe_counter!(
        COMMAND_ERRORS,
        "Error replies passed on to apps; kind: server (made by Redis)"
    );
    describe_gauge!(CLIENTS, "Client connections open now");
    describe_counter!(
        CLIENTS_CLOSED,
        "Connections closed by a limit: clients, address (clients_per_address), tls (no handshake), late (no request, no password), idle"
    );
    describe_gauge!(
        UPSTREAMS,
        "Connections to a side's nodes open now, the control plane's not counted"
    );
    describe_gauge!(WEIGHT, "Share of slots owned by new, 0 to 1");
    describe_gauge!(EPOCH, "Number of the last published change");
    describe_gauge!(
        LATCHED,
        "1 while a route back holds until an operator arms the route"
    );
    describe_counter!(ROUTE_BACKS, "Routes back, by the rule that tripped or 'operator'");
    describe_histogram!(
        ROUTE_BACK_SECONDS,
        Unit::Seconds,
        "Time from the first bad evidence to the last command on new"
    );
    describe_gauge!(
        GUARD_BAD,
        "1 while a rule is bad on a side; absent while it is off, or not evaluated there"
    );
    describe_gauge!(
        DELAY,
        Unit::Seconds,
        "Time the last heartbeat took from the master to a replica through replication"
    );
    describe_gauge!(
        LAG,
        Unit::Bytes,
        "Replication stream a replica has not acknowledged to its master"
    );
    describe_gauge!(NODE_UP, "1 while a node answers the guard's probes");
    describe_gauge!(NODE_ROLE, "1 for the role a node's ROLE says, 0 for the other");
    describe_counter!(MASTER_CHANGES, "Changes of a side's master");
    describe_counter!(PUBLISHED, "PUBLISH and SPUBLISH sent to a side");
    describe_counter!(
        DELIVERED,
        "Messages handed to clients, one for each subscription that matches"
    );
    describe_gauge!(SUBSCRIPTIONS, "Subscriptions of clients now");
    describe_counter!(
        EVICTIONS,
        "Clients closed because they did not keep up with their messages"
    );
    describe_counter!(
        GAPS,
        "Windows in which a worker's subscribers may have missed messages of a side"
    );
    describe_counter!(
        UNCERTAIN,
        "Commands sent and never answered; outcome: told (-UNCERTAIN) or retried"
    );
    describe_gauge!(HELD, "Clients with a command waiting for a usable master");
    describe_gauge!(
        REQUEST_BYTES,
        Unit::Bytes,
        "Bytes of large requests that are held, or promised to some that are still coming (request_buffer_bytes)"
    );
    describe_gauge!(
        REQUESTS_WAITING,
        "Large requests that are not read on before there is room for them"
    );
    describe_histogram!(
        HOLD_SECONDS,
        Unit::Seconds,
        "Waits for a usable master that are over"
    );
    describe_gauge!(BUILD_INFO, "1, labelled with the version");
}
