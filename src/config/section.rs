//! What does one table of the file hold?
//!
//! Pure: walks parsed TOML by hand, since serde stops at the first fault. A faulty or absent key gives the default, and
//! reading goes on; the config that comes of it is thrown away when the report holds anything.

use toml::de::DeTable;

use super::fault::Report;
use super::found::Found;
use super::keys::{Keys, bare, unknown};

/// One table.
#[derive(Clone)]
pub(super) struct Section<'a> {
    pub(super) path: String,
    table: &'a DeTable<'a>,
    known: &'static [&'static str],
    pub(super) report: &'a Report<'a>,
}

impl<'a> Section<'a> {
    /// A table at `path`, empty at the root. Unknown keys are reported here.
    pub(super) fn open(report: &'a Report<'a>, path: String, table: &'a DeTable<'a>, keys: Keys) -> Self {
        let section = Self {
            path,
            table,
            known: keys.known,
            report,
        };
        for key in table.keys() {
            let name: &str = key.get_ref();
            if !keys.known.contains(&name) {
                let text = unknown(name, keys);
                report.add(section.at(name), Some(key.span().start), text);
            }
        }
        section
    }

    /// No key is in it, known or not.
    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    fn at(&self, key: &str) -> String {
        let dot = if self.path.is_empty() { "" } else { "." };
        format!("{}{dot}{}", self.path, bare(key))
    }

    /// The value of a key, if it is there.
    pub(super) fn get(&self, key: &'static str) -> Option<Found<'a>> {
        debug_assert!(self.known.contains(&key), "{key} is read but not known");
        let value = self.table.get(key)?;
        Some(Found::new(self.report, self.at(key), value))
    }

    /// The value of a key that has no default. Its absence is a fault.
    pub(super) fn need(&self, key: &'static str, allowed: &str) -> Option<Found<'a>> {
        let found = self.get(key);
        if found.is_none() {
            let text = format!("found nothing; allowed: {allowed}");
            self.report.add(self.at(key), None, text);
        }
        found
    }

    /// What `read` makes of a key's value; `default` when it is absent or faulty.
    pub(super) fn or<T>(
        &self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&Found<'a>) -> Option<T>,
    ) -> T {
        self.get(key).and_then(|found| read(&found)).unwrap_or(default)
    }

    /// A table in this one, if it is there.
    pub(super) fn section(&self, key: &'static str, keys: Keys) -> Option<Section<'a>> {
        self.get(key)?.section(keys)
    }
}
