//! Does the master answer?
//!
//! Pure.

use std::time::Duration;

use super::super::evidence::{MASTERLESS_MAX, SideEvidence};
use super::{Measure, Reading};

impl Measure<'_> {
    /// How long the master has been silent; a master that never answered is unknown. Without a master it is still the last
    /// one that is asked: if it is silent, that is why there is none. If it answers, a failover is under way, which
    /// has [`MASTERLESS_MAX`] to end.
    pub(super) fn unreachable(self, side: &SideEvidence, limit: f64) -> Reading {
        let Some((addr, node)) = side.master_node() else {
            return Reading::unknown(None, self.now);
        };
        let Some(answered) = node.answered.map(|answered| self.tilt.clip(answered)) else {
            return Reading::unknown(Some(addr), self.now);
        };
        let silence = self.now.saturating_duration_since(answered);
        if silence.as_secs_f64() >= limit {
            let reached = Duration::try_from_secs_f64(limit).unwrap_or_default();
            return Reading::of(Some(addr), silence.as_secs_f64(), answered + reached);
        }
        if let Some(since) = side.masterless_since {
            let without = self.now.saturating_duration_since(self.tilt.clip(since));
            return if without >= MASTERLESS_MAX && without.as_secs_f64() >= limit {
                Reading::of(None, without.as_secs_f64(), since + MASTERLESS_MAX)
            } else {
                Reading::unknown(Some(addr), self.now)
            };
        }
        if silence > side.config.stale_after {
            return Reading::unknown(Some(addr), self.now);
        }
        Reading::of(Some(addr), silence.as_secs_f64(), answered)
    }
}
