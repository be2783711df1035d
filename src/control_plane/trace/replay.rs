//! What would the guard have made of a trace?
//!
//! Pure: lines in, verdicts and decisions out. The same [`Rules`] and the same [`Controller`] as in the live run, under the recorded
//! times: an [`Instant`] is an offset to a base here, and which base does not matter.
//!
//! What an operator did is taken as recorded. What the guard did is decided anew: a trip of the live run does not take the
//! traffic away here, so that looser thresholds can be seen to trip later, or not at all.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::line::{Entry, Header, Line, Moved, Observed, What};
use crate::cluster::Side;
use crate::config::{GuardConfig, RampConfig};
use crate::control_plane::guard::{self, Observation, RuleVerdict, Rules};
use crate::control_plane::shift::{Change, ChangeKind, Controller, Health, Input, Now, Standing, TimeOfDay};
use crate::routing::Weight;

/// How far the base is from now, so that times before a trace's beginning exist on every clock.
const BASE_AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// What is assumed instead of what was recorded.
#[derive(Clone, Debug, Default)]
pub struct Assumed {
    /// The guard's settings.
    pub guard: Option<GuardConfig>,
    /// The share of traffic on `new`, throughout.
    pub weight: Option<Weight>,
}

/// One thing there is to say.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// The trace begins, or begins anew: without evidence.
    Began {
        /// When.
        time: Timestamp,
        /// Entries that are missing just before.
        lost: u64,
    },
    /// A rule's verdict is another one.
    Verdict {
        /// When.
        time: Timestamp,
        /// Time of its first evidence.
        since: Timestamp,
        /// The verdict.
        verdict: RuleVerdict,
    },
    /// What the guard would have done.
    Would {
        /// When.
        time: Timestamp,
        /// `trip`, `trip_withheld`, `freeze`, or `release` at a freeze's end.
        kind: &'static str,
        /// The verdict behind it, in its words.
        reason: String,
    },
    /// What was done in the live run.
    Did {
        /// When.
        time: Timestamp,
        /// What.
        moved: Moved,
    },
}

/// A trip there would have been.
#[derive(Clone, Debug, PartialEq)]
pub struct Tripped {
    /// When.
    pub time: Timestamp,
    /// By what.
    pub verdict: RuleVerdict,
}

/// Lines in an order no trace has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// An entry before any header.
    #[error("an entry; expected a trace's header first")]
    NoHeader,
    /// An entry of an earlier time than the one before.
    #[error("a time before that of the entry above; expected the entries in the order they were made in")]
    Backwards,
    /// Times that add up to none.
    #[error("a time no calendar has; expected one that was measured")]
    NoTime,
}

/// A replay under way.
#[derive(Debug)]
pub struct Replay {
    assumed: Assumed,
    stretch: Option<Stretch>,
    first_trip: Option<Tripped>,
    trips: u64,
    entries: u64,
    lost: u64,
}

/// From one header to the next.
#[derive(Debug)]
struct Stretch {
    route: String,
    began: Timestamp,
    base: Instant,
    now: Instant,
    rules: [Option<Rules>; 2],
    verdicts: Vec<RuleVerdict>,
    controller: Controller,
    is_frozen: bool,
}

impl Replay {
    /// A replay under what is assumed.
    pub fn new(assumed: Assumed) -> Self {
        Self {
            assumed,
            stretch: None,
            first_trip: None,
            trips: 0,
            entries: 0,
            lost: 0,
        }
    }

    /// Takes the next line, and says what comes of it.
    ///
    /// # Errors
    /// When it cannot be the next line of a trace.
    pub fn take(&mut self, line: Line) -> Result<Vec<Said>, ReplayError> {
        match line {
            Line::Header(header) => Ok(self.begin(&header)),
            Line::Entry(entry) => self.go_on(*entry),
        }
    }

    /// The first trip there would have been.
    pub fn first_trip(&self) -> Option<&Tripped> {
        self.first_trip.as_ref()
    }

    /// How many trips there would have been.
    pub const fn trips(&self) -> u64 {
        self.trips
    }

    /// Entries taken in.
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// Entries that are said to be missing.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// The route of the stretch taken in last.
    pub fn route(&self) -> Option<&str> {
        self.stretch.as_ref().map(|stretch| stretch.route.as_str())
    }

    fn begin(&mut self, header: &Header) -> Vec<Said> {
        self.lost = self.lost.saturating_add(header.lost);
        self.stretch = Some(Stretch::new(header, &self.assumed));
        vec![Said::Began {
            time: header.began,
            lost: header.lost,
        }]
    }

    fn go_on(&mut self, entry: Entry) -> Result<Vec<Said>, ReplayError> {
        let stretch = self.stretch.as_mut().ok_or(ReplayError::NoHeader)?;
        let now = stretch.base + Duration::from_nanos(entry.now);
        if now < stretch.now {
            return Err(ReplayError::Backwards);
        }
        stretch.now = now;
        self.entries += 1;
        let time = stretch.time(now)?;
        let looks = !matches!(entry.what, What::Moved(_));
        let mut said = stretch.apply(entry.what, &self.assumed, time);
        if looks {
            let tripped = stretch.look(time, &mut said)?;
            self.trips += u64::from(tripped.is_some());
            self.first_trip = self.first_trip.take().or(tripped);
        }
        Ok(said)
    }
}

