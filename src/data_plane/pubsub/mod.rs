//! Who listens to what, and how does a message reach them?
//!
//! One hub per worker and route. Each channel, pattern or shard channel is subscribed to once on each side, by the worker's
//! one link there, and shared by all its clients. While a route has two sides both are subscribed to, whatever the
//! weight: a message is published on one of them, so it is delivered once, whoever changes the weight and whenever.

mod audience;
mod ceiling;
mod delivery;
mod farewell;
mod feed;
mod gap;
mod glob;
mod ground;
mod heir;
mod hub;
mod large;
mod links;
mod marks;
mod patterns;
mod pending;
mod proof;
pub(crate) mod settling;
mod shared;
pub(crate) mod subscriber_link;
mod topic;
mod weights;

pub(crate) use audience::{Correction, Hearers, Listing, is_own};
pub(crate) use ceiling::Overload;
pub(crate) use delivery::{Delivery, confirmation, head, pong};
pub use gap::Gap;
pub(crate) use hub::Hub;
pub(crate) use pending::Pending;
pub use shared::PubSubShared;
pub(crate) use topic::Topic;

/// Where clients are told what they may have missed. Local to the proxy: no side ever hears of it.
pub(crate) const GAP_CHANNEL: &[u8] = b"__switchback:gap";
