//! What does the proxy cost, next to direct Redis and next to other proxies, in one run?
//!
//! Shell: `cargo bench --bench compare [-- --help]`. Starts its own servers on free loopback ports and puts a load
//! generator on each contestant in turn, round after round, so that whatever else the machine does falls on all of them.

// A benchmark that cannot start its servers has nothing to report but that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod arguments;
mod contestants;
#[path = "../support/fan.rs"]
mod fan;
mod floor;
#[path = "../support/footprint.rs"]
#[allow(dead_code, reason = "shared with a bench that needs more of it")]
mod footprint;
#[path = "../support/listeners.rs"]
mod listeners;
mod load;
#[path = "../support/spread.rs"]
mod spread;
#[path = "../support/started.rs"]
mod started;
mod table;
#[path = "../support/values.rs"]
mod values;
mod work;

use clap::Parser;
use switchback::lab::{Server, ServerOptions};

use arguments::{Arguments, Tool};
use contestants::Contestant;
use load::Measured;
use values::{MIDDLE, SMALL};
use work::{Kind, LARGE, Work};

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if let [_, word, port, redis] = words.as_slice()
        && word == floor::WORD
    {
        return floor::serve(port.parse().unwrap(), redis.parse().unwrap());
    }
    let arguments = Arguments::parse();
    let servers = [(); 2].map(|()| Server::start(&ServerOptions::default()).unwrap());
    servers.iter().for_each(|server| fill(server, arguments.load));
    let contestants = contestants::all(&servers, &arguments);
    let (rounds, length) = arguments.rounds_and_length();
    println!(
        "{rounds} rounds of about {length:?} each; {} cores for load, proxies and servers, {} workers. Medians. ratio: operations a second, \
         next to direct Redis in the same round. us: processor time an operation. Next to ours: the contestant's figure in that \
         of switchback at weight 0, ~ where rounds disagree on which is more (within the noise).",
        std::thread::available_parallelism().unwrap(),
        arguments.workers(),
    );
    for work in work::ALL.into_iter().filter(|work| arguments.wants(work.title)) {
        measure(&contestants, &servers, work, &arguments);
    }
}

/// Both servers hold all that is read, whichever of them a proxy asks.
fn fill(server: &Server, load: Tool) {
    for values in [SMALL, MIDDLE, LARGE] {
        values.fill(server, |values, number| match load {
            Tool::RedisBenchmark => values.key(number),
            // It counts from 1.
            Tool::Memtier => format!("{}{}", values.prefix, number + 1),
        });
    }
}

/// One row: every contestant, as many times as there are rounds.
fn measure(contestants: &[Contestant], servers: &[Server], work: Work, arguments: &Arguments) {
    let (rounds, length) = arguments.rounds_and_length();
    let able = |contestant: &&Contestant| contestant.has_messages || matches!(work.kind, Kind::Get(_));
    let able: Vec<&Contestant> = contestants.iter().filter(able).collect();
    let Some(direct) = able.iter().position(|contestant| contestant.is_direct()) else {
        return;
    };
    let amount = load::amount_for(able[direct], work, length, arguments);
    let mut runs: Vec<Vec<Measured>> = able.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (contestant, runs) in able.iter().zip(&mut runs) {
            runs.push(load::run(contestant, servers, work, amount, arguments));
        }
    }
    println!("\n{}\n{}", work.title, table::head());
    let ours = able.iter().position(|contestant| contestant.is_ours());
    for (contestant, of_it) in able.iter().zip(&runs) {
        let ours = ours
            .filter(|_| !contestant.is_ours())
            .map(|at| runs[at].as_slice());
        println!("{}", table::line(&contestant.name, of_it, &runs[direct], ours));
    }
}
