//! What becomes of a route's weight, given what an operator asks and what the guard says?
//!
//! Pure: inputs and `now` in, a change or a refusal out. Only bad evidence or an operator moves traffic back, only an
//! operator moves it forth, and after a route back only `ARM` makes that possible again.

use std::time::{Duration, Instant};

use humantime::format_duration;

use super::ramp::{self, Ramp, RampInput, RampOutput};
use super::shifting::Shifting;
use super::state::State;
use super::{
    Change, ChangeKind, Health, Input, Latch, Now, Obstacle, Progress, RampOrder, Refused, Standing,
};
use crate::config::RampConfig;
use crate::routing::Weight;

/// One route's state machine.
#[derive(Clone, Debug)]
pub struct Controller {
    route: String,
    has_new: bool,
    config: RampConfig,
    weight: Weight,
    state: State,
    is_withholding: bool,
}

impl Controller {
    /// A controller that goes on where an earlier one stood. A latched route starts at weight 0, whatever is said.
    pub fn new(route: &str, has_new: bool, config: RampConfig, left: Standing, now: Instant) -> Self {
        let weight = match has_new && left.latch.is_none() {
            true => left.weight,
            false => Weight::ZERO,
        };
        let state = match State::left(left, now) {
            State::Shifting(_) | State::Ramping(_) if !has_new => State::Steady,
            state => state,
        };
        Self {
            route: route.to_owned(),
            has_new,
            config,
            weight,
            state,
            is_withholding: false,
        }
    }

    /// Other steps, another hold or another window from now on. A ramp under way goes on with what is above its weight.
    pub fn reconfigure(&mut self, config: RampConfig) {
        self.config = config;
    }

    /// What another controller needs to go on from here.
    pub fn standing(&self) -> Standing {
        Standing {
            weight: self.weight,
            latch: self.latch().cloned(),
            plan: self.state.plan(),
        }
    }

    /// The weight to be in force.
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// The weight an operator has asked for, which a shift or a ramp may still be on its way to.
    pub fn target(&self) -> Weight {
        self.state.target(self.weight, &self.config)
    }

    /// The configured ramp's next step above the weight; `None`: there is none, or no `new`.
    pub fn next_step(&self) -> Option<Weight> {
        ramp::next(&self.config, self.weight).filter(|_| self.has_new)
    }

    /// The latch, when there is one.
    pub fn latch(&self) -> Option<&Latch> {
        self.state.latch()
    }

