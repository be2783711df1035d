//! Does the data plane carry requests rightly, with snapshots published by hand?

// Clippy knows functions that are tests, not the functions those are made of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bounds;
mod clients;
mod gaps;
mod heirs;
mod keyless;
mod keyspace;
mod large;
mod limits;
mod monitor;
mod order;
mod parked;
#[path = "../support/parking.rs"]
mod parking;
mod proxied;
mod pubsub;
mod replies;
mod reserve;
mod resp3;
mod scripts;
mod sides;
mod stateful;
mod tracking;
mod transactions;
mod tunnel;
mod unknown;
mod users;
mod waiting;
