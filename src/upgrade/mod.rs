//! How does another process take over, without a client being refused?
//!
//! 1. Told to (SIGUSR2, `UPGRADE`), a proxy starts its own command line anew: a [`Successor`], which is given its listening sockets.
//!    They stay open whoever ends, and whoever connects meanwhile is served by the one or the other.
//! 2. The successor reads its configuration, takes up the sockets ([`Inherited`]), and says that it is prepared. Until then nothing
//!    has changed: when it fails, the proxy goes on.
//! 3. The proxy's control plane ends: the state is on disk, its directory and the admin socket are free. It says go.
//! 4. The successor ([`Predecessor`] is its view of all this) takes up weight, epoch and latch, serves, and says so.
//! 5. The proxy takes no new clients, and drains. It follows no change any more, so the successor hangs up at the first, and then it
//!    ends at once.
//!
//! Sockets that a service manager listens on are taken up in the same way: then restarts refuse nobody either.

mod inherited;
mod predecessor;
mod successor;

pub(crate) use inherited::Inherited;
pub(crate) use predecessor::Predecessor;
pub(crate) use successor::{Successor, prepare_successors};

/// Set for a successor: its standard input is the way to the proxy it takes over from.
const SUCCEEDS: &str = "SWITCHBACK_SUCCEEDS";
/// What they say to each other.
const PREPARED: &str = "prepared";
const GO: &str = "go";
const SERVING: &str = "serving";

/// Why nobody has taken over.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// The program could not be started.
    #[error("the new process could not be started: {0}")]
    Start(#[source] std::io::Error),
    /// It ended, or did something else than it ought to.
    #[error("the new process ended before it was {0}; its own lines in the log say why")]
    Ended(&'static str),
    /// It took too long.
    #[error("the new process was not {0} within {1:?}")]
    Late(&'static str, std::time::Duration),
    /// Told to a successor: whom it was to take over from is gone.
    #[error("the process to take over from has ended, or has thought better of it")]
    Alone,
}
