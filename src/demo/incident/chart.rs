//! What did the three runs look like over time?
//!
//! Pure: an SVG. Below each other on one scale of time: deliveries a second, how late the latest of them was, the weight
//! and the guard's verdicts, and what was done when.

use std::time::Duration;

use super::canvas::Canvas;
use super::run::{Event, Run};
use super::table::wrapped;
use super::watch::{Look, MarkKind};
use crate::demo::{History, LATE_AFTER, Moment};

const WIDTH: f64 = 1_100.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = WIDTH - 20.0;
const PANEL: f64 = 90.0;
const WEIGHT: f64 = 40.0;
const STRIP: f64 = 10.0;
const GAP: f64 = 14.0;
const LINE: f64 = 16.0;
/// A mark's number in the band above the panels: its width, and the band's lines.
const NUMBER: f64 = 16.0;
const NUMBER_LINE: f64 = 10.0;
/// What fits beside a mark's time, in the widest of the fonts a viewer may choose.
const TEXT_CHARS: usize = 115;
/// Moments that are drawn as one: a second's deliveries are a smoother curve than ten times a tenth's.
const DRAWN_TOGETHER: usize = 5;
/// Exponents of ten of the shortest and of the longest delay in seconds that have a place of their own.
const DELAY_MAGNITUDES: (f64, f64) = (-3.0, 1.0);

const GREY: &str = "stroke:#999;stroke-width:1";
const LABEL: &str = "fill:#333;text-anchor:end";

/// One file with all runs.
pub(super) fn draw(seed: u64, runs: &[Run]) -> String {
    let mut canvas = Canvas::default();
    let title = format!(
        "The incident, replayed with seed {seed}: {}",
        "deliveries, lateness, weight, and what the guard saw"
    );
    canvas.text((20.0, 26.0), &title, "font-size:16px;font-weight:bold");
    let moments = runs.iter().map(|run| run.messages.history.moments());
    let longest = moments.map(<[Moment]>::len).max().unwrap_or(1).max(1);
    let scale = Scale(longest as f64 * History::MOMENT.as_secs_f64());
    let most = runs.iter().flat_map(rates).map(|rate| rate.published);
    let most = most.fold(1.0, f64::max) * 1.3;
    let mut top = 44.0;
    for run in runs {
        top = block(&mut canvas, scale, most, run, top) + 2.0 * GAP;
    }
    canvas.finish(WIDTH)
}

/// Seconds on the whole width.
#[derive(Clone, Copy)]
struct Scale(f64);

impl Scale {
    fn x(self, seconds: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * (seconds / self.0).clamp(0.0, 1.0)
    }

    fn x_at(self, time: Duration) -> f64 {
        self.x(time.as_secs_f64())
    }
}

/// A name, a colour, and what is drawn.
type Curve = (&'static str, &'static str, fn(&Rate) -> f64);

/// Deliveries a second.
struct Rate {
    at: f64,
    /// What was published, had all of it come at once to everyone.
    published: f64,
    delivered: f64,
    late: f64,
    lost: f64,
    slowest: Duration,
}

fn rates(run: &Run) -> impl Iterator<Item = Rate> {
    let messages = &run.messages;
    let each = messages.owed as f64 / messages.published.max(1) as f64;
    let chunks = messages.history.moments().chunks(DRAWN_TOGETHER).enumerate();
    chunks.map(move |(index, moments)| {
        let seconds = History::MOMENT.as_secs_f64();
        let sum = |count: fn(&Moment) -> u64| {
            moments.iter().map(count).sum::<u64>() as f64 / (moments.len() as f64 * seconds)
        };
        Rate {
            at: ((index * DRAWN_TOGETHER) as f64 + moments.len() as f64 / 2.0) * seconds,
            published: each * sum(|moment| moment.published),
            delivered: sum(|moment| moment.delivered),
            late: sum(|moment| moment.late),
            lost: sum(|moment| moment.lost),
            slowest: moments
                .iter()
                .map(|moment| moment.slowest)
                .max()
                .unwrap_or_default(),
        }
    })
}

