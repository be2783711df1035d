//! What does `switchback check` do?
//!
//! Shell.

use std::process::ExitCode;

use super::args::CheckArgs;
use super::output::complain;

pub(super) fn check(_: &CheckArgs) -> ExitCode {
    complain("check is not built into this version");
    ExitCode::FAILURE
}
