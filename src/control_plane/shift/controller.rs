//! What becomes of a route's weight, given what an operator asks and what the guard says?
//!
//! Pure: inputs and `now` in, a change or a refusal out. Only bad evidence or an operator moves traffic back, only an
//! operator moves it forth, and after a route back only `ARM` makes that possible again.

use std::time::{Duration, Instant};

use super::shifting::Shifting;
use super::{Change, ChangeKind, Health, Input, Latch, Obstacle, Refused};
use crate::routing::Weight;

#[derive(Clone, Debug, PartialEq)]
enum State {
    Steady,
    Shifting(Shifting),
    Tripped(Latch),
}

/// One route's state machine.
#[derive(Clone, Debug)]
pub struct Controller {
    route: String,
    has_new: bool,
    weight: Weight,
    state: State,
    is_withholding: bool,
}

impl Controller {
    /// A controller that goes on where an earlier one stopped. A latched route starts at weight 0, whatever is said.
    pub fn new(route: &str, has_new: bool, weight: Weight, latch: Option<Latch>) -> Self {
        let (weight, state) = match latch {
            Some(latch) => (Weight::ZERO, State::Tripped(latch)),
            None if has_new => (weight, State::Steady),
            None => (Weight::ZERO, State::Steady),
        };
        Self {
            route: route.to_owned(),
            has_new,
            weight,
            state,
            is_withholding: false,
        }
    }

    /// The weight to be in force.
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// The weight an operator has asked for, which a shift may still be on its way to.
    pub fn target(&self) -> Weight {
        match &self.state {
            State::Shifting(shift) => shift.to,
            State::Steady | State::Tripped(_) => self.weight,
        }
    }

    /// The latch, when there is one.
    pub fn latch(&self) -> Option<&Latch> {
        match &self.state {
            State::Tripped(latch) => Some(latch),
            State::Steady | State::Shifting(_) => None,
        }
    }

