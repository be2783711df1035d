//! What do the words of a config mean: durations, sizes, weights, names, addresses?
//!
//! Pure: one text or number in, one value or the sentence about what is allowed out. One reading only each: where Redis
//! knows both `1k` (1000) and `1kb` (1024), only the latter is taken.

use std::net::SocketAddr;
use std::time::Duration;

use crate::limits::SOCKET_PATH_BYTES_MAX;
use crate::routing::Weight;

/// Longest text that is read as a duration, in bytes: `1h 59m 59s 999ms` still is. humantime 2.4 overflows, and so
/// panics, on a text that adds up to 2^64 seconds; the shortest one is longer than this.
const DURATION_TEXT_BYTES_MAX: usize = 16;

/// A duration such as `"250ms"`, `"5s"`, `"2m"`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    if text.len() > DURATION_TEXT_BYTES_MAX {
        return None;
    }
    humantime::parse_duration(text).ok()
}

/// A size such as `"64mb"`: a whole number and `kb`, `mb` or `gb` (powers of 1024), in either case, nothing between.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let (number, unit) = text.split_at(text.find(|char: char| !char.is_ascii_digit())?);
    let shift = match unit {
        "kb" => 10,
        "mb" => 20,
        "gb" => 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// A size as it would be written: in the largest unit that leaves no remainder.
pub(super) fn shown_bytes(bytes: usize) -> String {
    for (shift, unit) in [(30, "gb"), (20, "mb"), (10, "kb")] {
        if bytes >= 1 << shift && bytes.is_multiple_of(1 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

/// A weight in percent, from 0 to 100, with at most two decimals.
pub(super) fn weight(percent: f64) -> Option<Weight> {
    let steps = percent * 100.0;
    let whole = steps.round();
    // Decimals such as 0.07 are not exact in binary: a third decimal is 0.1 of a step away, rounding 1e-12 of one.
    if !(0.0..=10_000.0).contains(&whole) || (steps - whole).abs() > 1e-6 {
        return None;
    }
    // In range, so the cast is exact.
    Weight::from_steps(whole as u16)
}

/// What [`is_name`] asks.
pub(super) const NAME_ALLOWED: &str =
    "1 to 64 letters, digits, '.', '_' and '-', a letter or digit first, and not \"json\"";

/// A route's name.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=64).contains(&text.len())
        && text.bytes().all(allowed)
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && !text.eq_ignore_ascii_case("json")
}

/// What [`address`] asks.
pub(super) const ADDRESS_ALLOWED: &str = "an IP address and a port from 1 to 65535, as in \"127.0.0.1:6400\"";

/// An address to listen on. No port 0: apps and scrapers could not know which one it became.
pub(super) fn address(text: &str) -> Option<SocketAddr> {
    text.parse()
        .ok()
        .filter(|address: &SocketAddr| address.port() > 0)
}

/// Why a path cannot be a unix socket's.
pub(super) fn socket_path_fault(path: &str) -> Option<String> {
    if (1..=SOCKET_PATH_BYTES_MAX).contains(&path.len()) {
        return None;
    }
    let length = path.len();
    Some(format!(
        "found a path of {length} bytes; allowed: 1 to {SOCKET_PATH_BYTES_MAX}, as unix sockets have it"
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("2m"), Some(Duration::from_secs(120)));
        assert_eq!(duration("1m 30s"), Some(Duration::from_secs(90)));
        for bad in ["", "5", "-1s", "5 parsecs", "1e3s", "ten seconds"] {
            assert_eq!(duration(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_duration_that_overflows_is_refused_not_a_panic() {
        assert_eq!(duration("18446744073709551615s 1000ms"), None);
    }

    #[test]
    fn sizes_are_read_in_one_way_only() {
        assert_eq!(bytes("64mb"), Some(64 << 20));
        assert_eq!(bytes("1GB"), Some(1 << 30));
        for bad in [
            "",
            "64",
            "64m",
            "64 mb",
            "mb",
            "-1kb",
            "1.5mb",
            "17179869184gb",
            "64mbb",
        ] {
            assert_eq!(bytes(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn weights_have_two_decimals_and_end_at_100() {
        let steps = |percent| weight(percent).map(Weight::steps);
        assert_eq!(steps(0.07), Some(7));
        assert_eq!(steps(100.0), Some(10_000));
        assert_eq!(steps(-0.0), Some(0));
        for bad in [100.01, -0.01, 0.001, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(steps(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_are_words_of_admin_commands() {
        for good in ["a", "pubsub-1", "0.x_y", &"n".repeat(64)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-a", ".", "a b", "ä", "JSON", "a/b", &"n".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(text in any::<String>(), tail in "[0-9]{0,20}[a-z]{0,3}[0-9]{0,20}[a-z]{0,3}") {
            for text in [&text, &tail] {
                let _ = (duration(text), bytes(text), is_name(text), address(text));
            }
        }

        #[test]
        fn a_size_reads_back_as_it_is_shown(count in 1usize..1 << 40) {
            let shown = shown_bytes(count);
            prop_assert_eq!(bytes(&shown).or_else(|| shown.parse().ok()), Some(count as u64));
        }

        #[test]
        fn every_step_of_weight_can_be_written(steps in 0u16..=10_000) {
            let written: f64 = format!("{}.{:02}", steps / 100, steps % 100).parse().unwrap();
            prop_assert_eq!(weight(written).map(Weight::steps), Some(steps));
        }
    }
}
