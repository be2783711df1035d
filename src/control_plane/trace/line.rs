//! What is one line of a trace?
//!
//! Pure: text to data and back. A [`Header`] says how things stood when a stretch of the trace begins; each [`Entry`] after it is one
//! input of the guard. Only what INFO and its like say of a node is kept: no key, no value, no client, no password.
//!
//! Within a [`VERSION`], fields may be added and have defaults; unknown ones are left alone. Times are whole nanoseconds:
//! a verdict may hang on the last of them.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cluster::{NodeAddr, Side, Topology};
use crate::config::GuardConfig;
use crate::control_plane::guard::ObservationKind;
use crate::routing::Weight;

/// The format that is written, and the newest that is read.
pub const VERSION: u64 = 1;
/// The header's first field; no entry has it.
const HEADER_FIELD: &str = "switchback_trace";
/// Longest time and duration there can be in a line: none that is measured comes near, and none overflows a clock.
const TIME_MAX: Duration = Duration::from_secs(1_000_000_000);

/// How things stand where a trace begins, or begins anew: after a start, in a new file, after a loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`VERSION`] of the writer.
    pub switchback_trace: u64,
    /// The writer's version.
    #[serde(default)]
    pub by: String,
    /// The route.
    pub route: String,
    /// The wall clock's time at nanosecond 0 of the entries that follow.
    pub began: Timestamp,
    /// Entries that are missing just before.
    #[serde(default)]
    pub lost: u64,
    /// The guard's settings.
    #[serde(default)]
    pub guard: GuardConfig,
    /// Share of the traffic on `new`.
    #[serde(default)]
    pub weight: Weight,
    /// The share it is on its way to.
    #[serde(default)]
    pub target: Weight,
    /// What a raise under way still takes.
    #[serde(default)]
    pub ahead: Ahead,
    /// The nodes of `old`.
    #[serde(default)]
    pub old: Topology,
    /// The nodes of `new`; `None`: the route has one side.
    #[serde(default)]
    pub new: Option<Topology>,
}

/// One input of the guard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was taken in, in nanoseconds since the header's `began`. Never before the entry above.
    pub now: u64,
    /// What it was.
    pub what: What,
}

/// See [`Entry`]. After each but [`What::Moved`] the verdicts were looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Nothing but the time.
    Look,
    /// A shell has measured something.
    Observed(Observed),
    /// A side's nodes are others.
    Topology(Relearned),
    /// Other settings are in force.
    Guard(Reconfigured),
    /// Another time is to be looked ahead for.
    Ahead(Ahead),
    /// Something was decided about the weight. No input: what the live guard and its operator did.
    Moved(Moved),
}

/// A measurement, as in [`crate::control_plane::guard::Observation`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// The node's side.
    pub side: Side,
    /// The node.
    pub node: NodeAddr,
    /// How long before `now` the answer was complete, in nanoseconds.
    #[serde(default)]
    pub age: u64,
    /// What was measured.
    pub kind: ObservationKind,
}

/// What a side looks like from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relearned {
    /// Which side.
    pub side: Side,
    /// Its nodes.
    pub nodes: Topology,
}

/// The settings from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reconfigured {
    /// All of them.
    pub config: Box<GuardConfig>,
}

/// What a raise under way still takes: how far ahead a rule looks that asks where the load is going.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ahead {
    /// In whole tens of seconds, so that it is another one seldom; `None`: none is under way.
    #[serde(default)]
    pub secs: Option<u64>,
}

impl Ahead {
    /// Of what is left exactly. Rounded up: what ends soon does not end now.
    pub fn of(left: Option<Duration>) -> Self {
        let tens = |left: Duration| left.as_secs_f64() / 10.0;
        Self {
            secs: left.map(|left| tens(left).ceil() as u64 * 10),
        }
    }

    /// As the rules take it.
    pub fn time(self) -> Option<Duration> {
        self.secs.map(Duration::from_secs)
    }
}

/// A change of the controller's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// The kind of its event: `weight`, `shift_step`, `trip`, …
    pub kind: String,
    /// The weight in force since.
    pub weight: Weight,
    /// The weight it is on its way to.
    pub target: Weight,
    /// The verdict behind it, in its words; `None`: an operator's doing.
    #[serde(default)]
    pub evidence: Option<String>,
}

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// Of a header.
    Header(Box<Header>),
    /// Of an entry.
    Entry(Box<Entry>),
}

