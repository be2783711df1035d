//! When is a node that refused asked again?
//!
//! Shell: sleeps. At once after a connection that worked (a failover closes them all, and the first answer after it is
//! worth most), then doubling, with jitter, so that many proxies do not dial a restarting node in step.

use std::time::Duration;

use tokio::time::sleep;

use crate::limits::{REDIAL_FIRST, REDIAL_LONGEST};

/// The waits between attempts at one node.
#[derive(Debug, Default)]
pub(super) struct Redial {
    failures: u32,
}

impl Redial {
    /// The node answered: the next failure is a first one.
    pub(super) fn worked(&mut self) {
        self.failures = 0;
    }

    /// Waits before the next attempt.
    pub(super) async fn wait(&mut self) {
        let wait = self.next(fastrand::f64());
        sleep(wait).await;
    }

    /// Between half and all of the doubled wait; nothing the first time.
    fn next(&mut self, jitter: f64) -> Duration {
        let before = self.failures;
        self.failures = before.saturating_add(1);
        if before == 0 {
            return Duration::ZERO;
        }
        REDIAL_FIRST
            .saturating_mul(1 << (before - 1).min(16))
            .min(REDIAL_LONGEST)
            .mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_attempt_is_at_once_and_later_ones_double_up_to_the_longest() {
        let mut redial = Redial::default();
        assert_eq!(redial.next(1.0), Duration::ZERO);
        assert_eq!(redial.next(1.0), REDIAL_FIRST);
        assert_eq!(redial.next(0.0), REDIAL_FIRST);
        for _ in 0..100 {
            redial.next(1.0);
        }
        assert_eq!(redial.next(1.0), REDIAL_LONGEST);
        redial.worked();
        assert_eq!(redial.next(1.0), Duration::ZERO);
    }
}
