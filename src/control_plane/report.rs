//! What do STATUS, HEALTH and TOPOLOGY say of a route?
//!
//! Pure: from what the control loop holds to replies. Field names are the contract's; see docs of the admin socket.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::admin::Reply;
use super::guard::{RuleVerdict, Verdict};
use super::ledger::Messages;
use super::route::RouteControl;
use super::shift::{Now, RampProgress};
use crate::cluster::{Discovery, Endpoint, NodeAddr, Side, Topology};
use crate::metrics::Gauges;
use crate::routing::Weight;

/// `STATUS` of one route.
pub(super) fn status(route: &RouteControl, now: Now) -> Reply {
    let stats = &route.shared.stats;
    let controller = &route.controller;
    let latch_reason = controller
        .latch()
        .map(|latch| format!("{}: {}", latch.cause, latch.reason));
    let progress = controller.progress(now);
    let end = progress.as_ref().and_then(|progress| progress.time_to_end);
    let paused = progress.as_ref().and_then(|progress| progress.paused.clone());
    Reply::Map(vec![
        ("route", text(route.name())),
        ("state", text(controller.state_name())),
        ("weight", percent(controller.weight())),
        ("target", percent(controller.target())),
        ("epoch", Reply::Integer(route.epoch().0 as i64)),
        ("latched", Reply::Boolean(controller.latch().is_some())),
        ("next_step", controller.next_step().map_or(Reply::Null, percent)),
        ("paused", optional(paused)),
        ("estimated_end", optional(end.map(time_from_now))),
        (
            "ramp",
            progress
                .and_then(|progress| progress.ramp)
                .map_or(Reply::Null, ramp),
        ),
        ("reason", optional(latch_reason.or_else(|| route.reason.clone()))),
        ("advice", optional(route.advice())),
        ("clients", count(stats.clients.load(Ordering::Relaxed))),
        ("held", count(stats.held.load(Ordering::Relaxed))),
        ("old", side_status(route, Side::Old)),
        ("new", side_status(route, Side::New)),
        ("pubsub", pubsub(route)),
    ])
}

/// Where a ramp is: `step` of the `steps` are behind it, `next` is due when `hold_left_seconds` have passed.
fn ramp(ramp: RampProgress) -> Reply {
    Reply::Map(vec![
        ("step", count(ramp.steps_taken)),
        (
            "steps",
            Reply::Array(ramp.steps.into_iter().map(percent).collect()),
        ),
        ("next", ramp.next.map_or(Reply::Null, percent)),
        ("hold_left_seconds", Reply::Double(ramp.hold_left.as_secs_f64())),
    ])
}

/// Messages since the proxy started, and the last transition's.
fn pubsub(route: &RouteControl) -> Reply {
    let stats = &route.shared.stats;
    let messages = Messages::of(stats);
    let number = |value: u64| Reply::Integer(i64::try_from(value).unwrap_or(i64::MAX));
    Reply::Map(vec![
        ("published_old", number(messages.published[0])),
        ("published_new", number(messages.published[1])),
        ("delivered", number(messages.delivered)),
        ("failed", number(messages.failed)),
        ("retried", number(messages.retried)),
        ("uncertain", number(messages.uncertain)),
        ("gaps", number(messages.gaps)),
        (
            "subscriptions",
            count(stats.subscriptions.load(Ordering::Relaxed)),
        ),
        (
            "evictions",
            number(stats.subscriber_evictions.load(Ordering::Relaxed)),
        ),
        ("last", optional(route.ledger.last().map(str::to_owned))),
    ])
}

fn side_status(route: &RouteControl, side: Side) -> Reply {
    if !route.has(side) {
        return Reply::Null;
    }
    let Topology { master, replicas, .. } = &route.topology[side.index()];
    let commands = route.shared.stats.commands[side.index()].load(Ordering::Relaxed);
    Reply::Map(vec![
        ("master", optional(master.as_ref().map(ToString::to_string))),
        ("replicas", Reply::Array(replicas.iter().map(text).collect())),
        ("verdict", text(route.side_verdict(side).name())),
        ("commands_total", Reply::Integer(commands as i64)),
    ])
}

