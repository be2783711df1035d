//! Where are a request's keys?
//!
//! Pure: positions by rule, read as Redis's own parsers read them (`db.c` and the commands themselves). Every rule ends
//! in at most one single position and one evenly spaced run, so the result is four numbers and no list.

use crate::resp::{Args, parse_i64};

/// Where a command's keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRule {
    /// It has none.
    None,
    /// From `first` to `last`, every `step`; a negative `last` counts from the end, `-1` being the last argument.
    Range {
        /// Position of the first key.
        first: u8,
        /// Position of the last.
        last: i8,
        /// Distance from one key to the next: 2 in MSET.
        step: u8,
    },
    /// Argument 1 is a channel, which is hashed like a key: PUBLISH, SPUBLISH.
    Channel,
    /// The argument at `count` says how many keys follow it: EVAL, FCALL, ZUNION, LMPOP.
    Counted {
        /// Position of the number.
        count: u8,
    },
    /// Argument 1 is stored to, argument 2 says how many keys follow it: ZUNIONSTORE.
    StoreCounted,
    /// The first half of what follows `STREAMS`: XREAD, XREADGROUP.
    Streams,
    /// Argument 1, and what follows the last `STORE`. The patterns of BY and GET name keys that only the server can
    /// compute; it reads them where the sorted key is, so between weights they may be missing there.
    SortStore,
    /// Argument 1, and what follows the last `STORE` or `STOREDIST`: GEORADIUS, GEORADIUSBYMEMBER.
    GeoStore,
    /// Argument 3, or if that is empty what follows `KEYS`: MIGRATE.
    Migrate,
}

/// Why keys could not be told. Any Redis refuses such a request; the texts are its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Too few arguments to hold what the rule needs, or half a pair.
    #[error("ERR wrong number of arguments")]
    Arity,
    /// The number of keys is no number.
    #[error("ERR value is not an integer or out of range")]
    NotAnInteger,
    /// The number of keys is below zero.
    #[error("ERR Number of keys can't be negative")]
    Negative,
    /// The number of keys is larger than what follows.
    #[error("ERR Number of keys can't be greater than number of args")]
    TooMany,
    /// `STREAMS` is missing, or what follows cannot be halved.
    #[error("ERR syntax error")]
    Syntax,
}

/// The positions of a request's keys, in the order in which Redis lists them. An iterator; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct KeyPositions {
    /// A key before the run; 0 is none, as argument 0 is the command.
    lone: usize,
    next: usize,
    left: usize,
    step: usize,
}

impl KeyPositions {
    /// No key.
    pub const NONE: Self = Self::run(0, 0, 1);

    const fn run(first: usize, count: usize, step: usize) -> Self {
        Self {
            lone: 0,
            next: first,
            left: count,
            step,
        }
    }

    const fn after(mut self, lone: usize) -> Self {
        self.lone = lone;
        self
    }

    /// The keys themselves.
    pub fn bytes<'a>(&self, args: Args<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.clone().filter_map(move |at| args.get(at))
    }
}

impl Iterator for KeyPositions {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.lone != 0 {
            return Some(std::mem::take(&mut self.lone));
        }
        self.left = self.left.checked_sub(1)?;
        let at = self.next;
        self.next += self.step;
        Some(at)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.left + usize::from(self.lone != 0);
        (count, Some(count))
    }
}

impl ExactSizeIterator for KeyPositions {}

impl KeyRule {
    /// The positions of the keys of `args`. Cost: none that grows with the request, but for the rules that look for a
    /// word in it.
    ///
    /// # Errors
    /// When the arguments do not fit the rule; the caller forwards the request to any server and lets it refuse.
    #[inline]
    pub fn positions(self, args: Args<'_>) -> Result<KeyPositions, KeyError> {
        match self {
            Self::None => Ok(KeyPositions::NONE),
            Self::Range { first, last, step } => range(args.len(), first, last, step),
            Self::Channel => range(args.len(), 1, 1, 1),
            Self::Counted { count } => counted(args, count.into()),
            Self::StoreCounted => Ok(counted(args, 2)?.after(1)),
            Self::Streams => streams(args),
            Self::SortStore => stored(args, sort_destination),
            Self::GeoStore => stored(args, geo_destination),
            Self::Migrate => migrate(args),
        }
    }
}

#[inline]
fn range(args: usize, first: u8, last: i8, step: u8) -> Result<KeyPositions, KeyError> {
    let (first, step) = (usize::from(first), usize::from(step));
    let end = match usize::try_from(last) {
        Ok(last) => args.min(last + 1),
        Err(_) => (args + 1).saturating_sub(last.unsigned_abs().into()),
    };
    let span = end.saturating_sub(first);
    if step == 1 {
        return Ok(KeyPositions::run(first, span, 1));
    }
    if !span.is_multiple_of(step) {
        return Err(KeyError::Arity);
    }
    Ok(KeyPositions::run(first, span / step, step))
}

