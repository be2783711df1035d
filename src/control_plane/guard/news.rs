//! What is an operator told of the verdicts?
//!
//! Pure. A rule is told when it is bad, and again when it is ok; in between it may be unknown as it likes. What is unknown is told of a
//! side as a whole, since a failover leaves all of its rules without evidence: once when that begins, once when all have
//! evidence again, and no oftener than every [`GAP`], however a node comes and goes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::{Rule, RuleVerdict, Verdict};
use crate::cluster::Side;

/// Between two words on what is unknown; and how long a start may take before it is worth one.
const GAP: Duration = Duration::from_secs(10);

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The side it is about.
    pub side: Side,
    /// `rule_bad`, `rule_ok`, `guard_ready` or `guard_unknown`.
    pub kind: &'static str,
    /// One line.
    pub text: String,
}

/// What has been told of one route.
#[derive(Debug, Default)]
pub struct News {
    bad: BTreeSet<(Side, Rule)>,
    sides: [Told; 2],
}

/// What has been told of a side's evidence.
#[derive(Debug, Default)]
struct Told {
    /// The last word, or the first look.
    at: Option<Instant>,
    is_ready: bool,
    unknown: BTreeSet<Rule>,
}

impl News {
    /// What is to be told of the verdicts of both sides now.
    pub fn of(&mut self, verdicts: &[RuleVerdict], now: Instant) -> Vec<Item> {
        let mut items = Vec::new();
        for verdict in verdicts {
            let key = (verdict.side, verdict.rule);
            let kind = match verdict.verdict {
                Verdict::Bad if self.bad.insert(key) => "rule_bad",
                Verdict::Ok if self.bad.remove(&key) => "rule_ok",
                _ => continue,
            };
            items.push(Item {
                side: verdict.side,
                kind,
                text: verdict.to_string(),
            });
        }
        for (side, told) in Side::BOTH.into_iter().zip(&mut self.sides) {
            let of_side = || verdicts.iter().filter(|verdict| verdict.side == side);
            let is_unknown = |verdict: &&RuleVerdict| verdict.verdict == Verdict::Unknown;
            let unknown: BTreeSet<Rule> = of_side().filter(is_unknown).map(|verdict| verdict.rule).collect();
            let text = match of_side().count() {
                0 => continue,
                rules => told.evidence(unknown, rules, now),
            };
            items.extend(text.map(|(kind, text)| Item { side, kind, text }));
        }
        items
    }
}

impl Told {
    fn evidence(
        &mut self,
        unknown: BTreeSet<Rule>,
        rules: usize,
        now: Instant,
    ) -> Option<(&'static str, String)> {
        let may_speak = now.saturating_duration_since(*self.at.get_or_insert(now)) >= GAP;
        // The first word that all is known need not wait.
        let has_begun = self.is_ready || !self.unknown.is_empty();
        if unknown.is_empty() && !self.is_ready && (may_speak || !has_begun) {
            (self.at, self.is_ready) = (Some(now), true);
            self.unknown.clear();
            return Some(("guard_ready", format!("all {rules} rules have evidence")));
        }
        let is_more = !unknown.is_subset(&self.unknown);
        if may_speak && is_more {
            let names: Vec<&str> = unknown.iter().map(|rule| rule.name()).collect();
            let text = format!(
                "no fresh evidence for {} of {rules} rules: {}",
                names.len(),
                names.join(", ")
            );
            (self.at, self.is_ready, self.unknown) = (Some(now), false, unknown);
            return Some(("guard_unknown", text));
        }
        if may_speak && unknown.len() < self.unknown.len() && !is_more {
            // Not worth a word; when it is lost again, it is.
            (self.at, self.unknown) = (Some(now), unknown);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Action, Evidence};
    use super::*;

    fn verdicts(of: &[(Rule, Verdict)]) -> Vec<RuleVerdict> {
        let one = |(rule, verdict): &(Rule, Verdict)| RuleVerdict {
            side: Side::New,
            rule: *rule,
            verdict: *verdict,
            action: Action::Trip,
            evidence: Evidence {
                node: None,
                measured: 1.0,
                limit: 1.0,
                note: None,
            },
            since: Instant::now(),
        };
        of.iter().map(one).collect()
    }

    fn all(verdict: Verdict) -> Vec<RuleVerdict> {
        verdicts(&Rule::ALL.map(|rule| (rule, verdict)))
    }

    fn kinds(items: &[Item]) -> Vec<&'static str> {
        items.iter().map(|item| item.kind).collect()
    }

