//! What does `switchback demo` do?
//!
//! Shell: see [`crate::demo`].

use std::process::ExitCode;

use super::args::DemoArgs;

pub(super) fn demo(DemoArgs {}: &DemoArgs) -> ExitCode {
    crate::demo::run()
}
