//! How does what a client tells one side get to the other side too?
//!
//! Shell: in order, by a shared link, behind the client's back: it has the owner's reply. There is no such link yet when it is
//! the first thing this side is told, so a task waits for one. What cannot be told soon is not told.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::local_route::LocalRoute;
use super::session::Session;
use super::upstream::{Lease, Setting};
use crate::cluster::Side;
use crate::data_plane::users::UserId;
use crate::limits::{CONNECT_TIMEOUT, SCRIPT_BYTES_MAX};

const STEP: Duration = Duration::from_millis(5);

/// What one worker has still to tell a side.
#[derive(Default)]
pub(crate) struct Besides {
    queue: RefCell<VecDeque<Told>>,
}

/// By whom, as which user, and what.
type Told = (Rc<Session>, UserId, Vec<u8>);

impl LocalRoute {
    /// Has `request` told to `side` as `user`, who may not be allowed it there; nobody waits for its reply.
    pub(crate) fn tell_besides(
        self: &Rc<Self>,
        side: Side,
        session: &Rc<Session>,
        user: UserId,
        request: &[u8],
    ) {
        let mut queue = self.besides(side).queue.borrow_mut();
        let bytes: usize = queue.iter().map(|(_, _, request)| request.len()).sum();
        if bytes + request.len() > SCRIPT_BYTES_MAX {
            return;
        }
        queue.push_back((Rc::clone(session), user, request.to_vec()));
        if queue.len() == 1 {
            tokio::task::spawn_local(tell(Rc::clone(self), side));
        }
    }
}

async fn tell(route: Rc<LocalRoute>, side: Side) {
    let queue = &route.besides(side).queue;
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    loop {
        let Some(user) = queue.borrow().front().map(|(_, user, _)| *user) else {
            return;
        };
        if let Lease::Ready(link) = route.links(side).shared(&route, Setting::of(user)) {
            let next = queue.borrow_mut().pop_front();
            if let Some((session, _, request)) = next {
                session.send_own(&link, &request);
            }
            continue;
        }
        if Instant::now() > deadline {
            queue.take();
            return;
        }
        tokio::time::sleep(STEP).await;
    }
}
