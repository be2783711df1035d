//! What does a rule answer, and what does its answer rest on?
//!
//! Pure: data; the rules themselves are in [`super::rules`].

use std::fmt;

use super::{Action, Rule};
use crate::cluster::{NodeAddr, Side};

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
    /// What an operator has to know to read the numbers, in a few words: `"usual 2, learnt"`.
    pub note: Option<String>,
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

/// The verdicts that are not as they were at the last look. Before the first one, all are unknown.
pub fn changed(before: &[RuleVerdict], now: &[RuleVerdict]) -> Vec<RuleVerdict> {
    let verdict_before = |now: &RuleVerdict| {
        let same = before
            .iter()
            .find(|was| was.side == now.side && was.rule == now.rule);
        same.map_or(Verdict::Unknown, |was| was.verdict)
    };
    let is_changed = |verdict: &&RuleVerdict| verdict.verdict != verdict_before(verdict);
    now.iter().filter(is_changed).cloned().collect()
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
            write!(f, " measured={}", number(self.evidence.measured))?;
        }
        let limit = number(self.evidence.limit);
        write!(f, " limit={limit} side={}", self.side)?;
        match &self.evidence.note {
            Some(note) => write!(f, " note=\"{note}\""),
            None => Ok(()),
        }
    }
}

/// At most three decimals, and none where there are none: seconds have them, bytes do not.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_one_line_with_its_evidence() {
        let mut verdict = RuleVerdict {
            side: Side::New,
            rule: Rule::ReplicaExcess,
            verdict: Verdict::Bad,
            action: Action::Warn,
            evidence: Evidence {
                node: Some(NodeAddr::new("10.0.0.1", 6379)),
                measured: 3.0,
                limit: 0.5,
                note: Some("usual 2, learnt".to_owned()),
            },
            since: std::time::Instant::now(),
        };
        let line =
            "rule=replica_excess node=10.0.0.1:6379 measured=3 limit=0.5 side=new note=\"usual 2, learnt\"";
        assert_eq!(verdict.to_string(), line);
        verdict.verdict = Verdict::Unknown;
        verdict.evidence.note = None;
        let line = "rule=replica_excess node=10.0.0.1:6379 measured=unknown limit=0.5 side=new";
        assert_eq!(verdict.to_string(), line);
    }

    #[test]
    fn numbers_have_the_decimals_they_need() {
        let shown = [0.0, 262_144.0, 0.75, 0.123_456, 100.0].map(number);
        assert_eq!(shown, ["0", "262144", "0.75", "0.123", "100"]);
    }
}
