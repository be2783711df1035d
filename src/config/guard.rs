//! How is `[route.guard]` read?
//!
//! Pure. A duration is a string with its unit here as everywhere, so a rule whose measure is time has a string for a
//! limit, and one that counts a whole number; sizes are as everywhere too.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::found::Found;
use super::keys::Keys;
use super::model::GuardConfig;
use super::section::Section;
use super::url;
use crate::cluster::Side;
use crate::control_plane::guard::{Action, Rule, RuleSetting};
use crate::limits::NODES_MAX;

/// Keys of `[route.guard]`.
pub(super) const GUARD: Keys = Keys {
    known: &[
        "probe_interval",
        "heartbeat_interval",
        "stale_after",
        "tilt_after",
        "tilt_for",
        "healthy_before",
        "replicas_usual",
        "replicas_usual_old",
        "replicas_usual_new",
        "bandwidth_mbit",
        "bandwidth_mbit_old",
        "bandwidth_mbit_new",
        "on_trip",
        "detach",
        "unreachable",
        "heartbeat_delay",
        "link_down",
        "resync_loop",
        "replica_flap",
        "offset_lag",
        "output_buffer",
        "memory_cap",
        "memory_gap",
        "slowlog_growth",
        "command_mismatch",
        "replica_excess",
        "bandwidth",
        "traffic_rising",
    ],
};
const ACTION: [&str; 3] = ["action", "action_old", "action_new"];
/// Of a rule that looks at now.
const RULE: Keys = rule_keys(&["limit", "for", "clear_for", ACTION[0], ACTION[1], ACTION[2]]);
/// Of a rule that counts or compares over a window.
const WINDOW_RULE: Keys = rule_keys(&[
    "limit",
    "for",
    "clear_for",
    "window",
    ACTION[0],
    ACTION[1],
    ACTION[2],
]);
const OUTPUT_BUFFER: Keys = rule_keys(&[
    "limit",
    "overflow_within",
    "for",
    "clear_for",
    ACTION[0],
    ACTION[1],
    ACTION[2],
]);
const MEMORY_GAP: Keys = rule_keys(&[
    "limit",
    "floor",
    "for",
    "clear_for",
    ACTION[0],
    ACTION[1],
    ACTION[2],
]);

const fn rule_keys(known: &'static [&'static str]) -> Keys {
    Keys { known }
}

/// Keys of a rule's table.
pub(super) const fn keys_of(rule: Rule) -> Keys {
    match rule {
        Rule::OutputBuffer => OUTPUT_BUFFER,
        Rule::MemoryGap => MEMORY_GAP,
        _ if has_window(rule) => WINDOW_RULE,
        _ => RULE,
    }
}

/// The rule has a `window`.
const fn has_window(rule: Rule) -> bool {
    match rule {
        Rule::ResyncLoop
        | Rule::ReplicaFlap
        | Rule::MemoryCap
        | Rule::CommandMismatch
        | Rule::TrafficRising => true,
        Rule::Unreachable
        | Rule::HeartbeatDelay
        | Rule::LinkDown
        | Rule::OffsetLag
        | Rule::OutputBuffer
        | Rule::MemoryGap
        | Rule::SlowlogGrowth
        | Rule::ReplicaExcess
        | Rule::Bandwidth => false,
    }
}

const ACTIONS: [(&str, Action); 4] = [
    (Action::Trip.name(), Action::Trip),
    (Action::Freeze.name(), Action::Freeze),
    (Action::Warn.name(), Action::Warn),
    (Action::Off.name(), Action::Off),
];

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// Sizes of buffers and of data beyond any node's.
const BYTES_MAX: usize = 1 << 40;

/// What a rule's limit may be.
enum LimitRange {
    Time(RangeInclusive<Duration>),
    Count(RangeInclusive<usize>),
    Bytes(RangeInclusive<usize>),
}

/// `[route.guard]`; absent keys, and an absent table, mean the defaults.
pub(super) fn read(section: Option<&Section<'_>>) -> GuardConfig {
    let mut guard = GuardConfig::default();
    let Some(section) = section else { return guard };
    let duration = |key, default, range| section.or(key, default, |found| found.duration(range));
    // Below 10 ms the guard is a load of its own; above a second the promise "well under a second" cannot be kept.
    guard.probe_interval = duration("probe_interval", guard.probe_interval, 10 * MILLI..=10 * SECOND);
    guard.heartbeat_interval = duration(
        "heartbeat_interval",
        guard.heartbeat_interval,
        10 * MILLI..=10 * SECOND,
    );
    guard.stale_after = duration("stale_after", guard.stale_after, 100 * MILLI..=MINUTE);
    guard.tilt_after = duration("tilt_after", guard.tilt_after, 50 * MILLI..=MINUTE);
    guard.tilt_for = duration("tilt_for", guard.tilt_for, 100 * MILLI..=10 * MINUTE);
    guard.healthy_before = duration(
        "healthy_before",
        guard.healthy_before,
        Duration::ZERO..=10 * MINUTE,
    );
    let usual = ["replicas_usual", "replicas_usual_old", "replicas_usual_new"];
    guard.replicas_usual = by_side(section, usual, |found| found.count(0..=NODES_MAX));
    let bandwidth = ["bandwidth_mbit", "bandwidth_mbit_old", "bandwidth_mbit_new"];
    guard.bandwidth_mbit = by_side(section, bandwidth, |found| found.count(1..=1_000_000));
    for rule in Rule::ALL {
        if let Some(section) = section.section(rule.name(), keys_of(rule)) {
            read_rule(&section, rule, guard.rules.get_mut(rule));
            read_own(&section, rule, &mut guard);
        }
    }
    read_on_trip(section, &mut guard);
    check_staleness(section, &guard);
    guard
}

