//! How is `[route.guard]` read?
//!
//! Pure. A duration is a string with its unit here as everywhere, so a rule whose measure is time has a string for a
//! limit, and one that counts a whole number.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::found::Found;
use super::keys::Keys;
use super::model::GuardConfig;
use super::section::Section;
use crate::cluster::Side;
use crate::control_plane::guard::{Action, Rule, RuleSetting};

/// Keys of `[route.guard]`. `later`: rules of the contract that are not built yet.
pub(super) const GUARD: Keys = Keys {
    known: &[
        "probe_interval",
        "heartbeat_interval",
        "stale_after",
        "tilt_after",
        "tilt_for",
        "healthy_before",
        "unreachable",
        "heartbeat_delay",
        "link_down",
        "resync_loop",
        "replica_flap",
        "offset_lag",
    ],
    later: &[
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
/// Keys of a rule that looks at now.
pub(super) const RULE: Keys = Keys {
    known: &["limit", "for", "clear_for", "action", "action_old", "action_new"],
    later: &[],
};
/// Keys of a rule that counts over a window.
pub(super) const COUNTING_RULE: Keys = Keys {
    known: &[
        "limit",
        "for",
        "clear_for",
        "window",
        "action",
        "action_old",
        "action_new",
    ],
    later: &[],
};

const ACTIONS: [(&str, Action); 4] = [
    (Action::Trip.name(), Action::Trip),
    (Action::Freeze.name(), Action::Freeze),
    (Action::Warn.name(), Action::Warn),
    (Action::Off.name(), Action::Off),
];

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// What a rule's limit may be.
enum LimitRange {
    Time(RangeInclusive<Duration>),
    Count(RangeInclusive<usize>),
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
    for rule in Rule::ALL {
        let keys = if counts(rule) { COUNTING_RULE } else { RULE };
        if let Some(section) = section.section(rule.name(), keys) {
            read_rule(&section, rule, guard.rules.get_mut(rule));
        }
    }
    check_staleness(section, &guard);
    guard
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
    if counts(rule) {
        setting.window = section.or("window", setting.window, |found| {
            found.duration(SECOND..=60 * MINUTE)
        });
    }
    let both = section.get("action");
    if let Some(action) = both.as_ref().and_then(action) {
        setting.action = [action; 2];
    }
    for (side, key) in Side::BOTH.into_iter().zip(["action_old", "action_new"]) {
        let Some(found) = section.get(key) else { continue };
        if both.is_some() {
            found.fault("beside `action`; allowed: `action` for both sides, or action_old and action_new");
        } else if let Some(action) = action(&found) {
            setting.action[side.index()] = action;
        }
    }
}

fn action(found: &Found<'_>) -> Option<Action> {
    found.word(&ACTIONS)
}

fn limit(found: &Found<'_>, rule: Rule) -> Option<f64> {
    match limit_range(rule) {
        LimitRange::Time(range) => found.duration(range).map(|limit| limit.as_secs_f64()),
        LimitRange::Count(range) => found.count(range).map(|limit| limit as f64),
    }
}

/// A limit of 0 would be bad in perfect health.
fn limit_range(rule: Rule) -> LimitRange {
    match rule {
        Rule::Unreachable | Rule::HeartbeatDelay | Rule::OffsetLag => {
            LimitRange::Time(10 * MILLI..=10 * MINUTE)
        }
        Rule::LinkDown => LimitRange::Count(1..=crate::limits::NODES_MAX),
        Rule::ResyncLoop | Rule::ReplicaFlap => LimitRange::Count(1..=10_000),
    }
}

/// The rule has a `window`.
pub(super) const fn counts(rule: Rule) -> bool {
    match rule {
        Rule::ResyncLoop | Rule::ReplicaFlap => true,
        Rule::Unreachable | Rule::HeartbeatDelay | Rule::LinkDown | Rule::OffsetLag => false,
    }
}
