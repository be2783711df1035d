//! Can a request be passed on while it comes, and where to?
//!
//! Shell: a write whose keys all come before its large argument, of a client out of which nothing else could come meanwhile. It goes
//! on a link of its own, so that a slow sender holds up nobody. A server executes only what is complete: a link that ends, or a key
//! that moves, before the last byte was handed over means that it certainly did not happen; and as nobody has kept it, the client is
//! told so. All other requests are held until they are complete.

use std::rc::Rc;
use std::time::Instant;

use super::dispatch::{Request, Sending, Stall, Stop, Turn, answer};
use super::login::Standing;
use super::replies::Muting;
use super::state::{Session, State};
use super::ticket::{Role, Ticket};
use crate::data_plane::command::{Classified, Intent, KeyRule, classify};
use crate::data_plane::upstream::Link;
use crate::resp::Args;

/// A request that is being passed on.
pub(super) struct Streaming {
    /// Its slot in [`super::replies::Replies`].
    number: u64,
    pub(super) link: Rc<Link>,
    /// What its client has done wrong in it: said in place of what becomes of its link.
    pub(super) fault: Option<Vec<u8>>,
}

/// What becomes of a request that is not complete.
pub(super) enum Begun {
    /// It is passed on.
    Streaming,
    /// It has been answered: what else of it comes is not looked at.
    Refused,
}

/// Whether a request with these first arguments, of `count`, can be passed on while the next one comes.
pub(super) fn is_streamable(state: &State, args: Args<'_>, count: usize) -> bool {
    is_plain(state) && keys_are_there(&classify(args), args.len(), count)
}

/// A write of one owner, of which the first `come` of `count` arguments are known, and so all keys.
fn keys_are_there(class: &Classified, come: usize, count: usize) -> bool {
    let Some(spec) = class.spec else { return false };
    let fixed = match spec.keys {
        KeyRule::Range { last, .. } => usize::try_from(last).is_ok_and(|last| last < come),
        _ => false,
    };
    fixed
        && spec.intent == Intent::Forward
        && class.intent == Intent::Forward
        && spec.may_write()
        && spec.accepts(count)
}

/// Nothing is to be done for the client but to pass on what it says, and what is answered.
fn is_plain(state: &State) -> bool {
    state.standing == Standing::Admitted
        && state.replay.is_empty()
        && state.subscriptions.is_empty()
        && state.transaction.is_empty()
        && state.tracking.is_none()
        && state.setup.is_none()
        && state.monitor.is_none()
        && state.replies.muting == Muting::None
        && !state.unblocking
        && !state.closing
}

/// Begins to pass on such a request.
///
/// # Errors
/// [`Stall`]: nothing has changed; to be called again with the same request.
pub(super) fn begin(
    session: &Rc<Session>,
    state: &mut State,
    turn: &Turn,
    bytes: &[u8],
    args: Args<'_>,
) -> Result<Begun, Stall> {
    if state.is_waiting() || state.replies.open_count() >= turn.limits.in_flight {
        return Err(Stall::Replies);
    }
    state.see(&turn.snapshot);
    let class = classify(args);
    state.last = class.spec;
    let sending = Sending {
        session,
        turn,
        request: Request {
            bytes,
            large: None,
            args,
            again: None,
        },
        class,
        told: Vec::new(),
    };
    match sending.begin_stream(state) {
        Ok(()) => Ok(Begun::Streaming),
        Err(Stop::Stall(stall)) => Err(stall),
        Err(Stop::Refuse(refusal)) => {
            answer(state, None, &refusal.line());
            Ok(Begun::Refused)
        }
    }
}

impl Sending<'_> {
    fn begin_stream(&self, state: &mut State) -> Result<(), Stop> {
        let side = self.side()?;
        let link = self.link_beside(state, side)?;
        if !link.is_idle() {
            return Err(Stall::Replies.into());
        }
        let number = state.replies.open();
        let ticket = Ticket {
            is_streamed: true,
            reads: false,
            retry: false,
            ..self.ticket(state, &link, number, Role::Whole)
        };
        link.begin_stream(ticket, self.slots().collect());
        state.stream = Some(Streaming {
            number,
            link,
            fault: None,
        });
        Ok(())
    }
}

impl State {
    /// What is being passed on, when that is what `ticket` is for: its fate is known.
    pub(super) fn take_stream(&mut self, ticket: &Ticket) -> Option<Streaming> {
        self.stream.take_if(|stream| stream.number == ticket.number)
    }

    /// What is being passed on is not to be executed; its client is told `fault` when that is certain.
    pub(super) fn cut_stream(&mut self, fault: Option<Vec<u8>>) {
        if let Some(stream) = &mut self.stream {
            stream.fault = fault;
            stream.link.close();
        }
    }
}

/// Whether a write that is complete but for its last bytes waits for CLIENT PAUSE to be over.
pub(super) fn waits_for_pause(session: &Rc<Session>, state: &mut State) -> bool {
    let is_paused = session
        .route
        .pause()
        .is_some_and(|pause| pause.until > Instant::now());
    session.postpone(state, is_paused);
    if is_paused {
        session.route.wait(session);
    }
    is_paused
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::with_args;

    #[test]
    fn keys_that_come_first_are_what_decides() {
        let known = |words: &[&str], count| {
            with_args(words, |args| keys_are_there(&classify(args), args.len(), count))
        };
        for (words, count) in [
            (&["SET", "k"][..], 3),
            (&["SET", "k"], 5),
            (&["SETEX", "k", "9"], 4),
            (&["psetex", "k", "9"], 4),
            (&["SETNX", "k"], 3),
            (&["GETSET", "k"], 3),
            (&["APPEND", "k"], 3),
            (&["SETRANGE", "k", "9"], 4),
            (&["RPUSH", "k"], 3),
            (&["LPUSH", "k", "a"], 9),
            (&["HSET", "k", "f"], 4),
            (&["SADD", "k"], 3),
            (&["ZADD", "k", "1"], 4),
            (&["XADD", "k", "*", "f"], 5),
            (&["RESTORE", "k", "0"], 4),
        ] {
            assert!(known(words, count), "{words:?}");
        }
        for (words, count) in [
            // The key itself, or a further one, is what is large.
            (&["SET"][..], 3),
            (&["DEL", "a"], 3),
            (&["MSET", "a"], 3),
            (&["MSETNX", "a"], 3),
            (&["RENAME", "a"], 3),
            // A server says what is wrong with it.
            (&["SET", "k"], 2),
            (&["GETSET", "k"], 4),
            // Reads; what is not for one server to answer, or for none.
            (&["GETRANGE", "k", "0"], 4),
            (&["EVAL"], 3),
            (&["PUBLISH", "c"], 3),
            (&["BLPOP", "k"], 3),
            (&["CONFIG", "SET", "k"], 4),
            (&["nonsense", "k"], 3),
        ] {
            assert!(!known(words, count), "{words:?}");
        }
    }
}
