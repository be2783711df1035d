//! Do the properties of the fuzz targets hold for their corpora, and for what is made of those by mutation?
//!
//! The same functions that libFuzzer runs (`fuzz/run`), on any toolchain and in a few seconds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[allow(unreachable_pub, dead_code, missing_docs)]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::panic::catch_unwind;
use std::path::Path;

use fastrand::Rng;
use fuzz::{Property, TARGETS};

/// Mutated inputs a target.
const MUTATIONS: usize = 20_000;
/// Longest mutated input, in bytes.
const INPUT_BYTES_MAX: usize = 2_048;
/// What parsers of these formats stumble over, if over anything.
const WORDS: [&[u8]; 24] = [
    b"\r\n",
    b"\r",
    b"\n",
    b"*",
    b"$",
    b"+",
    b"-",
    b":",
    b"%",
    b"~",
    b">",
    b"|",
    b"=",
    b"_",
    b"-1",
    b"0",
    b"*1\r\n",
    b"$1\r\n",
    b"2147483647",
    b"9223372036854775807",
    b"18446744073709551616",
    b"\"",
    b"\\x",
    b"\0",
];

#[test]
fn every_seed_has_its_targets_property() {
    for (name, property) in TARGETS {
        for seed in corpus(name) {
            attempt(name, property, &seed, "a seed of the corpus");
        }
    }
}

/// Another seed each time; `SWITCHBACK_FUZZ_SEED` repeats one that a failure has printed.
#[test]
fn mutated_seeds_have_their_targets_property() {
    let seed = std::env::var("SWITCHBACK_FUZZ_SEED")
        .map_or_else(|_| fastrand::u64(..), |text| text.parse().unwrap());
    for (name, property) in TARGETS {
        let corpus = corpus(name);
        let mut random = Rng::with_seed(seed);
        for _ in 0..MUTATIONS {
            let input = mutated(&corpus, &mut random);
            attempt(name, property, &input, &format!("SWITCHBACK_FUZZ_SEED={seed}"));
        }
    }
}

fn attempt(name: &str, property: Property, input: &[u8], origin: &str) {
    if catch_unwind(|| property(input)).is_err() {
        panic!("{name} fails ({origin}) on \"{}\"", input.escape_ascii());
    }
}

/// The committed seeds, in one order on every machine.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{name} has no corpus");
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn mutated(corpus: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
    let mut input = random.choice(corpus).unwrap().clone();
    for _ in 0..random.usize(1..6) {
        let at = random.usize(0..=input.len());
        let end = random.usize(at..=input.len());
        match random.u8(0..6) {
            0 => drop(input.drain(at..end)),
            1 => drop(input.splice(at..at, random.choice(WORDS).unwrap().iter().copied())),
            2 => drop(input.splice(at..end, random.choice(corpus).unwrap().iter().copied())),
            3 => input.extend_from_within(at..end),
            4 => input.truncate(at),
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = random.u8(..);
                }
            }
        }
        input.truncate(INPUT_BYTES_MAX);
    }
    input
}
