//! What do the rules say, and what has happened?
//!
//! Pure: tables, the worst and the newest first.

use super::{Row, Section, piece};
use crate::cli::table::Table;
use crate::cli::watch::screen::Screen;
use crate::cli::watch::theme::{Tone, tone};
use crate::glance::words::{number, time_of_day};
use crate::glance::{Event, Rule};

pub(super) fn rules(screen: &Screen) -> Section {
    let rules = screen.route().map_or(&[][..], |route| &route.rules);
    let count = |verdict: &str| rules.iter().filter(|rule| rule.verdict == verdict).count();
    let counts = ["bad", "unknown", "ok"].map(|verdict| (verdict, count(verdict)));
    let mut title = vec![piece(Tone::Heading, "rules")];
    for (verdict, count) in counts {
        let tone = if count == 0 { Tone::Faint } else { tone(verdict) };
        title.push(piece(tone, format!("  {count} {verdict}")));
    }
    let mut table = Table::new(&[
        "  VERDICT",
        "SIDE",
        "RULE",
        "ACTION",
        "NODE",
        "MEASURED",
        "LIMIT",
        "UNIT",
        "SINCE",
        "NOTE",
    ]);
    let tones: Vec<Tone> = rules.iter().map(|rule| tone(&rule.verdict)).collect();
    rules.iter().for_each(|rule| table.row(rule_cells(rule)));
    let mut rows = vec![title];
    if !rules.is_empty() {
        rows.extend(lines(&table, &tones));
    }
    let least = match counts {
        [(_, 0), (_, 0), _] => 1,
        [(_, 0), ..] => 3,
        [(_, bad), ..] => 2 + bad.min(4),
    };
    Section {
        least,
        rows,
        shorten: worst_first,
    }
}

/// Without the headings when there is room for a rule or two only; and how many are left out.
fn worst_first(mut rows: Vec<Row>, count: usize) -> Vec<Row> {
    if count <= 3 && rows.len() > 1 {
        rows.remove(1);
    }
    if count <= 2 || count >= rows.len() {
        rows.truncate(count);
        return rows;
    }
    let left_out = rows.split_off(count - 1);
    let bad = left_out
        .iter()
        .flatten()
        .filter(|(tone, _)| *tone == Tone::Bad)
        .count();
    let tone = if bad > 0 { Tone::Bad } else { Tone::Faint };
    let told = format!("  … {} more, {bad} of them bad", left_out.len());
    rows.push(vec![piece(tone, told)]);
    rows
}

fn rule_cells(rule: &Rule) -> Vec<String> {
    let dash = || "-".to_owned();
    vec![
        format!("  {}", rule.verdict),
        rule.side.clone(),
        rule.rule.clone(),
        rule.action.clone(),
        rule.node.clone().unwrap_or_else(dash),
        rule.measured.map_or_else(dash, number),
        rule.limit.map_or_else(dash, number),
        rule.unit.clone(),
        rule.since
            .as_deref()
            .map_or_else(dash, |since| time_of_day(since).to_owned()),
        rule.note.clone().unwrap_or_default(),
    ]
}

pub(super) fn events(screen: &Screen) -> Section {
    let name = screen.route().map(|route| route.name.as_str());
    let events: Vec<&Event> = screen
        .seen
        .events
        .iter()
        .filter(|event| Some(event.route.as_str()) == name)
        .collect();
    let mut table = Table::new(&["  TIME", "SIDE", "KIND", "REASON"]);
    for event in &events {
        let side = event.side.clone().unwrap_or_else(|| "-".to_owned());
        let time = format!("  {}", time_of_day(&event.time));
        table.row(vec![time, side, event.kind.clone(), event.reason.clone()]);
    }
    let tones: Vec<Tone> = events.iter().map(|event| tone(&event.kind)).collect();
    let mut rows = vec![vec![
        piece(Tone::Heading, "events"),
        piece(Tone::Faint, "  newest first"),
    ]];
    if !events.is_empty() {
        rows.extend(lines(&table, &tones));
    }
    Section {
        least: 4,
        rows,
        shorten: |rows, count| {
            let skipped = usize::from(count == 2);
            let (title, rest) = rows.split_at(1);
            title
                .iter()
                .chain(&rest[skipped..])
                .take(count)
                .cloned()
                .collect()
        },
    }
}

/// The table's lines, its headings faint.
fn lines(table: &Table, tones: &[Tone]) -> Vec<Row> {
    let tones = std::iter::once(&Tone::Faint).chain(tones);
    let text = table.text();
    let rows = text
        .lines()
        .zip(tones)
        .map(|(line, &tone)| vec![piece(tone, line)]);
    rows.collect()
}
