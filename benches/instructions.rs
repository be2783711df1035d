//! How many instructions do the operations of the hot path take?
//!
//! Shell: `cargo bench --bench instructions`. Runs itself under callgrind twice for each operation and divides the
//! difference, so that start-up cancels. Unlike nanoseconds, the figures are the same on a busy machine as on an idle
//! one; they change with the compiler and the code only.

// A benchmark that cannot run has nothing to report but that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "operations/mod.rs"]
mod operations;

use std::process::Command;

use operations::Operation;

/// First argument of a process that is to be measured; the operation's number and a count follow.
const WORD: &str = "once";
/// Counts of the two runs.
const FEW: usize = 1_000;
const MANY: usize = 11_000;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [word, number, count] = words.as_slice()
        && word == WORD
    {
        let operation: &Operation = &operations::ALL[number.parse::<usize>().unwrap()];
        std::hint::black_box((operation.run)(operation.bytes, count.parse().unwrap()));
        return;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("instructions are not counted: valgrind (Debian package valgrind) is not installed");
        return;
    }
    println!("{:<32} {:>12}", "operation", "instructions");
    for (number, operation) in operations::ALL.iter().enumerate() {
        let difference = instructions(number, MANY) - instructions(number, FEW);
        let each = difference as f64 / (MANY - FEW) as f64;
        println!("{:<32} {each:>12.1}", operation.name);
    }
}

/// All instructions of a process that does the operation `count` times.
fn instructions(number: usize, count: usize) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args([WORD, &number.to_string(), &count.to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split_once("Collected :"));
    let (_, number) = collected.unwrap_or_else(|| panic!("callgrind said: {text}"));
    number.trim().parse().unwrap()
}
