//! Where does a key go? The one thing the two planes share: an immutable snapshot with a single writer.

mod publish;
mod route;
mod snapshot;
mod weight;

pub use publish::{Publisher, RouteTable, Subscription};
pub use route::{Owners, majority_owner, owner};
pub use snapshot::{Epoch, SideView, Snapshot};
pub use weight::{ParseWeightError, Slot, Weight};
