//! What should the weight be, and where are the masters? Decides about a migration; never sees a key, a value or a
//! client. One thread, one loop over one event enum.

pub mod admin;
mod client;
mod event;
pub mod guard;
pub mod sentinel;

pub use event::Event;
