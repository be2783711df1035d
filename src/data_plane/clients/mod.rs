//! Who are the clients of a route, whichever worker serves them?
//!
//! A session belongs to one worker. What concerns clients of others (CLIENT LIST, KILL, UNBLOCK) is asked of every worker by
//! its mailbox, and answered between two events of its loop; nothing on a request's path looks here.

mod admission;
mod pause;
mod shared;
mod which;
mod worker;

pub(crate) use admission::Admission;
pub(crate) use pause::{Pause, Paused, writes_nothing};
pub use shared::ClientsShared;
pub(crate) use shared::{Answer, Question};
pub(crate) use which::{Client, Kind, Which};
pub(crate) use worker::serve;
