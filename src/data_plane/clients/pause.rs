//! Which clients have to wait, and for how long?
//!
//! Pure: CLIENT PAUSE and UNPAUSE, in the words of Redis. It is the proxy that pauses: a server would pause the proxy's own
//! watching too, and the guard would take it for a fault.

use std::time::{Duration, Instant};

use crate::data_plane::refusal::Refusal;
use crate::resp::parse_i64;

/// What waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Paused {
    /// What may write, or be replicated.
    Writes,
    /// Everything.
    All,
}

/// A pause of a route's clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) what: Paused,
    pub(crate) until: Instant,
}

/// Longer than any pause that is meant.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

impl Pause {
    /// What follows CLIENT PAUSE: a time, and perhaps a mode.
    pub(crate) fn of(time: &[u8], mode: Option<&[u8]>, now: Instant) -> Result<Self, Refusal> {
        let redis = |text: &str| Refusal::Redis(text.as_bytes().to_vec());
        let what = match mode.map(<[u8]>::to_ascii_lowercase).as_deref() {
            None | Some(b"all") => Paused::All,
            Some(b"write") => Paused::Writes,
            Some(_) => return Err(redis("ERR CLIENT PAUSE mode must be WRITE or ALL")),
        };
        let millis = parse_i64(time).ok_or_else(|| redis("ERR timeout is not an integer or out of range"))?;
        let millis = u64::try_from(millis).map_err(|_| redis("ERR timeout is negative"))?;
        Ok(Self {
            what,
            until: now + Duration::from_millis(millis).min(LONGEST),
        })
    }

    /// The two together: the longer of both times, and the more of both modes.
    pub(crate) fn with(self, other: Option<Self>, now: Instant) -> Self {
        match other.filter(|other| other.until > now) {
            None => self,
            Some(other) => Self {
                what: self.what.max(other.what),
                until: self.until.max(other.until),
            },
        }
    }
}

/// Whether a script says that it writes nothing: `#!lua flags=no-writes`.
pub(crate) fn writes_nothing(script: &[u8]) -> bool {
    let line = script.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    words.next().is_some_and(|engine| engine.starts_with(b"#!"))
        && words
            .filter_map(|word| word.strip_prefix(b"flags="))
            .flat_map(|flags| flags.split(|byte| *byte == b','))
            .any(|flag| flag == b"no-writes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_pause_neither_shortens_nor_weakens_one_that_lasts() {
        let now = Instant::now();
        let pause = |time: &str, mode: &str| Pause::of(time.as_bytes(), Some(mode.as_bytes()), now).unwrap();
        let both = pause("10", "ALL").with(Some(pause("1000", "write")), now);
        assert_eq!(both, pause("1000", "All"));
        let over = now + Duration::from_secs(2);
        assert_eq!(
            pause("10", "WRITE").with(Some(pause("1000", "ALL")), over),
            pause("10", "WRITE")
        );
        assert!(Pause::of(b"9223372036854775807", None, now).is_ok());
    }

    #[test]
    fn a_script_writes_unless_it_says_that_it_does_not() {
        assert!(writes_nothing(
            b"#!lua name=x flags=allow-stale,no-writes\nreturn 1"
        ));
        for script in [
            &b"#!lua flags=allow-stale\nreturn 1"[..],
            b"return 1 -- flags=no-writes",
            b"#!lua\nflags=no-writes",
            b"",
        ] {
            assert!(!writes_nothing(script));
        }
    }
}
