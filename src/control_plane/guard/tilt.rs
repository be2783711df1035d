//! Were we stalled ourselves? Then what looked late was perhaps only read late.
//!
//! Pure. Sentinel's idea: a clock that jumped between two ticks means this process did not run (stopped, swapped out,
//! the host suspended), and every delay it measured over that gap is its own. From the stall's end on, time counts
//! from there; and for a while no delay turns a verdict bad.

use std::time::{Duration, Instant};

/// The guard's distrust in its own clock.
#[derive(Debug)]
pub(super) struct Tilt {
    after: Duration,
    lasts: Duration,
    ticked: Option<Instant>,
    /// When the last stall ended.
    floor: Option<Instant>,
    told: bool,
}

impl Tilt {
    /// Ticks further apart than `after` are a stall, distrusted for `lasts`.
    pub(super) fn new(after: Duration, lasts: Duration) -> Self {
        Self {
            after,
            lasts,
            ticked: None,
            floor: None,
            told: false,
        }
    }

    /// Other settings; a stall that has been noticed is not forgotten.
    pub(super) fn reconfigure(&mut self, after: Duration, lasts: Duration) {
        (self.after, self.lasts) = (after, lasts);
    }

    /// This process runs at `now`. Times that are older than the last are told late, not stalls.
    pub(super) fn tick(&mut self, now: Instant) {
        let stalled = self
            .ticked
            .is_some_and(|ticked| now.saturating_duration_since(ticked) > self.after);
        if stalled {
            self.floor = Some(now);
        }
        self.ticked = self.ticked.max(Some(now));
    }

    /// Whether delays are distrusted.
    pub(super) fn is_tilted(&self, now: Instant) -> bool {
        self.floor
            .is_some_and(|floor| now.saturating_duration_since(floor) < self.lasts)
    }

    /// Whether [`Self::is_tilted`] changed since this was last asked.
    pub(super) fn changed(&mut self, now: Instant) -> bool {
        let tilted = self.is_tilted(now);
        std::mem::replace(&mut self.told, tilted) != tilted
    }

    /// `time`, or the end of the last stall if that is later: no delay is measured from before it.
    pub(super) fn clip(&self, time: Instant) -> Instant {
        self.floor.map_or(time, |floor| floor.max(time))
    }

    /// Whether a delay measured from `time` on contains a stall.
    pub(super) fn spans_stall(&self, time: Instant) -> bool {
        self.floor.is_some_and(|floor| time < floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_millis(500);
    const LASTS: Duration = Duration::from_secs(2);

    #[test]
    fn a_gap_of_exactly_the_limit_is_no_stall_and_one_more_is() {
        let start = Instant::now();
        let mut tilt = Tilt::new(AFTER, LASTS);
        tilt.tick(start);
        tilt.tick(start + AFTER);
        assert!(!tilt.is_tilted(start + AFTER));
        let end = start + AFTER * 2 + Duration::from_millis(1);
        tilt.tick(end);
        assert!(tilt.is_tilted(end));
        assert!(tilt.changed(end) && !tilt.changed(end));
        assert!(tilt.is_tilted(end + LASTS - Duration::from_millis(1)));
        assert!(!tilt.is_tilted(end + LASTS));
        assert!(tilt.changed(end + LASTS));
    }

    #[test]
    fn no_delay_is_measured_from_before_the_end_of_a_stall() {
        let start = Instant::now();
        let mut tilt = Tilt::new(AFTER, LASTS);
        assert_eq!(tilt.clip(start), start);
        tilt.tick(start);
        let end = start + LASTS;
        tilt.tick(end);
        assert_eq!(tilt.clip(start), end);
        assert_eq!(tilt.clip(end + AFTER), end + AFTER);
        assert!(tilt.spans_stall(start) && !tilt.spans_stall(end));
    }

    #[test]
    fn an_observation_handled_late_is_no_stall() {
        let start = Instant::now();
        let mut tilt = Tilt::new(AFTER, LASTS);
        tilt.tick(start + AFTER);
        tilt.tick(start);
        tilt.tick(start + AFTER * 2);
        assert!(!tilt.is_tilted(start + AFTER * 2));
    }
}
