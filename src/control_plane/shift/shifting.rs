//! Which weight is due at this moment of a shift that takes a while?
//!
//! Pure: time is an argument. A paused shift does not catch up: when it goes on, it goes on from where it stood.

use std::time::{Duration, Instant};

use super::{Obstacle, TimeOfDay, Window};
use crate::routing::Weight;

/// Least time between two weights of one shift: each is a published change with an epoch and a write to disk.
const STEP: Duration = Duration::from_millis(250);
/// Most time that counts between two looks. The loop looks every 50 ms: a longer gap is a stall of this process, in
/// which nobody watched the guard, and what it missed must not be made up for by a leap.
const GAP_MAX: Duration = Duration::from_secs(1);

/// A shift under way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shifting {
    from: Weight,
    pub(super) to: Weight,
    over: Duration,
    /// How much of `over` has passed, pauses left out.
    passed: Duration,
    looked_at: Instant,
    last_step: Instant,
    /// What it waits for to be gone.
    pub(super) paused: Option<Obstacle>,
    /// An operator has said that freezing rules do not hold it back.
    pub(super) forced: bool,
}

impl Shifting {
    pub(super) fn new(from: Weight, to: Weight, over: Duration, forced: bool, now: Instant) -> Self {
        Self {
            from,
            to,
            over,
            passed: Duration::ZERO,
            looked_at: now,
            last_step: now,
            paused: None,
            forced,
        }
    }

    /// What is left of a shift after a restart.
    pub(super) fn left(from: Weight, to: Weight, left: Duration, now: Instant) -> Self {
        Self {
            paused: Some(Obstacle::Restart),
            ..Self::new(from, to, left, false, now)
        }
    }

    pub(super) fn time_left(&self) -> Duration {
        self.over.saturating_sub(self.passed)
    }

    /// The same, hours in which the window is shut included. `None` while a rule stands in the way.
    pub(super) fn time_to_end(&self, window: Option<&Window>, time: TimeOfDay) -> Option<Duration> {
        match &self.paused {
            None | Some(Obstacle::Window { .. }) => {}
            Some(Obstacle::Rule(_) | Obstacle::Preflight(_) | Obstacle::Restart) => return None,
        }
        let window = window.filter(|_| self.raises() && !self.forced);
        let left = self.time_left();
        Some(window.map_or(left, |window| window.time_to_run(left, time)))
    }

    pub(super) fn raises(&self) -> bool {
        self.to > self.from
    }

    /// Lets time pass; a weight when one is due.
    pub(super) fn advance(&mut self, now: Instant) -> Option<Weight> {
        if self.paused.is_none() {
            self.passed += now.saturating_duration_since(self.looked_at).min(GAP_MAX);
        }
        self.looked_at = now;
        let is_due = self.passed >= self.over || now.saturating_duration_since(self.last_step) >= STEP;
        if self.paused.is_some() || !is_due {
            return None;
        }
        self.last_step = now;
        Some(self.due())
    }

    pub(super) fn is_done(&self) -> bool {
        self.passed >= self.over
    }

    fn due(&self) -> Weight {
        if self.is_done() {
            return self.to;
        }
        let share = self.passed.as_secs_f64() / self.over.as_secs_f64();
        let (from, to) = (f64::from(self.from.steps()), f64::from(self.to.steps()));
        let steps = from + (to - from) * share;
        // Between two valid weights, so this is one; `to` only if rounding were to fail us.
        Weight::from_steps(steps.round() as u16).unwrap_or(self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(steps: u16) -> Weight {
        Weight::from_steps(steps).unwrap()
    }

    /// Looks every quarter of a second, from `start` to `end`; the last weight that was due.
    fn pass(shift: &mut Shifting, start: Instant, from: u32, to: u32) -> Option<Weight> {
        let at = |quarters| start + Duration::from_millis(250) * quarters;
        let looks = from * 4 + 1..=to * 4;
        looks.fold(None, |due, quarters| shift.advance(at(quarters)).or(due))
    }

    #[test]
    fn the_weight_moves_evenly_and_ends_exactly_at_the_target() {
        let start = Instant::now();
        let mut shift = Shifting::new(weight(0), weight(5_000), Duration::from_secs(10), false, start);
        assert_eq!(shift.advance(start + Duration::from_millis(100)), None);
        assert_eq!(pass(&mut shift, start, 0, 5), Some(weight(2_500)));
        assert!(!shift.is_done());
        assert_eq!(pass(&mut shift, start, 5, 11), Some(weight(5_000)));
        assert!(shift.is_done());
    }

    #[test]
    fn it_may_go_down_as_well() {
        let start = Instant::now();
        let mut shift = Shifting::new(weight(5_000), weight(1_000), Duration::from_secs(4), false, start);
        assert!(!shift.raises());
        assert_eq!(shift.advance(start + Duration::from_secs(1)), Some(weight(4_000)));
    }

    #[test]
    fn a_pause_is_not_caught_up_with() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut shift = Shifting::new(weight(0), weight(1_000), Duration::from_secs(10), false, start);
        assert_eq!(pass(&mut shift, start, 0, 2), Some(weight(200)));
        shift.paused = Some(Obstacle::Restart);
        assert_eq!(shift.advance(at(60)), None);
        shift.paused = None;
        assert_eq!(shift.advance(at(61)), Some(weight(300)));
    }

    #[test]
    fn a_process_that_was_stopped_does_not_leap_to_where_it_would_have_been() {
        let start = Instant::now();
        let mut shift = Shifting::new(weight(0), weight(10_000), Duration::from_secs(600), false, start);
        let due = shift.advance(start + Duration::from_secs(599)).unwrap();
        assert!(due <= weight(17), "a second's worth: {due}");
    }
}
