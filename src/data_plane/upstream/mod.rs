//! How do commands reach a node, and their replies come back?

mod backoff;
mod handshake;
mod link;
mod links;
mod pipeline;

pub(crate) use backoff::Backoff;
pub(crate) use handshake::{Dial, Setting, Wanted, open};
pub(crate) use link::{Link, LinkKind};
pub(crate) use links::{Lease, Links};