    #[test]
    fn a_start_and_a_failover_are_one_event_each_way() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut news = News::default();
        assert_eq!(news.of(&all(Verdict::Unknown), at(0)), []);
        assert_eq!(news.of(&all(Verdict::Unknown), at(9)), []);
        let ready = news.of(&all(Verdict::Ok), at(9));
        assert_eq!(kinds(&ready), ["guard_ready"]);
        assert_eq!(ready[0].text, "all 14 rules have evidence");
        let unknown = news.of(&all(Verdict::Unknown), at(60));
        assert_eq!(kinds(&unknown), ["guard_unknown"]);
        assert!(
            unknown[0]
                .text
                .starts_with("no fresh evidence for 14 of 14 rules: unreachable, ")
        );
        assert_eq!(news.of(&all(Verdict::Unknown), at(71)), []);
        assert_eq!(kinds(&news.of(&all(Verdict::Ok), at(72))), ["guard_ready"]);
    }

    #[test]
    fn a_start_that_stays_without_evidence_says_so() {
        let start = Instant::now();
        let mut news = News::default();
        let some = verdicts(&[
            (Rule::Unreachable, Verdict::Ok),
            (Rule::OutputBuffer, Verdict::Unknown),
        ]);
        assert_eq!(news.of(&some, start), []);
        let told = news.of(&some, start + GAP);
        assert_eq!(told[0].text, "no fresh evidence for 1 of 2 rules: output_buffer");
        // One more is worth another word, and one less is not.
        let more = verdicts(&[
            (Rule::Unreachable, Verdict::Unknown),
            (Rule::OutputBuffer, Verdict::Unknown),
        ]);
        assert_eq!(kinds(&news.of(&more, start + GAP * 2)), ["guard_unknown"]);
        assert_eq!(news.of(&some, start + GAP * 3), []);
    }

    #[test]
    fn a_second_loss_is_told_where_a_rule_never_has_evidence() {
        let start = Instant::now();
        let mut news = News::default();
        let some = verdicts(&[
            (Rule::Unreachable, Verdict::Ok),
            (Rule::SlowlogGrowth, Verdict::Unknown),
        ]);
        let none = verdicts(&[
            (Rule::Unreachable, Verdict::Unknown),
            (Rule::SlowlogGrowth, Verdict::Unknown),
        ]);
        news.of(&some, start);
        let all = [&some, &none, &some, &none, &some, &none];
        let told = (1..)
            .zip(all)
            .map(|(step, one)| news.of(one, start + GAP * step).len());
        assert_eq!(told.collect::<Vec<_>>(), [1, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn a_rule_that_comes_and_goes_without_evidence_is_not_told_every_time() {
        let start = Instant::now();
        let mut news = News::default();
        let mut told = 0;
        for step in 0..6_000 {
            let verdict = [Verdict::Ok, Verdict::Unknown][usize::from(step % 2 == 1)];
            told += news
                .of(&all(verdict), start + Duration::from_millis(50) * step)
                .len();
        }
        assert!(told <= 31, "{told} events in five minutes");
    }

    #[test]
    fn bad_is_told_once_until_it_is_ok_whatever_lies_between() {
        let start = Instant::now();
        let mut news = News::default();
        news.of(&all(Verdict::Ok), start);
        let mut told = Vec::new();
        for verdict in [
            Verdict::Bad,
            Verdict::Unknown,
            Verdict::Bad,
            Verdict::Unknown,
            Verdict::Ok,
            Verdict::Ok,
        ] {
            let now = verdicts(&[(Rule::OffsetLag, verdict)]);
            told.extend(kinds(&news.of(&now, start)));
        }
        assert_eq!(told, ["rule_bad", "rule_ok"]);
    }
}
