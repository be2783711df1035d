//! How many seconds of the stream has a replica not seen yet?
//!
//! Pure: the master's offsets of the last minute. Not bytes divided by a rate: after a burst on an idle master that says
//! hours. The measure is how long ago the master is known to have had the first byte the replica lacks. It is a
//! lower bound, too small by at most one probe interval, so that nothing but a real lag can make it large: a master's
//! sample is dated when it was read, a replica's when it was asked for.

use std::collections::VecDeque;
use std::time::Instant;

/// Samples kept; at 100 ms a probe over 50 s. A replica further behind is this far behind "at least".
const SAMPLES_MAX: usize = 512;

/// The master's offsets, rising.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    samples: VecDeque<(Instant, u64)>,
}

impl Offsets {
    /// The master had written `offset` bytes at `at`, or earlier. An offset that falls is another stream.
    pub(super) fn push(&mut self, at: Instant, offset: u64) {
        match self.samples.back() {
            Some((_, last)) if offset == *last => return,
            Some((_, last)) if offset < *last => self.samples.clear(),
            _ => {}
        }
        if self.samples.len() >= SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back((at, offset));
    }

    /// Another master, another stream.
    pub(super) fn clear(&mut self) {
        self.samples.clear();
    }

    /// Seconds a replica that had `offset` at `asked`, or later, was behind. `None`: nothing is known of the master.
    pub(super) fn behind(&self, asked: Instant, offset: u64) -> Option<f64> {
        self.samples.back()?;
        let lacking = self.samples.partition_point(|(_, had)| *had <= offset);
        Some(
            self.samples
                .get(lacking)
                .map_or(0.0, |(at, _)| asked.saturating_duration_since(*at).as_secs_f64()),
        )
    }

    /// Bytes the master is known to be ahead of `offset`.
    pub(super) fn bytes_ahead(&self, offset: u64) -> Option<u64> {
        self.samples.back().map(|(_, had)| had.saturating_sub(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn a_replica_lags_by_the_age_of_the_first_byte_it_lacks() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut offsets = Offsets::default();
        assert_eq!(offsets.behind(at(0), 0), None);
        for step in 0..5 {
            offsets.push(at(250 * step), 100 * step);
        }
        assert_eq!(offsets.behind(at(1_100), 400), Some(0.0));
        assert_eq!(offsets.behind(at(1_100), 450), Some(0.0));
        assert_eq!(offsets.behind(at(1_100), 399), Some(0.1));
        assert_eq!(offsets.behind(at(1_100), 100), Some(0.6));
        assert_eq!(offsets.bytes_ahead(100), Some(300));
    }

    #[test]
    fn a_burst_on_an_idle_master_is_no_lag_while_it_is_young() {
        let start = Instant::now();
        let mut offsets = Offsets::default();
        offsets.push(start, 100);
        offsets.push(start + Duration::from_secs(60), 1_000_000);
        assert_eq!(offsets.behind(start + Duration::from_secs(60), 100), Some(0.0));
    }

    #[test]
    fn an_idle_master_lags_nobody_and_a_falling_offset_is_another_stream() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut offsets = Offsets::default();
        offsets.push(start, 100);
        offsets.push(start + second, 100);
        assert_eq!(offsets.behind(start + second * 9, 100), Some(0.0));
        offsets.push(start + second * 2, 10);
        assert_eq!(offsets.behind(start + second * 9, 50), Some(0.0));
    }

    proptest! {
        #[test]
        fn the_measure_never_exceeds_the_true_lag(
            rates in proptest::collection::vec(0_u64..1_000_000, 2..400), lag_steps in 0_usize..20,
        ) {
            // The stream grows by one rate a step of 250 ms, in one jump at its start; samples are taken every step.
            let start = Instant::now();
            let step = Duration::from_millis(250);
            let mut offsets = Offsets::default();
            let mut written = vec![0];
            for (index, rate) in rates.iter().enumerate() {
                written.push(written[index] + rate);
                offsets.push(start + step * u32::try_from(index).unwrap(), written[index + 1]);
            }
            let now = start + step * u32::try_from(rates.len() - 1).unwrap();
            let seen = written[(rates.len()).saturating_sub(lag_steps)];
            let measured = offsets.behind(now, seen).unwrap();
            prop_assert!(measured <= step.as_secs_f64() * lag_steps as f64 + 1e-9);
            prop_assert!(offsets.samples.len() <= SAMPLES_MAX);
        }
    }
}
