//! How is it told?
//!
//! Shell: lines on stdout, or on stderr where stdout is for something else, each with the time since the start. A reader that has gone away changes nothing.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use super::verdict::Measured;

/// Tells the story.
#[derive(Debug)]
pub(super) struct Narrator {
    start: Instant,
    is_aside: bool,
}

impl Narrator {
    pub(super) fn start() -> Self {
        Self {
            start: Instant::now(),
            is_aside: false,
        }
    }

    /// On stderr.
    pub(super) fn start_aside() -> Self {
        Self {
            is_aside: true,
            ..Self::start()
        }
    }

    /// One line of progress.
    pub(super) fn say(&self, text: &str) {
        let line = format!("{:5.1} s  {text}", self.start.elapsed().as_secs_f64());
        match self.is_aside {
            true => drop(writeln!(std::io::stderr(), "{line}")),
            false => write_line(&line),
        }
    }

    /// The ledger, and whether the promise was kept.
    pub(super) fn conclude(&self, measured: &Measured) {
        write_line("");
        let rows = [rows(measured), command_rows(measured), message_rows(measured)].concat();
        for (name, value) in rows {
            write_line(&format!("  {name:<26}{value}"));
        }
        write_line("");
        let broken = measured.broken_promises();
        if broken.is_empty() {
            write_line("The apps noticed nothing.");
        }
        for promise in broken {
            write_line(&format!("BROKEN: {promise}"));
        }
    }
}

fn rows(measured: &Measured) -> Vec<(&'static str, String)> {
    let millis = |time: Option<i64>| time.map_or_else(|| "unknown".to_owned(), |time| format!("{time} ms"));
    vec![
        (
            "detection",
            format!(
                "{} after replication broke ({})",
                millis(measured.detection_millis),
                measured.reason
            ),
        ),
        (
            "route back",
            format!(
                "{} from first evidence to last command on new",
                millis(measured.route_back_millis)
            ),
        ),
        (
            "last command on new",
            format!(
                "{} after replication broke, by its own count",
                millis(measured.last_on_new_millis)
            ),
        ),
        ("commands on new since", measured.stray_commands.to_string()),
        ("full resyncs of new", measured.resyncs.to_string()),
    ]
}

fn command_rows(Measured { ledger, .. }: &Measured) -> Vec<(&'static str, String)> {
    vec![
        (
            "commands",
            format!("{} sent, slowest {} ms", ledger.sent, ledger.slowest.as_millis()),
        ),
        ("  failed", failures(&ledger.failed)),
        ("  late (over 900 ms)", ledger.late.to_string()),
        ("  lost", ledger.lost.to_string()),
        ("  executed twice", ledger.doubled.to_string()),
        ("  wrongly answered", (ledger.wrong + ledger.ghosts).to_string()),
    ]
}

fn message_rows(Measured { messages, .. }: &Measured) -> Vec<(&'static str, String)> {
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    vec![
        (
            "messages",
            format!(
                "{} published, {} deliveries; p50 {:.1} ms, p99 {:.1} ms, slowest {:.0} ms",
                messages.published,
                messages.delivered,
                millis(messages.p50),
                millis(messages.p99),
                millis(messages.slowest)
            ),
        ),
        ("  failed", failures(&messages.failed)),
        ("  late (over 900 ms)", messages.late.to_string()),
        (
            "  lost",
            format!(
                "{}, of which told as gaps {}",
                messages.lost, messages.lost_in_gaps
            ),
        ),
        ("  doubled", messages.doubled.to_string()),
        ("  out of order", messages.reordered.to_string()),
        ("  damaged", messages.damaged.to_string()),
    ]
}

/// `"0"`, or `"3 (closed 1, NOUPSTREAM 2)"`.
pub(super) fn failures(failed: &BTreeMap<String, u64>) -> String {
    let kinds: Vec<String> = failed
        .iter()
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    match kinds.is_empty() {
        true => "0".to_owned(),
        false => format!("{} ({})", failed.values().sum::<u64>(), kinds.join(", ")),
    }
}

pub(super) fn write_line(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
