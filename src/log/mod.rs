//! Which lines reach the log, and in which form?
//!
//! An event's way: `SWITCHBACK_LOG` says whether its level is wanted, `pacing` whether its place has not said too much
//! already (`pace` decides), and a thread of its own writes what is left to stderr as text or as JSON.

mod pace;
mod pacing;
mod writing;

pub(crate) use writing::{Format, start};
