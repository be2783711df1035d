//! Is replication healthy on both sides, and how do we know?

mod observation;
mod verdict;

pub use observation::{NodeInfo, Observation, ObservationKind, ReplicaLine};
pub use verdict::{Action, Evidence, Rule, RuleSetting, RuleTable, RuleVerdict, Verdict};
