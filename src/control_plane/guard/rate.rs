//! How fast does a counter grow?
//!
//! Pure: its readings over a window, thinned so that any window takes the same room. A counter that falls began again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Readings kept of one window.
const KEPT: u32 = 16;

/// One counter.
#[derive(Clone, Debug, Default)]
pub(super) struct Rate {
    /// Oldest first; the last is replaced until it is a step away from the one before.
    readings: VecDeque<(Instant, u64)>,
}

impl Rate {
    /// The counter stood at `count`.
    pub(super) fn push(&mut self, at: Instant, count: u64, window: Duration) {
        if self.readings.back().is_some_and(|(_, last)| count < *last) {
            self.readings.clear();
        }
        let age = |of: &(Instant, u64)| at.saturating_duration_since(of.0);
        let len = self.readings.len();
        if len >= 2 && age(&self.readings[len - 2]) < window / KEPT {
            self.readings.pop_back();
        }
        self.readings.push_back((at, count));
        // One is kept from before the window: it is where the window begins.
        while self.readings.get(1).is_some_and(|second| age(second) >= window) {
            self.readings.pop_front();
        }
    }

    /// What is known is of another counter, or was read by a clock that is distrusted.
    pub(super) fn clear(&mut self) {
        self.readings.clear();
    }

    /// Growth a second over the last window, and when it was read last; `None` until a window has been seen.
    pub(super) fn per_second(&self, window: Duration) -> Option<(f64, Instant)> {
        let ((began, first), (at, last)) = (self.readings.front()?, self.readings.back()?);
        let span = at.saturating_duration_since(*began);
        // Far below 2^53 in any window that is not years long.
        #[allow(clippy::cast_precision_loss)]
        let growth = (last - first) as f64;
        (span >= window && !span.is_zero()).then(|| (growth / span.as_secs_f64(), *at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WINDOW: Duration = Duration::from_secs(1);

    #[test]
    fn nothing_is_said_before_a_window_was_seen_or_after_the_counter_began_again() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut rate = Rate::default();
        rate.push(at(0), 100, WINDOW);
        rate.push(at(999), 200, WINDOW);
        assert_eq!(rate.per_second(WINDOW), None);
        rate.push(at(1_000), 200, WINDOW);
        assert_eq!(rate.per_second(WINDOW), Some((100.0, at(1_000))));
        rate.push(at(1_100), 5, WINDOW);
        assert_eq!(rate.per_second(WINDOW), None);
    }

    proptest! {
        #[test]
        fn a_steady_growth_is_measured_whatever_the_pauses(speed in 0_u64..1_000_000, pauses in proptest::collection::vec(1_u64..300, 1..400)) {
            let mut at = Instant::now();
            let start = at;
            let mut rate = Rate::default();
            for pause in pauses {
                at += Duration::from_millis(pause);
                let millis = u64::try_from((at - start).as_millis()).unwrap();
                rate.push(at, speed * millis, WINDOW);
                prop_assert!(rate.readings.len() <= KEPT as usize + 3);
            }
            if at - start >= Duration::from_secs(2) {
                let (measured, _) = rate.per_second(WINDOW).unwrap();
                prop_assert!((measured - speed as f64 * 1_000.0).abs() <= 1e-3 * measured.abs() + 1e-6);
            }
        }
    }
}
