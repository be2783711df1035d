//! Is a rate rising, and how far will it have risen by a time to come?
//!
//! Pure: a straight line through a window of readings, carried on. It must be rising in the later half too: a step (a
//! client that was started, a batch) is no rise that goes on. Nothing is said before a whole window has been seen, since
//! over a few seconds noise looks like a rise: at 10 % of noise a line over 5 min is off by 4 % in ten minutes, one over
//! 30 s by 126 %.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::line::Line;

/// Readings kept of one window.
const KEPT: u32 = 256;

/// Readings of one rate, oldest first.
#[derive(Debug, Default)]
pub(super) struct Trend {
    readings: VecDeque<(Instant, f64)>,
}

impl Trend {
    /// Takes a reading in, unless the last one is too young.
    pub(super) fn push(&mut self, at: Instant, rate: f64, window: Duration) {
        let age = |of: &(Instant, f64)| at.saturating_duration_since(of.0);
        if self.readings.back().is_some_and(|last| age(last) < window / KEPT) {
            return;
        }
        self.readings.push_back((at, rate));
        while self.readings.get(1).is_some_and(|second| age(second) >= window) {
            self.readings.pop_front();
        }
    }

    /// How long it has been watched, up to a window.
    pub(super) fn span(&self) -> Duration {
        match (self.readings.front(), self.readings.back()) {
            (Some((first, _)), Some((last, _))) => last.saturating_duration_since(*first),
            _ => Duration::ZERO,
        }
    }

    /// Growth until `ahead` from the last reading, as a share of the rate then; 0 where it does not rise, where it is below
    /// `floor`, and before a whole window has been seen.
    pub(super) fn growth(&self, ahead: Duration, floor: f64, window: Duration) -> f64 {
        if self.span() < window {
            return 0.0;
        }
        let half = self.readings.len() / 2;
        let lines = (
            Line::fit(self.readings.iter().copied()),
            Line::fit(self.readings.range(half..).copied()),
        );
        match lines {
            (Some(whole), Some(later)) if whole.last >= floor && whole.last > 0.0 => {
                let slope = whole.slope.min(later.slope).max(0.0);
                slope * ahead.as_secs_f64() / whole.last
            }
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(300);
    const AHEAD: Duration = Duration::from_secs(600);

    fn growth(rate: impl Fn(f64) -> f64) -> f64 {
        let start = Instant::now();
        let mut trend = Trend::default();
        for second in 0..=400 {
            trend.push(start + Duration::from_secs(second), rate(second as f64), WINDOW);
        }
        assert!(trend.readings.len() <= KEPT as usize + 2);
        trend.growth(AHEAD, 50.0, WINDOW)
    }

    #[test]
    fn a_steady_rise_is_carried_on_to_the_horizon() {
        let doubling_in_an_hour = growth(|second| 1_000.0 * (1.0 + second / 3_600.0));
        assert!((doubling_in_an_hour - 0.15).abs() < 0.01, "{doubling_in_an_hour}");
        assert_eq!(growth(|_| 1_000.0), 0.0);
        assert_eq!(growth(|second| 1_000.0 - second), 0.0);
    }

    #[test]
    fn a_step_is_no_rise_once_it_is_older_than_half_a_window_and_small_change_is_none() {
        assert_eq!(growth(|second| if second < 200.0 { 100.0 } else { 900.0 }), 0.0);
        assert_eq!(growth(|second| second / 10.0), 0.0, "below the floor");
    }

    #[test]
    fn noise_is_no_rise() {
        for seed in 0..20 {
            let random = std::cell::RefCell::new(fastrand::Rng::with_seed(seed));
            let noisy = growth(|_| 1_000.0 * (0.85 + 0.3 * random.borrow_mut().f64()));
            assert!(noisy < 0.15, "seed {seed}: {noisy}");
        }
    }

    #[test]
    fn nothing_is_said_before_a_whole_window() {
        let start = Instant::now();
        let mut trend = Trend::default();
        for second in 0..=300 {
            assert_eq!(trend.growth(AHEAD, 50.0, WINDOW), 0.0);
            trend.push(start + Duration::from_secs(second), 100.0 + second as f64, WINDOW);
        }
        // Thinned: the last reading that was taken may be a step old.
        trend.push(start + Duration::from_secs(302), 402.0, WINDOW);
        assert!(trend.growth(AHEAD, 50.0, WINDOW) > 1.0);
    }
}
