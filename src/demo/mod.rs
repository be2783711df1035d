//! What would the incident have looked like? `switchback demo`: real Redis, real Sentinel, real load, a real resync
//! loop on the new side, and the proxy going back by itself; then a ledger.
//!
//! [`Load`] is also what tests put on a proxy.

mod account;
mod ledger;
mod load;

pub use ledger::{LATE_AFTER, Ledger, Outcome};
pub use load::{Load, LoadOptions};
