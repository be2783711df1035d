//! Which request for subscriptions has not been confirmed yet?
//!
//! Shell: it is answered once every topic it names is subscribed to on every side that could carry the topic's messages,
//! so that what is published after the reply reaches the client, wherever it is published.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use super::topic::Topic;
use crate::data_plane::session::Session;

/// What is to be done once all is confirmed, or refused.
enum Then {
    /// The request in slot `number` is answered. `joined`: what the client did not listen to before, to be undone.
    Answer {
        number: u64,
        reply: Vec<u8>,
        joined: Vec<Rc<Topic>>,
    },
    /// A transaction is executed.
    Execute,
}

/// A request for subscriptions that waits for a side.
pub(crate) struct Pending {
    session: Rc<Session>,
    /// Topics not confirmed yet.
    missing: Cell<usize>,
    then: RefCell<Option<Then>>,
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
        Self::of(
            session,
            Then::Answer {
                number,
                reply,
                joined,
            },
            deadline,
        )
    }

    /// For a transaction that subscribes.
    pub(crate) fn entry(session: &Rc<Session>, deadline: Instant) -> Rc<Self> {
        Self::of(session, Then::Execute, deadline)
    }

    fn of(session: &Rc<Session>, then: Then, deadline: Instant) -> Rc<Self> {
        Rc::new(Self {
            session: Rc::clone(session),
            missing: Cell::new(0),
            then: RefCell::new(Some(then)),
            deadline,
        })
    }

    /// Nobody wants to know any more.
    pub(crate) fn cancel(&self) {
        self.missing.set(0);
        self.then.take();
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
                match self.then.take() {
                    Some(Then::Answer { number, reply, .. }) => self.session.subscribed(number, &reply),
                    Some(Then::Execute) => self.session.entered(),
                    None => {}
                }
            }
            more => self.missing.set(more - 1),
        }
    }

    /// It is answered with an error, and what it had joined is left.
    pub(super) fn refuse(&self, line: &[u8]) {
        if self.missing.replace(0) > 0 {
            match self.then.take() {
                Some(Then::Answer { number, joined, .. }) => {
                    self.session.subscription_refused(number, line, &joined);
                }
                Some(Then::Execute) => self.session.entry_refused(line),
                None => {}
            }
        }
    }
}
