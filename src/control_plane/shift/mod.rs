//! When does the weight change, and who has decided so?

mod change;
mod controller;
mod health;
mod input;
mod latch;
mod obstacle;
mod plan;
mod progress;
mod ramp;
mod refused;
mod shifting;
mod state;
mod window;

pub use change::{Change, ChangeKind};
pub use controller::Controller;
pub use health::Health;
pub use input::{Input, Now, RampOrder};
pub use latch::Latch;
pub use obstacle::Obstacle;
pub use plan::{Plan, Standing};
pub use progress::{Progress, RampProgress};
pub use refused::Refused;
pub use window::{ParseWindowError, TimeOfDay, Window};
