//! How do throughput, waits, processor time and memory grow with clients, pipelines and workers, and what does one client's greed cost
//! the others?
//!
//! Shell: `cargo bench --bench scale [-- --help]`. Real servers, the program itself, and direct Redis in every round. Makes the
//! figures, plots and tables of `docs/performance.md`.

// A benchmark that cannot start its servers has nothing to report but that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod arguments;
#[path = "../support/crowd.rs"]
mod crowd;
mod figures;
#[path = "../support/footprint.rs"]
mod footprint;
mod measure;
mod plot;
mod record;
#[path = "../support/spread.rs"]
mod spread;
#[path = "../support/started.rs"]
mod started;
mod tables;
#[path = "../support/values.rs"]
mod values;
mod work;

use std::fs;

use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use switchback::lab::{Server, ServerOptions};

use arguments::Arguments;
use record::{Record, Records};
use values::{MIDDLE, SMALL, Values};
use work::{THROUGH, Work};

fn main() {
    let arguments = Arguments::parse();
    fs::create_dir_all(&arguments.out).unwrap();
    let path = arguments.out.join("figures.jsonl");
    let mut records = Records::read(&path);
    if !arguments.draw {
        measure(&mut records, &arguments);
        records.write(&path);
    }
    figures::draw(&records, &arguments.out);
    tables::write(&records, &arguments.out.with_extension("md"));
}

fn measure(records: &mut Records, arguments: &Arguments) {
    let descriptors = raise_descriptors();
    let fits = |work: &Work| {
        let needed = work.connections() as u64;
        let fits = needed <= descriptors;
        if !fits {
            println!(
                "{work}: left out, {needed} descriptors are needed and {descriptors} allowed (ulimit -n)"
            );
        }
        fits
    };
    let works: Vec<Work> = work::all()
        .into_iter()
        .filter(|work| arguments.wants(&work.to_string()))
        .filter(fits)
        .collect();
    let most = works
        .iter()
        .map(|work| work.connections())
        .max()
        .unwrap_or_default();
    let servers = [(); 2].map(|()| server(most));
    works.iter().for_each(|work| records.forget(*work));
    let (rounds, length) = arguments.rounds_and_length();
    for round in 0..rounds {
        for work in &works {
            for through in THROUGH
                .into_iter()
                .filter(|through| work.is_done_through(*through))
            {
                let seed = round as u64;
                let program = &arguments.switchback;
                let figures = measure::run(*work, through, &servers, program, length, seed);
                println!(
                    "{}/{rounds}  {:<30} {:<20} {:>8.0}/s  p50 {:>9.0}  p99 {:>9.0}  p99.9 {:>9.0} us  proxy {:>6.2}  redis {:>6.2} us",
                    round + 1,
                    work.to_string(),
                    through.to_string(),
                    figures.neighbour_per_second.unwrap_or(figures.per_second),
                    figures.p50_micros,
                    figures.p99_micros,
                    figures.p999_micros,
                    figures.proxy_micros,
                    figures.redis_micros,
                );
                records.add(Record {
                    work: *work,
                    through,
                    round,
                    figures,
                });
            }
        }
    }
}

/// Takes all descriptors that this process may have, which what it starts inherits; returns how many.
fn raise_descriptors() -> u64 {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    most
}

/// Both hold all that is read, whichever of them is asked.
fn server(connections: usize) -> Server {
    let options = ServerOptions {
        config: vec![format!("maxclients {connections}")],
        ..ServerOptions::default()
    };
    let server = Server::start(&options).unwrap();
    [SMALL, MIDDLE]
        .iter()
        .for_each(|values| values.fill(&server, Values::key));
    server
}
