//! Does the guard see what really happens to real servers, in time, and nothing where nothing is wrong?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod classic;
mod early;
mod harness;
mod probing;
mod quiet;
