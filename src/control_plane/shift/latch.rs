//! Why may no traffic go to `new` until an operator says so?
//!
//! Pure: data that is kept on disk, so that a restart forgets neither the latch nor its reason.

use serde::{Deserialize, Serialize};

/// A route back that holds until `ARM`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latch {
    /// What brought the traffic back: a rule's name, or `operator`.
    pub cause: String,
    /// The evidence, or the operator's words. One line.
    pub reason: String,
}
