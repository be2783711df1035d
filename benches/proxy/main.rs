//! What does the proxy cost, next to direct Redis and next to twemproxy, in one run?
//!
//! Shell: `cargo bench --bench proxy [-- --quick]`. Starts its own servers on free loopback ports and puts
//! redis-benchmark on each contestant in turn, round after round, so that whatever else the machine does falls on all
//! of them. Ratios are to the direct run of the same round, which is why they carry over between machines when plain
//! figures do not; the median of the rounds is shown.

// A benchmark that cannot start its servers has nothing to report but that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod contestants;
#[path = "../support/footprint.rs"]
#[allow(dead_code, reason = "shared with a bench that needs more of it")]
mod footprint;
mod load;
mod process;
mod table;

use std::time::Duration;

use contestants::Contestant;
use load::{Load, Measured};
use process::Process;
use table::Row;

/// Seconds one run of redis-benchmark is made to last, about; rounds. All in all about two minutes.
const USUAL: (Duration, usize) = (Duration::from_millis(1_500), 3);
/// The same for `--quick`: to see that it works.
const QUICK: (Duration, usize) = (Duration::from_millis(300), 1);

fn main() {
    let quick = std::env::args().any(|word| word == "--quick");
    let (length, rounds) = if quick { QUICK } else { USUAL };
    let servers = [Process::redis(), Process::redis()];
    let contestants = contestants::all(&servers);
    println!(
        "{} clients, keys from {}, values of {} bytes, {rounds} rounds of about {length:?} each, {} cores for everything",
        load::CLIENTS,
        load::KEYS,
        load::VALUE_BYTES,
        std::thread::available_parallelism().unwrap(),
    );
    table::print_head();
    for load in load::all() {
        for row in measure(&contestants, &servers, load, length, rounds) {
            table::print(&row);
        }
    }
}

/// One row a contestant: the medians of its rounds.
fn measure(
    contestants: &[Contestant],
    servers: &[Process],
    load: Load,
    length: Duration,
    rounds: usize,
) -> Vec<Row> {
    let requests = load::requests_for(&contestants[0], servers, load, length);
    let mut runs: Vec<Vec<Measured>> = contestants.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (contestant, runs) in contestants.iter().zip(&mut runs) {
            runs.push(load::run(contestant, servers, load, requests));
        }
    }
    let direct = runs[0].clone();
    contestants
        .iter()
        .zip(&runs)
        .map(|(contestant, runs)| table::row(contestant.name, load, runs, &direct))
        .collect()
}
