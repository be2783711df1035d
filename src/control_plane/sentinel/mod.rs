//! Where are a side's master and replicas? Asks Sentinels, believes the nodes.
//!
//! [`watch()`] runs one side: a task for each Sentinel and node (`ask`) reports to a part that decides (`topology`, or
//! `fixed` for an address without Sentinels), whose changes become [`Event`](super::Event)s.

mod agreement;
mod ask;
mod fixed;
pub mod message;
mod nodes;
mod notices;
pub mod reply;
mod sentinels;
mod topology;
mod watch;

pub use watch::watch;
