//! What came of one publisher's messages on one channel to one subscription?
//!
//! Pure. Numbers that were passed over are holes until they come after all; what is left of them in the end is missing.

use std::ops::Range;

/// What was received, in which order.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    /// The highest number received; 0 before the first.
    highest: u32,
    /// Numbers below `highest` that have not come, in order.
    holes: Vec<Range<u32>>,
    /// Numbers that came after a higher one.
    overtaken: Vec<u32>,
    /// Numbers that came again, once for each time.
    repeated: Vec<u32>,
}

impl Line {
    /// Notes a message. Numbers begin at 1.
    pub(super) fn take(&mut self, number: u32) {
        if number > self.highest {
            if number > self.highest + 1 {
                self.holes.push(self.highest + 1..number);
            }
            self.highest = number;
        } else if self.fill(number) {
            self.overtaken.push(number);
        } else {
            self.repeated.push(number);
        }
    }

    /// Whether `number` was missing so far.
    fn fill(&mut self, number: u32) -> bool {
        let Some(index) = self.holes.iter().position(|hole| hole.contains(&number)) else {
            return false;
        };
        let hole = self.holes.remove(index);
        let parts = [hole.start..number, number + 1..hole.end];
        let left = parts.into_iter().filter(|part| !part.is_empty());
        self.holes.splice(index..index, left);
        true
    }

    /// Numbers up to `last`, the last one published, that have not come.
    pub(super) fn missing(&self, last: u32) -> impl Iterator<Item = u32> {
        let behind = self.highest + 1..last.max(self.highest) + 1;
        self.holes.iter().cloned().flatten().chain(behind)
    }

    /// Numbers that were passed over so far; they may still come.
    pub(super) fn passed_over(&self) -> impl Iterator<Item = u32> {
        self.missing(self.highest)
    }

    /// Numbers that came after a higher one.
    pub(super) fn overtaken(&self) -> &[u32] {
        &self.overtaken
    }

    /// Numbers that came again.
    pub(super) fn repeated(&self) -> &[u32] {
        &self.repeated
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn line(numbers: &[u32]) -> Line {
        let mut line = Line::default();
        numbers.iter().for_each(|number| line.take(*number));
        line
    }

    fn missing(numbers: &[u32], last: u32) -> Vec<u32> {
        line(numbers).missing(last).collect()
    }

    #[test]
    fn what_comes_in_order_leaves_nothing_to_say() {
        let line = line(&[1, 2, 3, 4]);
        assert_eq!(line.missing(4).count(), 0);
        assert!(line.overtaken().is_empty() && line.repeated().is_empty());
    }

    #[test]
    fn what_does_not_come_is_missing_at_the_start_in_between_and_at_the_end() {
        assert_eq!(missing(&[3, 4, 7], 9), [1, 2, 5, 6, 8, 9]);
        assert_eq!(missing(&[], 2), [1, 2]);
        assert!(missing(&[], 0).is_empty());
        assert_eq!(line(&[3, 4, 7]).passed_over().collect::<Vec<_>>(), [1, 2, 5, 6]);
    }

    #[test]
    fn what_comes_after_a_later_one_is_overtaken_and_not_missing() {
        let line = line(&[1, 5, 3, 2, 4]);
        assert_eq!(line.overtaken(), [3, 2, 4]);
        assert_eq!(line.missing(5).count(), 0);
        assert!(line.repeated().is_empty());
    }

    #[test]
    fn what_comes_again_is_repeated_each_time() {
        let line = line(&[1, 2, 2, 3, 1, 2]);
        assert_eq!(line.repeated(), [2, 1, 2]);
        assert!(line.overtaken().is_empty());
    }

    #[test]
    fn what_was_overtaken_and_comes_again_is_both() {
        let line = line(&[2, 1, 1]);
        assert_eq!((line.overtaken(), line.repeated()), (&[1][..], &[1][..]));
    }

    proptest! {
        #[test]
        fn it_is_as_if_everything_were_remembered(numbers in proptest::collection::vec(1_u32..40, 0..80), last in 0_u32..50) {
            let (mut seen, mut overtaken, mut repeated) = (HashSet::new(), Vec::new(), Vec::new());
            for number in &numbers {
                let is_behind = seen.iter().any(|one| one > number);
                if !seen.insert(*number) {
                    repeated.push(*number);
                } else if is_behind {
                    overtaken.push(*number);
                }
            }
            let end = last.max(seen.iter().copied().max().unwrap_or(0));
            let missing: Vec<u32> = (1..=end).filter(|number| !seen.contains(number)).collect();
            let line = line(&numbers);
            prop_assert_eq!(line.missing(last).collect::<Vec<_>>(), missing);
            prop_assert_eq!((line.overtaken(), line.repeated()), (&overtaken[..], &repeated[..]));
        }
    }
}
