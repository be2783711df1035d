//! How are real Redis groups started on this machine? For `switchback demo` and for tests, and for nothing that runs
//! in production.
//!
//! Everything listens on loopback, or on hosts of a network that nobody else is in; it lives in a directory of its own under
//! the system's temporary directory, and ends with the value that started it, with the thread that panics, or with the
//! process that is killed.

mod client;
mod directory;
mod error;
mod group;
mod host;
mod network;
mod port;
mod process;
mod reply;
mod sentinel;
mod server;
mod wait;

pub use client::Client;
pub use directory::Directory;
pub use error::LabError;
pub use group::{Group, GroupOptions};
pub use host::Host;
pub use network::Network;
pub use port::free_port;
pub use process::Process;
pub use reply::Reply;
pub use sentinel::{Sentinel, SentinelOptions};
pub use server::{Server, ServerOptions};
pub use wait::wait_for;
