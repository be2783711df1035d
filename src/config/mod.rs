//! What has the operator asked for? The way from a TOML file or flags to [`Config`], or to everything wrong with it.
//!
//! 1. [`load`] reads a file, [`parse`] its text, [`from_flags`] the flags of `switchback run`; all three give a
//!    [`Config`] that needs no further check, or [`Faults`]: not the first fault but all, each with its key path, its
//!    line, what was found and what is allowed. The admin reply, the log and `switchback check` print them as they are.
//! 2. A table is a [`section`] with its [`keys`]: unknown ones are reported with the nearest known one. A value is
//!    [`found`] in it and read by kind and range. [`proxy`], [`route`], [`guard`], [`ramp`] and [`route_limits`] say which keys there are and what they
//!    default to; the numbers are the `Default`s of [`model`] and of [`crate::control_plane::guard::RuleTable`], and
//!    `config/example.toml` lists them with their reasons.
//! 3. A [`side`] is a [`url`] and, apart from it, credentials (a [`secret`]): in the URL, in a table, in a file or in the
//!    environment. A password goes into [`crate::cluster::Secret`] and nowhere else; faults show found values only as
//!    [`shown`] masks them.
//! 4. [`reloadable`] says whether a changed config may be applied without a restart.
//!
//! What is of the contract but not built yet (linked data) is refused as such, not ignored: an operator who writes it would believe in it.

mod fault;
mod file;
mod flags;
mod found;
mod guard;
mod keys;
mod model;
mod proxy;
mod ramp;
mod reload;
mod route;
mod route_limits;
mod secret;
mod section;
mod shown;
mod side;
mod surroundings;
mod taken;
mod text;
mod tls;
mod url;

pub use fault::{Fault, Faults};
pub use file::{load, parse};
pub use flags::{Flags, from_flags};
pub use model::{
    AdminRemote, Config, GuardConfig, HoldLimits, OnUncertain, Patience, ProxyConfig, PubSubOutput,
    RampConfig, RouteConfig, RouteLimits, SubscribeTo, Unauthenticated,
};
pub use reload::reloadable;
pub use surroundings::Surroundings;

#[cfg(test)]
mod example_tests;
#[cfg(test)]
mod tls_tests;
