//! How many replicas does a side's master usually have?
//!
//! Pure: as stated, or learnt once: from the first report in which all replicas of the side are attached and healthy. One that
//! never gets there must not keep it open for ever: after a while what is attached is taken for usual.

use std::time::{Duration, Instant};

/// How long after the first replica was healthy the others are waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What has been learnt.
#[derive(Debug, Default)]
pub(super) struct Usual {
    learnt: Option<usize>,
    first_healthy: Option<Instant>,
}

impl Usual {
    /// A master has `attached` replicas, and `healthy` of the `known` ones of its side are.
    pub(super) fn report(&mut self, at: Instant, attached: usize, healthy: usize, known: usize) {
        if self.learnt.is_some() || healthy == 0 {
            return;
        }
        let first = *self.first_healthy.get_or_insert(at);
        let is_full = healthy == known && attached == known;
        if is_full || at.saturating_duration_since(first) >= PATIENCE {
            self.learnt = Some(attached);
        }
    }

    /// The number, and where it is from; `None` until it is known.
    pub(super) fn number(&self, stated: Option<usize>) -> Option<(usize, &'static str)> {
        stated
            .map(|number| (number, "stated"))
            .or(self.learnt.map(|number| (number, "learnt")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_full_health_is_usual_and_what_comes_later_is_not() {
        let start = Instant::now();
        let mut usual = Usual::default();
        usual.report(start, 2, 1, 2);
        assert_eq!(usual.number(None), None);
        assert_eq!(usual.number(Some(7)), Some((7, "stated")));
        usual.report(start, 3, 2, 2);
        assert_eq!(usual.number(None), None, "one more is attached than is known");
        usual.report(start, 2, 2, 2);
        usual.report(start, 5, 5, 5);
        assert_eq!(usual.number(None), Some((2, "learnt")));
    }

    #[test]
    fn a_replica_that_never_gets_well_does_not_keep_it_open_for_ever() {
        let start = Instant::now();
        let mut usual = Usual::default();
        usual.report(start, 3, 2, 3);
        usual.report(start + PATIENCE - Duration::from_millis(1), 3, 2, 3);
        assert_eq!(usual.number(None), None);
        usual.report(start + PATIENCE, 3, 2, 3);
        assert_eq!(usual.number(None), Some((3, "learnt")));
    }
}