impl Stretch {
    fn new(header: &Header, assumed: &Assumed) -> Self {
        let base = Instant::now() + BASE_AHEAD;
        let config = assumed.guard.as_ref().unwrap_or(&header.guard);
        let sides = header.sides();
        let rules = Side::BOTH.map(|side| {
            let nodes = sides[side.index()]?;
            let mut rules = Rules::new(config.clone(), side);
            rules.horizon(header.ahead.time());
            rules.topology(nodes, base);
            Some(rules)
        });
        let mut stretch = Self {
            route: header.route.clone(),
            began: header.began,
            base,
            now: base,
            controller: steady(&header.route, header.new.is_some(), Weight::ZERO, base),
            rules,
            verdicts: Vec::new(),
            is_frozen: false,
        };
        stretch.weigh(assumed.weight.unwrap_or(header.weight.max(header.target)));
        stretch
    }

    /// From now on so much is on `new`, or on its way there; and the route is armed.
    fn weigh(&mut self, weight: Weight) {
        let has_new = self.rules[Side::New.index()].is_some();
        self.controller = steady(&self.route, has_new, weight, self.now);
    }

    fn apply(&mut self, what: What, assumed: &Assumed, time: Timestamp) -> Vec<Said> {
        match what {
            What::Look => self.rules.iter_mut().flatten().for_each(|rules| {
                rules.tick(self.now);
            }),
            What::Ahead(ahead) => self.rules.iter_mut().flatten().for_each(|rules| {
                rules.tick(self.now);
                rules.horizon(ahead.time());
            }),
            What::Observed(observed) => self.observe(observed),
            What::Topology(relearned) => {
                if let Some(rules) = &mut self.rules[relearned.side.index()] {
                    rules.topology(&relearned.nodes, self.now);
                }
            }
            What::Guard(given) if assumed.guard.is_none() => {
                for rules in self.rules.iter_mut().flatten() {
                    rules.reconfigure((*given.config).clone());
                }
            }
            What::Guard(_) => {}
            What::Moved(moved) => {
                let is_guards = moved.kind == ChangeKind::Trip.name();
                if !is_guards {
                    self.weigh(assumed.weight.unwrap_or(moved.weight.max(moved.target)));
                }
                return vec![Said::Did { time, moved }];
            }
        }
        Vec::new()
    }

    fn observe(&mut self, observed: Observed) {
        let Observed {
            side,
            node,
            age,
            kind,
        } = observed;
        let at = self.now.checked_sub(Duration::from_nanos(age));
        if let Some(rules) = &mut self.rules[side.index()] {
            rules.observe(&Observation {
                node,
                at: at.unwrap_or(self.now),
                kind,
            });
        }
    }

    /// Judges both sides, as the control loop does, and returns the trip that comes of it.
    fn look(&mut self, time: Timestamp, said: &mut Vec<Said>) -> Result<Option<Tripped>, ReplayError> {
        let verdicts = guard::verdicts(&mut self.rules, self.now);
        let before = std::mem::replace(&mut self.verdicts, verdicts);
        for verdict in guard::changed(&before, &self.verdicts) {
            let since = self.time(verdict.since)?;
            said.push(Said::Verdict { time, since, verdict });
        }
        let health = Health::of(&self.verdicts);
        self.tell_freeze(&health, time, said);
        // A look asks for nothing, so nothing is refused.
        let now = Now {
            instant: self.now,
            time_of_day: TimeOfDay::of(time),
        };
        let Ok(Some(change)) = self.controller.handle(Input::Look, &health, now) else {
            return Ok(None);
        };
        let Change {
            kind,
            reason,
            evidence,
            ended_ramp: _,
        } = change;
        said.push(Said::Would {
            time,
            kind: kind.name(),
            reason,
        });
        let verdict = evidence.filter(|_| kind == ChangeKind::Trip);
        Ok(verdict.map(|verdict| Tripped { time, verdict }))
    }

    fn tell_freeze(&mut self, health: &Health, time: Timestamp, said: &mut Vec<Said>) {
        let was_frozen = std::mem::replace(&mut self.is_frozen, health.freeze.is_some());
        let (kind, reason) = match &health.freeze {
            Some(verdict) if !was_frozen => ("freeze", verdict.to_string()),
            None if was_frozen => ("release", "no rule freezes any more".to_owned()),
            Some(_) | None => return,
        };
        said.push(Said::Would { time, kind, reason });
    }

    /// The wall clock's time of a moment.
    fn time(&self, moment: Instant) -> Result<Timestamp, ReplayError> {
        let since = match moment.checked_duration_since(self.base) {
            Some(after) => SignedDuration::try_from(after),
            None => SignedDuration::try_from(self.base - moment).map(|before| -before),
        };
        let since = since.map_err(|_| ReplayError::NoTime)?;
        self.began.checked_add(since).map_err(|_| ReplayError::NoTime)
    }
}

/// How a weight comes about is recorded: nothing is under way here.
fn steady(route: &str, has_new: bool, weight: Weight, now: Instant) -> Controller {
    let ramp = RampConfig::default();
    Controller::new(route, has_new, ramp, Standing::at(weight), now)
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