/// What may be done at a trip beside the route back, and to whom.
fn read_on_trip(section: &Section<'_>, guard: &mut GuardConfig) {
    let allowed = format!("an array of at most {NODES_MAX} nodes, as in [\"10.0.1.2:6379\"], each once");
    let nodes = section.get("detach");
    let items = nodes
        .as_ref()
        .and_then(|found| found.items(&allowed))
        .unwrap_or_default();
    if items.len() > NODES_MAX {
        let count = items.len();
        nodes
            .iter()
            .for_each(|found| found.fault(format!("found {count} nodes; allowed: {allowed}")));
    }
    for item in &items {
        let Some(node) = item.parsed("host:port, as in \"10.0.1.2:6379\"", |text| url::node(text).ok())
        else {
            continue;
        };
        match guard.detach.contains(&node) {
            true => item.fault(format!("found {node} twice; allowed: {allowed}")),
            false => guard.detach.push(node),
        }
    }
    let Some(on_trip) = section.get("on_trip") else {
        return;
    };
    let words = on_trip
        .items("[] or [\"detach_new_replicas\"]")
        .unwrap_or_default();
    for word in words {
        guard.detaches_on_trip |= word.word(&[("detach_new_replicas", true)]).unwrap_or_default();
    }
    if guard.detaches_on_trip && items.is_empty() {
        on_trip.fault("\"detach_new_replicas\" without `detach`; allowed: it with the nodes it may detach");
    }
}

/// Evidence that is stale before the next can arrive leaves every rule `unknown`.
fn check_staleness(section: &Section<'_>, guard: &GuardConfig) {
    let least = 2 * guard.probe_interval.max(guard.heartbeat_interval);
    if guard.stale_after < least {
        let text = format!(
            "found {}; allowed: at least twice probe_interval and heartbeat_interval, here {}",
            humantime::format_duration(guard.stale_after),
            humantime::format_duration(least)
        );
        match section.get("stale_after") {
            Some(found) => found.fault(text),
            None => section
                .report
                .add(format!("{}.stale_after", section.path), None, text),
        }
    }
}

fn read_rule(section: &Section<'_>, rule: Rule, setting: &mut RuleSetting) {
    setting.limit = section.or("limit", setting.limit, |found| limit(found, rule));
    setting.bad_for = section.or("for", setting.bad_for, |found| {
        found.duration(Duration::ZERO..=10 * MINUTE)
    });
    setting.clear_for = section.or("clear_for", setting.clear_for, |found| {
        found.duration(Duration::ZERO..=60 * MINUTE)
    });
    if has_window(rule) {
        setting.window = section.or("window", setting.window, |found| {
            found.duration(SECOND..=60 * MINUTE)
        });
    }
    for (given, action) in by_side(section, ACTION, action)
        .into_iter()
        .zip(&mut setting.action)
    {
        *action = given.unwrap_or(*action);
    }
}

/// What one rule has that others do not.
fn read_own(section: &Section<'_>, rule: Rule, guard: &mut GuardConfig) {
    match rule {
        Rule::OutputBuffer => {
            guard.overflow_within = section.or("overflow_within", guard.overflow_within, |found| {
                found.duration(Duration::ZERO..=10 * MINUTE)
            });
        }
        Rule::MemoryGap => {
            guard.memory_gap_floor = section.or("floor", guard.memory_gap_floor, |found| {
                found.bytes(0..=BYTES_MAX)
            });
        }
        _ => {}
    }
}

/// One word for both sides, or one for each: the keys are given in this order, and so are the values, by [`Side::index`].
fn by_side<T: Copy>(
    section: &Section<'_>,
    [both, old, new]: [&'static str; 3],
    read: impl Fn(&Found<'_>) -> Option<T>,
) -> [Option<T>; 2] {
    let common = section.get(both);
    let mut values = [common.as_ref().and_then(&read); 2];
    for (side, key) in Side::BOTH.into_iter().zip([old, new]) {
        let Some(found) = section.get(key) else { continue };
        if common.is_some() {
            found.fault(format!(
                "beside `{both}`; allowed: `{both}` for both sides, or {old} and {new}"
            ));
        } else {
            values[side.index()] = read(&found);
        }
    }
    values
}

fn action(found: &Found<'_>) -> Option<Action> {
    found.word(&ACTIONS)
}

fn limit(found: &Found<'_>, rule: Rule) -> Option<f64> {
    match limit_range(rule) {
        LimitRange::Time(range) => found.duration(range).map(|limit| limit.as_secs_f64()),
        LimitRange::Count(range) => found.count(range).map(|limit| limit as f64),
        LimitRange::Bytes(range) => found.bytes(range).map(|limit| limit as f64),
    }
}

/// A limit of 0 would be bad in perfect health.
fn limit_range(rule: Rule) -> LimitRange {
    match rule {
        Rule::Unreachable | Rule::HeartbeatDelay | Rule::OffsetLag => {
            LimitRange::Time(10 * MILLI..=10 * MINUTE)
        }
        Rule::LinkDown | Rule::ReplicaExcess => LimitRange::Count(1..=NODES_MAX),
        Rule::ResyncLoop | Rule::ReplicaFlap => LimitRange::Count(1..=10_000),
        Rule::OutputBuffer => LimitRange::Bytes(1024..=BYTES_MAX),
        Rule::MemoryCap | Rule::SlowlogGrowth => LimitRange::Count(1..=1_000_000),
        Rule::MemoryGap => LimitRange::Count(1..=100),
        Rule::CommandMismatch | Rule::Bandwidth | Rule::TrafficRising => LimitRange::Count(1..=10_000),
    }
}
