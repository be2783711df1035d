//! Does an operator get through to the control loop, and nobody and nothing else?
//!
//! Shell: the real admin socket in front of a stand-in loop; redis-cli, redis-rs, raw bytes and the program itself as
//! its clients.

// Clippy knows functions that are tests, not the functions those are made of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bounds;
mod clients;
mod program;
mod stand_in;
