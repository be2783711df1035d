//! When do replies leave for the client?
//!
//! Shell: once the links have handed out all replies that have come, each of their sessions writes once, so that a pipeline's replies
//! are one write, of both sides together; so are the messages of a turn.
//! A session at rest waits only for what its client sends next, and is not polled for it: that
//! was a third of what a command took. Whatever is out of the ordinary (a socket that takes no more, a request that had to wait, a
//! transaction) is left to the session's own task ([`super::serve`]), which is woken instead.

use std::io;

use super::state::{Session, State};
use super::ticket::{Role, Ticket};
use crate::limits::{COPIED_BYTES, WRITE_BYTES, WRITES_A_TURN};

impl State {
    /// Whether nothing but a request, or the reply to one, can bring its session anything to do.
    pub(super) fn is_plain(&self) -> bool {
        !self.closing
            && self.replay.is_empty()
            && self.subscriptions.is_empty()
            && self.tracking.is_none()
            && self.monitor.is_none()
            && self.tunnel.is_none()
            && !self.lanes.iter().any(|lane| lane.is_private())
    }
}

impl Session {
    /// Whether the reply to this command, or to a part of it, can be written at the end of this turn, by [`Self::write`] behind its
    /// other replies, and need not wake the session's task.
    #[inline]
    pub(super) fn can_rest(&self, state: &State, ticket: &Ticket) -> bool {
        let may_follow = self.to_write.get() || state.replies.output.is_empty();
        self.at_rest.get() && matches!(ticket.role, Role::Whole | Role::Part(_)) && may_follow
    }

    /// Writes what the link's turn has brought; has the session's task go on where that is not all.
    pub(crate) fn write(&self, now_micros: u64) {
        self.to_write.set(false);
        match self.flush() {
            Ok(true) if self.at_rest.get() => self.touched(now_micros),
            // Its task waits for room, or meets the same error and ends.
            _ => self.wake.wake(),
        }
    }

    /// Writes the messages of a turn: whatever else its task waits for, it need not hear of that.
    pub(crate) fn write_messages(&self, now_micros: u64) {
        self.to_write.set(false);
        match self.flush() {
            Ok(true) => {
                self.has_taken();
                self.touched(now_micros);
            }
            _ => self.wake.wake(),
        }
    }

    /// Has links read on that are read at the pace of this client.
    pub(super) fn has_taken(&self) {
        for lane in &self.state.borrow().lanes {
            if let Some(link) = &lane.link {
                link.has_taken();
            }
        }
    }

    /// Whether the socket has taken all there is, in as many writes as are one turn's.
    ///
    /// # Errors
    /// The operating system's: the connection is over.
    #[inline]
    pub(super) fn flush(&self) -> io::Result<bool> {
        let output = &mut self.state.borrow_mut().replies.output;
        for _ in 0..WRITES_A_TURN {
            if output.is_empty() {
                return Ok(true);
            }
            let front = output.front();
            match self.offer(front.get(..WRITE_BYTES).unwrap_or(front))? {
                Some(count) => output.wrote(count),
                None => return Ok(false),
            }
        }
        Ok(output.is_empty())
    }

    /// Closes the client's connection now, with what it has not read of replies: nothing may follow a reply that was cut.
    pub(super) fn hang_up(&self, state: &mut State) {
        self.at_rest.set(false);
        self.stream.take();
        state.replies.discard_output();
    }

    /// What of a large reply the socket does not take at once: the rest is copied, as it has to wait.
    #[inline]
    pub(super) fn write_through<'a>(&self, state: &State, ticket: &Ticket, bytes: &'a [u8]) -> &'a [u8] {
        if bytes.len() < COPIED_BYTES {
            return bytes;
        }
        self.write_large(state, ticket, bytes)
    }

    fn write_large<'a>(&self, state: &State, ticket: &Ticket, bytes: &'a [u8]) -> &'a [u8] {
        if ticket.role != Role::Whole || !state.replies.is_next(ticket.number) {
            return bytes;
        }
        let taken = self.offer(bytes).ok().flatten().unwrap_or_default();
        bytes.get(taken..).unwrap_or_default()
    }

    #[inline]
    fn offer(&self, bytes: &[u8]) -> io::Result<Option<usize>> {
        match self.stream.borrow().as_ref() {
            Some(socket) => socket.write(bytes),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}
