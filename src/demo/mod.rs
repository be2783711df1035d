//! What would the incident have looked like? `switchback demo`: real Redis, real Sentinel, real load, a real resync
//! loop on the new side, and the proxy going back by itself; then a ledger.
//!
//! `script` is the play, to be read from top to bottom. [`Load`] and [`Messages`] are also what tests put on a proxy.

mod account;
mod breakage;
mod error;
mod incident;
mod interrupt;
mod ledger;
mod load;
mod messages;
mod narrator;
mod proxy;
mod script;
mod stalls;
mod verdict;
mod witness;

pub use incident::{IncidentOptions, IncidentRun, run_incident};
pub use ledger::{LATE_AFTER, Ledger, Outcome};
pub use load::{Load, LoadOptions};
pub use messages::{GAP_CHANNEL, Gap, History, MessageLedger, MessageOptions, Messages, Moment, Target};
pub use script::run;
pub use stalls::{Stall, StallWatch, Stalls};