/// One run; returns where it ends.
fn block(canvas: &mut Canvas, scale: Scale, most: f64, run: &Run, top: f64) -> f64 {
    canvas.text((20.0, top + LINE), run.name, "font-size:14px;font-weight:bold");
    let marks = Marks::of(scale, run);
    let begin = top + LINE + marks.band() + GAP;
    let mut y = begin;
    deliveries(canvas, scale, most, run, y);
    y += PANEL + GAP;
    lateness(canvas, scale, run, y);
    y += PANEL + GAP;
    if !run.looks.is_empty() {
        weight(canvas, scale, &run.looks, y);
        y += WEIGHT + GAP / 2.0;
        y = verdicts(canvas, scale, &run.looks, y);
        y = bad_rules(canvas, scale, &run.events, y);
    }
    let seconds = scale.0 as usize;
    for second in (0..=seconds).step_by(10) {
        canvas.text(
            (scale.x(second as f64), y + LINE),
            &format!("{second} s"),
            "fill:#333;text-anchor:middle",
        );
    }
    marks.draw(canvas, (begin, y), y + 2.0 * LINE)
}

fn frame(canvas: &mut Canvas, label: &str, top: f64, height: f64) {
    canvas.rectangle(
        (LEFT, top),
        (RIGHT - LEFT, height),
        "fill:#fafafa;stroke:#ccc;stroke-width:1",
    );
    canvas.text((LEFT - 8.0, top + 12.0), label, LABEL);
}

fn deliveries(canvas: &mut Canvas, scale: Scale, most: f64, run: &Run, top: f64) {
    frame(canvas, "deliveries/s", top, PANEL);
    let y = |rate: f64| top + PANEL * (1.0 - (rate / most).min(1.0));
    let curves: [Curve; 4] = [
        ("due", "#aaa", |rate| rate.published),
        ("come", "#1a7f37", |rate| rate.delivered),
        ("come late", "#d97706", |rate| rate.late),
        ("lost", "#c21f1f", |rate| rate.lost),
    ];
    let mut label_at = top + 12.0;
    for (label, colour, value) in curves {
        let points: Vec<(f64, f64)> = rates(run)
            .map(|rate| (scale.x(rate.at), y(value(&rate))))
            .collect();
        canvas.curve(&points, &format!("stroke:{colour};stroke-width:1.5"));
        label_at += LINE;
        canvas.text(
            (LEFT - 8.0, label_at),
            label,
            &format!("fill:{colour};text-anchor:end"),
        );
    }
}

fn lateness(canvas: &mut Canvas, scale: Scale, run: &Run, top: f64) {
    frame(canvas, "slowest delivery", top, PANEL);
    let (least, most) = DELAY_MAGNITUDES;
    let y = |time: Duration| {
        let magnitude = time.as_secs_f64().max(1e-6).log10().clamp(least, most);
        top + PANEL * (1.0 - (magnitude - least) / (most - least))
    };
    for (millis, label) in [(1, "1 ms"), (10, "10 ms"), (100, "100 ms"), (1_000, "1 s")] {
        let y = y(Duration::from_millis(millis));
        canvas.line((LEFT, y), (RIGHT, y), "stroke:#e5e5e5;stroke-width:1");
        if millis > 1 {
            canvas.text(
                (LEFT - 8.0, y + 10.0),
                label,
                "fill:#888;text-anchor:end;font-size:10px",
            );
        }
    }
    let late = y(LATE_AFTER);
    canvas.line(
        (LEFT, late),
        (RIGHT, late),
        "stroke:#c21f1f;stroke-width:1;stroke-dasharray:4 3",
    );
    canvas.text(
        (RIGHT - 4.0, late - 3.0),
        "late: 900 ms",
        "fill:#c21f1f;text-anchor:end;font-size:10px",
    );
    let came = rates(run).filter(|rate| rate.delivered > 0.0);
    let points: Vec<(f64, f64)> = came.map(|rate| (scale.x(rate.at), y(rate.slowest))).collect();
    canvas.curve(&points, "stroke:#1d4ed8;stroke-width:1.5");
}

