//! What does a worker do when it is asked about its clients?
//!
//! Shell: one task a route and worker.

use std::rc::Rc;
use std::time::Instant;

use tokio::sync::mpsc;

use super::pause::Pause;
use super::shared::{Answer, Asked, Question};
use super::which::Which;
use crate::data_plane::local_route::LocalRoute;
use crate::data_plane::session::{Session, Unblocking};
use crate::limits::{KILLED_DRAIN, PAUSE_SETTLE_MAX, SETTLE_STEP, UNBLOCK_STEP};

/// Answers until the route ends.
pub(crate) async fn serve(route: Rc<LocalRoute>, mut mailbox: mpsc::Receiver<Asked>) {
    while let Some(Asked { question, answer }) = mailbox.recv().await {
        let told = match question {
            Question::List(which) => list(&route, &which),
            Question::Kill(which) => kill(&route, &which),
            Question::IsThere { id } => tell(usize::from(route.session(id).is_some() || route.lot.has(id))),
            Question::Invalidate { id, keys } => {
                let session = route.session(id).or_else(|| route.lot.unpark(&route, id));
                if let Some(session) = &session {
                    session.tell_redirected(&keys);
                }
                tell(usize::from(session.is_some()))
            }
            Question::Pause => {
                let pause = route.clients().paused();
                route.set_pause(pause);
                let Some(pause) = pause else {
                    let _ = answer.try_send(Answer::default());
                    continue;
                };
                tokio::task::spawn_local(end(Rc::clone(&route), pause));
                let route = Rc::clone(&route);
                tokio::task::spawn_local(async move {
                    settled(&route).await;
                    let _ = answer.send(Answer::default()).await;
                });
                continue;
            }
            Question::Unblock { id, with_error } => {
                let Some(session) = route.session(id) else {
                    continue;
                };
                tokio::task::spawn_local(async move {
                    let count = usize::from(unblock(&session, with_error).await);
                    let _ = answer.send(tell(count)).await;
                });
                continue;
            }
        };
        // There is room for every worker's; an error: whoever asked is gone.
        let _ = answer.try_send(told);
    }
}

/// What had been sent before a pause is answered, or has had its time.
async fn settled(route: &LocalRoute) {
    let begun = route.clock_micros();
    let deadline = Instant::now() + PAUSE_SETTLE_MAX;
    while route.has_sent_before(begun) && Instant::now() < deadline {
        tokio::time::sleep(SETTLE_STEP).await;
    }
}

/// Ends a pause in its time, unless another has taken its place.
async fn end(route: Rc<LocalRoute>, pause: Pause) {
    tokio::time::sleep_until(pause.until.into()).await;
    if route.pause() == Some(pause) {
        route.set_pause(None);
    }
}

fn tell(count: usize) -> Answer {
    Answer {
        count,
        ..Answer::default()
    }
}

fn list(route: &Rc<LocalRoute>, which: &Which) -> Answer {
    let mut lines = Vec::new();
    let mut tell = |session: &Session| {
        if session.is_meant(which) {
            lines.push((session.id, session.line()));
        }
    };
    route
        .sessions_that(|_| true)
        .iter()
        .for_each(|session| tell(session));
    route.lot.each(route, tell);
    Answer {
        count: lines.len(),
        lines,
    }
}

/// They are off the list at once; a client that blocks is given what its command may just have taken.
fn kill(route: &Rc<LocalRoute>, which: &Which) -> Answer {
    let sessions = route.sessions_that(|session| session.is_meant(which));
    for session in &sessions {
        route.delist(session);
        if session.kill() {
            continue;
        }
        let session = Rc::clone(session);
        tokio::task::spawn_local(async move {
            if !unblock(&session, false).await {
                tokio::time::sleep(KILLED_DRAIN).await;
            }
            session.kill_now();
        });
    }
    let parked = route.lot.end(route, |parked| parked.seen(route).is_meant(which));
    tell(sessions.len() + parked)
}

/// Whether the client was blocked and this has ended it. The server decides, so that no element is lost: its CLIENT UNBLOCK
/// comes either before the element or after it.
async fn unblock(session: &Rc<Session>, with_error: bool) -> bool {
    let mut of = None;
    loop {
        match session.unblock(&mut of, with_error) {
            Unblocking::Done(was_blocked) => return was_blocked,
            Unblocking::UnderWay => tokio::time::sleep(UNBLOCK_STEP).await,
        }
    }
}
