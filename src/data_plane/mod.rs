//! How does a request travel from an app to Redis and its reply back?
//!
//! One thread a core, sharing nothing but the routing snapshot and counters. A request is read by a
//! `session`, looked up in [`command`], routed by the snapshot, enqueued on a link of `upstream`, and its reply handed
//! back to the session in request order.

mod besides;
mod budget;
mod clients;
pub mod command;
pub(crate) mod listener;
mod local_route;
pub(crate) mod lot;
#[doc(hidden)]
pub mod measured;
pub(crate) mod pubsub;
pub(crate) mod reactor;
mod refusal;
pub(crate) mod scripts;
pub(crate) mod session;
mod ticker;
pub(crate) mod upstream;
mod users;
mod wake;
mod worker;

pub use clients::ClientsShared;
pub use listener::{ListenError, bind, share_out};
pub use local_route::RouteShared;
pub use pubsub::{Gap, PubSubShared};
pub use scripts::SharedScripts;
pub use worker::{Seat, start};
