//! What can go wrong while a group is started or asked?
//!
//! Pure: data. Each says what to do about it where that is known.

use std::time::Duration;

/// Why the lab could not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A program is not in PATH.
    #[error("{program} is not installed: apt-get install {program}")]
    NotInstalled {
        /// Its name, which is also its Debian package's.
        program: String,
    },
    /// The operating system refused.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Its answer.
        source: std::io::Error,
    },
    /// A process ended that should run.
    #[error("{what} ended: {log}")]
    Ended {
        /// Which.
        what: String,
        /// The last lines it wrote.
        log: String,
    },
    /// A condition did not come true in time.
    #[error("waited {} s in vain for {what}", waited.as_secs())]
    Timeout {
        /// The condition.
        what: String,
        /// How long.
        waited: Duration,
    },
    /// A server answered with an error.
    #[error("{command}: {reply}")]
    Refused {
        /// The command's name; arguments may hold passwords.
        command: String,
        /// The error line.
        reply: String,
    },
    /// A server answered with something that is not the reply expected.
    #[error("an unexpected reply to {0}")]
    Reply(String),
    /// No server of the group listens there.
    #[error("no server of this group listens on {0}")]
    NoSuchNode(crate::cluster::NodeAddr),
}

impl LabError {
    /// For `map_err`: names what was tried.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
