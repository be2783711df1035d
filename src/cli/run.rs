//! What does `switchback run` do?
//!
//! Shell.

use std::process::ExitCode;

use super::args::RunArgs;
use super::output::complain;

pub(super) fn run(_: &RunArgs) -> ExitCode {
    complain("run is not built into this version");
    ExitCode::FAILURE
}
