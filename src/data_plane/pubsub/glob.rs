//! Does a channel match a pattern?
//!
//! Pure: `stringmatchlen` of Redis 7.0, without its recursion: only the last `*` is ever gone back to, so that no pattern
//! takes more than the product of both lengths. What it takes comes out of a budget that the caller sets.

/// Whether `text` matches `pattern`, byte by byte. `steps`: what may be spent; once it is used up nothing matches.
pub(super) fn matches(pattern: &[u8], text: &[u8], steps: &mut usize) -> bool {
    // Not even `*` matches nothing.
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut at, mut seen) = (0, 0);
    // Behind the last `*`, and up to where of the text that one reaches.
    let mut star = None;
    loop {
        let rest = pattern.get(at..).unwrap_or_default();
        let taken = match (rest.first(), text.get(seen)) {
            (Some(b'*'), _) => {
                at += 1;
                star = Some((at, seen));
                Some(0)
            }
            (None, None) => return true,
            (_, None) => return false,
            (None, Some(_)) => None,
            (Some(_), Some(byte)) => one(rest, *byte).inspect(|length| {
                at += length;
                seen += 1;
            }),
        };
        // A class is walked through, however long it is.
        let cost = 1 + taken.unwrap_or(rest.len().min(LOOK_BYTES));
        match steps.checked_sub(cost) {
            Some(left) => *steps = left,
            None => return false,
        }
        if taken.is_none() {
            let Some((behind, reach)) = &mut star else {
                return false;
            };
            *reach += 1;
            (at, seen) = (*behind, *reach);
        }
    }
}

/// What a byte that does not match is taken to have cost at most: a class is as long as the pattern at worst.
const LOOK_BYTES: usize = 64;

/// The length of the element that `pattern` begins with, when it matches `byte`.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', class @ ..] => one_of(class, byte).map(|length| 1 + length),
        [b'\\', literal, ..] => (*literal == byte).then_some(2),
        [literal, ..] => (*literal == byte).then_some(1),
        [] => None,
    }
}

/// The same for what follows a `[`. A class without its `]` ends with the pattern.
fn one_of(class: &[u8], byte: u8) -> Option<usize> {
    let is_negated = class.first() == Some(&b'^');
    let mut at = usize::from(is_negated);
    let mut is_in = false;
    loop {
        let (length, holds) = match class.get(at..).unwrap_or_default() {
            [] => break,
            [b'\\', literal, ..] => (2, *literal == byte),
            [b']', ..] => {
                at += 1;
                break;
            }
            [first, b'-', last, ..] => (3, (*first.min(last)..=*first.max(last)).contains(&byte)),
            [literal, ..] => (1, *literal == byte),
        };
        is_in |= holds;
        at += length;
    }
    (is_in != is_negated).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_match(pattern: &str, text: &str) -> bool {
        matches(pattern.as_bytes(), text.as_bytes(), &mut 100_000)
    }

    #[test]
    fn globs_are_those_of_redis() {
        for (pattern, text) in [
            ("*", "news"),
            ("n*s", "news"),
            ("n*w*s", "nwws"),
            ("h[ae]llo", "hello"),
            ("h[^e]llo", "hallo"),
            ("[c-a]x", "bx"),
            ("esc\\*", "esc*"),
            ("n?ws", "news"),
            ("[ab", "a"),
            ("a[\\]]", "a]"),
        ] {
            assert!(is_match(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("n*s", "newt"),
            ("h[^e]llo", "hello"),
            ("esc\\*", "escx"),
            ("n?ws", "nws"),
            ("news", "new"),
            ("new", "news"),
            ("", "x"),
        ] {
            assert!(!is_match(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn no_pattern_takes_more_than_the_budget() {
        let mut steps = 10_000;
        let pattern = b"*[ab]".repeat(1_000);
        assert!(!matches(&pattern, &[b'a'; 100_000], &mut steps));
        assert!(steps < 100, "{steps}");
    }

    #[test]
    fn nothing_is_matched_by_nothing_alone() {
        assert!(is_match("", ""));
        for pattern in ["*", "**", "?", "[^a]"] {
            assert!(!is_match(pattern, ""), "{pattern}");
        }
    }

    /// `stringmatchlen` as it stands there, for patterns that its recursion can take, and a text that is not empty.
    fn reference(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|from| reference(rest, &text[from..])),
            ([], _) | (_, []) => false,
            (_, [byte, rest @ ..]) => {
                one(pattern, *byte).is_some_and(|length| reference(&pattern[length..], rest))
            }
        }
    }

    proptest! {
        #[test]
        fn going_back_to_the_last_star_only_is_enough(pattern in "[ab*?\\[\\]^-]{0,8}", text in "[ab\\-]{1,8}") {
            prop_assert_eq!(is_match(&pattern, &text), reference(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
