//! Is what `docs/` says true? Pages are made from the code or compared with it; links lead somewhere; commands run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod configuration;
mod example;
mod links;
mod metrics;
mod page;
mod started;
mod typed;

#[path = "../support/running.rs"]
#[allow(dead_code)]
mod running;
