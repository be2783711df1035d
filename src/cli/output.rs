//! How do a command's text and its end reach the operator?
//!
//! Shell: stdout and stderr. `println!` panics when the reader of a pipe has left (`switchback events | head`); here
//! that is the end of the command, and no failure.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use super::client::ClientError;

/// Why a command ended before it was done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Nobody reads what is printed any more: enough was seen.
    #[error("the reader has left")]
    ReaderLeft,
    /// Printing failed.
    #[error("cannot print: {0}")]
    Print(io::Error),
    /// The proxy has no answer, or says no.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A check says no; the first that does.
    #[error("{0}")]
    Refused(String),
    /// The operating system does not let us.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A file cannot be written.
    #[error("cannot write into {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// A trace cannot be replayed.
    #[error("{0}")]
    Trace(String),
    /// Not something this version can do.
    #[error("{0}")]
    Unsupported(&'static str),
}

/// Prints `text`, which ends its own lines.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let printed = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    printed.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::ReaderLeft,
        _ => Failure::Print(error),
    })
}

/// What parts one repetition from the next: a fresh screen, or an empty line where there is no screen.
pub(super) fn divider() -> &'static str {
    if io::stdout().is_terminal() {
        "\x1b[H\x1b[2J"
    } else {
        "\n"
    }
}

/// One line on stderr.
pub(super) fn complain(text: &str) {
    let line: String = text
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect();
    // Nobody is left to tell when this fails.
    let _ = writeln!(io::stderr(), "switchback: {line}");
}

/// The exit code, after the reason has been told.
pub(super) fn exit(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) | Err(Failure::ReaderLeft) => ExitCode::SUCCESS,
        Err(failure) => {
            let text = failure.to_string();
            complain(text.strip_prefix("ERR ").unwrap_or(&text));
            ExitCode::FAILURE
        }
    }
}
