//! How often did something happen lately, beyond what was to be expected?
//!
//! Pure: events and credits in a window. A credit is an event that has a good reason (the first sync of a new replica, the
//! attaching of the others after a failover). It may come before or after its event: the master's counter and the
//! replica's restart are seen by different probes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Entries kept of each kind; at 100 ms a probe that is over a minute and a half. Beyond it the newest entry takes the count, so that
/// nothing is forgotten, only dated later.
const ENTRIES_MAX: usize = 1_024;
/// How long after an event its credit may come: a replica that is restarted is missed by its master at once, may be down for as
/// long as `link_down` allows, and is probed again within the longest redial wait and an interval.
const CREDIT_LATE_MAX: Duration = Duration::from_secs(20);

/// Events without a credit and credits without an event, newest last.
#[derive(Debug, Default)]
pub(super) struct Tally {
    events: VecDeque<(Instant, u64)>,
    credits: VecDeque<(Instant, u64)>,
}

impl Tally {
    /// `count` events were seen at `at`.
    pub(super) fn event(&mut self, at: Instant, mut count: u64) {
        while count > 0
            && let Some((_, credit)) = self.credits.front_mut()
        {
            let used = count.min(*credit);
            (*credit, count) = (*credit - used, count - used);
            if *credit == 0 {
                self.credits.pop_front();
            }
        }
        add(&mut self.events, at, count);
    }

    /// `count` events around `at` are no surprise.
    pub(super) fn credit(&mut self, at: Instant, mut count: u64) {
        while count > 0
            && let Some((seen, events)) = self.events.back_mut()
            && at.saturating_duration_since(*seen) <= CREDIT_LATE_MAX
        {
            let used = count.min(*events);
            (*events, count) = (*events - used, count - used);
            if *events == 0 {
                self.events.pop_back();
            }
        }
        add(&mut self.credits, at, count);
    }

    /// Nothing of what was counted holds any more.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Unexcused events of the last `window`, and when the last one was.
    pub(super) fn count(&mut self, window: Duration, now: Instant) -> (u64, Option<Instant>) {
        for entries in [&mut self.events, &mut self.credits] {
            while entries
                .front()
                .is_some_and(|(at, _)| now.saturating_duration_since(*at) >= window)
            {
                entries.pop_front();
            }
        }
        let sum = |sum: u64, (_, count): &(Instant, u64)| sum.saturating_add(*count);
        (
            self.events.iter().fold(0, sum),
            self.events.back().map(|(at, _)| *at),
        )
    }
}

fn add(entries: &mut VecDeque<(Instant, u64)>, at: Instant, count: u64) {
    if count == 0 {
        return;
    }
    if entries.len() >= ENTRIES_MAX
        && let Some(last) = entries.back_mut()
    {
        *last = (at, last.1.saturating_add(count));
        return;
    }
    entries.push_back((at, count));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WINDOW: Duration = Duration::from_secs(30);

    #[test]
    fn an_event_leaves_the_window_when_it_is_as_old_as_the_window() {
        let start = Instant::now();
        let mut tally = Tally::default();
        tally.event(start, 2);
        assert_eq!(
            tally.count(WINDOW, start + WINDOW - Duration::from_millis(1)).0,
            2
        );
        assert_eq!(tally.count(WINDOW, start + WINDOW), (0, None));
    }

    #[test]
    fn a_credit_excuses_an_event_before_or_after_it_and_no_more() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut tally = Tally::default();
        tally.event(start, 1);
        tally.credit(start + second, 2);
        assert_eq!(tally.count(WINDOW, start + second).0, 0);
        tally.event(start + second * 2, 2);
        assert_eq!(
            tally.count(WINDOW, start + second * 2),
            (1, Some(start + second * 2))
        );
    }

    #[test]
    fn an_excused_event_stays_excused_and_an_old_event_is_not_excused_any_more() {
        let start = Instant::now();
        let mut tally = Tally::default();
        tally.credit(start, 1);
        tally.event(start + WINDOW / 2, 1);
        assert_eq!(tally.count(WINDOW, start + WINDOW).0, 0);
        tally.event(start + WINDOW, 1);
        let too_late = start + WINDOW + CREDIT_LATE_MAX + Duration::from_millis(1);
        tally.credit(too_late, 1);
        assert_eq!(tally.count(WINDOW, too_late).0, 1);
    }

    proptest! {
        #[test]
        fn memory_is_bounded_and_nothing_in_the_window_is_forgotten(counts in proptest::collection::vec(1_u64..5, 0..3_000)) {
            let start = Instant::now();
            let mut tally = Tally::default();
            for count in &counts {
                tally.event(start, *count);
            }
            prop_assert!(tally.events.len() <= ENTRIES_MAX);
            prop_assert_eq!(tally.count(WINDOW, start).0, counts.iter().sum::<u64>());
        }
    }
}