fn counted(args: Args<'_>, at: usize) -> Result<KeyPositions, KeyError> {
    let count = parse_i64(args.get(at).ok_or(KeyError::Arity)?).ok_or(KeyError::NotAnInteger)?;
    let count = usize::try_from(count).map_err(|_| KeyError::Negative)?;
    if count > args.len() - at - 1 {
        return Err(KeyError::TooMany);
    }
    Ok(KeyPositions::run(at + 1, count, 1))
}

fn streams(args: Args<'_>) -> Result<KeyPositions, KeyError> {
    let first = StreamOptions::of(args).streams.ok_or(KeyError::Syntax)? + 1;
    let rest = args.len() - first;
    if rest == 0 || !rest.is_multiple_of(2) {
        return Err(KeyError::Syntax);
    }
    Ok(KeyPositions::run(first, rest / 2, 1))
}

/// What XREAD and XREADGROUP are told before their keys.
pub(super) struct StreamOptions {
    /// Position of `STREAMS`.
    streams: Option<usize>,
    /// Whether BLOCK is there.
    pub(super) blocks: bool,
}

impl StreamOptions {
    /// Reads options as the server does, so that a group called `streams` is not mistaken for the word. An option it
    /// does not know is stepped over: a newer server may know it, and this one refuses it wherever it is sent.
    pub(super) fn of(args: Args<'_>) -> Self {
        let mut options = Self {
            streams: None,
            blocks: false,
        };
        let mut at = 1;
        while let Some(word) = args.get(at) {
            if word.eq_ignore_ascii_case(b"streams") {
                options.streams = Some(at);
                break;
            }
            let blocks = word.eq_ignore_ascii_case(b"block");
            options.blocks |= blocks;
            at += match word {
                _ if blocks || word.eq_ignore_ascii_case(b"count") => 2,
                _ if word.eq_ignore_ascii_case(b"group") => 3,
                _ => 1,
            };
        }
        options
    }
}

fn stored(args: Args<'_>, destination: fn(Args<'_>) -> Option<usize>) -> Result<KeyPositions, KeyError> {
    if args.len() < 2 {
        return Err(KeyError::Arity);
    }
    let destination = destination(args);
    let count = usize::from(destination.is_some());
    Ok(KeyPositions::run(destination.unwrap_or_default(), count, 1).after(1))
}

fn sort_destination(args: Args<'_>) -> Option<usize> {
    last_option(args, 2, |word| match word {
        _ if word.eq_ignore_ascii_case(b"store") => Step::Destination,
        _ if word.eq_ignore_ascii_case(b"limit") => Step::Over(3),
        _ if word.eq_ignore_ascii_case(b"get") || word.eq_ignore_ascii_case(b"by") => Step::Over(2),
        _ => Step::Over(1),
    })
}

fn geo_destination(args: Args<'_>) -> Option<usize> {
    last_option(args, 5, |word| match word {
        _ if word.eq_ignore_ascii_case(b"store") => Step::Destination,
        _ if word.eq_ignore_ascii_case(b"storedist") => Step::Destination,
        _ => Step::Over(1),
    })
}

enum Step {
    /// The next argument is stored to.
    Destination,
    /// This many arguments on is the next option.
    Over(usize),
}

/// The position behind the last option that stores: Redis lets a later one replace an earlier one.
fn last_option(args: Args<'_>, mut at: usize, read: impl Fn(&[u8]) -> Step) -> Option<usize> {
    let mut found = None;
    while let Some(word) = args.get(at) {
        at += match read(word) {
            Step::Destination if at + 1 < args.len() => {
                found = Some(at + 1);
                2
            }
            Step::Destination => 1,
            Step::Over(count) => count,
        };
    }
    found
}