/// `HEALTH` of one route: a map a rule and side.
pub(super) fn health(route: &RouteControl, now: Instant) -> Vec<Reply> {
    let describe = |verdict: &RuleVerdict| {
        let measured = match verdict.verdict {
            Verdict::Unknown => Reply::Null,
            Verdict::Ok | Verdict::Bad => Reply::Double(verdict.evidence.measured),
        };
        Reply::Map(vec![
            ("route", text(route.name())),
            ("side", text(verdict.side)),
            ("rule", text(verdict.rule)),
            ("verdict", text(verdict.verdict.name())),
            ("action", text(verdict.action.name())),
            (
                "node",
                optional(verdict.evidence.node.as_ref().map(ToString::to_string)),
            ),
            ("measured", measured),
            ("limit", Reply::Double(verdict.evidence.limit)),
            ("unit", text(verdict.rule.unit())),
            ("note", optional(verdict.evidence.note.clone())),
            ("since", text(wall_time(verdict.since, now))),
            ("advice", optional(route.next_step(verdict))),
        ])
    };
    route.verdicts.iter().map(describe).collect()
}

/// `TOPOLOGY` of one route: a map a side, and in it a map a node.
pub(super) fn topology(route: &RouteControl, gauges: &Gauges) -> Vec<Reply> {
    let config = &route.shared.config;
    let describe = |side: Side, endpoint: &Endpoint| {
        let Topology { master, replicas, .. } = &route.topology[side.index()];
        let (discovery, sentinels) = match &endpoint.discovery {
            Discovery::Fixed(node) => (format!("fixed {node}"), Vec::new()),
            Discovery::Sentinel {
                sentinels,
                master_name,
            } => (format!("sentinel {master_name}"), sentinels.clone()),
        };
        Reply::Map(vec![
            ("route", text(route.name())),
            ("side", text(side)),
            ("discovery", text(discovery)),
            ("sentinels", Reply::Array(sentinels.iter().map(text).collect())),
            ("master", optional(master.as_ref().map(ToString::to_string))),
            ("replicas", Reply::Array(replicas.iter().map(text).collect())),
            ("nodes", nodes(route, side, gauges)),
        ])
    };
    let new = config.new.as_ref().map(|endpoint| describe(Side::New, endpoint));
    std::iter::once(describe(Side::Old, &config.old))
        .chain(new)
        .collect()
}

/// The master, its replicas, and nodes that are still watched: a master that was lost. What was not measured is null.
fn nodes(route: &RouteControl, side: Side, gauges: &Gauges) -> Reply {
    let Topology { master, replicas, .. } = &route.topology[side.index()];
    let seen = gauges.nodes(route.name(), side);
    let named: Vec<&NodeAddr> = master.iter().chain(replicas).collect();
    let others = seen.keys().filter(|addr| !named.contains(addr));
    let describe = |addr: &NodeAddr| {
        let node = seen.get(addr).cloned().unwrap_or_default();
        let role = |is_master| if is_master { "master" } else { "replica" };
        let delay = node
            .delay
            .map_or(Reply::Null, |delay| Reply::Double(delay.as_secs_f64()));
        let lag = node.lag_bytes.and_then(|bytes| i64::try_from(bytes).ok());
        Reply::Map(vec![
            ("node", text(addr)),
            ("up", node.is_up.map_or(Reply::Null, Reply::Boolean)),
            (
                "role",
                node.is_master
                    .map_or(Reply::Null, |is_master| text(role(is_master))),
            ),
            ("replication_delay_seconds", delay),
            ("replication_lag_bytes", lag.map_or(Reply::Null, Reply::Integer)),
        ])
    };
    Reply::Array(named.iter().copied().chain(others).map(describe).collect())
}

/// The wall-clock time of a moment on the monotonic clock, RFC 3339.
fn wall_time(moment: Instant, now: Instant) -> String {
    let ago = SignedDuration::try_from(now.saturating_duration_since(moment)).unwrap_or(SignedDuration::ZERO);
    let wall = Timestamp::now().checked_sub(ago).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{wall:.3}")
}

/// The wall-clock time after a while, RFC 3339.
fn time_from_now(wait: Duration) -> String {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::ZERO);
    let wall = Timestamp::now().checked_add(wait).unwrap_or(Timestamp::MAX);
    format!("{wall:.3}")
}

fn text(value: impl ToString) -> Reply {
    Reply::Bulk(value.to_string())
}

fn optional(value: Option<String>) -> Reply {
    value.map_or(Reply::Null, Reply::Bulk)
}

fn count(value: usize) -> Reply {
    Reply::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

fn percent(weight: Weight) -> Reply {
    Reply::Double(f64::from(weight.steps()) / 100.0)
}
