//! Is the proxy to be told from a server by anything that clients do at random?
//!
//! Four clients send pipelines of commands of all types, sound and unsound, made from a seed, to the program and to servers
//! beside it; every reply is compared, and the contents of all servers. `generate` says what is sent, `model` what is expected
//! while the weight moves, `rules` what may differ.
//!
//! In full: `cargo nextest run --release --run-ignored only -E 'binary(differential)' --no-capture`; of a certain seed or size:
//! with `SWITCHBACK_SEED` and `SWITCHBACK_COMMANDS`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod compare;
mod connection;
mod contents;
mod generate;
mod grammar;
mod kinds;
mod listeners;
mod model;
mod rules;
mod run;
#[path = "../support/running.rs"]
#[allow(dead_code, reason = "shared with tests and benches that need more of it")]
mod running;
mod stage;

use fastrand::Rng;
use generate::CLIENTS;
use grammar::Grammar;
use kinds::{Chosen, Kinds};
use rules::SKIPPED;
use run::{Weights, run};
use switchback::data_plane::command::{Spec, specs};

/// A run in passing.
const FEW: usize = 20_000;
const MANY: usize = 1_000_000;
const SEEDS: [u64; 2] = [20_261_128, 1_340_218_713];

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().expect(variable))
}

fn compare(seed: u64, commands: usize, weights: Weights) {
    let seed = number("SWITCHBACK_SEED").unwrap_or(seed);
    let commands = number("SWITCHBACK_COMMANDS").map_or(commands, |count| count as usize);
    println!("{commands} commands of {CLIENTS} clients, {weights:?}: SWITCHBACK_SEED={seed}");
    match run(seed, commands, weights) {
        Ok(report) => println!("{report:?}"),
        Err(difference) => panic!("{difference}"),
    }
}

fn any_seed() -> u64 {
    u64::from(Rng::new().u32(..))
}

#[test]
fn at_0_random_commands_have_the_replies_of_a_server() {
    SEEDS.iter().for_each(|seed| compare(*seed, FEW, Weights::Zero));
}

#[test]
fn at_100_random_commands_have_the_replies_of_a_server() {
    SEEDS.iter().for_each(|seed| compare(*seed, FEW, Weights::Full));
}

#[test]
fn while_the_weight_moves_random_commands_have_their_owners_replies() {
    SEEDS.iter().for_each(|seed| compare(*seed, FEW, Weights::Moving));
}

#[test]
#[ignore = "takes minutes"]
fn at_0_a_million_random_commands_have_the_replies_of_a_server() {
    compare(any_seed(), MANY, Weights::Zero);
}

#[test]
#[ignore = "takes minutes"]
fn at_100_a_million_random_commands_have_the_replies_of_a_server() {
    compare(any_seed(), MANY, Weights::Full);
}

#[test]
#[ignore = "takes minutes"]
fn while_the_weight_moves_a_million_random_commands_have_their_owners_replies() {
    compare(any_seed(), MANY, Weights::Moving);
}

#[test]
fn every_command_of_the_table_is_generated_or_left_out_for_a_reason() {
    let kinds = Kinds {
        dumps: vec![b"dump".to_vec()],
    };
    let mut rng = Rng::with_seed(SEEDS[0]);
    let grammar = Grammar::read();
    let mut made: Vec<String> = [
        "multi",
        "watch",
        "select",
        "hello",
        "reset",
        "quit",
        "auth",
        "client|setname",
        "client|reply",
    ]
    .map(str::to_owned)
    .into();
    for form in grammar.forms() {
        for _ in 0..30 {
            let chosen = Chosen::any(&mut rng);
            let command = form.command(&mut rng, &kinds, &chosen);
            let name = command.word(0).to_ascii_lowercase();
            made.push(format!("{name}|{}", command.word(1).to_ascii_lowercase()));
            made.push(name);
        }
    }
    let is_skipped = |spec: &Spec| {
        SKIPPED.iter().any(
            |(name, _)| match (name.strip_suffix('*'), name.strip_prefix('*')) {
                (Some(begin), _) => spec.name.starts_with(begin),
                (_, Some(end)) => spec.name.ends_with(end),
                _ => spec.name == *name,
            },
        )
    };
    for spec in specs() {
        let is_made = made.iter().any(|name| name == spec.name);
        assert!(
            is_made || is_skipped(spec),
            "{} is neither generated nor left out",
            spec.name
        );
    }
}
