//! At what time of day may a weight rise?
//!
//! Pure: the time of day is an argument. UTC, whose days all have the same length: an hour that summer time leaves out or
//! has twice would make a window that never opens, or opens twice.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

/// Seconds of a day.
const DAY: u32 = 24 * 60 * 60;

/// A time of day, UTC, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u32);

impl TimeOfDay {
    /// The time of day of a moment.
    pub fn of(moment: Timestamp) -> Self {
        // In 0..DAY, so the cast is exact.
        Self(moment.as_second().rem_euclid(i64::from(DAY)) as u32)
    }

    /// From a text such as `20:00`, to the minute.
    fn from_text(text: &str) -> Option<Self> {
        let (hours, minutes) = text.split_once(':')?;
        let number = |digits: &str, below: u32| {
            let is_plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            let number: u32 = digits.parse().ok()?;
            (is_plain && number < below).then_some(number)
        };
        Some(Self(number(hours, 24)? * 3_600 + number(minutes, 60)? * 60))
    }

    /// The time of day after `time` has passed.
    pub fn after(self, time: Duration) -> Self {
        let seconds = (u64::from(self.0) + time.as_secs()) % u64::from(DAY);
        Self(seconds as u32)
    }

    /// How long it takes to be `later`; zero when it is that.
    fn until(self, later: Self) -> Duration {
        Duration::from_secs(u64::from((later.0 + DAY - self.0) % DAY))
    }
}

impl fmt::Display for TimeOfDay {
    /// `20:00`, with seconds where there are some.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes, seconds) = (self.0 / 3_600, self.0 / 60 % 60, self.0 % 60);
        write!(f, "{hours:02}:{minutes:02}")?;
        match seconds {
            0 => Ok(()),
            _ => write!(f, ":{seconds:02}"),
        }
    }
}

/// The hours of every day in which a weight may rise. May cross midnight. Opens with its first second, and is shut with
/// its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    opens: TimeOfDay,
    shuts: TimeOfDay,
}

impl Window {
    /// Whether a weight may rise now.
    pub fn is_open(&self, now: TimeOfDay) -> bool {
        match self.opens < self.shuts {
            true => self.opens <= now && now < self.shuts,
            false => self.opens <= now || now < self.shuts,
        }
    }

    /// How long it is open each day.
    pub fn length(&self) -> Duration {
        self.opens.until(self.shuts)
    }

    /// When a wait that begins now and lasts `hold` is over: as long as the window is open for the whole of it and still
    /// open at its end; otherwise it begins anew when the window opens. Only true for a `hold` shorter than
    /// [`Self::length`].
    pub fn time_to_pass(&self, hold: Duration, whole: Duration, now: TimeOfDay) -> Duration {
        let is_enough = self.is_open(now) && hold < now.until(self.shuts);
        match is_enough {
            true => hold,
            false => now.until(self.opens) + whole,
        }
    }
}

impl Window {
    /// How long it takes until it has been open for `left`, from now on.
    pub fn time_to_run(&self, mut left: Duration, mut now: TimeOfDay) -> Duration {
        let mut passed = Duration::ZERO;
        if !self.is_open(now) {
            passed = now.until(self.opens);
            now = self.opens;
        }
        // Open for a minute a day at least.
        while left > now.until(self.shuts) {
            left -= now.until(self.shuts);
            passed += Duration::from_secs(u64::from(DAY)) - self.opens.until(now);
            now = self.opens;
        }
        passed + left
    }
}

/// A text that is no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a window is two different times of day, UTC, such as \"20:00-06:00\"")]
pub struct ParseWindowError;

