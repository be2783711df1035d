//! The `switchback` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    switchback::cli::main()
}
