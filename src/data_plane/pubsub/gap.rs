//! In which stretch of time may messages have been missed?
//!
//! Pure: data, and the JSON clients and operators read.

use jiff::{SignedDuration, Timestamp, Unit};
use std::time::Instant;

use serde::Serialize;

use crate::cluster::Side;

/// Messages of a side may have been missed by the clients of one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The route's name.
    pub route: String,
    /// Where the messages would have been published.
    pub side: Side,
    /// The channels and patterns subscribed to that are concerned; `None`: all, or too many to list.
    pub channels: Option<Vec<Vec<u8>>>,
    /// The last moment at which nothing was missed.
    pub from: Timestamp,
    /// From here on nothing is.
    pub to: Timestamp,
}

#[derive(Serialize)]
struct Shown<'a> {
    route: &'a str,
    side: &'static str,
    channels: Channels,
    from: String,
    to: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Channels {
    Some(Vec<String>),
    All(&'static str),
}

impl Gap {
    /// One JSON object: `route`, `side`, `channels` (an array or `"all"`), `from`, `to`. A name that is not UTF-8 has its odd
    /// bytes replaced.
    pub fn json(&self) -> String {
        let shown = |name: &Vec<u8>| String::from_utf8_lossy(name).into_owned();
        let shown = Shown {
            route: &self.route,
            side: self.side.name(),
            channels: match &self.channels {
                Some(names) => Channels::Some(names.iter().map(shown).collect()),
                None => Channels::All("all"),
            },
            from: self.from.to_string(),
            to: self.to.to_string(),
        };
        serde_json::to_string(&shown).unwrap_or_default()
    }
}

/// The wall-clock time of a moment on the monotonic clock.
pub(super) fn wall_time(moment: Instant, now: Instant) -> Timestamp {
    let ago = SignedDuration::try_from(now.saturating_duration_since(moment)).unwrap_or(SignedDuration::ZERO);
    let wall = Timestamp::now().checked_sub(ago).unwrap_or(Timestamp::UNIX_EPOCH);
    wall.round(Unit::Microsecond).unwrap_or(wall)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_says_which_channels_or_all() {
        let mut gap = Gap {
            route: "r".to_owned(),
            side: Side::New,
            channels: Some(vec![b"a\"b".to_vec()]),
            from: Timestamp::UNIX_EPOCH,
            to: Timestamp::UNIX_EPOCH,
        };
        assert_eq!(
            gap.json(),
            r#"{"route":"r","side":"new","channels":["a\"b"],"from":"1970-01-01T00:00:00Z","to":"1970-01-01T00:00:00Z"}"#
        );
        gap.channels = None;
        assert!(gap.json().contains(r#""channels":"all""#));
    }
}
