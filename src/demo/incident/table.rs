//! How do the three runs compare?
//!
//! Pure: a table with a column a run.

use std::time::Duration;

use super::run::{Noticed, Preflight, Run};
use super::watch::MarkKind;
use crate::demo::narrator::failures;

/// The width of a run's column.
const WIDTH: usize = 38;

/// A name, and what a run has to say to it.
type Row = (&'static str, fn(&Run) -> String);

/// Its lines.
pub(super) fn lines(runs: &[Run]) -> Vec<String> {
    let rows: [Row; 15] = [
        ("", |run| run.name.to_owned()),
        ("refused at pre-flight", refused),
        ("and then", heeded),
        ("first word of the guard", |run| noticed(run.noticed.as_ref())),
        ("highest weight", highest_weight),
        ("the guard tripped", |run| noticed(run.trip.as_ref())),
        ("routed back", routed_back),
        ("first harm", first_harm),
        ("tripped before it", lead),
        ("machine's longest stall", stall),
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
            let cells: Vec<Vec<String>> = runs.iter().map(|run| wrapped(&cell(run), WIDTH)).collect();
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

fn refused(run: &Run) -> String {
    match &run.preflight {
        None => "there was none".to_owned(),
        Some(preflight) if preflight.refusals.is_empty() => "no".to_owned(),
        Some(preflight) => format!("yes, by {}", preflight.refusals.join("; ")),
    }
}

fn heeded(run: &Run) -> String {
    match &run.preflight {
        None => "-".to_owned(),
        Some(Preflight {
            passed_at: Some(at), ..
        }) => match run.first(MarkKind::Heeded).is_some() {
            true => format!("its advice was followed; passed at {}", seconds(*at)),
            false => format!("passed at {}", seconds(*at)),
        },
        Some(_) if run.first(MarkKind::Heeded).is_some() => {
            "its advice was followed; not passed by then".to_owned()
        }
        Some(_) => "it was overridden".to_owned(),
    }
}

fn noticed(of: Option<&Noticed>) -> String {
    of.map_or("no".to_owned(), |one| {
        format!("at {}: {}", seconds(one.at), one.text)
    })
}

fn highest_weight(run: &Run) -> String {
    let highest = run.looks.iter().map(|look| look.weight).max_by(f64::total_cmp);
    highest.map_or("-".to_owned(), |weight| format!("{weight} % on new"))
}

fn routed_back(run: &Run) -> String {
    let by = |kind, who: &str| Some(format!("at {}, by {who}", seconds(run.first(kind)?.at)));
    let by_guard = by(MarkKind::Trip, "the guard").map(|text| match run.route_back {
        Some(took) => format!(
            "{text}; last command on new {} ms after the first evidence",
            took.as_millis()
        ),
        None => text,
    });
    by_guard
        .or_else(|| by(MarkKind::Back, "operators"))
        .unwrap_or_else(|| "no".to_owned())
}

/// Whether lateness may be the machine's rather than the incident's.
fn stall(run: &Run) -> String {
    let longest = run.stalls.longest();
    let text = longest.map_or("under 20 ms".to_owned(), |one| {
        format!("{} ms, at {}", one.took.as_millis(), seconds(one.at))
    });
    match (run.first_harm(), run.stall()) {
        (None, _) => text,
        (Some(_), None) => format!("{text}; around the first harm none"),
        (Some(_), Some(one)) => format!("{text}; around the first harm {} ms", one.took.as_millis()),
    }
}

fn first_harm(run: &Run) -> String {
    match (run.first_harm(), run.harm_of_shift()) {
        (None, _) => "none".to_owned(),
        (Some(first), Some(shift)) if first == shift => seconds(first),
        (Some(first), shift) => format!(
            "{}, before the shift; since it {}",
            seconds(first),
            shift.map_or("none".to_owned(), seconds)
        ),
    }
}

fn lead(run: &Run) -> String {
    match (run.lead_seconds(), run.harm_of_shift()) {
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
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let is_full = lines
            .last()
            .is_some_and(|line| !line.is_empty() && line.len() + 1 + word.len() > width);
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
    use crate::demo::incident::watch::Mark;
    use crate::demo::{MessageLedger, Stalls};

    fn run(noticed: Option<f64>) -> Run {
        Run {
            name: "as shipped",
            preflight: Some(Preflight {
                refusals: vec!["a reason that is longer than a column of the table is wide".to_owned()],
                passed_at: None,
            }),
            trip: None,
            route_back: None,
            stalls: Stalls::default(),
            events: Vec::new(),
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
        assert_eq!(row(&lines, "tripped before it"), "there was none");
        assert_eq!(row(&lines, "recovered after"), "nothing to recover from");
        assert_eq!(row(&lines, "routed back"), "no");
        assert!(lines.iter().all(|line| line.len() <= 2 + 26 + 2 + WIDTH));
        assert!(
            lines
                .iter()
                .any(|line| line.trim() == "column of the table is wide")
        );
    }

    #[test]
    fn what_the_preflight_refused_and_what_came_after_are_both_told() {
        let mut run = run(None);
        let refused = "refused at pre-flight";
        assert!(row(&lines(&[run.clone()]), refused).starts_with("yes, by a reason"));
        assert_eq!(row(&lines(&[run.clone()]), "and then"), "it was overridden");
        run.marks = vec![mark(5, MarkKind::Heeded)];
        run.preflight.as_mut().unwrap().passed_at = Some(Duration::from_secs(8));
        let then = row(&lines(&[run.clone()]), "and then");
        assert_eq!(then, "its advice was followed; passed at 8.0");
        run.preflight = None;
        assert_eq!(row(&lines(&[run]), refused), "there was none");
    }

    fn mark(at: u64, kind: MarkKind) -> Mark {
        Mark {
            at: Duration::from_secs(at),
            kind,
            text: String::new(),
        }
    }

    #[test]
    fn who_went_back_is_told_the_guard_first() {
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
