//! Does what is in `deploy/` fit the program, and what it is given to?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod booted;
mod container;
mod dashboard;
mod package;
mod prometheus;
mod unit;

#[path = "../support/running.rs"]
#[allow(dead_code)]
mod running;

use std::path::{Path, PathBuf};
use std::process::Output;

const PROGRAM: &str = env!("CARGO_BIN_EXE_switchback");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn deploy(path: &str) -> PathBuf {
    root().join("deploy").join(path)
}

/// Both of what a program wrote.
fn written(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}
