//! Which routes are there, does the proxy answer, and where is the weight?
//!
//! Pure.

use std::time::Instant;

use super::{Row, Section, piece};
use crate::cli::watch::screen::Screen;
use crate::cli::watch::theme::{Tone, tone};
use crate::glance::words::{bar, percent, wrapped};
use crate::glance::{Route, under_way};

/// Rows of advice at most: it has commands in it, and is long.
const ADVICE_ROWS: usize = 5;

/// Where this is, and since when it is not; then the routes, when there are several.
pub(super) fn head(screen: &Screen, width: usize, now: Instant) -> Vec<Row> {
    let mut rows = Vec::new();
    match screen.silence(now) {
        Some((since, why)) => {
            let told = format!("NOT REACHABLE since {}: {why}", since.strftime("%H:%M:%S UTC"));
            rows.push(vec![piece(Tone::Bad, told)]);
        }
        None => rows.push(vec![
            piece(Tone::Heading, "switchback"),
            piece(Tone::Faint, format!("  {}", screen.place)),
        ]),
    }
    if screen.seen.routes.len() > 1 {
        rows.push(routes(screen, width));
    }
    rows
}

/// The shown one among them, with as many before it as fit. A route that somebody should look at has a mark.
fn routes(screen: &Screen, width: usize) -> Row {
    let shown = screen.route().map(|route| route.name.as_str());
    let entry = |route: &Route| {
        let mark = if route.is_in_trouble() { "!" } else { "" };
        let is_shown = Some(route.name.as_str()) == shown;
        let tone = match (is_shown, route.is_in_trouble()) {
            (true, _) => Tone::Chosen,
            (false, true) => Tone::Bad,
            (false, false) => Tone::Plain,
        };
        let text = match is_shown {
            true => format!("[{}{mark}]", route.name),
            false => format!(" {}{mark} ", route.name),
        };
        piece(tone, text)
    };
    let mut entries: Row = screen.seen.routes.iter().map(entry).collect();
    let is_chosen = |(tone, _): &(Tone, String)| *tone == Tone::Chosen;
    let up_to_chosen = |entries: &Row| {
        let count = entries.iter().position(is_chosen).map_or(0, |at| at + 1);
        entries
            .iter()
            .take(count)
            .map(|(_, text)| text.chars().count())
            .sum::<usize>()
    };
    while up_to_chosen(&entries) > width && !entries.first().is_none_or(is_chosen) {
        entries.remove(0);
    }
    entries
}

/// The route, its weight as a bar, and why it is as it is.
pub(super) fn weight(screen: &Screen, width: usize) -> Section {
    let Some(route) = screen.route() else {
        return Section::whole(vec![vec![piece(Tone::Plain, "no routes")]]);
    };
    let mut rows = vec![title(route), bar_row(route, width)];
    if let Some((label, text)) = under_way(route) {
        rows.push(vec![
            piece(Tone::Faint, format!("{label:<8}")),
            piece(Tone::Plain, text),
        ]);
    }
    let mut add = |label: &str, tone: Tone, text: &Option<String>| {
        let Some(text) = text else { return };
        rows.push(vec![
            piece(Tone::Faint, format!("{label:<8}")),
            piece(tone, text.clone()),
        ]);
    };
    add("paused", Tone::Doubtful, &route.paused);
    match route.is_latched {
        true => add("LATCHED", Tone::Bad, &route.reason),
        false => add("reason", Tone::Plain, &route.reason),
    }
    if let Some(advice) = &route.advice {
        let lines = wrapped(advice, width.saturating_sub(8).max(1));
        for (at, line) in lines.into_iter().take(ADVICE_ROWS).enumerate() {
            let label = if at == 0 { "advice" } else { "" };
            rows.push(vec![
                piece(Tone::Faint, format!("{label:<8}")),
                piece(Tone::Prompt, line),
            ]);
        }
    }
    Section::whole(rows)
}

fn title(route: &Route) -> Row {
    vec![
        piece(Tone::Heading, route.name.clone()),
        piece(tone(&route.state), format!("  {}", route.state)),
        piece(
            Tone::Faint,
            format!(
                "  epoch {}  {} clients  {} held",
                route.epoch, route.clients, route.held
            ),
        ),
    ]
}

fn bar_row(route: &Route, width: usize) -> Row {
    let is_moving = (route.weight - route.target).abs() >= 0.005;
    let target = match is_moving {
        true => format!("  target {}", percent(route.target)),
        false => String::new(),
    };
    let start = format!("{:<8}{:>8} on new  ", "weight", percent(route.weight));
    let room = width.saturating_sub(start.chars().count() + target.chars().count());
    vec![
        piece(Tone::Plain, start),
        piece(Tone::Heading, bar(route.weight, route.target, room.min(60))),
        piece(Tone::Plain, target),
    ]
}
