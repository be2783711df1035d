//! How far do the rounds of a figure lie apart?
//!
//! Pure.

/// Of several rounds: the median, the least and the most. Not numbers where there was none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
        Self {
            // Of an even number, what lies between the two in the middle.
            median: f64::midpoint(at(figures.len().saturating_sub(1) / 2), at(figures.len() / 2)),
            least: at(0),
            most: at(figures.len().saturating_sub(1)),
        }
    }
}
