//! What does `switchback demo` do?
//!
//! Shell: see [`crate::demo`].

use std::process::ExitCode;

use super::args::DemoArgs;
use crate::demo::{self, IncidentOptions};

pub(super) fn demo(args: &DemoArgs) -> ExitCode {
    if !args.incident {
        return demo::run();
    }
    demo::run_incident(&IncidentOptions {
        seed: args.seed,
        svg: args.svg.clone(),
        json: args.json,
        trace: args.trace.clone(),
        only: args.only,
    })
}
