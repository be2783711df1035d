//! Has a client had all the time it may take?
//!
//! Shell: looked at once a second, when limits ask for it. Who has yet to say or to prove something is told what it has not done; who was
//! only idle is closed without a word, as by Redis: an error would be taken for the reply to its next command.

use std::time::Duration;

use tracing::debug;

use super::login::Standing;
use super::state::{Session, State};
use crate::config::Patience;
use crate::data_plane::refusal::Refusal;
use crate::data_plane::upstream::Door;
use crate::stats::Closed;

impl Session {
    /// Closes it, if it has.
    pub(crate) fn look_whether_late(&self, patience: &Patience) {
        if *patience == Patience::default() {
            return;
        }
        let mut state = self.state.borrow_mut();
        if state.closing || self.closed.get() {
            return;
        }
        if let Some((what, within)) = self.is_late(&state, patience) {
            debug!(
                route = self.route.name,
                client = self.id,
                what,
                "a client took too long"
            );
            self.route.stats.closed(Closed::Late);
            super::input::refuse_and_close(&mut state, &Refusal::Late { what, within });
            drop(state);
            self.wake.wake();
            return;
        }
        let silence = self.route.clock().saturating_sub(self.last_micros.get());
        if is_over(patience.idle, silence) && state.may_be_closed_when_idle() {
            debug!(
                route = self.route.name,
                client = self.id,
                "an idle client is closed"
            );
            drop(state);
            self.route.stats.closed(Closed::Idle);
            self.kill_now();
        }
    }

    fn is_late(&self, state: &State, patience: &Patience) -> Option<(&'static str, Duration)> {
        let age = micros(self.since.elapsed());
        if is_over(patience.first_request, age) && state.replies.next_number() == 0 && state.last.is_none() {
            return Some(("no request", patience.first_request));
        }
        let is_outside =
            || state.standing != Standing::Admitted && matches!(self.route.door(), Ok(Door::Shut));
        (is_over(patience.auth, age) && is_outside()).then_some(("not authenticated", patience.auth))
    }
}

impl State {
    /// As Redis: not while it waits for something, and not while it listens.
    fn may_be_closed_when_idle(&self) -> bool {
        self.replies.open_count() == 0
            && !self.is_waiting()
            && self.subscriptions.is_empty()
            && self.monitor.is_none()
            && self.tunnel.is_none()
            && !self.postponed
    }
}

/// Whether a limit, if there is one, is reached.
pub(super) fn is_over(limit: Duration, so_far_micros: u64) -> bool {
    !limit.is_zero() && so_far_micros >= micros(limit)
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
