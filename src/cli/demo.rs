//! What does `switchback demo` do?
//!
//! Shell.

use std::process::ExitCode;

use super::args::DemoArgs;
use super::output::complain;

pub(super) fn demo(_: &DemoArgs) -> ExitCode {
    complain("demo is not built into this version");
    ExitCode::FAILURE
}
