//! What do the guard's rules say, as rows of the table?
//!
//! Pure. They refuse here as they do in the guard: bad or unknown, where the action is to freeze or to trip.

use std::time::Instant;

use crate::control_plane::guard::{Action, RuleVerdict, Verdict};
use crate::control_plane::preflight::{Finding, Grade};

/// A row for each verdict.
pub fn of_rules(verdicts: &[RuleVerdict], now: Instant) -> Vec<Finding> {
    verdicts.iter().map(|verdict| row(verdict, now)).collect()
}

fn row(verdict: &RuleVerdict, now: Instant) -> Finding {
    let refuses = verdict.verdict != Verdict::Ok && verdict.action >= Action::Freeze;
    let grade = match verdict.verdict {
        Verdict::Ok => Grade::Ok,
        Verdict::Unknown => Grade::Unknown,
        Verdict::Bad if refuses => Grade::Bad,
        Verdict::Bad => Grade::Warn,
    };
    let unit = verdict.rule.unit();
    let note = verdict.evidence.note.as_ref();
    let note = note.map_or_else(String::new, |note| format!(" ({note})"));
    let since = now.saturating_duration_since(verdict.since).as_secs_f64();
    let advice = match grade {
        Grade::Ok => String::new(),
        Grade::Unknown => "no fresh evidence: see that every node answers and is in sync".to_owned(),
        Grade::Bad | Grade::Warn => format!(
            "for {since:.1} s; it must be good again for its clear_for before it is ok ({} rule)",
            verdict.action.name()
        ),
    };
    Finding {
        check: verdict.rule.name(),
        side: verdict.side,
        node: verdict.evidence.node.clone(),
        measured: match grade {
            Grade::Unknown => "unknown".to_owned(),
            _ => format!("{:.3} {unit}{note}", verdict.evidence.measured),
        },
        limit: format!("{} {unit}", verdict.evidence.limit),
        grade,
        refuses,
        advice,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Side;
    use crate::control_plane::guard::{Evidence, Rule};

    #[test]
    fn a_rule_refuses_here_as_in_the_guard() {
        let now = Instant::now();
        let row = |verdict, action| {
            let judged = RuleVerdict {
                side: Side::New,
                rule: Rule::OffsetLag,
                verdict,
                action,
                evidence: Evidence {
                    node: None,
                    measured: 0.75,
                    limit: 0.5,
                    note: Some("usual".to_owned()),
                },
                since: now,
            };
            let rows = of_rules(&[judged], now);
            if verdict != Verdict::Unknown {
                assert_eq!(rows[0].measured, "0.750 seconds (usual)");
            }
            (rows[0].grade, rows[0].refuses)
        };
        assert_eq!(row(Verdict::Ok, Action::Trip), (Grade::Ok, false));
        assert_eq!(row(Verdict::Bad, Action::Trip), (Grade::Bad, true));
        assert_eq!(row(Verdict::Bad, Action::Freeze), (Grade::Bad, true));
        assert_eq!(row(Verdict::Bad, Action::Warn), (Grade::Warn, false));
        assert_eq!(row(Verdict::Unknown, Action::Freeze), (Grade::Unknown, true));
        assert_eq!(row(Verdict::Unknown, Action::Warn), (Grade::Unknown, false));
    }
}
