//! When do the subscriptions of a transaction begin?
//!
//! Shell: at EXEC, and before it is sent: once it has been executed, what is published anywhere reaches the client. What comes
//! before EXEC's reply waits for it. Nothing else of the client's is looked at meanwhile: whether it is a client with
//! subscriptions, that reply says. A transaction that is not executed leaves none behind.

use std::rc::Rc;
use std::time::Instant;

use super::dispatch::{Sending, Stall, Stop, answer};
use super::queued_topics::{Outcome, Own, alone, splice};
use super::state::{Session, State};
use super::ticket::{Role, Ticket};
use crate::data_plane::command::TopicKind;
use crate::data_plane::pubsub::Pending;
use crate::data_plane::refusal::Refusal;

/// A client that is about to have subscriptions, by a transaction.
pub(crate) struct Entry {
    /// EXEC's slot.
    number: u64,
    stage: Stage,
    pending: Option<Rc<Pending>>,
    /// How many commands the transaction queues, and what takes the place of whose replies.
    queued: usize,
    replies: Vec<(usize, Own)>,
    /// EXEC's reply, as far as it has come.
    came: Vec<u8>,
}

enum Stage {
    /// For the sides to confirm.
    Waiting,
    Entered,
    /// A node refuses a channel, or nobody confirms it.
    Refused(Vec<u8>),
    /// EXEC is on its way.
    Sent,
}

impl Sending<'_> {
    /// Goes on once the client listens to what the transaction subscribes to.
    pub(super) fn enter(&self, state: &mut State) -> Result<(), Stop> {
        if state.entry.is_none() && !state.transaction.topics.is_empty() {
            self.begin_entry(state);
        }
        let refusal = match state.entry.as_ref().map(|entry| &entry.stage) {
            Some(Stage::Waiting) => return Err(Stall::Replies.into()),
            Some(Stage::Refused(line)) => {
                let text = line.strip_prefix(b"-").unwrap_or(line);
                Refusal::Redis(text.trim_ascii_end().to_vec())
            }
            Some(Stage::Entered | Stage::Sent) | None => return Ok(()),
        };
        self.abandon(state);
        self.session.leave_entry(state);
        Err(refusal.into())
    }

    fn begin_entry(&self, state: &mut State) {
        let Outcome { replies, topics } = state.transaction.topics.outcome(state.setting.protocol);
        let (hub, route) = (&self.session.route.hub, &self.session.route);
        let number = state.replies.next_number();
        let (mut missing, of) = (Vec::new(), topics.len());
        for (kind, name) in topics {
            let (topic, _) = self.listen(state, kind, &name, number, of);
            if !hub.confirm_if_ready(route, &topic) {
                missing.push(topic);
            }
        }
        let deadline = Instant::now() + self.turn.limits.hold.time;
        let pending = (!missing.is_empty()).then(|| Pending::entry(self.session, deadline));
        if let Some(pending) = &pending {
            hub.wait(pending, &missing);
        }
        state.entry = Some(Box::new(Entry {
            number,
            stage: match pending {
                Some(_) => Stage::Waiting,
                None => Stage::Entered,
            },
            pending,
            queued: state.transaction.queued,
            replies,
            came: Vec::new(),
        }));
    }

    /// Answers EXEC where nothing but subscriptions was queued.
    pub(super) fn exec_alone(&self, state: &mut State) {
        let replies = state.entry.take().map(|entry| entry.replies);
        self.abandon(state);
        answer(state, None, &alone(&replies.unwrap_or_default()));
    }

    /// SUBSCRIBE or its opposite between MULTI and EXEC.
    pub(super) fn queue_topics(&self, state: &mut State, kind: TopicKind, is_on: bool) -> Result<(), Stop> {
        let args = self.request.args;
        self.has_room_for(state, args.iter().skip(1))?;
        let at = state.transaction.queued;
        self.queue_stand_in(state)?;
        let topics = &mut state.transaction.topics;
        if is_on {
            topics.subscribe(at, kind, args);
        } else {
            topics.unsubscribe(at, kind, args);
        }
        Ok(())
    }
}

impl State {
    /// EXEC is on its way, and its reply says whether the client has subscriptions.
    #[inline]
    pub(super) fn awaits_entry(&self) -> bool {
        let is_sent = |entry: &Entry| matches!(entry.stage, Stage::Sent);
        self.entry.as_deref().is_some_and(is_sent)
    }

    /// EXEC is on its way.
    pub(super) fn entry_sent(&mut self) {
        if let Some(entry) = &mut self.entry {
            entry.stage = Stage::Sent;
        }
    }

    /// Whether `ticket` is that EXEC's: an earlier one may still be unanswered.
    pub(super) fn is_entry(&self, ticket: &Ticket) -> bool {
        let is_it = |entry: &Entry| entry.number == ticket.number;
        ticket.role == Role::Exec && self.entry.as_deref().is_some_and(is_it)
    }

    /// Keeps a piece of EXEC's reply. More than a client may have waiting breaks its connection.
    pub(super) fn take_entry_piece(&mut self, bytes: &[u8], limit: usize) {
        let Some(entry) = &mut self.entry else { return };
        if entry.came.len() + bytes.len() > limit {
            self.broken = true;
        } else {
            entry.came.extend_from_slice(bytes);
        }
    }
}

impl Session {
    /// EXEC's reply, or its last piece: the subscriptions are confirmed in it, or have never been.
    pub(super) fn finish_entry(&self, state: &mut State, bytes: &[u8]) {
        let Some(entry) = &mut state.entry else { return };
        entry.came.extend_from_slice(bytes);
        let (number, came) = (entry.number, std::mem::take(&mut entry.came));
        let reply = state.transaction.exec_reply(&came);
        match splice(&reply, entry.queued, &entry.replies) {
            Some(spliced) => {
                state.entry = None;
                state.replies.finish(number, &spliced);
            }
            None => {
                self.leave_entry(state);
                state.replies.finish(number, &reply);
            }
        }
    }

    /// The transaction is not executed: the client has no subscriptions, and never had.
    pub(super) fn leave_entry(&self, state: &mut State) {
        if let Some(entry) = state.entry.take() {
            if let Some(pending) = entry.pending {
                pending.cancel();
            }
            self.unsubscribe_all(state);
            state.replies.forget_messages(entry.number);
        }
    }

    /// The same, when that is what `ticket` was for.
    pub(super) fn leave_entry_with(&self, state: &mut State, ticket: &Ticket) {
        if state.is_entry(ticket) {
            self.leave_entry(state);
        }
    }

    /// Every side that could carry a message has confirmed: EXEC can be sent.
    pub(crate) fn entered(&self) {
        self.set_entry(Stage::Entered);
    }

    /// A node refuses a channel, or none confirms it.
    pub(crate) fn entry_refused(&self, line: &[u8]) {
        self.set_entry(Stage::Refused(line.to_vec()));
    }

    fn set_entry(&self, stage: Stage) {
        if !self.closed.get()
            && let Some(entry) = &mut self.state.borrow_mut().entry
        {
            entry.stage = stage;
            self.wake.wake();
        }
    }
}
