//! What does `switchback check` do?
//!
//! Shell: reads a configuration as `run` would, and says everything that is wrong with it.

use std::process::ExitCode;

use super::args::CheckArgs;
use super::output::{self, complain};
use super::preflight;
use crate::config::{self, Faults};

/// Exit code of bad arguments and bad configuration.
pub(super) const BAD_INPUT: u8 = 2;

pub(super) fn check(args: &CheckArgs) -> ExitCode {
    match config::load(&args.config) {
        Ok(config) if args.preflight => preflight::preflight(&config, args.json),
        Ok(config) => {
            let routes = config.routes.iter().map(|route| route.name.as_str());
            let names = routes.collect::<Vec<_>>().join(", ");
            output::exit(output::print(&format!("ok; routes: {names}\n")))
        }
        Err(faults) => bad_config(&faults),
    }
}

/// Every fault on a line of its own.
pub(super) fn bad_config(faults: &Faults) -> ExitCode {
    for fault in faults.iter() {
        complain(&fault.to_string());
    }
    ExitCode::from(BAD_INPUT)
}
