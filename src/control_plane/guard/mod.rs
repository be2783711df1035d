//! Is replication healthy on both sides, and how do we know?
//!
//! Shells ask ([`watch_side`] runs a probe for each node and heartbeats through replication) and send observations; [`Rules`],
//! pure, turn them into verdicts. The control loop feeds the one from the other and acts by [`trip`] and [`freeze`].

mod buffers;
mod client_list;
mod evidence;
mod heartbeat;
mod hysteresis;
mod info;
mod ledger;
mod line;
mod measure;
mod named_settings;
mod news;
mod node;
mod observation;
mod offsets;
mod probe;
mod question;
mod rate;
mod redial;
mod rule;
mod rules;
mod setting;
#[cfg(test)]
pub(super) mod simulation;
mod tally;
mod tilt;
mod trend;
mod usual;
mod verdict;
mod watch;

pub use info::{InfoError, parse as parse_info};
pub use news::{Item, News};
pub use observation::{
    BufferLimit, NodeDetails, NodeInfo, Observation, ObservationKind, ReplicaClient, ReplicaLine,
};
pub use rule::Rule;
pub use rules::{NodeHealth, Rules, verdicts};
pub use setting::{Action, RuleSetting, RuleTable};
pub use verdict::{Evidence, RuleVerdict, Verdict, changed, freeze, trip, worst};
pub use watch::watch_side;
