//! Does pre-flight see what is wrong with real groups before a shift begins, and nothing where nothing is?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command;
mod found;
mod groups;
mod raise;
#[path = "../support/running.rs"]
#[allow(dead_code, reason = "shared with tests and benches that need more of it")]
mod running;