    /// The word in `STATUS`.
    pub fn state_name(&self) -> &'static str {
        match &self.state {
            State::Steady => "steady",
            State::Shifting(_) => "shifting",
            State::Tripped(_) => "tripped",
        }
    }

    /// The weight could not be saved: what is in force is what was saved last, unless traffic has gone back meanwhile.
    pub fn fall_back_to(&mut self, saved: Weight) {
        if saved < self.weight {
            self.weight = saved;
            self.state = State::Steady;
        }
    }

    /// Decides. `Ok(None)`: nothing changes, and what was asked is so already.
    ///
    /// # Errors
    /// An operator's command that is refused; nothing has changed.
    pub fn handle(&mut self, input: Input, health: &Health, now: Instant) -> Result<Option<Change>, Refused> {
        match (&mut self.state, input) {
            (State::Steady | State::Shifting(_), Input::SetWeight { weight, over, force }) => {
                self.set_weight(weight, over, force, health, now)
            }
            (State::Tripped(latch), Input::SetWeight { weight, .. }) if weight > Weight::ZERO => {
                Err(Refused::Tripped {
                    latch: latch.clone(),
                    route: self.route.clone(),
                })
            }
            (State::Tripped(_), Input::SetWeight { .. } | Input::Back { .. }) => Ok(None),
            (State::Steady | State::Shifting(_), Input::Back { reason }) => self.back(reason),
            // Also where nothing is latched: `OK` says that a raise has nothing to fear from the rules that trip.
            (State::Steady | State::Shifting(_) | State::Tripped(_), Input::Arm)
                if let Some(verdict) = &health.trip =>
            {
                Err(Refused::Frozen(Obstacle::Rule(verdict.clone())))
            }
            (State::Steady | State::Shifting(_), Input::Arm) => Ok(None),
            (State::Tripped(latch), Input::Arm) => {
                let reason = format!("armed by the operator after {}: {}", latch.cause, latch.reason);
                self.state = State::Steady;
                Ok(Some(Change::new(ChangeKind::Armed, reason)))
            }
            (State::Steady, Input::Look) => Ok(self.trip(health)),
            (State::Shifting(_), Input::Look) => match self.trip(health) {
                Some(tripped) => Ok(Some(tripped)),
                None => Ok(self.advance(health, now)),
            },
            (State::Tripped(_), Input::Look) => Ok(None),
        }
    }

    fn set_weight(
        &mut self,
        to: Weight,
        over: Option<Duration>,
        force: Option<String>,
        health: &Health,
        now: Instant,
    ) -> Result<Option<Change>, Refused> {
        if !self.has_new && to > Weight::ZERO {
            return Err(Refused::NoNewSide(self.route.clone()));
        }
        let from = self.weight;
        let obstacle = Obstacle::to_raise(health);
        if let Some(obstacle) = obstacle.as_ref().filter(|_| to > from)
            && (force.is_none() || !obstacle.can_be_forced())
        {
            return Err(Refused::Frozen(obstacle.clone()));
        }
        let forced = match (&force, &obstacle) {
            (Some(why), Some(obstacle)) => format!(" forced over {obstacle}: {why}"),
            (Some(why), None) => format!(" forced: {why}"),
            (None, _) => String::new(),
        };
        match over {
            Some(over) if to != from => {
                let reason = format!("{from} -> {to} over {}s{forced}", over.as_secs_f64());
                self.state = State::Shifting(Shifting::new(from, to, over, force.is_some(), now));
                Ok(Some(Change::new(ChangeKind::ShiftStarted, reason)))
            }
            _ => {
                let was_shifting = matches!(self.state, State::Shifting(_));
                self.state = State::Steady;
                self.weight = to;
                let reason = format!("{from} -> {to} by the operator{forced}");
                Ok((to != from || was_shifting).then(|| Change::new(ChangeKind::Weight, reason)))
            }
        }
    }

    fn back(&mut self, reason: Option<String>) -> Result<Option<Change>, Refused> {
        if !self.has_new {
            return Err(Refused::NoNewSide(self.route.clone()));
        }
        let reason = reason.unwrap_or_else(|| "no reason given".to_owned());
        self.weight = Weight::ZERO;
        self.state = State::Tripped(Latch {
            cause: "operator".to_owned(),
            reason: reason.clone(),
        });
        Ok(Some(Change::new(ChangeKind::RouteBack, reason)))
    }

    fn trip(&mut self, health: &Health) -> Option<Change> {
        let verdict = match &health.trip {
            Some(verdict) if self.weight > Weight::ZERO || self.target() > Weight::ZERO => verdict,
            _ => {
                self.is_withholding = false;
                return None;
            }
        };
        if health.old_is_unreachable {
            if std::mem::replace(&mut self.is_withholding, true) {
                return None;
            }
            let reason = format!("{verdict}, but the old master does not answer either");
            return Some(Change::new(ChangeKind::TripWithheld, reason));
        }
        self.is_withholding = false;
        self.weight = Weight::ZERO;
        self.state = State::Tripped(Latch {
            cause: verdict.rule.name().to_owned(),
            reason: verdict.to_string(),
        });
        Some(Change {
            kind: ChangeKind::Trip,
            reason: verdict.to_string(),
            evidence: Some(verdict.clone()),
        })
    }

    fn advance(&mut self, health: &Health, now: Instant) -> Option<Change> {
        let State::Shifting(shift) = &mut self.state else {
            return None;
        };
        // A trip that is still here has been withheld. It cannot be forced, no more than when the shift began.
        let obstacle = Obstacle::to_raise(health)
            .filter(|obstacle| shift.raises() && (!shift.forced || !obstacle.can_be_forced()));
        if obstacle.is_some() != shift.paused {
            // The time up to now belongs to the state it was in.
            let _ = shift.advance(now);
            shift.paused = obstacle.is_some();
            return Some(match obstacle {
                Some(obstacle) => {
                    Change::new(ChangeKind::ShiftPaused, format!("at {}: {obstacle}", self.weight))
                }
                None => Change::new(ChangeKind::ShiftResumed, format!("at {}", self.weight)),
            });
        }
        let weight = shift.advance(now)?;
        let (to, is_done) = (shift.to, shift.is_done());
        let from = std::mem::replace(&mut self.weight, weight);
        if is_done {
            self.state = State::Steady;
            return Some(Change::new(ChangeKind::ShiftDone, format!("{from} -> {to}")));
        }
        (weight != from).then(|| {
            Change::new(
                ChangeKind::ShiftStep,
                format!("{from} -> {weight} on the way to {to}"),
            )
        })
    }
}

#[cfg(test)]
#[path = "controller_tests.rs"]
mod tests;