impl FromStr for Window {
    type Err = ParseWindowError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let times = text.split_once('-');
        let both = times.and_then(|(opens, shuts)| {
            Some(Self {
                opens: TimeOfDay::from_text(opens)?,
                shuts: TimeOfDay::from_text(shuts)?,
            })
        });
        // From a time to itself would be always or never, and nobody could tell which.
        both.filter(|window| window.opens != window.shuts)
            .ok_or(ParseWindowError)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.opens, self.shuts)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(text: &str) -> Window {
        text.parse().unwrap()
    }

    fn at(text: &str) -> TimeOfDay {
        TimeOfDay::from_text(text).unwrap()
    }

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(minutes * 60)
    }

    #[test]
    fn a_window_may_cross_midnight_and_is_shut_with_its_last_second() {
        let night = window("20:00-06:00");
        let last = TimeOfDay(at("06:00").0 - 1);
        assert!(night.is_open(at("20:00")) && night.is_open(at("00:00")) && night.is_open(last));
        assert!(!night.is_open(at("06:00")) && !night.is_open(at("19:59")));
        let day = window("06:00-20:00");
        assert!(day.is_open(at("06:00")) && !day.is_open(at("20:00")) && !day.is_open(at("00:00")));
        assert_eq!((night.length(), day.length()), (minutes(600), minutes(840)));
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for bad in [
            "",
            "20:00",
            "20:00-20:00",
            "24:00-06:00",
            "20:60-06:00",
            "8:00-9:00",
            "20:00 - 06:00",
            "20-06",
            "+1:00-06:00",
            "20:00-06:00-07:00",
            "20:00:00-06:00:00",
            "١٢:00-06:00",
        ] {
            assert_eq!(bad.parse::<Window>(), Err(ParseWindowError), "{bad}");
        }
    }

    #[test]
    fn a_hold_that_does_not_fit_any_more_is_passed_the_next_day() {
        let night = window("20:00-06:00");
        let hold = minutes(30);
        let left = minutes(10);
        assert_eq!(night.time_to_pass(left, hold, at("05:49")), left);
        assert_eq!(
            night.time_to_pass(left, hold, at("05:50")),
            minutes(14 * 60 + 10) + hold
        );
        assert_eq!(night.time_to_pass(left, hold, at("19:00")), minutes(60) + hold);
    }

    #[test]
    fn what_does_not_fit_into_one_day_takes_several() {
        let night = window("20:00-06:00");
        assert_eq!(night.time_to_run(minutes(60), at("05:00")), minutes(60));
        let another_day = minutes(60 + 14 * 60 + 1);
        assert_eq!(night.time_to_run(minutes(61), at("05:00")), another_day);
        assert_eq!(night.time_to_run(minutes(1), at("19:00")), minutes(61));
        let two_nights = minutes(60 + 14 * 60 + 10 * 60 + 14 * 60 + 1);
        assert_eq!(night.time_to_run(minutes(60 + 600 + 1), at("05:00")), two_nights);
    }

    #[test]
    fn a_moment_has_its_time_of_day_before_and_after_1970() {
        let text = |moment: &str| TimeOfDay::of(moment.parse().unwrap()).to_string();
        assert_eq!(text("2026-01-02T03:04:05Z"), "03:04:05");
        assert_eq!(text("1969-12-31T23:59:00Z"), "23:59");
        assert_eq!(at("23:59").after(minutes(2)), at("00:01"));
    }

    proptest! {
        #[test]
        fn every_window_reads_back_and_is_open_for_its_length(opens in 0u32..1_440, shuts in 0u32..1_440) {
            prop_assume!(opens != shuts);
            let made = Window { opens: TimeOfDay(opens * 60), shuts: TimeOfDay(shuts * 60) };
            prop_assert_eq!(made.to_string().parse(), Ok(made));
            let open = (0..DAY / 60).filter(|minute| made.is_open(TimeOfDay(minute * 60))).count();
            prop_assert_eq!(minutes(open as u64), made.length());
        }

        #[test]
        fn no_text_makes_a_window_panic(text in any::<String>(), near in "[0-9]{0,3}:[0-9]{0,3}-[0-9:-]{0,6}") {
            let _ = (text.parse::<Window>(), near.parse::<Window>());
        }
    }
}
