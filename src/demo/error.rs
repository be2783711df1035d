//! Why did the demo not get to its end?
//!
//! Pure: data.

use crate::lab::LabError;

/// What stopped it.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
    /// A signal asked it to.
    #[error("interrupted")]
    Interrupted,
    /// A server, a Sentinel or the proxy did not do its part.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// The proxy answered with something that is not what interface.md promises.
    #[error("the proxy's answer to {0} is not as documented")]
    Answer(&'static str),
    /// Something did not happen in time.
    #[error("waited {seconds} s in vain for {what}{detail}")]
    Timeout {
        /// What.
        what: &'static str,
        /// How long.
        seconds: u64,
        /// What was there instead; empty or beginning with `: `.
        detail: String,
    },
}
