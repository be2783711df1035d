//! How are sizes, rates and lists of names shown?
//!
//! Pure.

/// Names listed; how many more there are is said.
const NAMES_MAX: usize = 5;

/// In powers of 1024, as the configuration has them.
pub(super) fn bytes(count: f64) -> String {
    let units = ["B", "KB", "MB", "GB", "TB"];
    let (mut count, mut unit) = (count, 0);
    while count >= 1024.0 && unit + 1 < units.len() {
        count /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{count:.0} B"),
        _ => format!("{count:.1} {}", units[unit]),
    }
}

/// Of a network: in powers of 1000.
pub(super) fn mbit(bytes_per_second: f64) -> String {
    format!("{:.1} Mbit/s", bytes_per_second * 8.0 / 1e6)
}

pub(super) fn seconds(time: f64) -> String {
    match time {
        time if time < 10.0 => format!("{time:.3} s"),
        time if time < 1e6 => format!("{time:.0} s"),
        _ => "over 11 days".to_owned(),
    }
}

/// The first few, and how many more.
pub(super) fn names<'a>(all: impl IntoIterator<Item = &'a str>) -> String {
    let all: Vec<&str> = all.into_iter().collect();
    let shown = all.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(NAMES_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units_and_lists_have_an_end() {
        assert_eq!(bytes(1023.0), "1023 B");
        assert_eq!(bytes(1024.0 * 1024.0 * 1.5), "1.5 MB");
        assert_eq!(mbit(5_000_000.0), "40.0 Mbit/s");
        assert_eq!((seconds(0.25), seconds(60.0)), ("0.250 s".into(), "60 s".into()));
        assert_eq!(names(["a", "b"]), "a, b");
        assert_eq!(
            names(["a", "b", "c", "d", "e", "f", "g"]),
            "a, b, c, d, e and 2 more"
        );
    }
}
