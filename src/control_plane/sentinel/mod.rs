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

/// What the simulation of the whole control plane gives and takes instead of [`watch()`].
#[cfg(test)]
pub(super) mod simulated {
    pub(in crate::control_plane) use super::agreement::View;
    pub(in crate::control_plane) use super::fixed::Fixed;
    pub(in crate::control_plane) use super::nodes::Answer;
    pub(in crate::control_plane) use super::reply::{Flags, ReplicaState, Role, SentinelState};
    pub(in crate::control_plane) use super::sentinels::Fault;
    pub(in crate::control_plane) use super::topology::{Follower, Input, Outcome};
}
