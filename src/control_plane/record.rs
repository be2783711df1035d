//! What of a route survives a restart, and in what form?
//!
//! Pure: a small JSON document a route. The topology is in it so that a restart that finds the same nodes goes on with
//! the same epoch: nothing has changed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::shift::{Latch, Plan, Standing};
use crate::cluster::{NodeAddr, Topology};
use crate::routing::{Epoch, Weight};

/// A route as it was when something last changed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) standing: Standing,
    pub(super) epoch: Epoch,
    /// By side.
    pub(super) topology: [Topology; 2],
}

/// The document. Unknown fields are left alone, so that an older version can read what a newer one wrote.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    route: String,
    /// Percent, two decimals, for the reader's sake.
    weight: String,
    epoch: u64,
    latch: Option<Latch>,
    /// Files of versions without plans have none.
    #[serde(default)]
    plan: Option<PlanDocument>,
    old: Nodes,
    new: Nodes,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PlanDocument {
    Ramp { paused_by_operator: bool },
    Shift { to: String, left_ms: u64 },
}

#[derive(Debug, Serialize, Deserialize)]
struct Nodes {
    master: Option<Node>,
    replicas: Vec<Node>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Node {
    host: String,
    port: u16,
}

/// A file that is not such a document.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    /// Not JSON, or not with these fields.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// A weight that is none.
    #[error("weight '{0}' is not a percentage")]
    Weight(String),
    /// Another route's.
    #[error("it belongs to route '{0}'")]
    Route(String),
}

impl Record {
    pub(super) fn to_text(&self, route: &str) -> String {
        let [old, new] = &self.topology;
        let document = Document {
            route: route.to_owned(),
            weight: self.standing.weight.to_string(),
            epoch: self.epoch.0,
            latch: self.standing.latch.clone(),
            plan: self.standing.plan.map(PlanDocument::of),
            old: Nodes::of(old),
            new: Nodes::of(new),
        };
        // Strings and numbers only: it cannot fail; an empty file would be refused at the next start, loudly.
        serde_json::to_string_pretty(&document).unwrap_or_default()
    }

    pub(super) fn from_text(route: &str, text: &str) -> Result<Self, RecordError> {
        let document: Document = serde_json::from_str(text)?;
        if document.route != route {
            return Err(RecordError::Route(document.route));
        }
        Ok(Self {
            standing: Standing {
                weight: weight(document.weight)?,
                latch: document.latch,
                plan: document.plan.map(PlanDocument::plan).transpose()?,
            },
            epoch: Epoch(document.epoch),
            topology: [document.old.topology(), document.new.topology()],
        })
    }
}

fn weight(text: String) -> Result<Weight, RecordError> {
    text.parse().map_err(|_| RecordError::Weight(text))
}

impl PlanDocument {
    fn of(plan: Plan) -> Self {
        match plan {
            Plan::Ramp { paused_by_operator } => Self::Ramp { paused_by_operator },
            Plan::Shift { to, left } => Self::Shift {
                to: to.to_string(),
                // At most a day.
                left_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            },
        }
    }

    fn plan(self) -> Result<Plan, RecordError> {
        Ok(match self {
            Self::Ramp { paused_by_operator } => Plan::Ramp { paused_by_operator },
            Self::Shift { to, left_ms } => Plan::Shift {
                to: weight(to)?,
                left: Duration::from_millis(left_ms),
            },
        })
    }
}

impl Nodes {
    fn of(topology: &Topology) -> Self {
        Self {
            master: topology.master.as_ref().map(Node::of),
            replicas: topology.replicas.iter().map(Node::of).collect(),
        }
    }

    fn topology(self) -> Topology {
        Topology {
            master: self.master.map(Node::addr),
            replicas: self.replicas.into_iter().map(Node::addr).collect(),
            heir: None,
        }
    }
}

impl Node {
    fn of(addr: &NodeAddr) -> Self {
        Self {
            host: addr.host.clone(),
            port: addr.port,
        }
    }

    fn addr(self) -> NodeAddr {
        NodeAddr::new(self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            standing: Standing {
                weight: Weight::from_steps(2_505).unwrap(),
                latch: Some(Latch {
                    cause: "resync_loop".to_owned(),
                    reason: "rule=resync_loop node=[::1]:1".to_owned(),
                }),
                plan: None,
            },
            epoch: Epoch(17),
            topology: [
                Topology {
                    master: Some(NodeAddr::new("::1", 6379)),
                    replicas: vec![NodeAddr::new("redis-2", 1)],
                    heir: None,
                },
                Topology::default(),
            ],
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let shift = Plan::Shift {
            to: Weight::FULL,
            left: Duration::from_millis(61_001),
        };
        let ramp = |paused_by_operator| Plan::Ramp { paused_by_operator };
        for plan in [None, Some(shift), Some(ramp(true)), Some(ramp(false))] {
            let mut record = record();
            record.standing.plan = plan;
            assert_eq!(Record::from_text("r", &record.to_text("r")).unwrap(), record);
        }
    }

    #[test]
    fn a_file_of_a_version_without_plans_is_read() {
        let text = record().to_text("r");
        let earlier = text.replace("  \"plan\": null,\n", "");
        assert_ne!(earlier, text);
        assert_eq!(Record::from_text("r", &earlier).unwrap(), record());
    }

    #[test]
    fn what_is_not_a_record_is_refused_and_never_taken_for_weight_zero() {
        let text = record().to_text("r");
        for bad in ["", "{}", &text[..text.len() / 2], &text.replace("25.05", "250.5")] {
            assert!(Record::from_text("r", bad).is_err(), "{bad}");
        }
        assert!(matches!(
            Record::from_text("other", &text),
            Err(RecordError::Route(_))
        ));
    }
}
