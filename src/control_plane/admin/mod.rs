//! What may an operator say, and what is the answer?
//!
//! One request's way: [`serve`] accepts the connection on the socket that [`AdminListener`] made, `connection` finds
//! the request's end, `peer` answers what concerns the connection alone, [`parse`] makes a [`Command`] of the rest,
//! which goes to the control loop as a [`Request`]; its [`Reply`] is written in the protocol the client speaks.

mod command;
mod connection;
mod listener;
mod model;
mod peer;
mod remote;
mod reply;
mod socket;

pub use command::{CommandError, parse};
pub use listener::{AdminListener, BindError};
pub use model::{Command, EventSink, Reply, Request};
pub(crate) use remote::serve_remote;
pub use reply::{Protocol, json, write};
pub use socket::serve;