    /// The word in `STATUS`.
    pub fn state_name(&self) -> &'static str {
        self.state.name()
    }

    /// How far a shift or a ramp has got.
    pub fn progress(&self, now: Now) -> Option<Progress> {
        self.state.progress(self.weight, &self.config, now)
    }

    /// How long a raise under way takes from here if nothing stands in its way. `None`: there is none.
    pub fn raise_left(&self, now: Instant) -> Option<Duration> {
        self.state.raise_left(self.weight, &self.config, now)
    }

    /// What was under way before a restart and waits for evidence, or for an operator; to be told.
    pub fn taken_up(&self) -> Option<Change> {
        match &self.state {
            State::Steady | State::Tripped(_) => None,
            State::Shifting(shift) => {
                let reason = format!("at {}: {}", self.weight, shift.paused.as_ref()?);
                Some(Change::new(ChangeKind::ShiftPaused, reason))
            }
            State::Ramping(ramp) => {
                let by_operator = ramp.is_paused_by_operator();
                let reason = format!("{}: {}", ramp::place(&self.config, self.weight), ramp.paused()?);
                Some(Change::new(ChangeKind::RampPaused { by_operator }, reason))
            }
        }
    }

    /// The state could not be saved: what is in force is what was saved last, unless traffic has gone back meanwhile. A
    /// raise under way ends; where a ramp was that ends so is returned.
    pub fn fall_back_to(&mut self, saved: Weight) -> Option<String> {
        let ended = self.ramp_ends(&"the state not being on disk");
        if self.state.raises() || saved < self.weight {
            self.weight = saved.min(self.weight);
            self.state = State::Steady;
        }
        ended
    }

    /// Decides. `Ok(None)`: nothing changes, and what was asked is so already.
    ///
    /// # Errors
    /// An operator's command that is refused; nothing has changed.
    pub fn handle(&mut self, input: Input, health: &Health, now: Now) -> Result<Option<Change>, Refused> {
        match (&mut self.state, input) {
            (
                State::Steady | State::Shifting(_) | State::Ramping(_),
                Input::SetWeight { weight, over, force },
            ) => self.set_weight(weight, over, force, health, now),
            (State::Tripped(latch), Input::SetWeight { weight, .. }) if weight > Weight::ZERO => {
                Err(Refused::tripped(latch, &self.route))
            }
            (State::Tripped(latch), Input::Ramp(RampOrder::Start)) => {
                Err(Refused::tripped(latch, &self.route))
            }
            (State::Tripped(_), Input::SetWeight { .. } | Input::Back { .. }) => Ok(None),
            (State::Steady | State::Shifting(_) | State::Ramping(_), Input::Back { reason }) => {
                self.back(reason)
            }
            // Also where nothing is latched: `OK` says that a raise has nothing to fear from the rules that trip.
            (State::Steady | State::Shifting(_) | State::Ramping(_) | State::Tripped(_), Input::Arm)
                if let Some(verdict) = &health.trip =>
            {
                Err(Refused::Frozen(Obstacle::Rule(verdict.clone())))
            }
            (State::Steady | State::Shifting(_) | State::Ramping(_), Input::Arm) => Ok(None),
            (State::Tripped(latch), Input::Arm) => {
                let reason = format!("armed by the operator after {}: {}", latch.cause, latch.reason);
                self.state = State::Steady;
                Ok(Some(Change::new(ChangeKind::Armed, reason)))
            }
            (State::Steady | State::Shifting(_), Input::Ramp(RampOrder::Start)) => {
                self.start_ramp(health, now)
            }
            (State::Ramping(_), Input::Ramp(RampOrder::Start)) => Err(Refused::Ramping(self.route.clone())),
            (State::Ramping(_), Input::Ramp(RampOrder::Pause)) => Ok(self.ramp(RampInput::Pause, now)),
            (State::Ramping(_), Input::Ramp(RampOrder::Resume)) => {
                let obstacle = self.obstacle(health, now);
                Ok(self.ramp(RampInput::Resume(obstacle), now))
            }
            (State::Ramping(_), Input::Ramp(RampOrder::Abort)) => Ok(self.abort_ramp()),
            (
                State::Steady | State::Shifting(_) | State::Tripped(_),
                Input::Ramp(RampOrder::Pause | RampOrder::Resume | RampOrder::Abort),
            ) => Err(Refused::NoRamp(self.route.clone())),
            (State::Steady, Input::Look) => Ok(self.trip(health)),
            (State::Shifting(_), Input::Look) => match self.trip(health) {
                Some(tripped) => Ok(Some(tripped)),
                None => Ok(self.advance(health, now)),
            },
            // A trip that has to be withheld breaks the hold all the same: the ramp has to see it, however short it is.
            (State::Ramping(_), Input::Look) if health.old_is_unreachable => {
                match self.look_at_ramp(health, now) {
                    Some(change) => Ok(Some(change)),
                    None => Ok(self.trip(health)),
                }
            }
            (State::Ramping(_), Input::Look) => match self.trip(health) {
                Some(tripped) => Ok(Some(tripped)),
                None => Ok(self.look_at_ramp(health, now)),
            },
            (State::Tripped(_), Input::Look) => Ok(None),
        }
    }

    /// What stands in the way of a raise from the present weight.
    fn obstacle(&self, health: &Health, now: Now) -> Option<Obstacle> {
        Obstacle::to_raise(health, self.config.window.as_ref(), now.time_of_day)
    }

    fn set_weight(
        &mut self,
        to: Weight,
        over: Option<Duration>,
        force: Option<String>,
        health: &Health,
        now: Now,
    ) -> Result<Option<Change>, Refused> {
        if !self.has_new && to > Weight::ZERO {
            return Err(Refused::NoNewSide(self.route.clone()));
        }
        let from = self.weight;
        let obstacle = self.obstacle(health, now).filter(|_| to > from);
        if let Some(obstacle) = &obstacle
            && (force.is_none() || !obstacle.can_be_forced())
        {
            return Err(Refused::Frozen(obstacle.clone()));
        }
        let forced = match (&force, &obstacle) {
            (Some(why), Some(obstacle)) => format!(" forced over {obstacle}: {why}"),
            (Some(why), None) => format!(" forced: {why}"),
            (None, _) => String::new(),
        };
        let ended = self.ramp_ends(&format_args!("WEIGHT {to} by the operator"));
        match over {
            Some(over) if to != from => {
                let reason = format!("{from} -> {to} over {}s{forced}", over.as_secs_f64());
                self.state = State::Shifting(Shifting::new(from, to, over, force.is_some(), now.instant));
                Ok(Some(Change::new(ChangeKind::ShiftStarted, reason).ending(ended)))
            }
            _ => {
                let was_under_way = !matches!(self.state, State::Steady);
                self.state = State::Steady;
                self.weight = to;
                let reason = format!("{from} -> {to} by the operator{forced}");
                let change = Change::new(ChangeKind::Weight, reason).ending(ended);
                Ok((to != from || was_under_way).then_some(change))
            }
        }
    }

    fn back(&mut self, reason: Option<String>) -> Result<Option<Change>, Refused> {
        if !self.has_new {
            return Err(Refused::NoNewSide(self.route.clone()));
        }
        let reason = reason.unwrap_or_else(|| "no reason given".to_owned());
        let ended = self.ramp_ends(&format_args!("BACK by the operator: {reason}"));
        self.weight = Weight::ZERO;
        self.state = State::Tripped(Latch {
            cause: "operator".to_owned(),
            reason: reason.clone(),
        });
        Ok(Some(Change::new(ChangeKind::RouteBack, reason).ending(ended)))
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
        let ended = self.ramp_ends(&format_args!("a trip: {verdict}"));
        self.weight = Weight::ZERO;
        self.state = State::Tripped(Latch {
            cause: verdict.rule.name().to_owned(),
            reason: verdict.to_string(),
        });
        Some(Change {
            evidence: Some(verdict.clone()),
            ..Change::new(ChangeKind::Trip, verdict.to_string()).ending(ended)
        })
    }

    fn advance(&mut self, health: &Health, now: Now) -> Option<Change> {
        let obstacle = self.obstacle(health, now);
        let State::Shifting(shift) = &mut self.state else {
            return None;
        };
        // A trip that is still here has been withheld. It cannot be forced, no more than when the shift began.
        let obstacle =
            obstacle.filter(|obstacle| shift.raises() && (!shift.forced || !obstacle.can_be_forced()));
        if obstacle.is_some() != shift.paused.is_some() {
            // The time up to now belongs to the state it was in.
            let _ = shift.advance(now.instant);
            let change = match &obstacle {
                Some(obstacle) => {
                    Change::new(ChangeKind::ShiftPaused, format!("at {}: {obstacle}", self.weight))
                }
                None => Change::new(ChangeKind::ShiftResumed, format!("at {}", self.weight)),
            };
            shift.paused = obstacle;
            return Some(change);
        }
        shift.paused = obstacle;
        let weight = shift.advance(now.instant)?;
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

    fn start_ramp(&mut self, health: &Health, now: Now) -> Result<Option<Change>, Refused> {
        if !self.has_new {
            return Err(Refused::NoNewSide(self.route.clone()));
        }
        let (route, weight) = (self.route.clone(), self.weight);
        let Some(first) = ramp::next(&self.config, weight) else {
            return Err(Refused::NoStepLeft { route, weight });
        };
        if let Some(obstacle) = self.obstacle(health, now) {
            return Err(Refused::Frozen(obstacle));
        }
        self.state = State::Ramping(Ramp::new(now.instant));
        let hold = format_duration(self.config.hold);
        let reason = format!(
            "by the operator: {weight} -> {}, {first} first, {hold} before each step",
            self.target()
        );
        Ok(Some(Change::new(ChangeKind::RampStarted, reason)))
    }

    fn abort_ramp(&mut self) -> Option<Change> {
        let reason = format!(
            "{}: by the operator; the weight stays",
            ramp::place(&self.config, self.weight)
        );
        self.state = State::Steady;
        Some(Change::new(ChangeKind::RampAborted, reason))
    }

    fn look_at_ramp(&mut self, health: &Health, now: Now) -> Option<Change> {
        let obstacle = self.obstacle(health, now);
        self.ramp(RampInput::Look(obstacle), now)
    }

    /// Has the ramp under way decide, and carries it out.
    fn ramp(&mut self, input: RampInput, now: Now) -> Option<Change> {
        let State::Ramping(ramp) = &mut self.state else {
            return None;
        };
        let output = ramp.handle(input, self.weight, &self.config, now.instant)?;
        let change = Change::of_ramp(&output, self.weight, &self.config);
        match output {
            RampOutput::Step(to) => self.weight = to,
            RampOutput::Done => self.state = State::Steady,
            RampOutput::Blocked(_) | RampOutput::Cleared | RampOutput::Paused | RampOutput::Resumed(_) => {}
        }
        Some(change)
    }

    /// A ramp under way is about to end by something else than itself: where it is, and by what.
    fn ramp_ends(&self, by: &dyn std::fmt::Display) -> Option<String> {
        let is_ramping = matches!(self.state, State::Ramping(_));
        is_ramping.then(|| format!("{}: by {by}", ramp::place(&self.config, self.weight)))
    }
}

#[cfg(test)]
#[path = "controller_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "ramping_tests.rs"]
mod ramping_tests;
