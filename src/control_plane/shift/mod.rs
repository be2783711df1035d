//! When does the weight change, and who has decided so?

mod controller;
mod latch;
mod shifting;

pub use controller::{Change, ChangeKind, Controller, Health, Input, Refused};
pub use latch::Latch;
