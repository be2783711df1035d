//! What has the operator stated of the hosts and the plan, that no node can be asked?
//!
//! Pure: data.

use crate::cluster::Side;
use crate::config::GuardConfig;

/// From `[route.guard]`, by [`Side::index`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stated {
    /// `replicas_usual`.
    pub replicas_usual: [Option<usize>; 2],
    /// `bandwidth_mbit`.
    pub bandwidth_mbit: [Option<usize>; 2],
}

impl From<&GuardConfig> for Stated {
    fn from(guard: &GuardConfig) -> Self {
        Self {
            replicas_usual: guard.replicas_usual,
            bandwidth_mbit: guard.bandwidth_mbit,
        }
    }
}

impl Stated {
    /// What a node's link carries. Unit: bytes a second.
    pub(super) fn bandwidth(&self, side: Side) -> Option<f64> {
        // At most a million, by the configuration.
        #[allow(clippy::cast_precision_loss)]
        self.bandwidth_mbit[side.index()].map(|mbit| mbit as f64 * 1e6 / 8.0)
    }
}
