//! Is replication healthy on both sides, and how do we know?

mod evidence;
mod hysteresis;
mod info;
mod measure;
mod node;
mod observation;
mod offsets;
mod rules;
#[cfg(test)]
mod simulation;
mod tally;
mod tilt;
mod verdict;

pub use info::{InfoError, parse as parse_info};
pub use observation::{NodeInfo, Observation, ObservationKind, ReplicaLine};
pub use rules::{NodeHealth, Rules};
pub use verdict::{
    Action, Evidence, Rule, RuleSetting, RuleTable, RuleVerdict, Verdict, freeze, trip, worst,
};
