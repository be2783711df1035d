//! Who is on each side, and how far behind are they?
//!
//! Pure. Side by side where there is room.

use super::{Row, Section, piece, width_of};
use crate::cli::watch::history::KEPT;
use crate::cli::watch::screen::Screen;
use crate::cli::watch::theme::{Tone, tone};
use crate::glance::words::{bytes, delay, sparkline};
use crate::glance::{Node, Route, SIDES, Side};

/// From this width on the sides stand beside each other.
const WIDE: usize = 130;
const GAP: usize = 2;

pub(super) fn sides(screen: &Screen, width: usize) -> Section {
    let Some(route) = screen.route() else {
        return Section::whole(Vec::new());
    };
    let is_wide = width >= WIDE;
    let room = if is_wide { (width - GAP) / 2 } else { width };
    let [old, new] = [0, 1].map(|at| side(screen, route, at, room));
    let rows = match is_wide {
        true => beside(old, new, room),
        false => [old, new].concat(),
    };
    Section {
        least: rows.iter().filter(|row| is_title(row)).count(),
        rows,
        shorten: titles_first,
    }
}

/// How a side is before who is on it.
fn titles_first(rows: Vec<Row>, count: usize) -> Vec<Row> {
    let mut room = count.saturating_sub(rows.iter().filter(|row| is_title(row)).count());
    let mut keep = |row: &Row| {
        let is_kept = is_title(row) || room > 0;
        room -= usize::from(is_kept && !is_title(row));
        is_kept
    };
    rows.into_iter().filter(|row| keep(row)).take(count).collect()
}

fn is_title(row: &Row) -> bool {
    row.first().is_some_and(|(tone, _)| *tone == Tone::Heading)
}

fn beside(mut left: Vec<Row>, mut right: Vec<Row>, room: usize) -> Vec<Row> {
    let count = left.len().max(right.len());
    left.resize(count, Row::new());
    right.resize(count, Row::new());
    let join = |(mut left, right): (Row, Row)| {
        let used = width_of(&left);
        left.push(piece(Tone::Plain, " ".repeat((room + GAP).saturating_sub(used))));
        left.extend(right);
        left
    };
    left.into_iter().zip(right).map(join).collect()
}

fn side(screen: &Screen, route: &Route, at: usize, room: usize) -> Vec<Row> {
    let name = SIDES[at];
    let Some(side) = &route.sides[at] else {
        let none = piece(Tone::Faint, "none is configured");
        return vec![vec![piece(Tone::Heading, format!("{name:<5}")), none]];
    };
    let shown = Shown {
        screen,
        route,
        name,
        side,
        limit: route.delay_limit(name),
        room,
    };
    let nodes = side.nodes.iter().map(|node| shown.node(node));
    std::iter::once(shown.title()).chain(nodes).collect()
}

/// A side, as it is shown.
struct Shown<'a> {
    screen: &'a Screen,
    route: &'a Route,
    name: &'static str,
    side: &'a Side,
    /// What a delay must not reach.
    limit: Option<f64>,
    room: usize,
}

impl Shown<'_> {
    fn title(&self) -> Row {
        let verdict = &self.side.verdict;
        let mut title = vec![
            piece(Tone::Heading, format!("{:<5}", self.name)),
            piece(tone(verdict), verdict.clone()),
        ];
        if let Some(rate) = self.screen.history.per_second(&self.route.name, self.name) {
            title.push(piece(Tone::Plain, format!("  {rate:.0} commands/s")));
        }
        if let Some(limit) = self.limit {
            let scale = format!("  replication delay: full bar {}", delay(limit));
            title.push(piece(Tone::Faint, scale));
        }
        title
    }

    fn node(&self, node: &Node) -> Row {
        let lengths = self.side.nodes.iter().map(|node| node.addr.chars().count());
        let longest = lengths.max().unwrap_or_default();
        let up = match node.is_up {
            Some(true) => "up",
            Some(false) => "down",
            None => "-",
        };
        let role = node.role.as_deref().unwrap_or("-");
        let mut row = vec![
            piece(Tone::Plain, format!("  {role:<8} {:<longest$}  ", node.addr)),
            piece(tone(up), format!("{up:<5}")),
        ];
        if role == "master" {
            return row;
        }
        let dash = || "-".to_owned();
        let late = node.delay.map_or_else(dash, delay);
        let behind = node.lag_bytes.map_or_else(dash, bytes);
        row.push(piece(Tone::Plain, format!("{late:>8} {behind:>7} ")));
        row.push(self.delays(node, self.room.saturating_sub(width_of(&row)).min(KEPT)));
        row
    }

    fn delays(&self, node: &Node, columns: usize) -> (Tone, String) {
        let values = self
            .screen
            .history
            .delays(&self.route.name, self.name, &node.addr, columns);
        let values: Vec<Option<f64>> = values.collect();
        let highest = values.iter().flatten().copied().fold(0.0, f64::max);
        let is_over = |limit| node.delay.is_some_and(|delay| delay >= limit);
        let tone = if self.limit.is_some_and(is_over) {
            Tone::Bad
        } else {
            Tone::Plain
        };
        piece(
            tone,
            sparkline(values.iter().copied(), self.limit.unwrap_or(highest)),
        )
    }
}