fn weight(canvas: &mut Canvas, scale: Scale, looks: &[Look], top: f64) {
    frame(canvas, "weight on new", top, WEIGHT);
    let y = |weight: f64| top + WEIGHT * (1.0 - weight / 100.0);
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (number, look) in (1..).zip(looks) {
        let (x, y) = (scale.x_at(look.at), y(look.weight));
        let before = points.last().map_or(y, |(_, before)| *before);
        if before != y || number == 1 || number == looks.len() {
            points.extend([(x, before), (x, y)]);
        }
    }
    canvas.curve(&points, "stroke:#7c3aed;stroke-width:2");
}

/// A strip a side; returns where they end.
fn verdicts(canvas: &mut Canvas, scale: Scale, looks: &[Look], top: f64) -> f64 {
    let mut y = top;
    for (index, side) in ["guard on old", "guard on new"].into_iter().enumerate() {
        canvas.text((LEFT - 8.0, y + STRIP), side, LABEL);
        let mut rest = looks;
        while let Some(first) = rest.first() {
            let verdict = &first.verdicts[index];
            let same = rest.iter().take_while(|look| look.verdicts[index] == *verdict);
            rest = rest.get(same.count()..).unwrap_or_default();
            let until = rest.first().or(looks.last()).unwrap_or(first);
            let colour = match verdict.as_str() {
                "ok" => "#86c79a",
                "bad" => "#c21f1f",
                _ => "#d4d4d4",
            };
            let (from, to) = (scale.x_at(first.at), scale.x_at(until.at));
            canvas.rectangle((from, y), (to - from, STRIP), &format!("fill:{colour}"));
        }
        y += STRIP + 4.0;
    }
    y
}

/// A strip for each rule that was bad, while it was; returns where they end. Which of them freeze, trip or are only told is
/// in their names and in the README's table.
fn bad_rules(canvas: &mut Canvas, scale: Scale, events: &[Event], top: f64) -> f64 {
    let mut bars: Vec<(String, Vec<[f64; 2]>)> = Vec::new();
    for event in events {
        let (Some(side), Some(rule)) = (&event.side, event.rule()) else {
            continue;
        };
        let name = format!("{side}: {rule}");
        let at = event.at.as_secs_f64();
        match (
            event.kind.as_str(),
            bars.iter_mut().find(|(known, _)| *known == name),
        ) {
            ("rule_bad", None) => bars.push((name, vec![[at, f64::INFINITY]])),
            ("rule_bad", Some((_, spans))) => spans.push([at, f64::INFINITY]),
            ("rule_ok" | "rule_unknown", Some((_, spans))) => {
                if let Some(last) = spans.last_mut() {
                    last[1] = last[1].min(at);
                }
            }
            _ => {}
        }
    }
    let mut y = top;
    for (name, spans) in bars {
        canvas.text(
            (LEFT - 8.0, y + STRIP),
            &name,
            "fill:#888;text-anchor:end;font-size:10px",
        );
        for [from, to] in spans {
            let (from, to) = (scale.x(from), scale.x(to));
            let size = ((to - from).max(1.0), STRIP - 4.0);
            canvas.rectangle((from, y + 2.0), size, "fill:#e5a0a0");
        }
        y += STRIP + 2.0;
    }
    y
}

/// Numbered lines through the panels, and what they are, below.
struct Marks(Vec<Line>);

struct Line {
    at: Duration,
    x: f64,
    colour: &'static str,
    text: String,
    /// Of the band above the panels, from below: numbers must not cover each other.
    row: usize,
}

