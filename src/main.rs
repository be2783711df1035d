//! The `switchback` program.

use std::process::ExitCode;

/// Gives back what a burst of clients took: after 10,000 had each asked for 100 KB at once the C library's kept 210 MB more than
/// before, this one 8, of which the parked clients are 2 (`.cargo/config.toml` says how).
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    switchback::cli::main()
}
