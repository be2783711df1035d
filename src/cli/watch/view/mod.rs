//! What does the screen look like?
//!
//! Pure: a [`Screen`] and a size to rows of text with their tones. What matters most keeps its rows when there are few: the
//! question that is being asked, then whether the proxy answers, the weight, the sides, the rules and the events.

mod foot;
mod list;
mod sides;
mod top;

use std::time::Instant;

use ratatui::Frame;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::screen::Screen;
use super::theme::{Theme, Tone};

/// A row: pieces from left to right.
type Row = Vec<(Tone, String)>;

/// One part of the screen.
struct Section {
    rows: Vec<Row>,
    /// As many rows it gets before others get more than theirs.
    least: usize,
    /// What is left of the rows when there is room for fewer of them.
    shorten: fn(Vec<Row>, usize) -> Vec<Row>,
}

pub(super) fn draw(frame: &mut Frame<'_>, screen: &Screen, theme: Theme, now: Instant) {
    let area = frame.area();
    let rows = rows(screen, usize::from(area.width), usize::from(area.height), now);
    let line = |row: Row| {
        let spans = row
            .into_iter()
            .map(|(tone, text)| Span::styled(text, theme.style(tone)));
        Line::from(spans.collect::<Vec<_>>())
    };
    let lines: Vec<Line<'_>> = rows.into_iter().map(line).collect();
    frame.render_widget(Paragraph::new(lines), area);
}

/// `height` rows.
fn rows(screen: &Screen, width: usize, height: usize, now: Instant) -> Vec<Row> {
    let sections = [
        Section::whole(top::head(screen, width, now)),
        top::weight(screen, width),
        sides::sides(screen, width),
        list::rules(screen),
        list::events(screen),
    ];
    let foot = foot::foot(screen, width);
    let foot_rows = foot.len().min(height);
    let given = share(&sections, height - foot_rows);
    let mut rows: Vec<Row> = Vec::with_capacity(height);
    for (section, given) in sections.into_iter().zip(given) {
        rows.extend(section.take(given));
    }
    rows.resize(height - foot_rows, Row::new());
    rows.extend(foot.into_iter().take(foot_rows));
    rows
}

/// Events that are shown before rules are that are well.
const EVENT_ROWS: usize = 8;

/// How many of `room` rows each gets: what it must have, the worst rule before the nodes, and then more.
fn share(sections: &[Section; 5], mut room: usize) -> [usize; 5] {
    let mut given = [0; 5];
    let mut give = |at: usize, up_to: usize| {
        let wanted = sections[at].rows.len().min(up_to);
        let more = wanted.saturating_sub(given[at]).min(room);
        given[at] += more;
        room -= more;
    };
    let [head, weight, sides, rules, events] = [0, 1, 2, 3, 4];
    for at in [head, weight, rules, sides, events] {
        give(at, sections[at].least);
    }
    give(sides, usize::MAX);
    give(events, EVENT_ROWS);
    give(rules, usize::MAX);
    give(events, usize::MAX);
    given
}

impl Section {
    /// One that has all its rows before others have more than they must.
    fn whole(rows: Vec<Row>) -> Self {
        let least = rows.len();
        let shorten = |rows: Vec<Row>, count| rows.into_iter().take(count).collect();
        Self { rows, least, shorten }
    }

    /// So many rows of it.
    fn take(self, count: usize) -> Vec<Row> {
        match count < self.rows.len() {
            true => (self.shorten)(self.rows, count),
            false => self.rows,
        }
    }
}

/// One piece.
fn piece(tone: Tone, text: impl Into<String>) -> (Tone, String) {
    (tone, text.into())
}

fn width_of(row: &Row) -> usize {
    row.iter().map(|(_, text)| text.chars().count()).sum()
}

#[cfg(test)]
mod tests;
