//! What does one row of the table say, and what do all of them come to?
//!
//! Pure: data and its text forms.

use std::fmt;

use super::Check;
use crate::cluster::{NodeAddr, Side};
use crate::control_plane::admin::Reply;
use crate::limits::PREFLIGHT_TEXT_CHARS_MAX;

/// One word for what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Nothing to do.
    Ok,
    /// It is told.
    Warn,
    /// It could not be learnt.
    Unknown,
    /// It must not begin like this.
    Bad,
}

impl Grade {
    /// The word in tables and replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Unknown => "unknown",
            Self::Bad => "bad",
        }
    }
}

/// One row: a check or a rule, on one side, with its worst node.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// A [`Check`]'s or a guard rule's name.
    pub check: &'static str,
    /// The side it is about.
    pub side: Side,
    /// The worst node; `None` when it is about no single one.
    pub node: Option<NodeAddr>,
    /// What was measured, with its unit.
    pub measured: String,
    /// What it is measured against.
    pub limit: String,
    /// What follows.
    pub grade: Grade,
    /// Whether a raise from 0 is refused by it.
    pub refuses: bool,
    /// What to do; empty when there is nothing to be done.
    pub advice: String,
}

impl Finding {
    /// A row of `check`, refusing if it is bad, or unknown where that refuses.
    pub(super) fn new(check: Check, side: Side, grade: Grade) -> Self {
        Self {
            check: check.name(),
            side,
            node: None,
            measured: String::new(),
            limit: String::new(),
            grade,
            refuses: grade == Grade::Bad || (grade == Grade::Unknown && check.refuses_unknown()),
            advice: String::new(),
        }
    }

    pub(super) fn on(mut self, node: Option<&NodeAddr>) -> Self {
        self.node = node.cloned();
        self
    }

    pub(super) fn measured(mut self, text: impl Into<String>) -> Self {
        self.measured = cut(text.into());
        self
    }

    pub(super) fn limit(mut self, text: impl Into<String>) -> Self {
        self.limit = cut(text.into());
        self
    }

    pub(super) fn advice(mut self, text: impl Into<String>) -> Self {
        self.advice = cut(text.into());
        self
    }

    /// The row as a map.
    pub fn reply(&self, route: &str) -> Reply {
        let text = |text: &str| Reply::Bulk(text.to_owned());
        let node = self.node.as_ref().map(ToString::to_string);
        Reply::Map(vec![
            ("route", text(route)),
            ("check", text(self.check)),
            ("side", text(self.side.name())),
            ("node", node.map_or(Reply::Null, Reply::Bulk)),
            ("measured", text(&self.measured)),
            ("limit", text(&self.limit)),
            ("verdict", text(self.grade.name())),
            ("refuses", Reply::Boolean(self.refuses)),
            ("advice", text(&self.advice)),
        ])
    }
}

impl fmt::Display for Finding {
    /// `rule=… node=… measured=… limit=… side=…: what to do`, as a rule of the guard says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule={}", self.check)?;
        match &self.node {
            Some(node) => write!(f, " node={node}")?,
            None => write!(f, " node=none")?,
        }
        let measured = match self.grade {
            Grade::Unknown => "unknown",
            _ => &self.measured,
        };
        write!(
            f,
            " measured={} limit={} side={}",
            word(measured),
            word(&self.limit),
            self.side
        )?;
        match self.advice.as_str() {
            "" => Ok(()),
            advice => write!(f, ": {advice}"),
        }
    }
}

/// One line for the event list: how many checks, and which were not ok.
pub fn headline(findings: &[Finding]) -> String {
    let mut line = format!("{} checks", findings.len());
    for grade in [Grade::Bad, Grade::Warn, Grade::Unknown] {
        let named: Vec<String> = findings
            .iter()
            .filter(|finding| finding.grade == grade)
            .map(|finding| format!("{} ({})", finding.check, finding.side))
            .collect();
        if !named.is_empty() {
            line += &format!("; {}: {}", grade.name(), named.join(", "));
        }
    }
    line
}

/// Quoted where it has spaces, so that the fields of the line can be told apart.
fn word(text: &str) -> String {
    match text {
        "" => "none".to_owned(),
        text if text.contains([' ', '"']) => format!("\"{}\"", text.replace('"', "'")),
        text => text.to_owned(),
    }
}

/// On one line and bounded: names and errors in it come from elsewhere.
fn cut(text: String) -> String {
    let line = text
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char });
    line.take(PREFLIGHT_TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_as_a_rule_does_and_says_what_to_do() {
        let finding = Finding::new(Check::Replicas, Side::Old, Grade::Bad)
            .on(Some(&NodeAddr::new("10.0.0.1", 6379)))
            .measured("5 replicas")
            .limit("2")
            .advice("detach 3");
        assert_eq!(
            finding.to_string(),
            "rule=replicas node=10.0.0.1:6379 measured=\"5 replicas\" limit=2 side=old: detach 3"
        );
        let unknown = Finding::new(Check::Clock, Side::New, Grade::Unknown);
        assert_eq!(
            unknown.to_string(),
            "rule=clock node=none measured=unknown limit=none side=new"
        );
    }

    #[test]
    fn not_knowing_refuses_only_where_it_matters() {
        let refuses = |check, grade| Finding::new(check, Side::Old, grade).refuses;
        for check in Check::ALL {
            assert!(refuses(check, Grade::Bad));
            assert!(!refuses(check, Grade::Ok) && !refuses(check, Grade::Warn));
            assert_eq!(refuses(check, Grade::Unknown), check.refuses_unknown());
        }
        assert!(Check::SentinelPriority.refuses_unknown() && !Check::AclUsers.refuses_unknown());
    }

    #[test]
    fn texts_from_elsewhere_are_one_bounded_line() {
        let text = format!("a\r\n{}", "x".repeat(PREFLIGHT_TEXT_CHARS_MAX * 2));
        let finding = Finding::new(Check::AclUsers, Side::New, Grade::Warn).measured(text);
        assert_eq!(finding.measured.chars().count(), PREFLIGHT_TEXT_CHARS_MAX);
        assert!(finding.measured.starts_with("a  x"));
    }
}
