//! What does the operator type? The program's arguments, and the commands that talk to a running proxy.
//!
//! A command's way: [`Args`] reads it, `operate` asks the admin socket through `client`, `render` makes text of the
//! JSON that comes back, `output` prints it.

mod args;
mod check;
mod client;
mod demo;
mod guard;
mod operate;
mod output;
mod preflight;
mod render;
mod run;
mod shell;
mod table;
mod watch;

use std::process::ExitCode;

use clap::Parser;

pub use args::{
    Args, ArmArgs, BackArgs, CheckArgs, Command, CompletionsArgs, DemoArgs, EventsArgs, GuardArgs,
    GuardCommand, ListArgs, LogFormat, ManArgs, ProxyArgs, RampArgs, RampStep, ReplayArgs, RunArgs,
    SocketArgs, WeightArgs,
};

/// The whole program. Exit codes: 0 done; 1 refused or failed, the reason on stderr in one line; 2 bad arguments or
/// bad configuration.
pub fn main() -> ExitCode {
    match Args::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::Guard(args) => guard::guard(&args),
        Command::Completions(args) => output::exit(shell::completions(&args)),
        Command::Man(args) => output::exit(shell::man(&args)),
        command => output::exit(operate::operate(&command)),
    }
}
