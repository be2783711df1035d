//! What does a config file say, or what is wrong with it?
//!
//! Pure, except for [`load`], which reads the file. Syntax errors are reported all at once and alone: the values around
//! one are guesses, and faults of guesses would mislead.

use std::path::Path;

use toml::Spanned;
use toml::de::DeTable;

use super::fault::{Faults, Report};
use super::found::Found;
use super::keys::Keys;
use super::model::{Config, RouteConfig};
use super::section::Section;
use super::surroundings::Surroundings;
use super::taken::Taken;
use super::{proxy, route};
use crate::limits::{CONFIG_BYTES_MAX, ROUTES_MAX};

/// Keys of the whole file.
pub(super) const FILE: Keys = Keys {
    known: &["proxy", "route"],
};
const ROUTES_ALLOWED: &str = "one [[route]] table, in double brackets, for each route";

/// Reads and checks a config file.
///
/// # Errors
/// Every fault of it, or that it cannot be read.
pub fn load(path: &Path) -> Result<Config, Faults> {
    let around = Surroundings::real();
    let failed = |text: String| Faults::one(path.display().to_string(), None, text);
    let bytes = (around.read)(path, CONFIG_BYTES_MAX + 1)
        .map_err(|error| failed(format!("the file cannot be read: {error}")))?;
    if bytes.len() > CONFIG_BYTES_MAX {
        return Err(failed(format!(
            "the file is longer than {CONFIG_BYTES_MAX} bytes"
        )));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        failed(format!("the file is not UTF-8 from byte {offset} on"))
    })?;
    parse(&text, &around)
}

/// Checks the text of a config file.
///
/// # Errors
/// Every fault of it.
pub fn parse(text: &str, around: &Surroundings<'_>) -> Result<Config, Faults> {
    if text.len() > CONFIG_BYTES_MAX {
        let fault = format!("the text is longer than {CONFIG_BYTES_MAX} bytes");
        return Err(Faults::one("config", None, fault));
    }
    let table = syntax(text)?;
    let report = Report::new(text);
    let config = read(&report, table.get_ref(), around);
    report.into_result(config)
}

fn syntax(text: &str) -> Result<Spanned<DeTable<'_>>, Faults> {
    let report = Report::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        // The message only: the error's Display quotes the line, which may hold a password.
        let message = error.message().replace(char::is_control, " ");
        report.add("syntax", error.span().map(|span| span.start), message);
    }
    report.into_result(table)
}

fn read<'a>(report: &'a Report<'a>, table: &'a DeTable<'a>, around: &Surroundings<'_>) -> Config {
    let file = Section::open(report, String::new(), table, FILE);
    let mut taken = Taken::default();
    let proxy = proxy::read(file.section("proxy", proxy::PROXY).as_ref(), around, &mut taken);
    let tables = file
        .need("route", ROUTES_ALLOWED)
        .and_then(|found| tables(&found))
        .unwrap_or_default();
    let mut routes: Vec<(String, RouteConfig)> = Vec::new();
    for (index, found) in tables.into_iter().enumerate() {
        let path = route::path(index, found.peek("name"), &taken);
        let Some(section) = found.section_as(path.clone(), route::ROUTE) else {
            continue;
        };
        if let Some(route) = route::read(&section, around, &mut taken) {
            routes.push((path, route));
        }
    }
    for (path, route) in &routes {
        taken.report_loops(route, |side| format!("{path}.{side}"), report);
    }
    Config {
        proxy,
        routes: routes.into_iter().map(|(_, route)| route).collect(),
    }
}

fn tables<'a>(found: &Found<'a>) -> Option<Vec<Found<'a>>> {
    let tables = found.items(ROUTES_ALLOWED)?;
    if !(1..=ROUTES_MAX).contains(&tables.len()) {
        let count = tables.len();
        found.fault(format!("found {count} routes; allowed: 1 to {ROUTES_MAX}"));
        return None;
    }
    Some(tables)
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
