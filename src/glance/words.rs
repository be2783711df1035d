//! How is a number drawn or said in little room?
//!
//! Pure.

use std::time::Duration;

/// A text without what could move the cursor: node names and reasons come from elsewhere.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect()
}

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A column for each value, oldest first: full at `top` and above, a space where nothing is known.
pub(crate) fn sparkline(values: impl Iterator<Item = Option<f64>>, top: f64) -> String {
    let column = |value: Option<f64>| match value {
        None => ' ',
        Some(value) => {
            let share = if top > 0.0 {
                (value / top).clamp(0.0, 1.0)
            } else {
                0.0
            };
            let last = BARS.len() - 1;
            BARS.get((share * last as f64).round() as usize)
                .copied()
                .unwrap_or('█')
        }
    };
    values.map(column).collect()
}

/// A share of 100 as a bar of `width` columns, and a mark where it is going.
pub(crate) fn bar(percent: f64, target: f64, width: usize) -> String {
    let columns = |percent: f64| (percent.clamp(0.0, 100.0) / 100.0 * width as f64).round() as usize;
    // Something is not nothing, and not all is not all.
    let filled = match columns(percent) {
        0 if percent > 0.0 => 1,
        all if all == width && percent < 100.0 => width.saturating_sub(1),
        filled => filled,
    };
    let goes_on = (percent - target).abs() >= 0.005;
    let mark = columns(target).min(width.saturating_sub(1));
    let column = |at: usize| match at {
        at if goes_on && at == mark => '┃',
        at if at < filled => '█',
        _ => '░',
    };
    (0..width).map(column).collect()
}

/// As the proxy writes weights.
pub(crate) fn percent(percent: f64) -> String {
    format!("{percent:.2} %")
}

/// Seconds in the unit that needs the fewest digits.
pub(crate) fn delay(seconds: f64) -> String {
    match seconds {
        less if less < 0.0095 => format!("{:.1} ms", seconds * 1e3),
        less if less < 0.9995 => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{seconds:.1} s"),
    }
}

/// Bytes in the unit that needs the fewest digits.
pub(crate) fn bytes(bytes: u64) -> String {
    let units = ["B", "KB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1e3;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && value < 9.95);
    format!("{value:.decimals$} {}", units.get(unit).unwrap_or(&"B"))
}

/// Seconds as they would be written in the configuration.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds.ceil()).unwrap_or_default();
    humantime::format_duration(whole).to_string()
}

/// A rule's numbers: at most three decimals, and none where there are none.
pub(crate) fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The time of day of an RFC 3339 time.
pub(crate) fn time_of_day(time: &str) -> &str {
    time.split('T')
        .nth(1)
        .and_then(|time| time.get(..8))
        .unwrap_or(time)
}

/// An RFC 3339 time, to the minute.
pub(crate) fn minute(time: &str) -> String {
    match (time.get(..10), time.get(11..16)) {
        (Some(day), Some(minute)) => format!("{day} {minute} UTC"),
        _ => time.to_owned(),
    }
}

/// Lines of at most `width` columns, broken at spaces where there are some.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        if !line.is_empty() && line.chars().count() + 1 + word.len() > width {
            lines.push(std::mem::take(&mut line));
        }
        while word.len() > width.max(1) {
            let rest = word.split_off(width.max(1));
            lines.push(word.iter().collect());
            word = rest;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sparkline_is_full_at_the_limit_and_empty_where_nothing_is_known() {
        let values = [Some(0.0), Some(0.05), None, Some(0.1), Some(7.0)];
        assert_eq!(sparkline(values.into_iter(), 0.1), "▁▅ ██");
        assert_eq!(sparkline([Some(1.0)].into_iter(), 0.0), "▁");
    }

    #[test]
    fn a_bar_shows_where_it_is_and_where_it_goes() {
        assert_eq!(bar(25.0, 25.0, 8), "██░░░░░░");
        assert_eq!(bar(25.0, 100.0, 8), "██░░░░░┃");
        assert_eq!(bar(50.0, 0.0, 8), "┃███░░░░");
        assert_eq!(bar(0.01, 0.01, 8), "█░░░░░░░", "a little is not nothing");
        assert_eq!(bar(99.99, 99.99, 8), "███████░", "nearly all is not all");
        assert_eq!(bar(100.0, 100.0, 8), "████████");
        assert_eq!(bar(50.0, 100.0, 0), "");
    }

    #[test]
    fn numbers_are_said_in_few_digits() {
        let delays = [0.0, 0.0021, 0.042, 0.999_9, 12.34].map(delay);
        assert_eq!(delays, ["0.0 ms", "2.1 ms", "42 ms", "1.0 s", "12.3 s"]);
        let sizes = [0, 999, 1_000, 12_345, 999_499, 1_500_000, u64::MAX].map(bytes);
        assert_eq!(
            sizes,
            [
                "0 B",
                "999 B",
                "1.0 KB",
                "12 KB",
                "999 KB",
                "1.5 MB",
                "18446744 TB"
            ]
        );
        assert_eq!(duration(61.2), "1m 2s");
        assert_eq!([1.0, 0.25, 1_234.567_8].map(number), ["1", "0.25", "1234.568"]);
        assert_eq!(time_of_day("2026-01-02T03:04:05.678Z"), "03:04:05");
        assert_eq!(time_of_day("soon"), "soon");
        assert_eq!(minute("2026-01-02T03:04:05.678Z"), "2026-01-02 03:04 UTC");
        assert_eq!(minute("soon"), "soon");
    }

    proptest! {
        #[test]
        fn no_line_is_too_long_and_no_word_is_lost(text in "[a-z ]{0,80}", width in 1usize..20) {
            let lines = wrapped(&text, width);
            for line in &lines {
                prop_assert!(line.chars().count() <= width, "{:?}", lines);
            }
            let letters = |text: &str| text.replace(' ', "");
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }

        #[test]
        fn no_number_is_drawn_outside_its_room(percent: f64, target: f64, width in 0usize..300) {
            prop_assert_eq!(bar(percent, target, width).chars().count(), width);
            prop_assert_eq!(sparkline([Some(percent), None].into_iter(), target).chars().count(), 2);
            delay(percent);
            duration(percent);
        }
    }
}
