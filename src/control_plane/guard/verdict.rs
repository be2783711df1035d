//! What are the guard's rules called, what may each do, and what does a verdict carry?
//!
//! Pure: names and data; the rules themselves are in [`super::rules`].

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::named_settings::NamedSettings;
use crate::cluster::{NodeAddr, Side};

/// The rules of the contract, in the order reports list them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// The master does not answer.
    Unreachable,
    /// A heartbeat published on the master takes too long to reach a replica. Unit: seconds.
    HeartbeatDelay,
    /// Replicas whose link to their master is down, or that are known but not connected. Unit: replicas.
    LinkDown,
    /// Full resyncs and refused partial ones in a window, beyond a first sync. Unit: resyncs.
    ResyncLoop,
    /// Changes of `connected_slaves` in a window. Unit: changes.
    ReplicaFlap,
    /// A replica's distance from its master, in seconds of the present write rate. Unit: seconds.
    OffsetLag,
}

impl Rule {
    /// All rules that are built, in report order.
    pub const ALL: [Self; 6] = [
        Self::Unreachable,
        Self::HeartbeatDelay,
        Self::LinkDown,
        Self::ResyncLoop,
        Self::ReplicaFlap,
        Self::OffsetLag,
    ];

    /// The name in config, metrics, events and replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::HeartbeatDelay => "heartbeat_delay",
            Self::LinkDown => "link_down",
            Self::ResyncLoop => "resync_loop",
            Self::ReplicaFlap => "replica_flap",
            Self::OffsetLag => "offset_lag",
        }
    }

    /// The unit of the rule's measure and limit.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Unreachable | Self::HeartbeatDelay | Self::OffsetLag => "seconds",
            Self::LinkDown => "replicas",
            Self::ResyncLoop => "resyncs",
            Self::ReplicaFlap => "changes",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

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
    /// For the rules that count: over how long.
    pub window: Duration,
    /// By [`Side::index`]: what is done while it is bad on that side.
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

impl Default for RuleTable {
    /// Trip on `new`, freeze on `old`, for every rule built so far. The numbers come from replays of the incident on
    /// Redis 7.0.15: in health a heartbeat's p99 is under 4 ms; 0.5 s without one preceded the first late message by
    /// 1 s in every replay and never appeared in a clean failover. A master silent for 0.75 s is told before the first
    /// message is late (0.9 s), and a script that runs for 0.4 s is not mistaken for one.
    fn default() -> Self {
        let millis = Duration::from_millis;
        let setting = |limit, bad_for, clear_for, window| RuleSetting {
            limit,
            bad_for: millis(bad_for),
            clear_for: millis(clear_for),
            window: millis(window),
            action: [Action::Freeze, Action::Trip],
        };
        Self {
            settings: [
                setting(0.75, 0, 2_000, 0),
                setting(0.5, 200, 2_000, 0),
                setting(1.0, 1_000, 5_000, 0),
                setting(2.0, 0, 10_000, 60_000),
                setting(4.0, 0, 10_000, 30_000),
                setting(0.5, 500, 2_000, 0),
            ],
        }
    }
}

/// A rule's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Fresh evidence, and it is good.
    Ok,
    /// Fresh evidence, and it is bad.
    Bad,
    /// No fresh evidence. Freezes; never trips.
    Unknown,
}

impl Verdict {
    /// The word in replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Bad => "bad",
            Self::Unknown => "unknown",
        }
    }
}

/// What a verdict rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The node it was measured on; `None` when there is none to measure.
    pub node: Option<NodeAddr>,
    /// In [`Rule::unit`]s. 0 while the verdict is [`Verdict::Unknown`].
    pub measured: f64,
    /// In [`Rule::unit`]s.
    pub limit: f64,
}

/// One rule on one side, now.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleVerdict {
    /// The side it is about.
    pub side: Side,
    /// The rule.
    pub rule: Rule,
    /// Its answer.
    pub verdict: Verdict,
    /// What is done while it is bad, on this side.
    pub action: Action,
    /// The worst node's evidence.
    pub evidence: Evidence,
    /// Time of the first evidence of the present badness (not of the moment the rule's duration had passed), or of
    /// the last change of verdict.
    pub since: std::time::Instant,
}

/// One word for a side: bad before unknown before ok. Rules that only warn count too; those that are off are not there.
pub fn worst(verdicts: &[RuleVerdict]) -> Verdict {
    let has = |wanted| verdicts.iter().any(|verdict| verdict.verdict == wanted);
    if has(Verdict::Bad) {
        Verdict::Bad
    } else if has(Verdict::Unknown) || verdicts.is_empty() {
        Verdict::Unknown
    } else {
        Verdict::Ok
    }
}

/// The first rule that asks for a route back.
pub fn trip(verdicts: &[RuleVerdict]) -> Option<&RuleVerdict> {
    verdicts
        .iter()
        .find(|verdict| verdict.verdict == Verdict::Bad && verdict.action == Action::Trip)
}

/// The rule that forbids a higher weight: a bad one before one without evidence.
pub fn freeze(verdicts: &[RuleVerdict]) -> Option<&RuleVerdict> {
    let first = |wanted| {
        verdicts
            .iter()
            .find(|verdict| verdict.verdict == wanted && verdict.action >= Action::Freeze)
    };
    first(Verdict::Bad).or_else(|| first(Verdict::Unknown))
}

impl fmt::Display for RuleVerdict {
    /// `rule=… node=… measured=… limit=… side=…`, as `-FROZEN` and events say it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule={}", self.rule)?;
        match &self.evidence.node {
            Some(node) => write!(f, " node={node}")?,
            None => write!(f, " node=none")?,
        }
        if self.verdict == Verdict::Unknown {
            write!(f, " measured=unknown")?;
        } else {
            write!(f, " measured={:.3}", self.evidence.measured)?;
        }
        write!(f, " limit={} side={}", self.evidence.limit, self.side)
    }
}
