//! Which slots has a side owned in a stretch of time?
//!
//! Pure: a bounded history of weights. A gap is only told for channels that could have been published on its side.

use std::collections::VecDeque;
use std::time::Instant;

use crate::cluster::Side;
use crate::limits::{OWNER_SLACK, WEIGHTS_KEPT};
use crate::routing::{Slot, Weight};

/// Weights and since when each has been in force, oldest first. Never empty.
#[derive(Debug)]
pub(super) struct Weights {
    entries: VecDeque<(Instant, Weight)>,
}

/// The lowest and the highest weight of a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extremes {
    lowest: Weight,
    highest: Weight,
}

impl Weights {
    pub(super) fn new(now: Instant, weight: Weight) -> Self {
        Self {
            entries: VecDeque::from([(now, weight)]),
        }
    }

    /// `weight` is in force from `now` on.
    pub(super) fn add(&mut self, now: Instant, weight: Weight) {
        if self.entries.back().is_some_and(|(_, last)| *last == weight) {
            return;
        }
        if self.entries.len() == WEIGHTS_KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back((now, weight));
    }

    /// The extremes from `from` until now. Publishes that were under way when slots left a side count as that side's.
    pub(super) fn since(&self, from: Instant) -> Extremes {
        let from = from.checked_sub(OWNER_SLACK).unwrap_or(from);
        let begin = self
            .entries
            .partition_point(|(since, _)| *since <= from)
            .saturating_sub(1);
        let weights = self.entries.range(begin..).map(|(_, weight)| *weight);
        Extremes {
            lowest: weights.clone().min().unwrap_or(Weight::ZERO),
            highest: weights.max().unwrap_or(Weight::FULL),
        }
    }
}

impl Extremes {
    /// A stretch with one weight.
    pub(super) fn of(weight: Weight) -> Self {
        Self {
            lowest: weight,
            highest: weight,
        }
    }

    /// Whether `side` owned `slot` at any time of it; without a slot (a pattern), whether it owned any.
    pub(super) fn owned(self, side: Side, slot: Option<Slot>) -> bool {
        match (side, slot) {
            (Side::Old, Some(slot)) => slot.rank() >= self.lowest.ranks(),
            (Side::New, Some(slot)) => slot.rank() < self.highest.ranks(),
            (Side::Old, None) => self.lowest != Weight::FULL,
            (Side::New, None) => self.highest != Weight::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_side_that_owned_nothing_all_along_is_not_suspected() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut weights = Weights::new(start, Weight::ZERO);
        let slot = Some(Slot::of(b"news"));
        assert!(!weights.since(at(5)).owned(Side::New, slot));
        assert!(!weights.since(at(5)).owned(Side::New, None));
        assert!(weights.since(at(5)).owned(Side::Old, slot));
        weights.add(at(10), Weight::FULL);
        weights.add(at(20), Weight::ZERO);
        assert!(weights.since(at(5)).owned(Side::New, slot));
        assert!(weights.since(at(15)).owned(Side::New, None));
        assert!(!weights.since(at(21)).owned(Side::New, slot));
    }

    #[test]
    fn what_was_under_way_when_a_slot_left_is_still_the_sides() {
        let start = Instant::now();
        let mut weights = Weights::new(start, Weight::FULL);
        let left = start + Duration::from_secs(1);
        weights.add(left, Weight::ZERO);
        assert!(weights.since(left + OWNER_SLACK / 2).owned(Side::New, None));
        assert!(!weights.since(left + OWNER_SLACK * 2).owned(Side::New, None));
    }
}
