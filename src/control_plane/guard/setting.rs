//! When is each rule bad, and what is done then?
//!
//! Pure: the settings of all rules and their defaults, with the reason for each number.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Rule;
use super::named_settings::NamedSettings;

/// What happens while a rule is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The rule is not evaluated.
    Off,
    /// It is told.
    Warn,
    /// A higher weight is refused.
    Freeze,
    /// All traffic goes back to `old`, and stays there until an operator arms the route.
    Trip,
}

impl Action {
    /// The word in config and replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Freeze => "freeze",
            Self::Trip => "trip",
        }
    }
}

/// Settings of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleSetting {
    /// Bad at or above this, in [`Rule::unit`]s.
    pub limit: f64,
    /// How long the measure must hold at or above the limit before the verdict is bad.
    pub bad_for: Duration,
    /// How long it must hold below before the verdict is ok again.
    pub clear_for: Duration,
    /// For the rules that count or compare over time: over how long.
    pub window: Duration,
    /// By [`crate::cluster::Side::index`]: what is done while it is bad on that side.
    pub action: [Action; 2],
}

/// The settings of all rules. Written as a map of them by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "NamedSettings", try_from = "NamedSettings")]
pub struct RuleTable {
    settings: [RuleSetting; Rule::ALL.len()],
}

impl RuleTable {
    /// The settings of one rule.
    pub fn get(&self, rule: Rule) -> &RuleSetting {
        &self.settings[rule as usize]
    }

    /// The settings of one rule, to change.
    pub fn get_mut(&mut self, rule: Rule) -> &mut RuleSetting {
        &mut self.settings[rule as usize]
    }
}

/// On `old` and on `new`.
const TRIP: [Action; 2] = [Action::Freeze, Action::Trip];
const FREEZE_OLD: [Action; 2] = [Action::Freeze, Action::Warn];
const WARN: [Action; 2] = [Action::Warn; 2];

impl Default for RuleTable {
    fn default() -> Self {
        Self {
            settings: Rule::ALL.map(default_of),
        }
    }
}

/// Actions are the contract's. Numbers of the rules that trip come from replays of the incident on Redis 7.0.15.
fn default_of(rule: Rule) -> RuleSetting {
    let setting = |limit, bad_for, clear_for, window, action| RuleSetting {
        limit,
        bad_for: Duration::from_millis(bad_for),
        clear_for: Duration::from_millis(clear_for),
        window: Duration::from_millis(window),
        action,
    };
    match rule {
        // Told before the first message is late (0.9 s); a script that runs for 0.4 s is not mistaken for it.
        Rule::Unreachable => setting(0.75, 0, 2_000, 0, TRIP),
        // In health a heartbeat's p99 is under 4 ms; 0.5 s without one preceded the first late message by 1 s in every
        // replay and never appeared in a clean failover.
        Rule::HeartbeatDelay => setting(0.5, 200, 2_000, 0, TRIP),
        // For a replica that is lost for good: that it hurts is told by the rules that look at the stream, seconds earlier in
        // every replay. A planned restart is over by then: a stop may save the data first, and a replica that reads it
        // again answers meanwhile, and is known to have restarted. Half of Sentinel's default to call it down.
        Rule::LinkDown => setting(1.0, 15_000, 5_000, 0, TRIP),
        Rule::ResyncLoop => setting(2.0, 0, 10_000, 60_000, TRIP),
        Rule::ReplicaFlap => setting(4.0, 0, 10_000, 30_000, TRIP),
        Rule::OffsetLag => setting(0.5, 500, 2_000, 0, TRIP),
        // In health at most 41 KB; 256 KiB in five samples of 100 ms preceded the first late message by 1.4 s in every
        // replay, and no control showed it.
        Rule::OutputBuffer => setting(262_144.0, 400, 5_000, 0, TRIP),
        // One client's burst may evict a few keys; at the cap for good, every write evicts or is refused.
        Rule::MemoryCap => setting(10.0, 0, 10_000, 10_000, TRIP),
        Rule::MemoryGap => setting(20.0, 60_000, 60_000, 0, WARN),
        // One a second.
        Rule::SlowlogGrowth => setting(60.0, 0, 60_000, 0, FREEZE_OLD),
        // A replica that is asked late looks up to a tenth apart.
        Rule::CommandMismatch => setting(50.0, 10_000, 30_000, 10_000, WARN),
        Rule::ReplicaExcess => setting(1.0, 1_000, 10_000, 0, FREEZE_OLD),
        // Controls reached it for a moment too: a first sync takes what there is.
        Rule::Bandwidth => setting(90.0, 3_000, 10_000, 0, FREEZE_OLD),
        // A daily rise that doubles traffic within an hour is 17 % in ten minutes.
        Rule::TrafficRising => setting(20.0, 30_000, 60_000, 300_000, FREEZE_OLD),
    }
}
