//! Is a side's topology followed through what real Sentinels and nodes do, and what false ones say?

// Clippy knows functions that are tests, not the functions those are made of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod discovery;
mod failover;
mod fake;
mod fixed;
mod watched;
