//! How often may one place speak?
//!
//! Pure: times in, yes or no out, and a count of the noes. A place may say a few lines at once, so that what happens
//! once is told whole, and after that one a second: a fault that repeats must not fill the disk, nor hide the others.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Instant;

use crate::limits::{LOG_BURST, LOG_INTERVAL, LOG_PLACES_MAX};

/// What was left out at one place since it was last told.
#[derive(Debug, PartialEq)]
pub(super) struct LeftOut<P> {
    pub(super) place: P,
    pub(super) count: u64,
    /// The last of it.
    pub(super) last: String,
}

#[derive(Debug)]
struct Spoken {
    /// When everything it has said would have been said at one line an interval.
    due: Instant,
    left_out: u64,
    last: String,
}

/// All places that have spoken lately.
#[derive(Debug)]
pub(super) struct Pace<P> {
    places: HashMap<P, Spoken>,
}

impl<P: Clone + Eq + Hash> Pace<P> {
    pub(super) fn new() -> Self {
        Self {
            places: HashMap::new(),
        }
    }

    /// Whether `place` may say a line now. `line` is asked for only if it may not. With too many places, `of_many` stands for
    /// those there is no room for.
    pub(super) fn allows(
        &mut self,
        place: P,
        of_many: P,
        line: impl FnOnce() -> String,
        now: Instant,
    ) -> bool {
        if !self.places.contains_key(&place) && self.places.len() >= LOG_PLACES_MAX {
            self.places
                .retain(|_, spoken| spoken.due > now || spoken.left_out > 0);
        }
        let has_room = self.places.len() < LOG_PLACES_MAX || self.places.contains_key(&place);
        let place = if has_room { place } else { of_many };
        let spoken = self.places.entry(place).or_insert_with(|| Spoken {
            due: now,
            left_out: 0,
            last: String::new(),
        });
        let due = spoken.due.max(now);
        if due.duration_since(now) > LOG_INTERVAL * (LOG_BURST - 1) {
            spoken.left_out += 1;
            spoken.last = line();
            return false;
        }
        spoken.due = due + LOG_INTERVAL;
        true
    }

    /// What was left out, and is told with this.
    pub(super) fn take_left_out(&mut self) -> Vec<LeftOut<P>> {
        let silent = self.places.iter_mut().filter(|(_, spoken)| spoken.left_out > 0);
        silent
            .map(|(place, spoken)| LeftOut {
                place: place.clone(),
                count: std::mem::take(&mut spoken.left_out),
                last: std::mem::take(&mut spoken.last),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// How long a place has to be silent to be able to speak as often as at first.
    const FULL_AFTER: Duration = Duration::from_secs(LOG_INTERVAL.as_secs() * LOG_BURST as u64);

    fn allowed(pace: &mut Pace<u32>, place: u32, times: usize, now: Instant) -> usize {
        (0..times)
            .filter(|number| pace.allows(place, u32::MAX, || format!("line {number}"), now))
            .count()
    }

    #[test]
    fn a_place_says_a_few_lines_at_once_and_then_one_an_interval() {
        let (mut pace, start) = (Pace::new(), Instant::now());
        assert_eq!(allowed(&mut pace, 1, 1_000, start), LOG_BURST as usize);
        assert_eq!(allowed(&mut pace, 1, 1_000, start + LOG_INTERVAL / 2), 0);
        for interval in 1..=5 {
            assert_eq!(allowed(&mut pace, 1, 1_000, start + LOG_INTERVAL * interval), 1);
        }
        let rested = start + LOG_INTERVAL * 5 + FULL_AFTER;
        assert_eq!(allowed(&mut pace, 1, 1_000, rested), LOG_BURST as usize);
    }

    #[test]
    fn what_one_place_says_takes_nothing_from_another() {
        let (mut pace, start) = (Pace::new(), Instant::now());
        allowed(&mut pace, 1, 1_000, start);
        assert_eq!(allowed(&mut pace, 2, 3, start), 3);
    }

    #[test]
    fn what_was_left_out_is_told_once_with_its_count_and_the_last_of_it() {
        let (mut pace, start) = (Pace::new(), Instant::now());
        allowed(&mut pace, 1, 100, start);
        allowed(&mut pace, 2, 1, start);
        let told = LeftOut {
            place: 1,
            count: 100 - u64::from(LOG_BURST),
            last: "line 99".to_owned(),
        };
        assert_eq!(pace.take_left_out(), [told]);
        assert_eq!(pace.take_left_out(), []);
    }

    #[test]
    fn places_beyond_the_bound_share_one_and_those_at_rest_make_room() {
        let (mut pace, start) = (Pace::new(), Instant::now());
        let most = LOG_PLACES_MAX as u32;
        for place in 0..most {
            assert_eq!(allowed(&mut pace, place, 1, start), 1);
        }
        for place in most..most + LOG_BURST {
            assert_eq!(allowed(&mut pace, place, 1, start), 1);
        }
        assert_eq!(allowed(&mut pace, most + LOG_BURST, 1, start), 0);
        assert!(pace.places.len() <= LOG_PLACES_MAX + 1);
        let later = start + FULL_AFTER;
        assert_eq!(allowed(&mut pace, most + LOG_BURST, 1, later), 1);
        assert!(pace.places.len() <= 2);
    }
}
