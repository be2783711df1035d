//! How long does a client wait for a usable master?
//!
//! Shell: the clock of one client's wait. It runs from the first command that could not be sent, over all that follow,
//! until one can: a client with a thousand commands waits once, not a thousand times.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::Context;

use tokio::time::{Instant, Sleep};

use super::state::Session;
use crate::cluster::Side;
use crate::config::HoldLimits;
use crate::data_plane::refusal::Refusal;
use crate::stats::RouteStats;

/// The wait of one client; by default none.
#[derive(Default)]
pub(super) struct Hold {
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

/// Whether to wait on.
pub(super) enum Patience {
    Lasts,
    Over(Refusal),
}

impl Hold {
    /// Begins or goes on waiting. The session is woken when a master may have become usable, and at the deadline.
    pub(super) fn poll(
        &mut self,
        session: &Rc<Session>,
        limits: &HoldLimits,
        side: Side,
        cx: &mut Context<'_>,
    ) -> Patience {
        session.route.wait(session);
        if self.waiting.is_none() {
            let held = session.route.stats.held.fetch_add(1, Ordering::Relaxed);
            if held >= limits.commands {
                session.route.stats.held.fetch_sub(1, Ordering::Relaxed);
                return Patience::Over(Refusal::NoUpstreamFull {
                    side,
                    commands: limits.commands,
                });
            }
            self.waiting = Some((Instant::now(), Box::pin(tokio::time::sleep(limits.time))));
        }
        let Some((_, deadline)) = &mut self.waiting else {
            return Patience::Lasts;
        };
        if deadline.is_elapsed() || deadline.as_mut().poll(cx).is_ready() {
            let waited_ms = u64::try_from(limits.time.as_millis()).unwrap_or(u64::MAX);
            return Patience::Over(Refusal::NoUpstream { side, waited_ms });
        }
        Patience::Lasts
    }

    /// Something could be sent: the wait is over.
    #[inline]
    pub(super) fn release(&mut self, stats: &RouteStats) {
        if let Some((since, _)) = self.waiting.take() {
            stats.held.fetch_sub(1, Ordering::Relaxed);
            let micros = u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX);
            stats.holds.add(micros);
        }
    }
}
