//! What did the person at the keyboard ask for?
//!
//! Pure.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Direct Redis, Switchback and other proxies on the same work, in turn.
#[derive(Parser)]
pub(crate) struct Arguments {
    /// Rounds; the medians of them are shown.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// How long a run on direct Redis is made to last; others are given as many requests.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "1s")]
    pub(crate) length: Duration,
    /// One short round: to see that it works.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only the rows whose titles contain this; may come several times.
    #[arg(long)]
    pub(crate) only: Vec<String>,
    /// Only direct Redis and the contestants whose names contain this; may come several times.
    #[arg(long)]
    pub(crate) against: Vec<String>,
    /// Worker threads of every proxy that has more than one: one a core by default. The floor and twemproxy have one.
    #[arg(long)]
    pub(crate) workers: Option<usize>,
    /// What sends the commands.
    #[arg(long, value_enum, default_value_t = Tool::RedisBenchmark)]
    pub(crate) load: Tool,
    /// Where memtier_benchmark is, if not in PATH.
    #[arg(long, default_value = "memtier_benchmark")]
    pub(crate) memtier: PathBuf,
    /// Where predixy is, if not in PATH.
    #[arg(long, default_value = "predixy")]
    pub(crate) predixy: PathBuf,
    /// Another proxy, as NAME=PROGRAM: started as `PROGRAM PORT REDIS_PORT`, it is to listen on PORT of 127.0.0.1 until it is killed.
    #[arg(long, value_parser = peer)]
    pub(crate) peer: Vec<(String, PathBuf)>,
    /// The program that is compared, if not the one that was built with this.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_switchback"))]
    pub(crate) switchback: PathBuf,
    /// What cargo passes.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A load generator.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tool {
    /// Of Redis's own: Debian package redis-tools.
    RedisBenchmark,
    /// memtier_benchmark.
    Memtier,
}

fn peer(text: &str) -> Result<(String, PathBuf), String> {
    let (name, program) = text.split_once('=').ok_or("expected NAME=PROGRAM")?;
    Ok((name.to_owned(), program.into()))
}

impl Arguments {
    pub(crate) fn rounds_and_length(&self) -> (usize, Duration) {
        match self.quick {
            true => (1, Duration::from_millis(300)),
            false => (self.rounds.max(1), self.length),
        }
    }

    /// How many threads a proxy is told to have.
    pub(crate) fn workers(&self) -> usize {
        let cores = || std::thread::available_parallelism().unwrap().get();
        self.workers.unwrap_or_else(cores)
    }

    /// Whether a row is wanted.
    pub(crate) fn wants(&self, title: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| title.contains(part.as_str()))
    }

    /// Whether a contestant is wanted.
    pub(crate) fn is_against(&self, name: &str) -> bool {
        self.against.is_empty() || self.against.iter().any(|part| name.contains(part.as_str()))
    }
}
