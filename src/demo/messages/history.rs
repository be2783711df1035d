//! When did what happen to messages?
//!
//! Pure: sums of a tenth of a second each, and the first and last moment of harm.

use std::fmt;
use std::time::Duration;

/// Microseconds of one moment.
const MOMENT_MICROS: u64 = 100_000;
/// An hour; what comes later is counted into the last moment.
const MOMENTS_MAX: usize = 36_000;

/// A tenth of a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Messages whose PUBLISH was sent, and then acknowledged.
    pub published: u64,
    /// Messages whose PUBLISH was sent, and then not acknowledged.
    pub failed: u64,
    /// Deliveries that came.
    pub delivered: u64,
    /// Those of them that came late.
    pub late: u64,
    /// Deliveries that never came of what was published.
    pub lost: u64,
    /// Those of them that no gap covers.
    pub lost_silently: u64,
    /// The longest a delivery took that came.
    pub slowest: Duration,
    /// The first harm in it, as [`History::harm`] has it.
    pub harm: Option<Duration>,
}

/// Moments since the messages began.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct History {
    moments: Vec<Moment>,
    /// In microseconds, likewise.
    first_harm: Option<u64>,
    last_harm: Option<u64>,
}

/// In short: a ledger is printed whole where something is wrong with it, and a minute has 600 moments.
impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("History");
        text.field("moments", &self.moments.len());
        text.field("harm", &self.harm()).finish()
    }
}

impl History {
    /// How long a moment is.
    pub const MOMENT: Duration = Duration::from_micros(MOMENT_MICROS);

    /// In order, from the beginning.
    pub fn moments(&self) -> &[Moment] {
        &self.moments
    }

    /// The first and the last time, since the messages began, that a message was not there within 900 ms of when it was due,
    /// or was published and lost.
    pub fn harm(&self) -> Option<(Duration, Duration)> {
        let (first, last) = self.first_harm.zip(self.last_harm)?;
        Some((Duration::from_micros(first), Duration::from_micros(last)))
    }

    /// The first of them at or after a time, but for one in the same moment as another before it.
    pub fn harm_since(&self, from: Duration) -> Option<Duration> {
        let harms = self.moments.iter().filter_map(|moment| moment.harm);
        harms.into_iter().find(|harm| *harm >= from)
    }

    pub(super) fn at(&mut self, micros: u64) -> &mut Moment {
        let index = usize::try_from(micros / MOMENT_MICROS).unwrap_or(usize::MAX);
        let index = index.min(MOMENTS_MAX - 1);
        if index >= self.moments.len() {
            self.moments.resize(index + 1, Moment::default());
        }
        &mut self.moments[index]
    }

    pub(super) fn harmed(&mut self, micros: u64) {
        let harm = Duration::from_micros(micros);
        let moment = self.at(micros);
        moment.harm = Some(moment.harm.map_or(harm, |first| first.min(harm)));
        self.first_harm = Some(self.first_harm.map_or(micros, |first| first.min(micros)));
        self.last_harm = Some(self.last_harm.map_or(micros, |last| last.max(micros)));
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (index, more) in other.moments.iter().enumerate() {
            let moment = self.at(index as u64 * MOMENT_MICROS);
            moment.published += more.published;
            moment.failed += more.failed;
            moment.delivered += more.delivered;
            moment.late += more.late;
            moment.lost += more.lost;
            moment.lost_silently += more.lost_silently;
            moment.slowest = moment.slowest.max(more.slowest);
            moment.harm = moment.harm.into_iter().chain(more.harm).min();
        }
        for micros in [other.first_harm, other.last_harm].into_iter().flatten() {
            self.harmed(micros);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_summed_up_and_harm_spans_from_the_first_to_the_last() {
        let (mut one, mut other) = (History::default(), History::default());
        assert_eq!(one.harm(), None);
        one.at(50_000).delivered += 1;
        one.harmed(700_000);
        other.at(99_999).delivered += 2;
        other.at(250_000).slowest = Duration::from_secs(1);
        other.harmed(400_000);
        one.add(&other);
        let delivered: Vec<u64> = one.moments().iter().map(|moment| moment.delivered).collect();
        assert_eq!(delivered[..3], [3, 0, 0]);
        assert_eq!(one.moments()[2].slowest, Duration::from_secs(1));
        let millis = Duration::from_millis;
        assert_eq!(one.harm(), Some((millis(400), millis(700))));
        assert_eq!(one.harm_since(millis(0)), Some(millis(400)));
        assert_eq!(one.harm_since(millis(500)), Some(millis(700)));
        assert_eq!(one.harm_since(millis(800)), None);
    }

    #[test]
    fn what_comes_after_the_last_moment_is_counted_into_it() {
        let mut history = History::default();
        history.at(u64::MAX).lost += 1;
        assert_eq!(history.moments().len(), MOMENTS_MAX);
        assert_eq!(history.moments()[MOMENTS_MAX - 1].lost, 1);
    }
}
