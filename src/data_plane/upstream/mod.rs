//! How do commands reach a node, and their replies come back?

mod backoff;
mod ear;
mod handshake;
mod link;
mod links;
mod pipeline;
mod reserve;
mod setup;

pub(crate) use backoff::Backoff;
pub(crate) use handshake::{Dial, HandshakeError, NOAUTH, Setting, Wanted, open};
pub(crate) use link::{Link, LinkKind};
pub(crate) use links::{Door, Lease, Links};
pub(crate) use pipeline::Pipeline;
pub(crate) use setup::Setup;
