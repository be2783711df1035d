//! Which signals does the process heed?
//!
//! Shell: SIGTERM and SIGINT end it, SIGHUP has the configuration read again, SIGUSR2 has another process take over. A SIGTERM or SIGINT while it is ending,
//! whoever asked for that, ends it at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::control_plane::Event;
use crate::limits::SHUTDOWN_GRACE;

/// From its making on, these signals do not end the process by themselves.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user2: Signal,
}

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Sends the loop an event for each signal. Resolves when the end is not to be waited for any more.
    pub(crate) async fn heed(mut self, events: mpsc::Sender<Event>) {
        let mut is_ending = false;
        loop {
            let event = tokio::select! {
                _ = self.hangup.recv() => Event::Reload,
                _ = self.user2.recv() => Event::Upgrade,
                _ = self.terminate.recv() => Event::Shutdown { grace: SHUTDOWN_GRACE },
                _ = self.interrupt.recv() => Event::Shutdown { grace: SHUTDOWN_GRACE },
            };
            if matches!(event, Event::Shutdown { .. }) {
                // A loop that is gone is draining already.
                if is_ending || events.is_closed() {
                    return;
                }
                is_ending = true;
            }
            let _ = events.send(event).await;
        }
    }
}
