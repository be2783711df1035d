//! What is one value of the file, is it of the right kind, and is it in range?
//!
//! Pure. Each reader reports what it does not take, with what was found and what is allowed, and returns `None`.

use std::ops::RangeInclusive;
use std::time::Duration;

use humantime::format_duration;
use toml::Spanned;
use toml::de::{DeInteger, DeValue};

use super::fault::Report;
use super::keys::Keys;
use super::section::Section;
use super::shown::shown;
use super::text::{bytes, duration, shown_bytes};

/// One value and where it stands.
pub(super) struct Found<'a> {
    pub(super) path: String,
    offset: usize,
    value: &'a DeValue<'a>,
    report: &'a Report<'a>,
}

impl<'a> Found<'a> {
    pub(super) fn new(report: &'a Report<'a>, path: String, value: &'a Spanned<DeValue<'a>>) -> Self {
        Self {
            path,
            offset: value.span().start,
            value: value.get_ref(),
            report,
        }
    }

    /// Reports a fault of this value.
    pub(super) fn fault(&self, text: impl Into<String>) {
        self.report.add(self.path.clone(), Some(self.offset), text);
    }

    /// The value is of a type that is not allowed. It is not shown: it may be a password in the wrong place.
    fn wrong_type<T>(&self, allowed: &str) -> Option<T> {
        let found = self.value.type_str();
        let article = if found.starts_with(['a', 'i']) { "an" } else { "a" };
        self.fault(format!("found {article} {found}; allowed: {allowed}"));
        None
    }

    fn out_of_range<T>(&self, found: &str, allowed: &str) -> Option<T> {
        self.fault(format!("found {found}; allowed: {allowed}"));
        None
    }

    /// A string.
    pub(super) fn text(&self, allowed: &str) -> Option<&'a str> {
        match self.value {
            DeValue::String(text) => Some(text),
            _ => self.wrong_type(allowed),
        }
    }

    /// A string that `read` makes something of.
    pub(super) fn parsed<T>(&self, allowed: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text(allowed)?;
        read(text).or_else(|| self.out_of_range(&shown(text), allowed))
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let quoted: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let word_of = |text: &str| words.iter().find(|(word, _)| *word == text);
        self.parsed(&quoted.join(" or "), |text| {
            word_of(text).map(|(_, value)| *value)
        })
    }

    /// A duration within a range.
    pub(super) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let (least, most) = (format_duration(*range.start()), format_duration(*range.end()));
        let allowed = format!("a duration such as \"250ms\", \"5s\" or \"2m\", from {least} to {most}");
        self.parsed(&allowed, |text| {
            duration(text).filter(|found| range.contains(found))
        })
    }

    /// A whole number within a range.
    pub(super) fn count(&self, range: RangeInclusive<usize>) -> Option<usize> {
        let allowed = format!("a whole number from {} to {}", range.start(), range.end());
        let DeValue::Integer(number) = self.value else {
            return self.wrong_type(&allowed);
        };
        integer(number)
            .filter(|number| range.contains(number))
            .or_else(|| self.out_of_range(&cut(&number.to_string()), &allowed))
    }

    /// A number, whole or not.
    pub(super) fn number<T>(&self, allowed: &str, read: impl FnOnce(f64) -> Option<T>) -> Option<T> {
        let shown = match self.value {
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            _ => return self.wrong_type(allowed),
        };
        let value = shown.parse().ok();
        value
            .and_then(read)
            .or_else(|| self.out_of_range(&cut(&shown), allowed))
    }

    /// A size within a range: bytes as a number, or a string with a unit.
    pub(super) fn bytes(&self, range: RangeInclusive<usize>) -> Option<usize> {
        let (least, most) = (shown_bytes(*range.start()), shown_bytes(*range.end()));
        let allowed = format!(
            "bytes as a whole number, or a string with kb, mb or gb such as \"64mb\", from {least} to {most}"
        );
        let (found, shown) = match self.value {
            DeValue::Integer(number) => (integer(number), cut(&number.to_string())),
            DeValue::String(text) => (
                bytes(text).and_then(|found| usize::try_from(found).ok()),
                shown(text),
            ),
            _ => return self.wrong_type(&allowed),
        };
        found
            .filter(|found| range.contains(found))
            .or_else(|| self.out_of_range(&shown, &allowed))
    }

    /// A table.
    pub(super) fn section(&self, keys: Keys) -> Option<Section<'a>> {
        self.section_as(self.path.clone(), keys)
    }

    /// A table that goes by another path in faults.
    pub(super) fn section_as(&self, path: String, keys: Keys) -> Option<Section<'a>> {
        match self.value {
            DeValue::Table(table) => Some(Section::open(self.report, path, table, keys)),
            _ => self.wrong_type("a table"),
        }
    }

    /// The items of an array.
    pub(super) fn items(&self, allowed: &str) -> Option<Vec<Found<'a>>> {
        let DeValue::Array(items) = self.value else {
            return self.wrong_type(allowed);
        };
        let item = |(index, value)| Found::new(self.report, format!("{}[{index}]", self.path), value);
        Some(items.iter().enumerate().map(item).collect())
    }

    /// The string at `key` of this table, if it is one: to name the table before it is read.
    pub(super) fn peek(&self, key: &str) -> Option<&'a str> {
        self.value.as_table()?.get(key)?.get_ref().as_str()
    }
}

fn integer(number: &DeInteger<'_>) -> Option<usize> {
    usize::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A number of any length as it is shown.
fn cut(number: &str) -> String {
    shown(number).trim_matches('"').to_owned()
}
