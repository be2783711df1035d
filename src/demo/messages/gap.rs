//! When does the proxy say that messages may have been missed, and does that cover one that was?
//!
//! Pure: the JSON of `__switchback:gap`.

use jiff::Timestamp;
use serde::Deserialize;

/// Where gaps are told.
pub const GAP_CHANNEL: &str = "__switchback:gap";

/// Times in JSON are rounded to milliseconds, and the wall clock may be slewed against ours.
const ROUNDING_MICROS: u64 = 5_000;

/// One window in which messages may have been missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The route.
    pub route: String,
    /// `old` or `new`.
    pub side: String,
    /// Channels and patterns; `None` for all.
    pub channels: Option<Vec<String>>,
    /// Microseconds since the messages began.
    pub from_micros: u64,
    /// The same.
    pub to_micros: u64,
}

#[derive(Deserialize)]
struct Told {
    route: String,
    side: String,
    channels: Channels,
    from: String,
    to: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Channels {
    Word(String),
    List(Vec<String>),
}

impl Gap {
    /// `None` when it is not as documented.
    pub(super) fn read(json: &[u8], start: Timestamp) -> Option<Self> {
        let told: Told = serde_json::from_slice(json).ok()?;
        let channels = match told.channels {
            Channels::Word(word) if word == "all" => None,
            Channels::Word(_) => return None,
            Channels::List(list) => Some(list),
        };
        let micros = |time: &str| {
            let since = time.parse::<Timestamp>().ok()?.as_microsecond() - start.as_microsecond();
            // What began before us began with us.
            Some(u64::try_from(since).unwrap_or_default())
        };
        Some(Self {
            route: told.route,
            side: told.side,
            channels,
            from_micros: micros(&told.from)?,
            to_micros: micros(&told.to)?,
        })
    }

    /// Whether a message may have been missed that was published somewhen between `began` and `ended`, and would have come
    /// through the subscription to `name`, a channel or a pattern.
    pub(super) fn covers(&self, name: &str, began_micros: u64, ended_micros: u64) -> bool {
        let is_named = |names: &Vec<String>| names.iter().any(|one| one == name);
        self.channels.as_ref().is_none_or(is_named)
            && ended_micros + ROUNDING_MICROS >= self.from_micros
            && began_micros <= self.to_micros + ROUNDING_MICROS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(channels: &str) -> Option<Gap> {
        let json = format!(
            r#"{{"route":"r","side":"new","channels":{channels},"from":"2026-01-02T03:04:06.000Z","to":"2026-01-02T03:04:07.500Z","more":1}}"#
        );
        Gap::read(json.as_bytes(), "2026-01-02T03:04:05Z".parse().unwrap())
    }

    #[test]
    fn a_gap_is_read_in_the_words_it_is_told_in() {
        let all = gap("\"all\"").unwrap();
        assert_eq!((all.route.as_str(), all.side.as_str()), ("r", "new"));
        assert_eq!((all.from_micros, all.to_micros), (1_000_000, 2_500_000));
        assert_eq!(all.channels, None);
        assert_eq!(gap("[\"a\"]").unwrap().channels, Some(vec!["a".to_owned()]));
        assert_eq!(gap("\"some\""), None);
        assert_eq!(Gap::read(b"{}", Timestamp::UNIX_EPOCH), None);
        assert_eq!(Gap::read(b"\xff", Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn a_gap_covers_what_may_have_been_published_in_it_on_its_channels() {
        let all = gap("\"all\"").unwrap();
        assert!(all.covers("a", 2_000_000, 2_000_100));
        assert!(all.covers("a", 0, 3_000_000), "somewhen in between");
        assert!(!all.covers("a", 900_000, 994_999));
        assert!(!all.covers("a", 2_505_001, 2_600_000));
        let some = gap("[\"a\",\"p*\"]").unwrap();
        assert!(some.covers("a", 2_000_000, 2_000_100) && some.covers("p*", 2_000_000, 2_000_100));
        assert!(!some.covers("b", 2_000_000, 2_000_100));
    }
}
