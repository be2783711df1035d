//! Does the program do its job, with real groups behind it, as an operator and an app see it?

// Clippy knows functions that are tests, not the functions those are made of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod advice;
mod ending;
mod failures;
mod large;
mod logs;
mod operating;
mod page;
mod pseudo_terminal;
mod ramps;
mod restart;
#[path = "../support/running.rs"]
#[allow(dead_code, reason = "shared with tests and benches that need more of it")]
mod running;
mod secrets;
mod traces;
mod upgrading;
mod watch;
