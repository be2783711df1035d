//! Do the rules say of recorded runs what they are to say?
//!
//! `traces/trip.*` were recorded from runs that tripped, on real Redis: the rules must trip over them too, and no later.
//! `traces/quiet.*` are of runs in which nothing was wrong: they must not. To add one, put a small file there that a proxy with
//! `trace_dir` has written, or a part of one: `trip.incident` is the last five seconds of `demo --incident` as shipped, side new only, with
//! every other INFO of most of it left out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use switchback::control_plane::trace::{Assumed, Reader, Replay, Said};

/// Longest file: more would be a burden to everyone who clones.
const FILE_BYTES_MAX: u64 = 256 * 1024;

fn traces(kind: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces");
    let entries = std::fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_kind = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(kind);
    let found: Vec<PathBuf> = paths.filter(is_kind).collect();
    assert!(!found.is_empty(), "no {kind}* in tests/traces");
    found
}

fn replayed(path: &Path) -> (Replay, Vec<Said>) {
    assert!(path.metadata().unwrap().len() <= FILE_BYTES_MAX, "{path:?}");
    let mut reader = Reader::open(path).unwrap();
    let mut replay = Replay::new(Assumed::default());
    let mut said = Vec::new();
    while let Some(line) = reader.next_line().unwrap() {
        said.extend(replay.take(line).unwrap());
    }
    (replay, said)
}

#[test]
fn runs_that_tripped_trip_again_and_no_later() {
    for path in traces("trip.") {
        let (replay, said) = replayed(&path);
        let live = said.iter().find_map(|said| match said {
            Said::Did { time, moved } if moved.kind == "trip" => Some(*time),
            _ => None,
        });
        let again = replay
            .first_trip()
            .unwrap_or_else(|| panic!("{path:?}: {said:#?}"));
        println!("{}: {} at {}", path.display(), again.verdict, again.time);
        assert!(again.time <= live.expect("it tripped"), "{path:?}");
    }
}

#[test]
fn runs_in_which_nothing_was_wrong_trip_nothing() {
    for path in traces("quiet.") {
        let (replay, said) = replayed(&path);
        let weighed = said.iter().any(|said| match said {
            Said::Did { moved, .. } => moved.weight.steps() > 0,
            _ => false,
        });
        assert!(weighed, "{path:?}: without traffic on new nothing could trip");
        assert_eq!(replay.first_trip(), None, "{path:?}");
        assert!(replay.entries() > 100, "{path:?}");
    }
}
