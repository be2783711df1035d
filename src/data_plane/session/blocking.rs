//! How long may a blocking command that is sent again still block?
//!
//! Pure: finds the timeout among the arguments and takes off what has passed.

use std::time::Duration;

use crate::resp::{Args, write_command};

enum Unit {
    Seconds,
    Milliseconds,
}

/// The request with what is left of its timeout after `elapsed`; `None` when it blocks for ever (0) or its timeout
/// cannot be told, so that it is sent as it was.
pub(super) fn with_time_left(args: Args<'_>, elapsed: Duration) -> Option<Vec<u8>> {
    let (at, unit) = timeout(args)?;
    let given: f64 = std::str::from_utf8(args.get(at)?).ok()?.parse().ok()?;
    if given <= 0.0 || !given.is_finite() {
        return None;
    }
    // Never 0, which would block for ever.
    let left = match unit {
        Unit::Seconds => format!("{:.3}", (given - elapsed.as_secs_f64()).max(0.001)),
        Unit::Milliseconds => format!("{:.0}", (given - elapsed.as_secs_f64() * 1000.0).max(1.0)),
    };
    let mut arguments: Vec<&[u8]> = args.iter().collect();
    *arguments.get_mut(at)? = left.as_bytes();
    let mut request = Vec::new();
    write_command(&mut request, &arguments);
    Some(request)
}

fn timeout(args: Args<'_>) -> Option<(usize, Unit)> {
    let name = args.get(0)?.to_ascii_lowercase();
    match name.as_slice() {
        b"blmpop" | b"bzmpop" => Some((1, Unit::Seconds)),
        b"wait" => Some((2, Unit::Milliseconds)),
        b"xread" | b"xreadgroup" => {
            let block = (1..args.len()).find(|&at| {
                args.get(at)
                    .is_some_and(|word| word.eq_ignore_ascii_case(b"block"))
            })?;
            Some((block + 1, Unit::Milliseconds))
        }
        b"blpop" | b"brpop" | b"blmove" | b"brpoplpush" | b"bzpopmin" | b"bzpopmax" => {
            Some((args.len() - 1, Unit::Seconds))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::RequestParser;

    fn left(words: &[&str], elapsed_ms: u64) -> Option<String> {
        let mut bytes = Vec::new();
        write_command(
            &mut bytes,
            &words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>(),
        );
        let mut parser = RequestParser::new();
        parser.parse(&bytes, usize::MAX / 2).unwrap().unwrap();
        let again = with_time_left(
            Args::new(&bytes, parser.spans()),
            Duration::from_millis(elapsed_ms),
        )?;
        parser.reset();
        parser.parse(&again, usize::MAX / 2).unwrap().unwrap();
        let args = Args::new(&again, parser.spans());
        Some(
            args.iter()
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect::<Vec<_>>()
                .join(" "),
        )
    }

    #[test]
    fn what_has_passed_is_taken_off() {
        assert_eq!(left(&["BLPOP", "a", "b", "5"], 1_500).unwrap(), "BLPOP a b 3.500");
        assert_eq!(
            left(&["blmpop", "2", "1", "k", "LEFT"], 500).unwrap(),
            "blmpop 1.500 1 k LEFT"
        );
        assert_eq!(
            left(&["XREAD", "BLOCK", "100", "STREAMS", "s", "$"], 60).unwrap(),
            "XREAD BLOCK 40 STREAMS s $"
        );
    }

    #[test]
    fn a_wait_never_becomes_endless_and_an_endless_one_stays() {
        assert_eq!(left(&["BLPOP", "a", "1"], 5_000).unwrap(), "BLPOP a 0.001");
        assert_eq!(left(&["BLPOP", "a", "0"], 5_000), None);
        assert_eq!(left(&["BLPOP", "a", "x"], 5_000), None);
    }
}
