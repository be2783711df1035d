//! When does a measure become a verdict, and when is it taken back?
//!
//! Pure: one rule's state. Bad after the limit has been reached for a while, ok after it has been kept for a while, unknown at
//! once: what is not known must not be believed for the sake of calm. A rule that was bad must be good for its
//! clearing time even if it was unknown in between, so that silence cannot shorten a recovery.

use std::time::{Duration, Instant};

use super::{RuleSetting, Verdict};

/// A measure against its limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Level {
    /// No fresh evidence.
    Unknown,
    /// Below the limit.
    Below,
    /// At or above it; evidence from the first time shows it, and still does at the second: what is read off one report
    /// has lasted no longer than the reports say, however long the next one takes.
    Reached(Instant, Instant),
}

/// One rule's state.
#[derive(Debug)]
pub(super) struct Hysteresis {
    verdict: Verdict,
    since: Option<Instant>,
    reached: Option<Instant>,
    below: Option<Instant>,
    recovering: bool,
}

impl Hysteresis {
    pub(super) const fn new() -> Self {
        Self {
            verdict: Verdict::Unknown,
            since: None,
            reached: None,
            below: None,
            recovering: false,
        }
    }

    pub(super) const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// First evidence of the present badness, or the last change of verdict; `now` before any judgement.
    pub(super) fn since(&self, now: Instant) -> Instant {
        self.since.unwrap_or(now)
    }

    pub(super) fn judge(&mut self, level: Level, setting: &RuleSetting, now: Instant) {
        match level {
            Level::Unknown => {
                (self.reached, self.below) = (None, None);
                self.turn(Verdict::Unknown, now);
            }
            Level::Reached(at, seen) => {
                self.below = None;
                let first = *self.reached.get_or_insert(at);
                if lasted(first, setting.bad_for, seen) {
                    self.recovering = true;
                    self.turn(Verdict::Bad, first);
                }
            }
            Level::Below => {
                self.reached = None;
                let first = *self.below.get_or_insert(now);
                if !self.recovering || lasted(first, setting.clear_for, now) {
                    self.recovering = false;
                    self.turn(Verdict::Ok, now);
                }
            }
        }
    }

    fn turn(&mut self, verdict: Verdict, since: Instant) {
        if self.verdict != verdict || self.since.is_none() {
            (self.verdict, self.since) = (verdict, Some(since));
        }
    }
}

fn lasted(first: Instant, duration: Duration, now: Instant) -> bool {
    now.saturating_duration_since(first) >= duration
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::guard::{Rule, RuleTable};
    use proptest::prelude::*;

    fn setting() -> RuleSetting {
        RuleSetting {
            bad_for: Duration::from_millis(200),
            clear_for: Duration::from_secs(2),
            ..*RuleTable::default().get(Rule::HeartbeatDelay)
        }
    }

    #[test]
    fn bad_needs_its_time_and_so_does_ok_again() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut rule = Hysteresis::new();
        let mut judge = |level, millis| {
            rule.judge(level, &setting(), at(millis));
            (rule.verdict(), rule.since(at(millis)))
        };
        assert_eq!(judge(Level::Below, 0), (Verdict::Ok, at(0)));
        assert_eq!(judge(Level::Reached(at(90), at(100)), 100).0, Verdict::Ok);
        assert_eq!(judge(Level::Reached(at(280), at(289)), 289).0, Verdict::Ok);
        assert_eq!(
            judge(Level::Reached(at(280), at(290)), 290),
            (Verdict::Bad, at(90))
        );
        assert_eq!(judge(Level::Below, 300).0, Verdict::Bad);
        assert_eq!(
            judge(Level::Reached(at(400), at(400)), 400),
            (Verdict::Bad, at(90))
        );
        assert_eq!(judge(Level::Below, 500).0, Verdict::Bad);
        assert_eq!(judge(Level::Below, 2_499).0, Verdict::Bad);
        assert_eq!(judge(Level::Below, 2_500), (Verdict::Ok, at(2_500)));
    }

    #[test]
    fn a_good_measure_in_between_starts_the_time_to_bad_again() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut rule = Hysteresis::new();
        for (level, millis) in [
            (Level::Reached(at(0), at(0)), 0),
            (Level::Below, 150),
            (Level::Reached(at(199), at(200)), 200),
        ] {
            rule.judge(level, &setting(), at(millis));
        }
        assert_eq!(rule.verdict(), Verdict::Ok);
    }

    #[test]
    fn one_report_is_no_duration_however_late_the_next_one_is() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut rule = Hysteresis::new();
        rule.judge(Level::Reached(at(0), at(0)), &setting(), at(0));
        rule.judge(Level::Reached(at(0), at(0)), &setting(), at(900));
        assert_ne!(rule.verdict(), Verdict::Bad);
        rule.judge(Level::Reached(at(0), at(910)), &setting(), at(910));
        assert_eq!((rule.verdict(), rule.since(at(910))), (Verdict::Bad, at(0)));
    }

    #[test]
    fn silence_is_unknown_at_once_and_does_not_shorten_a_recovery() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut rule = Hysteresis::new();
        rule.judge(Level::Reached(at(0), at(200)), &setting(), at(200));
        rule.judge(Level::Unknown, &setting(), at(300));
        assert_eq!(rule.verdict(), Verdict::Unknown);
        rule.judge(Level::Below, &setting(), at(400));
        assert_eq!(rule.verdict(), Verdict::Unknown);
        rule.judge(Level::Below, &setting(), at(2_400));
        assert_eq!(rule.verdict(), Verdict::Ok);
    }

    proptest! {
        #[test]
        fn bad_is_only_said_after_the_limit_was_reached_for_long_enough(levels in proptest::collection::vec(0_u8..3, 1..200)) {
            let start = Instant::now();
            let mut rule = Hysteresis::new();
            let mut reached = 0;
            for (step, level) in levels.into_iter().enumerate() {
                let now = start + Duration::from_millis(50) * u32::try_from(step).unwrap();
                let before = rule.verdict();
                reached = if level == 2 { reached + 1 } else { 0 };
                rule.judge([Level::Unknown, Level::Below, Level::Reached(now, now)][usize::from(level)], &setting(), now);
                if before != Verdict::Bad && rule.verdict() == Verdict::Bad {
                    prop_assert!(reached >= 5, "reached for {} steps of 50 ms", reached);
                }
                if level == 0 {
                    prop_assert_eq!(rule.verdict(), Verdict::Unknown);
                }
            }
        }
    }
}
