//! Which weight is due at this moment of a shift that takes a while?
//!
//! Pure: time is an argument. A paused shift does not catch up: when it goes on, it goes on from where it stood.

use std::time::{Duration, Instant};

use crate::routing::Weight;

/// Least time between two weights of one shift: each is a published change with an epoch and a write to disk.
const STEP: Duration = Duration::from_millis(250);
/// Most time that counts between two looks. The loop looks every 50 ms: a longer gap is a stall of this process, in
/// which nobody watched the guard, and what it missed must not be made up for by a leap.
const GAP_MAX: Duration = Duration::from_secs(1);

/// A shift under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shifting {
    from: Weight,
    pub(super) to: Weight,
    over: Duration,
    /// How much of `over` has passed, pauses left out.
    passed: Duration,
    looked_at: Instant,
    last_step: Instant,
    pub(super) paused: bool,
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
            paused: false,
            forced,
        }
    }

    pub(super) fn raises(&self) -> bool {
        self.to > self.from
    }

    /// Lets time pass; a weight when one is due.
    pub(super) fn advance(&mut self, now: Instant) -> Option<Weight> {
        if !self.paused {
            self.passed += now.saturating_duration_since(self.looked_at).min(GAP_MAX);
        }
        self.looked_at = now;
        let is_due = self.passed >= self.over || now.saturating_duration_since(self.last_step) >= STEP;
        if self.paused || !is_due {
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
        shift.paused = true;
        assert_eq!(shift.advance(at(60)), None);
        shift.paused = false;
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
