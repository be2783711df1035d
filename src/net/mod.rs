//! How do bytes get to another process and back?
//!
//! [`connect`] opens a connection to a node or a Sentinel; [`Stream`] is a connection that a task waits for, [`Wire`] one that nobody
//! waits for yet, and [`Sealed`] what TLS makes of bytes, whoever waits.

mod connect;
mod sealed;
mod stream;
mod wire;

pub(crate) use connect::connect;
pub(crate) use sealed::Sealed;
pub(crate) use stream::Stream;
pub(crate) use wire::Wire;