impl Marks {
    fn of(scale: Scale, run: &Run) -> Self {
        let done = run.marks.iter().map(|mark| {
            let colour = match mark.kind {
                MarkKind::Attach | MarkKind::Shift => "#7c3aed",
                MarkKind::Refused | MarkKind::Trip => "#d97706",
                MarkKind::Detach | MarkKind::Back | MarkKind::Heeded | MarkKind::Passed => "#1a7f37",
            };
            (mark.at, colour, mark.text.clone())
        });
        let harm = run
            .first_harm()
            .map(|at| (at, "#c21f1f", "first message late or lost".to_owned()));
        let mut all: Vec<_> = done.chain(harm).collect();
        all.sort_by_key(|(at, ..)| *at);
        let mut ends: Vec<f64> = Vec::new();
        let lines = all.into_iter().map(|(at, colour, text)| {
            let x = scale.x_at(at);
            let free = ends.iter().position(|end| *end <= x);
            let row = free.unwrap_or(ends.len());
            match ends.get_mut(row) {
                Some(end) => *end = x + NUMBER,
                None => ends.push(x + NUMBER),
            }
            Line {
                at,
                x,
                colour,
                text,
                row,
            }
        });
        Self(lines.collect())
    }

    /// The height of their numbers.
    fn band(&self) -> f64 {
        let rows = self.0.iter().map(|line| line.row + 1).max().unwrap_or(0);
        rows as f64 * NUMBER_LINE
    }

    /// Returns where it ends.
    fn draw(&self, canvas: &mut Canvas, span: (f64, f64), top: f64) -> f64 {
        let mut y = top;
        for (number, line) in (1..).zip(&self.0) {
            let (x, colour) = (line.x, line.colour);
            let above = span.0 - 3.0 - line.row as f64 * NUMBER_LINE;
            canvas.line(
                (x, above),
                (x, span.1),
                &format!("stroke:{colour};stroke-width:1"),
            );
            canvas.text(
                (x + 2.0, above),
                &number.to_string(),
                &format!("fill:{colour};font-size:10px"),
            );
            y += LINE;
            let (fill, right) = (format!("fill:{colour}"), format!("fill:{colour};text-anchor:end"));
            canvas.text((LEFT + 14.0, y), &number.to_string(), &right);
            let at = format!("{:.1} s", line.at.as_secs_f64());
            canvas.text((LEFT + 60.0, y), &at, &right);
            for (index, text) in wrapped(&line.text, TEXT_CHARS).iter().enumerate() {
                y += if index > 0 { LINE } else { 0.0 };
                canvas.text((LEFT + 72.0, y), text, &fill);
            }
        }
        canvas.line((20.0, y + GAP), (RIGHT, y + GAP), GREY);
        y + GAP
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::incident::watch::Mark;

    #[test]
    fn a_chart_is_of_one_piece_whatever_a_run_has_seen_and_says() {
        let event = |at, kind: &str| Event {
            at: Duration::from_secs(at),
            kind: kind.to_owned(),
            side: Some("new".to_owned()),
            reason: "rule=output_buffer node=none".to_owned(),
        };
        let run = |looks: Vec<Look>, text: &str| Run {
            name: "as shipped",
            preflight: None,
            noticed: None,
            trip: None,
            route_back: None,
            stalls: crate::demo::Stalls::default(),
            events: vec![event(1, "rule_bad"), event(2, "rule_ok"), event(3, "rule_bad")],
            messages: crate::demo::MessageLedger::default(),
            marks: vec![Mark {
                at: Duration::from_secs(1),
                kind: MarkKind::Trip,
                text: text.to_owned(),
            }],
            looks,
        };
        let look = |verdict: &str| Look {
            at: Duration::ZERO,
            weight: 50.0,
            verdicts: [verdict.to_owned(), "ok".to_owned()],
        };
        for runs in [
            vec![],
            vec![run(vec![], "a<b> & 'c'")],
            vec![run(vec![look("ok"), look("bad")], "x")],
        ] {
            let svg = draw(1, &runs);
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
            assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("<b>"));
            let shapes = svg.lines().filter(|line| line.starts_with('<')).count();
            assert_eq!(svg.matches('<').count() - svg.matches("</text>").count(), shapes);
        }
    }
}
