//! How do the three runs compare?
//!
//! Pure: a table with a column a run.

use std::time::Duration;

use super::run::Run;
use super::watch::MarkKind;
use crate::demo::narrator::failures;

/// The width of a run's column.
const WIDTH: usize = 38;

/// A name, and what a run has to say to it.
type Row = (&'static str, fn(&Run) -> String);

/// Its lines.
pub(super) fn lines(runs: &[Run]) -> Vec<String> {
    let rows: [Row; 11] = [
        ("", |run| run.name.to_owned()),
        ("pre-flight", |run| run.preflight.clone()),
        ("noticed", noticed),
        ("first harm", |run| {
            run.first_harm().map_or("none".to_owned(), seconds)
        }),
        ("noticed before it", lead),
        ("routed back", routed_back),
        ("messages failed", |run| failures(&run.messages.failed)),
        ("deliveries late (> 900 ms)", |run| run.messages.late.to_string()),
        ("deliveries lost", lost),
        ("deliveries doubled", |run| run.messages.doubled.to_string()),
        ("recovered after", |run| {
            run.recovery()
                .map_or("nothing to recover from".to_owned(), seconds)
        }),
    ];
    rows.iter()
        .flat_map(|(name, cell)| {
            let cells: Vec<Vec<String>> = runs.iter().map(|run| wrapped(&cell(run))).collect();
            let height = cells.iter().map(Vec::len).max().unwrap_or(1);
            (0..height).map(move |line| {
                let name = if line == 0 { name } else { "" };
                let cells = cells.iter().map(|cell| cell.get(line).map_or("", String::as_str));
                let cells: String = cells.map(|cell| format!("  {cell:<WIDTH$}")).collect();
                format!("  {name:<26}{cells}").trim_end().to_owned()
            })
        })
        .collect()
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn noticed(run: &Run) -> String {
    run.noticed.as_ref().map_or("no".to_owned(), |one| {
        format!("at {}: {}", seconds(one.at), one.text)
    })
}

fn routed_back(run: &Run) -> String {
    let by = |kind, who: &str| Some(format!("at {}, by {who}", seconds(run.first(kind)?.at)));
    by(MarkKind::Trip, "the guard")
        .or_else(|| by(MarkKind::Back, "operators"))
        .unwrap_or_else(|| "no".to_owned())
}

fn lead(run: &Run) -> String {
    match (run.lead_seconds(), run.first_harm()) {
        (Some(lead), _) => format!("{lead:+.1} s"),
        (None, None) => "there was none".to_owned(),
        (None, Some(_)) => "never".to_owned(),
    }
}

fn lost(run: &Run) -> String {
    format!(
        "{}, of which told as gaps {}",
        run.messages.lost, run.messages.lost_in_gaps
    )
}

/// Lines of a cell; a word longer than it is left whole.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let is_full = lines
            .last()
            .is_some_and(|line| !line.is_empty() && line.len() + 1 + word.len() > WIDTH);
        if is_full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::MessageLedger;
    use crate::demo::incident::run::Noticed;
    use crate::demo::incident::watch::Mark;

    fn run(noticed: Option<f64>) -> Run {
        Run {
            name: "as shipped",
            preflight: "refused: a reason that is longer than a column of the table is wide".to_owned(),
            noticed: noticed.map(|seconds| Noticed {
                at: Duration::from_secs_f64(seconds),
                text: "rule=x".to_owned(),
            }),
            messages: MessageLedger::default(),
            marks: Vec::new(),
            looks: Vec::new(),
        }
    }

    fn row(lines: &[String], name: &str) -> String {
        let is_it = |line: &&String| line.trim_start().starts_with(name);
        lines.iter().find(is_it).unwrap()[26 + 4..].trim().to_owned()
    }

    #[test]
    fn a_run_without_harm_says_so_and_long_cells_are_wrapped() {
        let lines = lines(&[run(None)]);
        assert_eq!(row(&lines, "first harm"), "none");
        assert_eq!(row(&lines, "noticed before it"), "there was none");
        assert_eq!(row(&lines, "recovered after"), "nothing to recover from");
        assert_eq!(row(&lines, "routed back"), "no");
        assert!(lines.iter().all(|line| line.len() <= 2 + 26 + 2 + WIDTH));
        assert!(
            lines
                .iter()
                .any(|line| line.trim() == "a column of the table is wide")
        );
    }

    #[test]
    fn who_went_back_is_told_the_guard_first() {
        let mark = |at, kind| Mark {
            at: Duration::from_secs(at),
            kind,
            text: String::new(),
        };
        let mut run = run(Some(1.0));
        run.marks = vec![mark(9, MarkKind::Back)];
        assert_eq!(
            row(&lines(&[run.clone()]), "routed back"),
            "at 9.0 s, by operators"
        );
        run.marks.push(mark(12, MarkKind::Trip));
        assert_eq!(row(&lines(&[run]), "routed back"), "at 12.0 s, by the guard");
    }
}
