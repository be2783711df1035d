//! What does `switchback run` do?
//!
//! Shell: reads the configuration, starts the log, and runs the proxy until it is asked to end.

use std::io::IsTerminal;
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use super::args::RunArgs;
use super::check::bad_config;
use super::output::complain;
use crate::config::{self, Config, Faults, Flags, Surroundings};
use crate::proxy;

/// The environment variable that says what is logged, in tracing's syntax: `debug`, `switchback=trace`.
const LOG_VARIABLE: &str = "SWITCHBACK_LOG";

pub(super) fn run(args: &RunArgs) -> ExitCode {
    let config = match read(args) {
        Ok(config) => config,
        Err(faults) => return bad_config(&faults),
    };
    log();
    match proxy::run(config, args.config.clone()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
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

/// Lines on stderr, where a service manager picks them up.
fn log() {
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    // A second subscriber can only be a test's: it may stay.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init();
}
