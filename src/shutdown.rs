//! Which signals does the process heed?
//!
//! Shell: SIGTERM and SIGINT end it, SIGHUP has the configuration read again. A second SIGTERM or SIGINT ends it at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::control_plane::Event;
use crate::limits::SHUTDOWN_GRACE;

/// Sends the loop an event for each signal, until the loop is gone.
pub(crate) async fn signals(events: mpsc::Sender<Event>) {
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = (
        listen(SignalKind::terminate()),
        listen(SignalKind::interrupt()),
        listen(SignalKind::hangup()),
    ) else {
        tracing::error!("signals cannot be listened to: the process can only be killed");
        return;
    };
    let mut is_ending = false;
    loop {
        let event = tokio::select! {
            _ = hangup.recv() => Event::Reload,
            _ = terminate.recv() => Event::Shutdown { grace: SHUTDOWN_GRACE },
            _ = interrupt.recv() => Event::Shutdown { grace: SHUTDOWN_GRACE },
        };
        if matches!(event, Event::Shutdown { .. }) && std::mem::replace(&mut is_ending, true) {
            tracing::warn!("ending at once");
            std::process::exit(1);
        }
        // A loop that is gone is draining: what is left to hear is the second signal.
        let _ = events.send(event).await;
    }
}

fn listen(kind: SignalKind) -> std::io::Result<Signal> {
    signal(kind).inspect_err(|error| tracing::error!(%error, "a signal cannot be listened to"))
}
