//! Does a ramp take its steps as it says, one after the other and never without a hold?

use super::*;
use crate::control_plane::shift::TimeOfDay;

const SECOND: Duration = Duration::from_secs(1);

fn weight(percent: u16) -> Weight {
    Weight::from_steps(percent * 100).unwrap()
}

/// Steps of 10, 50 and 100 %, a hold of ten seconds.
fn config(window: Option<&str>) -> RampConfig {
    RampConfig {
        steps: [10, 50, 100].map(weight).to_vec(),
        hold: 10 * SECOND,
        window: window.map(|text| text.parse().unwrap()),
    }
}

/// A ramp that is looked at once a second, and does what it says.
struct Looked {
    ramp: Ramp,
    config: RampConfig,
    weight: Weight,
    now: Instant,
}

impl Looked {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            ramp: Ramp::new(now),
            config: config(None),
            weight: Weight::ZERO,
            now,
        }
    }

    fn say(&mut self, input: RampInput) -> Option<RampOutput> {
        let output = self.ramp.handle(input, self.weight, &self.config, self.now);
        if let Some(RampOutput::Step(to)) = output {
            self.weight = to;
        }
        output
    }

    /// The outputs of so many seconds in which nothing stands in the way.
    fn pass(&mut self, seconds: u32) -> Vec<RampOutput> {
        let look = |_| {
            self.now += SECOND;
            self.say(RampInput::Look(None))
        };
        (0..seconds).filter_map(look).collect()
    }
}

fn obstacle() -> Obstacle {
    Obstacle::Window {
        window: "20:00-06:00".parse().unwrap(),
        time: at("12:00:00"),
    }
}

fn at(time: &str) -> TimeOfDay {
    TimeOfDay::of(format!("2026-01-01T{time}Z").parse().unwrap())
}

#[test]
fn every_step_is_taken_in_turn_each_after_a_whole_hold() {
    let mut ramp = Looked::new();
    assert_eq!(ramp.pass(9), []);
    assert_eq!(ramp.pass(1), [RampOutput::Step(weight(10))]);
    assert_eq!(ramp.pass(9), []);
    assert_eq!(ramp.pass(1), [RampOutput::Step(weight(50))]);
    assert_eq!(ramp.pass(10), [RampOutput::Step(weight(100))]);
    assert_eq!(ramp.pass(1), [RampOutput::Done]);
}

#[test]
fn what_interrupts_a_hold_makes_it_begin_anew() {
    let mut ramp = Looked::new();
    assert_eq!(ramp.pass(9), []);
    let blocked = RampInput::Look(Some(obstacle()));
    assert_eq!(ramp.say(blocked.clone()), Some(RampOutput::Blocked(obstacle())));
    assert_eq!(ramp.say(blocked), None, "told once");
    assert!(ramp.ramp.paused().unwrap().starts_with("rule=window"));
    assert_eq!(ramp.pass(10), [RampOutput::Cleared]);
    assert_eq!(ramp.pass(1), [RampOutput::Step(weight(10))]);
    assert_eq!(ramp.pass(9), []);
    assert_eq!(ramp.say(RampInput::Pause), Some(RampOutput::Paused));
    assert_eq!(ramp.say(RampInput::Pause), None);
    assert_eq!(ramp.pass(100), []);
    assert_eq!(ramp.say(RampInput::Resume(None)), Some(RampOutput::Resumed(None)));
    assert_eq!(ramp.say(RampInput::Resume(None)), None);
    assert_eq!(ramp.pass(9), []);
    assert_eq!(ramp.pass(1), [RampOutput::Step(weight(50))]);
}

#[test]
fn seconds_in_which_nobody_looked_are_no_evidence() {
    let mut ramp = Looked::new();
    assert_eq!(ramp.pass(9), []);
    ramp.now += 60 * SECOND;
    assert_eq!(ramp.say(RampInput::Look(None)), None);
    assert_eq!(ramp.pass(9), []);
    assert_eq!(ramp.pass(1), [RampOutput::Step(weight(10))]);
}

#[test]
fn an_operators_pause_is_stronger_than_what_comes_and_goes_by_itself() {
    let mut ramp = Looked::new();
    ramp.say(RampInput::Look(Some(obstacle())));
    assert_eq!(ramp.say(RampInput::Pause), Some(RampOutput::Paused));
    assert_eq!(ramp.pass(100), []);
    assert_eq!(ramp.ramp.paused().as_deref(), Some("by the operator"));
    let resume = RampInput::Resume(Some(obstacle()));
    assert_eq!(ramp.say(resume), Some(RampOutput::Resumed(Some(obstacle()))));
    assert!(
        ramp.ramp.paused().unwrap().starts_with("rule=window"),
        "it has to wait all the same"
    );
    assert_eq!(ramp.pass(10), [RampOutput::Cleared]);
    assert_eq!(ramp.pass(1), [RampOutput::Step(weight(10))]);
}

#[test]
fn another_configuration_counts_from_the_next_look_on() {
    let mut ramp = Looked::new();
    ramp.pass(10);
    ramp.config.steps = [5, 20, 30].map(weight).to_vec();
    assert_eq!(next(&ramp.config, ramp.weight), Some(weight(20)));
    assert_eq!(ramp.pass(10), [RampOutput::Step(weight(20))]);
    ramp.config.steps = [5, 10].map(weight).to_vec();
    ramp.say(RampInput::Pause);
    assert_eq!(ramp.pass(1), [RampOutput::Done], "nothing is left to do");
}

#[test]
fn the_end_is_as_far_away_as_the_holds_that_are_left() {
    let mut ramp = Looked::new();
    ramp.pass(4);
    let now = |ramp: &Looked, time: &str| Now {
        instant: ramp.now,
        time_of_day: at(time),
    };
    let end = |ramp: &Looked, time: &str| {
        let now = now(ramp, time);
        ramp.ramp.time_to_end(&ramp.config, ramp.weight, now)
    };
    assert_eq!(end(&ramp, "12:00:00"), Some(26 * SECOND));
    ramp.config = config(Some("12:00-13:00"));
    assert_eq!(end(&ramp, "12:30:00"), Some(26 * SECOND));
    let day = 24 * 60 * 60 * SECOND;
    // Six seconds and ten fit before 13:00, the last ten do not.
    let until_noon = day - 59 * 60 * SECOND - 40 * SECOND;
    assert_eq!(end(&ramp, "12:59:40"), Some(until_noon + 10 * SECOND));
    ramp.say(RampInput::Look(Some(obstacle())));
    assert_eq!(end(&ramp, "11:59:00"), Some(90 * SECOND));
    ramp.say(RampInput::Pause);
    assert_eq!(end(&ramp, "12:30:00"), None);
    let left = ramp.ramp.time_left(&ramp.config, ramp.weight, ramp.now);
    assert_eq!(left, 30 * SECOND, "if it were resumed now");
}
