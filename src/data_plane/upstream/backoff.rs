//! When may a node that refused be dialled again?
//!
//! Pure: doubling waits with jitter, so that the workers of many proxies do not dial a restarting node in step.

use std::time::{Duration, Instant};

use crate::limits::{REDIAL_FIRST, REDIAL_LONGEST};

/// The dialling budget of one node.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    not_before: Option<Instant>,
}

impl Backoff {
    /// Whether a dial may begin now.
    pub(crate) fn allows(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|not_before| now >= not_before)
    }

    /// A dial failed; `jitter` is a random number `0.0..1.0`. Returns how long to wait: between half and all of
    /// the doubled wait.
    pub(crate) fn failed(&mut self, now: Instant, jitter: f64) -> Duration {
        let doubled = REDIAL_FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(REDIAL_LONGEST);
        let wait = doubled.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + wait);
        wait
    }

    /// A dial succeeded, or another node is meant now.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_again_after_success() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        assert!(backoff.allows(now));
        assert_eq!(backoff.failed(now, 1.0), REDIAL_FIRST);
        assert!(!backoff.allows(now));
        assert!(backoff.allows(now + REDIAL_FIRST));
        assert_eq!(backoff.failed(now, 1.0), REDIAL_FIRST * 2);
        for _ in 0..100 {
            assert!(backoff.failed(now, 1.0) <= REDIAL_LONGEST);
        }
        assert_eq!(backoff.failed(now, 0.0), REDIAL_LONGEST / 2);
        backoff.reset();
        assert_eq!(backoff.failed(now, 1.0), REDIAL_FIRST);
    }
}
