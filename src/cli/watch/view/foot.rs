//! Which keys are there, what is being asked, and what was told last?
//!
//! Pure.

use super::{Row, piece};
use crate::cli::watch::order::{Asked, Proof};
use crate::cli::watch::screen::{Mode, Screen};
use crate::cli::watch::theme::Tone;
use crate::glance::words::{percent, wrapped};

/// Rows that a question or an answer takes at most.
const TOLD_ROWS: usize = 3;

pub(super) fn foot(screen: &Screen, width: usize) -> Vec<Row> {
    let (tone, text) = line(screen);
    let lines = wrapped(&text, width.max(1)).into_iter().take(TOLD_ROWS);
    let mut rows: Vec<Row> = lines.map(|line| vec![piece(tone, line)]).collect();
    rows.push(keys(screen));
    rows
}

/// What stands above the keys.
fn line(screen: &Screen) -> (Tone, String) {
    match (&screen.mode, &screen.told) {
        (Mode::Percent { route, typed }, _) => {
            let text = format!("weight of {route} in percent, then Enter: {typed}_");
            (Tone::Prompt, text)
        }
        (Mode::Confirming { asked, typed }, _) => (Tone::Prompt, question(asked, typed)),
        (Mode::Watching, Some(told)) => {
            let tone = if told.is_good { Tone::Good } else { Tone::Bad };
            (tone, told.text.clone())
        }
        (Mode::Watching, None) => match screen.pending.as_slice() {
            [] => (Tone::Plain, String::new()),
            pending => {
                let named: Vec<String> = pending.iter().map(Asked::named).collect();
                (Tone::Prompt, format!("asked: {}", named.join("; ")))
            }
        },
    }
}

fn question(asked: &Asked, typed: &str) -> String {
    let named = asked.named();
    match asked.proof {
        Proof::Letter => format!("{named}? y does it, any other key does not"),
        Proof::Name => format!("{named}? The name of the route, then Enter, does it: {typed}_"),
    }
}

/// What can be pressed now.
fn keys(screen: &Screen) -> Row {
    let Some(route) = screen.route() else {
        return vec![piece(Tone::Faint, "q quit")];
    };
    let mut keys = vec!["b back".to_owned(), "q quit".to_owned()];
    match (route.is_latched, route.state.as_str()) {
        (true, _) => keys.push("a arm".to_owned()),
        (false, state) => {
            if let Some(step) = route.next_step {
                keys.push(format!("r raise to {}", percent(step)));
            }
            keys.push("w weight".to_owned());
            match state {
                "ramping" => keys.extend(["p pause/resume".to_owned(), "x abort ramp".to_owned()]),
                _ => keys.push("s start ramp".to_owned()),
            }
        }
    }
    if screen.seen.routes.len() > 1 {
        keys.push("Tab route".to_owned());
    }
    vec![piece(Tone::Faint, keys.join("  "))]
}
