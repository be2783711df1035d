//! When does the weight change, and who has decided so?

mod change;
mod controller;
mod health;
mod input;
mod latch;
mod obstacle;
mod refused;
mod shifting;

pub use change::{Change, ChangeKind};
pub use controller::Controller;
pub use health::Health;
pub use input::Input;
pub use latch::Latch;
pub use obstacle::Obstacle;
pub use refused::Refused;
