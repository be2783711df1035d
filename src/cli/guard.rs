//! What does `switchback guard replay` do?
//!
//! Shell: reads a trace's file line by line, has it replayed, and prints what comes of it; as JSON, once all of it is known. A
//! trip there would have been is an answer, no failure.

use std::path::Path;
use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::args::{GuardArgs, GuardCommand, ReplayArgs};
use super::check::{BAD_INPUT, bad_config};
use super::output::{self, Failure, print};
use super::render::plain;
use crate::config;
use crate::control_plane::guard::{RuleVerdict, Verdict};
use crate::control_plane::trace::{Assumed, Reader, Replay, Said, Tripped};
use crate::limits::REPLAY_LINES_MAX;

pub(super) fn guard(args: &GuardArgs) -> ExitCode {
    let GuardCommand::Replay(args) = &args.command;
    let mut assumed = Assumed {
        guard: None,
        weight: args.weight,
    };
    if let Some(path) = &args.config {
        let config = match config::load(path) {
            Ok(config) => config,
            Err(faults) => return bad_config(&faults),
        };
        let name = match args.route.clone().map_or_else(|| recorded_route(&args.file), Ok) {
            Ok(name) => name,
            Err(failure) => return output::exit(Err(failure)),
        };
        let Some(route) = config.routes.into_iter().find(|route| route.name == name) else {
            output::complain(&format!(
                "'{}' has no route '{name}'; --route names another",
                path.display()
            ));
            return ExitCode::from(BAD_INPUT);
        };
        assumed.guard = Some(route.guard);
    }
    output::exit(replay(args, assumed))
}

fn replay(args: &ReplayArgs, assumed: Assumed) -> Result<(), Failure> {
    let mut replay = Replay::new(assumed);
    if args.json {
        return json_document(&args.file, &mut replay);
    }
    follow(&args.file, &mut replay, |said| print(&line(said)))?;
    print(&format!("{}\n", plain(&outcome(&replay))))
}

fn recorded_route(file: &Path) -> Result<String, Failure> {
    let mut replay = Replay::new(Assumed::default());
    let mut reader = Reader::open(file).map_err(trace)?;
    if let Some(line) = reader.next_line().map_err(trace)? {
        // What is wrong with it is said by the replay itself.
        let _ = replay.take(line);
    }
    Ok(replay.route().unwrap_or_default().to_owned())
}

/// Replays a file, and hands on what there is to say as it comes.
fn follow(
    file: &Path,
    replay: &mut Replay,
    mut say: impl FnMut(&Said) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut reader = Reader::open(file).map_err(trace)?;
    while let Some(line) = reader.next_line().map_err(trace)? {
        let number = reader.number();
        let said = replay.take(line);
        let said =
            said.map_err(|error| Failure::Trace(format!("{}, line {number}: {error}", file.display())))?;
        said.iter().try_for_each(&mut say)?;
    }
    match replay.route() {
        Some(_) => Ok(()),
        None => Err(Failure::Trace(format!(
            "{}: it is empty; expected a trace",
            file.display()
        ))),
    }
}

fn trace(error: impl ToString) -> Failure {
    Failure::Trace(error.to_string())
}

fn json_document(file: &Path, replay: &mut Replay) -> Result<(), Failure> {
    let (mut lines, mut unlisted) = (Vec::new(), 0_u64);
    follow(file, replay, |said| {
        match lines.len() < REPLAY_LINES_MAX {
            true => lines.push(value(said)),
            false => unlisted += 1,
        }
        Ok(())
    })?;
    let trip = replay.first_trip().map(|Tripped { time, verdict }| {
        let mut trip = of_verdict(verdict);
        trip["time"] = json!(at(*time));
        trip
    });
    let document = json!({
        "route": replay.route(),
        "entries": replay.entries(),
        "lost": replay.lost(),
        "lines": lines,
        "unlisted": unlisted,
        "trips": replay.trips(),
        "trip": trip,
    });
    print(&format!("{document}\n"))
}

fn value(said: &Said) -> Value {
    match said {
        Said::Began { time, lost } => json!({"time": at(*time), "kind": "began", "lost": lost}),
        Said::Verdict { time, since, verdict } => {
            let mut value = of_verdict(verdict);
            value["time"] = json!(at(*time));
            value["kind"] = json!("verdict");
            value["since"] = json!(at(*since));
            value
        }
        Said::Would { time, kind, reason } => json!({"time": at(*time), "kind": kind, "reason": reason}),
        Said::Did { time, moved } => json!({
            "time": at(*time), "kind": "recorded", "what": moved.kind, "weight": moved.weight.to_string(),
            "target": moved.target.to_string(), "evidence": moved.evidence,
        }),
    }
}

fn of_verdict(verdict: &RuleVerdict) -> Value {
    let measured = (verdict.verdict != Verdict::Unknown).then_some(verdict.evidence.measured);
    json!({
        "side": verdict.side.name(), "rule": verdict.rule.name(), "verdict": verdict.verdict.name(),
        "action": verdict.action.name(), "node": verdict.evidence.node.as_ref().map(ToString::to_string),
        "measured": measured, "limit": verdict.evidence.limit, "unit": verdict.rule.unit(),
        "reason": verdict.to_string(),
    })
}

/// One line, its beginning aligned with the others'.
fn line(said: &Said) -> String {
    let (time, kind, text) = match said {
        Said::Began { time, lost: 0 } => (time, "began", "no evidence yet".to_owned()),
        Said::Began { time, lost } => (
            time,
            "began",
            format!("no evidence yet: {lost} entries are missing before"),
        ),
        Said::Verdict { time, verdict, .. } => (time, verdict.verdict.name(), verdict.to_string()),
        Said::Would { time, kind, reason } => (time, *kind, reason.clone()),
        Said::Did { time, moved } => {
            let evidence = moved
                .evidence
                .as_ref()
                .map_or(String::new(), |evidence| format!(": {evidence}"));
            let way = match moved.target == moved.weight {
                true => format!("{} at weight {}", moved.kind, moved.weight),
                false => format!("{} at weight {} to {}", moved.kind, moved.weight, moved.target),
            };
            (time, "recorded", way + &evidence)
        }
    };
    format!("{time:.3}  {kind:<13}  {}\n", plain(&text))
}

fn outcome(replay: &Replay) -> String {
    let missing = match replay.lost() {
        0 => String::new(),
        lost => format!("; {lost} entries are missing"),
    };
    match replay.first_trip() {
        None => format!("would not have tripped ({} entries{missing})", replay.entries()),
        Some(Tripped { time, verdict }) => {
            let more = match replay.trips() - 1 {
                0 => String::new(),
                more => format!("; {more} more"),
            };
            format!("would have tripped at {time:.3} by {verdict}{more}{missing}")
        }
    }
}

fn at(time: Timestamp) -> String {
    format!("{time:.6}")
}
