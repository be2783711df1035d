//! How long did messages take?
//!
//! Pure: counts by magnitude. Kept instead of the delays themselves, of which there are a million in a minute.

use std::time::Duration;

/// Buckets a power of two: a percentile is right to 3 %.
const STEPS: u64 = 32;
const STEPS_BITS: u32 = STEPS.ilog2();
/// 2^40 µs are twelve days.
const BUCKETS: usize = ((40 - STEPS_BITS as usize) + 2) * STEPS as usize;

/// Delays, counted.
#[derive(Clone, Debug)]
pub(super) struct Delays {
    counts: Vec<u64>,
    total: u64,
    longest_micros: u64,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
            longest_micros: 0,
        }
    }
}

impl Delays {
    /// Counts one.
    pub(super) fn add_micros(&mut self, micros: u64) {
        if let Some(count) = self.counts.get_mut(bucket(micros)) {
            *count += 1;
        }
        self.total += 1;
        self.longest_micros = self.longest_micros.max(micros);
    }

    /// Counts another's.
    pub(super) fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.longest_micros = self.longest_micros.max(other.longest_micros);
    }

    /// A delay that this many of 10,000 do not exceed; zero where there are none.
    pub(super) fn of_ten_thousand(&self, share: u64) -> Duration {
        let wanted = (self.total * share).div_ceil(10_000).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_micros(upper_end(index).min(self.longest_micros));
            }
        }
        Duration::from_micros(self.longest_micros)
    }

    /// The longest.
    pub(super) fn longest(&self) -> Duration {
        Duration::from_micros(self.longest_micros)
    }
}

/// Values below [`STEPS`] have a bucket each; above, the highest bits say which.
fn bucket(micros: u64) -> usize {
    let exponent = (micros | 1).ilog2().max(STEPS_BITS) - STEPS_BITS;
    let index = u64::from(exponent) * STEPS + (micros >> exponent);
    (index as usize).min(BUCKETS - 1)
}

/// The largest value of a bucket.
fn upper_end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * STEPS {
        return bucket;
    }
    let exponent = bucket / STEPS - 1;
    (((bucket % STEPS) + STEPS + 1) << exponent) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn percentiles_are_of_what_was_counted() {
        let mut delays = Delays::default();
        for millis in 1..=1_000 {
            delays.add_micros(millis * 1_000);
        }
        let near = |share, millis: f64| {
            let found = delays.of_ten_thousand(share).as_secs_f64() * 1e3;
            assert!((millis..millis * 1.04).contains(&found), "{share}: {found}");
        };
        near(5_000, 500.0);
        near(9_900, 990.0);
        assert_eq!(delays.of_ten_thousand(10_000), Duration::from_secs(1));
        assert_eq!(delays.longest(), Duration::from_secs(1));
        assert_eq!(Delays::default().of_ten_thousand(5_000), Duration::ZERO);
    }

    #[test]
    fn sums_are_as_if_counted_together() {
        let (mut one, mut other) = (Delays::default(), Delays::default());
        one.add_micros(5);
        other.add_micros(70_000);
        one.add(&other);
        assert_eq!(one.of_ten_thousand(5_000), Duration::from_micros(5));
        assert_eq!(one.longest(), Duration::from_millis(70));
    }

    proptest! {
        #[test]
        fn a_value_lies_in_its_bucket_and_buckets_follow_each_other(micros in 0..1_u64 << 39) {
            let index = bucket(micros);
            prop_assert!(upper_end(index) >= micros);
            prop_assert!(index == 0 || upper_end(index - 1) < micros);
            prop_assert!(upper_end(index) <= micros + micros / (STEPS - 1) + 1);
        }
    }
}
