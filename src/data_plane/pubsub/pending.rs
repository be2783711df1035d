//! Which request for subscriptions has not been confirmed yet?
//!
//! Shell: it is answered once every topic it names is subscribed to on every side that could carry the topic's messages,
//! so that what is published after the reply reaches the client, wherever it is published.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use super::topic::Topic;
use crate::data_plane::session::Session;

/// A request for subscriptions that waits for a side.
pub(crate) struct Pending {
    session: Rc<Session>,
    /// The request's slot.
    number: u64,
    /// Topics not confirmed yet.
    missing: Cell<usize>,
    /// What the client is told then.
    reply: RefCell<Vec<u8>>,
    /// What it did not listen to before: to be undone when a node refuses.
    joined: RefCell<Vec<Rc<Topic>>>,
    deadline: Instant,
}

impl Pending {
    pub(crate) fn new(
        session: &Rc<Session>,
        number: u64,
        reply: Vec<u8>,
        joined: Vec<Rc<Topic>>,
        deadline: Instant,
    ) -> Rc<Self> {
        Rc::new(Self {
            session: Rc::clone(session),
            number,
            missing: Cell::new(0),
            reply: RefCell::new(reply),
            joined: RefCell::new(joined),
            deadline,
        })
    }

    /// One more topic is to be waited for.
    pub(super) fn waits(&self) {
        self.missing.set(self.missing.get() + 1);
    }

    /// Answered, or refused.
    pub(super) fn is_over(&self) -> bool {
        self.missing.get() == 0
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.deadline
    }

    /// One of its topics is confirmed.
    pub(super) fn confirmed(&self) {
        match self.missing.get() {
            0 => {}
            1 => {
                self.missing.set(0);
                self.joined.take();
                self.session.subscribed(self.number, &self.reply.take());
            }
            more => self.missing.set(more - 1),
        }
    }

    /// It is answered with an error, and what it had joined is left.
    pub(super) fn refuse(&self, line: &[u8]) {
        if self.missing.replace(0) > 0 {
            self.reply.take();
            self.session
                .subscription_refused(self.number, line, &self.joined.take());
        }
    }
}
