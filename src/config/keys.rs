//! Which keys may a table have, and which known one was an unknown one meant to be?
//!
//! Pure: words only.

use super::shown::shown;

/// The keys a table may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    pub(super) known: &'static [&'static str],
}

/// A key as it would be written, on one line and cut.
pub(super) fn bare(key: &str) -> String {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if (1..=64).contains(&key.len()) && key.bytes().all(allowed) {
        key.to_owned()
    } else {
        shown(key)
    }
}

/// What is said about a key that is not known.
pub(super) fn unknown(key: &str, keys: Keys) -> String {
    // A distance costs the product of both lengths.
    let near = (key.len() <= 64).then(|| nearest(key, keys)).flatten();
    match near {
        Some(near) => format!("unknown key; did you mean '{near}'?"),
        None => format!("unknown key; allowed: {}", keys.known.join(", ")),
    }
}

/// The known key that `key` was most likely meant to be. Two slips at most, and not more than half the word.
fn nearest(key: &str, keys: Keys) -> Option<&'static str> {
    let lower = key.to_ascii_lowercase();
    let near = keys
        .known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&lower, known), *known));
    let (distance, known) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= 2 && distance * 2 <= known.len()).then_some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: Keys = Keys {
        known: &["name", "listen", "for"],
    };

    #[test]
    fn a_slip_of_the_pen_finds_its_key() {
        assert_eq!(nearest("lsiten", KEYS), Some("listen"));
        assert_eq!(nearest("Name", KEYS), Some("name"));
        assert_eq!(nearest("xor", KEYS), Some("for"));
        assert_eq!(nearest("colour", KEYS), None);
        assert_eq!(nearest("", KEYS), None);
    }

    #[test]
    fn keys_that_are_not_bare_are_shown_on_one_line() {
        assert_eq!(bare("a-b_1"), "a-b_1");
        assert_eq!(bare("a\nb"), "\"a\\nb\"");
        assert_eq!(bare(""), "\"\"");
    }
}
