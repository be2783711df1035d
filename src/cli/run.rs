//! What does `switchback run` do?
//!
//! Shell: reads the configuration, starts the log, and runs the proxy until it is asked to end.

use std::process::ExitCode;

use super::args::{LogFormat, RunArgs};
use super::check::BAD_INPUT;
use super::output::complain;
use crate::config::{self, Config, Faults, Flags, Surroundings};
use crate::log::{self, Format};
use crate::proxy;

pub(super) fn run(args: &RunArgs) -> ExitCode {
    let log = log::start(match args.log_format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    });
    let (said, code) = match read(args) {
        Err(faults) => {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            (faults, ExitCode::from(BAD_INPUT))
        }
        Ok(config) => match proxy::run(config, args.config.clone()) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => (vec![error.to_string()], ExitCode::FAILURE),
        },
    };
    match args.log_format {
        LogFormat::Text => {
            // The reason of a failure is the last line.
            drop(log);
            said.iter().for_each(|line| complain(line));
        }
        // Whoever collects objects is to find the reason among them.
        LogFormat::Json => said.iter().for_each(|line| tracing::error!("{line}")),
    }
    code
}

fn read(args: &RunArgs) -> Result<Config, Faults> {
    if let Some(path) = &args.config {
        return config::load(path);
    }
    let flags = Flags {
        listen: args
            .listen
            .map_or_else(String::new, |address| address.to_string()),
        old: args.old.clone().unwrap_or_default(),
        new: args.new.clone(),
        admin_socket: args.admin_socket.clone(),
        metrics: args.metrics.map(|address| address.to_string()),
        state_dir: args.state_dir.clone(),
    };
    config::from_flags(&flags, &Surroundings::real())
}
