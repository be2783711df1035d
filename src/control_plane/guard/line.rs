//! Which straight line do some points lie on?
//!
//! Pure: least squares, with times from the last point on, so that the numbers stay small.

use std::time::Instant;

/// A straight line through points in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    /// Rise a second.
    pub(super) slope: f64,
    /// Where it stands at the last point.
    pub(super) last: f64,
}

impl Line {
    /// The line nearest to the points, oldest first; `None` for fewer than two times.
    pub(super) fn fit(points: impl DoubleEndedIterator<Item = (Instant, f64)> + Clone) -> Option<Self> {
        let (end, _) = points.clone().next_back()?;
        let (mut count, mut x_sum, mut y_sum) = (0.0, 0.0, 0.0);
        let points = points.map(|(at, y)| (-end.saturating_duration_since(at).as_secs_f64(), y));
        for (x, y) in points.clone() {
            (count, x_sum, y_sum) = (count + 1.0, x_sum + x, y_sum + y);
        }
        let (x_mean, y_mean) = (x_sum / count, y_sum / count);
        let (mut spread, mut common) = (0.0, 0.0);
        for (x, y) in points {
            spread += (x - x_mean) * (x - x_mean);
            common += (x - x_mean) * (y - y_mean);
        }
        let slope = (spread > 0.0).then(|| common / spread)?;
        Some(Self {
            slope,
            last: y_mean - slope * x_mean,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn a_line_needs_two_times() {
        let now = Instant::now();
        assert_eq!(Line::fit([].into_iter()), None);
        assert_eq!(Line::fit([(now, 1.0), (now, 2.0)].into_iter()), None);
    }

    proptest! {
        #[test]
        fn points_on_a_line_give_it_back(slope in -1e6_f64..1e6, offset in -1e9_f64..1e9, steps in proptest::collection::btree_set(0_u64..1_000, 2..50)) {
            let start = Instant::now();
            let end = *steps.last().unwrap() as f64;
            let points: Vec<_> = steps.iter().map(|step| (start + Duration::from_secs(*step), offset + slope * *step as f64)).collect();
            let line = Line::fit(points.into_iter()).unwrap();
            prop_assert!((line.slope - slope).abs() <= 1e-6 * (slope.abs() + offset.abs() + 1.0));
            prop_assert!((line.last - (offset + slope * end)).abs() <= 1e-5 * (offset.abs() + (slope * end).abs() + 1.0));
        }
    }
}
