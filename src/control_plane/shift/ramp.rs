//! When does the next step of a ramp begin?
//!
//! Pure: what stands in the way, the weight and `now` in, a step or a pause out. A hold is evidence without a break that
//! both sides were well at the present weight: whatever interrupts it, it begins anew, and nothing is caught up with. So
//! a ramp never has to know how long it was paused, frozen or not running at all.

use std::time::{Duration, Instant};

use super::{Now, Obstacle};
use crate::config::RampConfig;
use crate::routing::Weight;

/// A longer pause between two looks is a stall of this process, in which nobody watched. The loop looks every 50 ms.
const GAP_MAX: Duration = Duration::from_secs(1);

/// A ramp under way. Its steps and its hold are the configuration's, which may change meanwhile.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ramp {
    state: State,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    /// All has been well since `since`.
    Holding { since: Instant, looked_at: Instant },
    /// Something stands in the way; when it is gone, a hold begins.
    Blocked(Obstacle),
    /// An operator has paused it.
    Paused,
}

/// What happens to a ramp.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum RampInput {
    /// Time has passed; what stands in the way of a raise now.
    Look(Option<Obstacle>),
    /// An operator wants it to stand still.
    Pause,
    /// An operator wants it to go on; what stands in the way of that now.
    Resume(Option<Obstacle>),
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum RampOutput {
    /// This weight is due, and nothing stands in its way.
    Step(Weight),
    /// No step is above the weight.
    Done,
    /// Something has come in the way.
    Blocked(Obstacle),
    /// Nothing does any more.
    Cleared,
    /// By the operator.
    Paused,
    /// By the operator; it may have to wait all the same.
    Resumed(Option<Obstacle>),
}

impl Ramp {
    /// A ramp that begins with a hold.
    pub(super) fn new(now: Instant) -> Self {
        let state = State::Holding {
            since: now,
            looked_at: now,
        };
        Self { state }
    }

    /// A ramp that goes on after a restart: with a hold, once there is evidence, or when the operator resumes it.
    pub(super) fn left(paused_by_operator: bool) -> Self {
        let state = match paused_by_operator {
            true => State::Paused,
            false => State::Blocked(Obstacle::Restart),
        };
        Self { state }
    }

    /// Decides. `weight` is the one in force.
    pub(super) fn handle(
        &mut self,
        input: RampInput,
        weight: Weight,
        config: &RampConfig,
        now: Instant,
    ) -> Option<RampOutput> {
        let holding = State::Holding {
            since: now,
            looked_at: now,
        };
        match (&mut self.state, input) {
            // After its last step, or because a reload took the steps that were left.
            (State::Holding { .. } | State::Blocked(_) | State::Paused, RampInput::Look(_))
                if next(config, weight).is_none() =>
            {
                Some(RampOutput::Done)
            }
            (State::Holding { since, looked_at }, RampInput::Look(None)) => {
                if now.saturating_duration_since(*looked_at) > GAP_MAX {
                    *since = now;
                }
                *looked_at = now;
                let due =
                    next(config, weight).filter(|_| now.saturating_duration_since(*since) >= config.hold)?;
                self.state = holding;
                Some(RampOutput::Step(due))
            }
            (State::Holding { .. }, RampInput::Look(Some(obstacle))) => {
                self.state = State::Blocked(obstacle.clone());
                Some(RampOutput::Blocked(obstacle))
            }
            (State::Blocked(_), RampInput::Look(None)) => {
                self.state = holding;
                Some(RampOutput::Cleared)
            }
            (State::Blocked(obstacle), RampInput::Look(Some(another))) => {
                *obstacle = another;
                None
            }
            (State::Holding { .. } | State::Blocked(_), RampInput::Pause) => {
                self.state = State::Paused;
                Some(RampOutput::Paused)
            }
            (State::Paused, RampInput::Resume(obstacle)) => {
                self.state = obstacle.clone().map_or(holding, State::Blocked);
                Some(RampOutput::Resumed(obstacle))
            }
            (State::Holding { .. } | State::Blocked(_), RampInput::Resume(_)) => None,
            (State::Paused, RampInput::Look(_) | RampInput::Pause) => None,
        }
    }

    /// Why it does not go on, in the words of `STATUS` and events.
    pub(super) fn paused(&self) -> Option<String> {
        match &self.state {
            State::Holding { .. } => None,
            State::Blocked(obstacle) => Some(obstacle.to_string()),
            State::Paused => Some("by the operator".to_owned()),
        }
    }

    pub(super) fn is_paused_by_operator(&self) -> bool {
        matches!(self.state, State::Paused)
    }

    /// How much of the present hold is left; all of it while something stands in the way.
    pub(super) fn hold_left(&self, config: &RampConfig, now: Instant) -> Duration {
        match &self.state {
            State::Holding { since, .. } => {
                let held = now.saturating_duration_since(*since);
                config.hold.saturating_sub(held)
            }
            State::Blocked(_) | State::Paused => config.hold,
        }
    }

    /// How long it takes from here to the last step if nothing stands in the way any more.
    pub(super) fn time_left(&self, config: &RampConfig, weight: Weight, now: Instant) -> Duration {
        let further = steps_above(config, weight).count().saturating_sub(1);
        // At most STEPS_MAX days, and so within a u32 and a Duration.
        self.hold_left(config, now) + config.hold * u32::try_from(further).unwrap_or(u32::MAX)
    }

    /// How long it is to the last step, nights and days in which the window is shut included. `None` while a rule or an
    /// operator stands in the way: nobody knows for how long.
    pub(super) fn time_to_end(&self, config: &RampConfig, weight: Weight, now: Now) -> Option<Duration> {
        match &self.state {
            State::Holding { .. } | State::Blocked(Obstacle::Window { .. }) => {}
            State::Blocked(Obstacle::Rule(_) | Obstacle::Preflight(_) | Obstacle::Restart)
            | State::Paused => return None,
        }
        let Some(window) = &config.window else {
            return Some(self.time_left(config, weight, now.instant));
        };
        let mut left = self.hold_left(config, now.instant);
        let mut passed = Duration::ZERO;
        for _ in steps_above(config, weight) {
            let at = now.time_of_day.after(passed);
            passed += window.time_to_pass(left, config.hold, at);
            left = config.hold;
        }
        Some(passed)
    }
}

/// The step a ramp takes next, from this weight.
pub(super) fn next(config: &RampConfig, weight: Weight) -> Option<Weight> {
    steps_above(config, weight).next()
}

/// How many steps are not above this weight.
pub(super) fn steps_taken(config: &RampConfig, weight: Weight) -> usize {
    config.steps.len() - steps_above(config, weight).count()
}

/// Where a ramp is, for events.
pub(super) fn place(config: &RampConfig, weight: Weight) -> String {
    format!("at {weight}, {}", step(config, weight))
}

/// Its step at this weight, for events.
pub(super) fn step(config: &RampConfig, weight: Weight) -> String {
    format!("step {} of {}", steps_taken(config, weight), config.steps.len())
}

fn steps_above(config: &RampConfig, weight: Weight) -> impl Iterator<Item = Weight> + '_ {
    config.steps.iter().copied().filter(move |step| *step > weight)
}

#[cfg(test)]
#[path = "ramp_tests.rs"]
mod tests;