/// A text that is no line of a trace.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// Not JSON, or not with these fields.
    #[error(
        "{0}; expected the header or an entry of a trace, as `switchback run` with trace_dir writes them"
    )]
    Json(#[from] serde_json::Error),
    /// Written by a later version.
    #[error("it is of version {0}; expected {VERSION} or an earlier one")]
    Version(u64),
    /// A time no clock shows.
    #[error("a time of more than {} seconds; expected one that was measured", TIME_MAX.as_secs())]
    Time,
}

impl Header {
    /// Keeps up with what an entry says.
    pub(super) fn apply(&mut self, what: &What) {
        match what {
            What::Look | What::Observed(_) => {}
            What::Topology(Relearned { side, nodes }) => match side {
                Side::Old => self.old.clone_from(nodes),
                Side::New => self.new = Some(nodes.clone()),
            },
            What::Guard(Reconfigured { config }) => self.guard.clone_from(config),
            What::Ahead(ahead) => self.ahead = *ahead,
            What::Moved(moved) => (self.weight, self.target) = (moved.weight, moved.target),
        }
    }

    /// The nodes of each side there is.
    pub(super) fn sides(&self) -> [Option<&Topology>; 2] {
        [Some(&self.old), self.new.as_ref()]
    }

    /// The line, with its end.
    pub fn text(&self) -> String {
        // Strings and numbers only: it cannot fail; an empty line would be refused by the reader, loudly.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

impl Entry {
    /// The line, with its end. What is `None` is left out: most fields of a node are, at one time or another.
    pub fn text(&self) -> String {
        let what = serde_json::to_value(&self.what).map(without_nulls);
        let now = self.now;
        what.map_or_else(
            |_| String::new(),
            |what| format!("{{\"now\":{now},\"what\":{what}}}"),
        ) + "\n"
    }
}

impl Line {
    /// Reads a line, without its end.
    ///
    /// # Errors
    /// When it is none, of a later version, or of times that make no sense.
    pub fn parse(text: &str) -> Result<Self, LineError> {
        let value: Value = serde_json::from_str(text)?;
        if has_absurd_time(&value) {
            return Err(LineError::Time);
        }
        match value.get(HEADER_FIELD).map(Value::as_u64) {
            Some(Some(version)) if version > VERSION => Err(LineError::Version(version)),
            Some(_) => Ok(Self::Header(Box::new(serde_json::from_value(value)?))),
            None => Ok(Self::Entry(Box::new(serde_json::from_value(value)?))),
        }
    }
}

/// A duration as lines have it.
pub(in crate::control_plane) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Entries nest four deep; no foreign value is among them.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let given = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(given.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        plain => plain,
    }
}

/// `secs` is what serde calls the seconds of a duration. The depth is serde_json's limit, 128.
fn has_absurd_time(value: &Value) -> bool {
    let nanos_max = nanos(TIME_MAX);
    let is_absurd = |(name, value): (&String, &Value)| match (name.as_str(), value.as_u64()) {
        ("secs", Some(seconds)) => seconds > TIME_MAX.as_secs(),
        ("now" | "age", Some(nanos)) => nanos > nanos_max,
        _ => has_absurd_time(value),
    };
    match value {
        Value::Object(fields) => fields.iter().any(is_absurd),
        Value::Array(items) => items.iter().any(has_absurd_time),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::guard::{NodeInfo, ReplicaLine};

    fn header() -> Header {
        Header {
            switchback_trace: VERSION,
            by: "0.1.0".to_owned(),
            route: "r".to_owned(),
            began: "2021-11-11T18:00:00.123456789Z".parse().unwrap(),
            lost: 0,
            guard: GuardConfig::default(),
            weight: "25.05".parse().unwrap(),
            target: Weight::FULL,
            ahead: Ahead { secs: Some(20) },
            old: Topology {
                master: Some(NodeAddr::new("::1", 6379)),
                replicas: vec![NodeAddr::new("redis-2", 1)],
                heir: None,
            },
            new: None,
        }
    }

    fn entries() -> Vec<Entry> {
        let observed = |kind| {
            What::Observed(Observed {
                side: Side::New,
                node: NodeAddr::new("10.0.0.1", 6379),
                age: 1_234,
                kind,
            })
        };
        let info = NodeInfo {
            took: Duration::from_nanos(1_000_000_001),
            is_master: true,
            replicas: vec![ReplicaLine {
                addr: NodeAddr::new("h", 1),
                online: true,
                offset: u64::MAX,
                lag_seconds: 1,
            }],
            repl_offset: Some(u64::MAX),
            ..NodeInfo::default()
        };
        let whats = [
            What::Look,
            observed(ObservationKind::Info(Box::new(info))),
            observed(ObservationKind::NoAnswer {
                reason: "timed out\n\"".to_owned(),
            }),
            observed(ObservationKind::Heartbeat {
                delay: Duration::from_nanos(999_999_999),
            }),
            observed(ObservationKind::HeartbeatOutstanding { age: Duration::ZERO }),
            What::Topology(Relearned {
                side: Side::Old,
                nodes: header().old,
            }),
            What::Guard(Reconfigured {
                config: Box::default(),
            }),
            What::Ahead(Ahead { secs: Some(1_200) }),
            What::Ahead(Ahead { secs: None }),
            What::Moved(Moved {
                kind: "trip".to_owned(),
                weight: Weight::ZERO,
                target: Weight::ZERO,
                evidence: Some("rule=link_down".to_owned()),
            }),
        ];
        let entry = |(now, what)| Entry { now, what };
        (7..).zip(whats).map(entry).collect()
    }

    fn read(text: &str) -> Line {
        let line = text.strip_suffix('\n').unwrap();
        assert!(!line.contains('\n'));
        Line::parse(line).unwrap()
    }

    #[test]
    fn every_line_is_read_as_it_was_written() {
        assert_eq!(read(&header().text()), Line::Header(Box::new(header())));
        for entry in entries() {
            assert_eq!(read(&entry.text()), Line::Entry(Box::new(entry)));
        }
    }

    #[test]
    fn what_lies_ahead_is_another_one_every_ten_seconds_at_most() {
        let ahead = |millis| Ahead::of(Some(Duration::from_millis(millis))).secs;
        assert_eq!(
            [0, 1, 10_000, 10_001].map(ahead),
            [Some(0), Some(10), Some(10), Some(20)]
        );
        assert_eq!(Ahead::of(None).time(), None);
    }

    #[test]
    fn what_is_not_known_of_a_node_takes_no_room() {
        let is_observed = |entry: &Entry| matches!(entry.what, What::Observed(_));
        let observed = entries().into_iter().filter(is_observed);
        assert!(
            observed
                .map(|entry| entry.text())
                .all(|text| !text.contains("null"))
        );
    }

    #[test]
    fn a_header_of_an_earlier_version_needs_only_what_cannot_be_assumed() {
        let text = r#"{"switchback_trace":1,"route":"r","began":"2021-11-11T18:00:00Z"}"#;
        let Line::Header(header) = Line::parse(text).unwrap() else {
            panic!()
        };
        assert_eq!(header.guard, GuardConfig::default());
        let text =
            r#"{"now":1,"what":{"observed":{"side":"old","node":"h:1","kind":{"info":{"is_master":true}}}}}"#;
        assert!(Line::parse(text).is_ok());
    }

    #[test]
    fn what_a_later_version_adds_is_left_alone_and_a_later_format_is_refused() {
        let more = header().text().replacen('{', r#"{"more":[1],"#, 1);
        assert_eq!(read(&more), Line::Header(Box::new(header())));
        let later = header()
            .text()
            .replace("\"switchback_trace\":1", "\"switchback_trace\":2");
        assert!(matches!(
            Line::parse(later.trim_end()),
            Err(LineError::Version(2))
        ));
    }

    #[test]
    fn what_is_no_line_is_refused_and_says_what_was_expected() {
        for bad in [
            "",
            "{}",
            "[]",
            r#"{"now":1}"#,
            r#"{"now":-1,"what":"look"}"#,
            r#"{"now":1,"what":"dance"}"#,
            r#"{"switchback_trace":"1"}"#,
            r#"{"now":1,"what":{"observed":{"side":"old","node":"h","kind":{"heartbeat":{"delay":{"secs":0,"nanos":0}}}}}}"#,
        ] {
            let error = Line::parse(bad).unwrap_err().to_string();
            assert!(error.contains("expected"), "{bad}: {error}");
        }
    }

    #[test]
    fn times_beyond_any_clock_are_refused() {
        for absurd in [
            r#"{"now":18446744073709551615,"what":"look"}"#,
            r#"{"now":1,"what":{"observed":{"side":"old","node":"h:1","kind":{"heartbeat":{"delay":{"secs":1000000001,"nanos":0}}}}}}"#,
        ] {
            assert!(matches!(Line::parse(absurd), Err(LineError::Time)), "{absurd}");
        }
    }
}
