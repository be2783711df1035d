//! What did the person at the keyboard ask for?
//!
//! Pure.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// How cost and waits grow with clients, pipelines and workers, and with a neighbour that takes all it can get.
///
/// Figures are kept in DIR/figures.jsonl, a line a run. What is measured again takes the place of what was there, so that one page can
/// be made in several goes; all plots (DIR/*.svg) and tables (in DIR.md, between its marks) are made anew each time.
#[derive(Parser)]
pub(crate) struct Arguments {
    /// Rounds; the medians of them are shown, with the least and the most.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// How long a run is measured, once it has warmed up.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "1s")]
    length: Duration,
    /// One round of short runs, to see that it works: two to three minutes.
    #[arg(long)]
    quick: bool,
    /// Only the works whose titles contain this; may come several times.
    #[arg(long)]
    only: Vec<String>,
    /// Only make plots and tables of the figures that are there.
    #[arg(long)]
    pub(crate) draw: bool,
    /// Where figures and plots go.
    #[arg(long, value_name = "DIR", default_value = "target/scale")]
    pub(crate) out: PathBuf,
    /// The program that is measured, if not the one that was built with this.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_switchback"))]
    pub(crate) switchback: PathBuf,
    /// What cargo passes.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    pub(crate) fn rounds_and_length(&self) -> (usize, Duration) {
        match self.quick {
            true => (1, Duration::from_millis(300)),
            false => (self.rounds.max(1), self.length),
        }
    }

    /// Whether a work is wanted.
    pub(crate) fn wants(&self, title: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| title.contains(part.as_str()))
    }
}
