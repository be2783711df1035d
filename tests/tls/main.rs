//! Are clients, nodes and Sentinels spoken to within TLS, by real clients and servers, and told apart from whoever cannot prove who they are?

// Clippy knows functions that are tests, not the functions those are made of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod authority;
mod clients;
mod groups;
mod nodes;
mod operators;
#[path = "../support/parking.rs"]
mod parking;
mod reloading;
#[path = "../support/running.rs"]
#[allow(dead_code, reason = "shared with tests and benches that need more of it")]
mod running;
mod tls_client;
