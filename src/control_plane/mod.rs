//! What should the weight be, and where are the masters? Decides about a migration; never sees a key, a value or a
//! client. One thread, one loop over one event enum.

pub mod admin;
mod advice;
mod client;
mod clock;
mod detach;
mod event;
pub mod guard;
mod journal;
mod ledger;
pub mod preflight;
mod raise;
mod record;
mod report;
mod route;
mod run;
pub mod sentinel;
pub mod shift;
#[cfg(test)]
mod simulation;
mod start;
mod store;
pub mod trace;

pub use event::{Event, RoutedBack};
pub(crate) use start::{ControlPlane, Ended, Outside};
pub(crate) use store::Store;
pub use store::StoreError;
