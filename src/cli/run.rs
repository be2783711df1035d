//! What does `switchback run` do?
//!
//! Shell: reads the configuration, starts the log, and runs the proxy until it is asked to end.

use std::io::IsTerminal;
use std::process::ExitCode;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
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
    let written = log();
    let outcome = proxy::run(config, args.config.clone());
    // The reason of a failure is the last line.
    drop(written);
    match outcome {
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

/// Lines waiting for stderr: some minutes of a bad day. Beyond it they are lost, and the proxy goes on.
const LOG_LINES_MAX: usize = 10_000;

/// Lines on stderr, where a service manager picks them up. A thread of its own writes them: a pipe nobody reads would
/// otherwise stop the control loop, and with it the guard, at its next event. What it gives writes the rest when dropped.
fn log() -> WorkerGuard {
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    let (lines, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LOG_LINES_MAX)
        .lossy(true)
        .finish(std::io::stderr());
    // A second subscriber can only be a test's: it may stay.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(lines)
        .try_init();
    guard
}