fn migrate(args: Args<'_>) -> Result<KeyPositions, KeyError> {
    if !args.get(3).ok_or(KeyError::Arity)?.is_empty() {
        return Ok(KeyPositions::run(3, 1, 1));
    }
    let mut at = 6;
    while let Some(word) = args.get(at) {
        if word.eq_ignore_ascii_case(b"keys") {
            return Ok(KeyPositions::run(at + 1, args.len() - at - 1, 1));
        }
        at += match word {
            _ if word.eq_ignore_ascii_case(b"auth") => 2,
            _ if word.eq_ignore_ascii_case(b"auth2") => 3,
            _ => 1,
        };
    }
    Ok(KeyPositions::run(3, 1, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_plane::command::classify;
    use crate::resp::with_args;

    fn keys(request: &str) -> Result<Vec<String>, KeyError> {
        let words: Vec<&str> = request
            .split(' ')
            .map(|word| if word == "''" { "" } else { word })
            .collect();
        with_args(&words, |args| {
            let spec = classify(args).spec.unwrap();
            let positions = spec.keys.positions(args)?;
            assert_eq!(positions.len(), positions.clone().count());
            Ok(positions
                .bytes(args)
                .map(|key| String::from_utf8(key.to_vec()).unwrap())
                .collect())
        })
    }

    fn assert_keys(request: &str, expected: &[&str]) {
        let expected = expected.iter().map(ToString::to_string).collect();
        assert_eq!(keys(request), Ok(expected), "{request}");
    }

    #[test]
    fn keys_at_fixed_positions() {
        assert_keys("PING", &[]);
        assert_keys("GET a", &["a"]);
        assert_keys("DEL a b c", &["a", "b", "c"]);
        assert_keys("MSET a 1 b 2", &["a", "b"]);
        assert_keys("BLPOP a b 0", &["a", "b"]);
        assert_keys("BITOP AND a b c", &["a", "b", "c"]);
        assert_keys("RENAME a b", &["a", "b"]);
        assert_keys("OBJECT ENCODING a", &["a"]);
        assert_keys("XGROUP CREATE a g $", &["a"]);
        assert_keys("PUBLISH channel message", &["channel"]);
        assert_keys("SORT_RO a BY b_* GET STORE", &["a"]);
    }

    #[test]
    fn keys_that_are_counted() {
        assert_keys("EVAL s 2 a b c", &["a", "b"]);
        assert_keys("FCALL f 0 x", &[]);
        assert_keys("LMPOP 2 a b LEFT", &["a", "b"]);
        assert_keys("BLMPOP 0 2 a b LEFT", &["a", "b"]);
        assert_keys("ZUNIONSTORE to 2 a b WEIGHTS 1 2", &["to", "a", "b"]);
        assert_eq!(keys("EVAL s x a"), Err(KeyError::NotAnInteger));
        assert_eq!(keys("EVAL s -1 a"), Err(KeyError::Negative));
        assert_eq!(keys("EVAL s 2 a"), Err(KeyError::TooMany));
        assert_eq!(keys("EVAL s"), Err(KeyError::Arity));
        assert_eq!(keys("EVAL s 9223372036854775807 a"), Err(KeyError::TooMany));
        assert_eq!(keys("EVAL s 9223372036854775808 a"), Err(KeyError::NotAnInteger));
    }

    #[test]
    fn keys_behind_a_word() {
        assert_keys("XREAD COUNT 1 BLOCK 0 streams a b 0 0", &["a", "b"]);
        assert_keys("XREADGROUP GROUP streams STREAMS NOACK STREAMS a >", &["a"]);
        assert_keys("SORT a LIMIT 0 STORE GET STORE", &["a"]);
        assert_keys("SORT a STORE b ALPHA STORE c", &["a", "c"]);
        assert_keys("SORT a STORE", &["a"]);
        assert_keys("GEORADIUS a 0 0 1 m STOREDIST b", &["a", "b"]);
        assert_keys("GEORADIUSBYMEMBER a m 1 m STORE b", &["a", "b"]);
        assert_keys("MIGRATE host 1 a 0 10 KEYS b", &["a"]);
        assert_keys("MIGRATE host 1 '' 0 10 AUTH KEYS KEYS a b", &["a", "b"]);
        assert_eq!(keys("XREAD COUNT 1"), Err(KeyError::Syntax));
        assert_eq!(keys("XREAD STREAMS"), Err(KeyError::Syntax));
        assert_eq!(keys("XREAD STREAMS a b 0"), Err(KeyError::Syntax));
    }

    #[test]
    fn an_option_of_a_newer_server_does_not_hide_the_streams() {
        assert_keys("XREADGROUP GROUP g c CLAIM 100 STREAMS a >", &["a"]);
    }

    #[test]
    fn half_a_pair_is_told() {
        assert_eq!(keys("MSET a 1 b"), Err(KeyError::Arity));
        assert_eq!(keys("MSETNX a"), Err(KeyError::Arity));
    }

    #[test]
    fn too_few_arguments_give_the_keys_that_are_there() {
        assert_keys("GET", &[]);
        assert_keys("RENAME a", &["a"]);
        assert_keys("BLPOP a", &[]);
        assert_keys("BLPOP", &[]);
        assert_keys("BITOP", &[]);
        for lacking in ["SORT", "GEORADIUS", "MIGRATE a b"] {
            assert_eq!(keys(lacking), Err(KeyError::Arity), "{lacking}");
        }
    }
}
