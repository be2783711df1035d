//! Which request is next?
//!
//! Shell: commands that came back first, then the client's bytes in order. Bytes are dispatched where they were read;
//! only what cannot go yet is kept here.

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::blocking;
use super::dispatch::{Again, Request, Stall, Turn, answer, count_refused, dispatch};
use super::login::{Standing, ask_standing};
use super::replay::Returned;
use super::state::{Session, State};
use super::streaming::{self, Begun};
use super::ticket::Role;
use crate::data_plane::budget::{OverBudget, Reservation};
use crate::data_plane::refusal::Refusal;
use crate::limits::{
    BULK_BYTES_MAX, LARGE_BYTES, OWN_LINK_BYTES, READ_BYTES, SPARE_INPUT_BYTES, STALLED_AFTER_LOOKS,
    STREAM_BYTES, STREAM_HELD_BYTES,
};
use crate::resp::{Args, ProtocolError, RequestParser};

/// How far the input got.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// All that came has been dispatched.
    Idle,
    /// The next request is being passed on.
    Passing,
    /// The next request has to wait. `progress`: others went before it in this step.
    Stalled { stall: Stall, progress: bool },
}

/// A client's bytes that are not dispatched yet, beginning with a request.
#[derive(Default)]
pub(super) struct Input {
    pending: Vec<u8>,
    /// Where in `pending` the next request begins.
    start: usize,
    parser: RequestParser,
    /// Length of the next request, once it is complete and could not be dispatched.
    parsed: Option<usize>,
    /// The next request, complete and not in `pending` any more, when it is to be passed on by reference.
    large: Option<Bytes>,
    /// Room for the next request, when it is large and not complete.
    reservation: Option<Reservation>,
    /// What becomes of the next request, when that is decided before it is complete.
    fate: Fate,
    /// Bytes of it that are gone.
    gone: usize,
    /// How many bytes of it had come when last some more had, and how many looks ago that was.
    progress: (usize, u8),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fate {
    /// It is kept until it is complete.
    #[default]
    Kept,
    /// It is passed on, as soon as there is room for that, and a link.
    Expected,
    /// It is passed on.
    Passed,
    /// It has been answered, and is not kept.
    Dropped,
}

/// Whether more may be read.
pub(super) enum Room {
    Read,
    /// What has been read can go first.
    Advance,
}

/// How far the next request got that is not kept.
enum Passed {
    /// There is more of it to come, or no room for it.
    Some,
    /// All of it.
    All,
}

/// A large request, with the room it takes until the last that holds it lets go.
struct Held {
    bytes: Vec<u8>,
    _reservation: Option<Reservation>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Why dispatching stopped.
enum Halt {
    /// The next request has to wait.
    Stall(Stall),
    /// The next request is of this length, and large.
    Large(usize),
}

impl Input {
    /// Bytes kept.
    pub(super) fn len(&self) -> usize {
        self.pending.len() - self.start + self.large.as_ref().map_or(0, Bytes::len)
    }

    /// Nothing is kept: not even a part of a request.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.large.is_none() && self.fate == Fate::Kept
    }

    /// Makes it one that any client may have, as nothing is kept: a request that broke the protocol has left the parser within it.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.parser.reset();
        self.parsed = None;
        self.reservation = None;
        self.fate = Fate::Kept;
        self.start = 0;
        if self.pending.capacity() > SPARE_INPUT_BYTES {
            self.pending = Vec::new();
        }
    }

    /// To be called once a second: whether a large request has room that others wait for, and its client has sent next to nothing more of
    /// it for long. Then the client is told, no more is read of it, and the room is theirs, whether or not the client hears it.
    pub(super) fn gives_up(&mut self, session: &Session) -> bool {
        let (before, looks) = self.progress;
        let come = self.gone + self.pending.len() - self.start;
        if !self.waits_for_client(session) || come < before || come >= before + READ_BYTES {
            self.progress = (come, 0);
            return false;
        }
        self.progress.1 = looks.saturating_add(1);
        let is_waited_for = session.route.stats.requests_waiting.load(Ordering::Relaxed) > 0;
        let is_over = is_waited_for && looks >= STALLED_AFTER_LOOKS;
        if is_over {
            let seconds = STALLED_AFTER_LOOKS;
            self.refuse_passed(&mut session.state.borrow_mut(), &Refusal::Stalled { seconds });
            self.reservation = None;
        }
        is_over
    }

    /// Whether there is room for more of a large request, and nothing more has come.
    fn waits_for_client(&self, session: &Session) -> bool {
        let has_room = self
            .reservation
            .as_ref()
            .is_some_and(|room| room.bytes() > 0 && !room.waits());
        let can_go_on = match self.fate {
            Fate::Kept => self.parsed.is_none() && self.large.is_none(),
            Fate::Passed => session
                .state
                .borrow()
                .stream
                .as_ref()
                .is_some_and(|stream| stream.link.stream_room() >= READ_BYTES),
            Fate::Expected | Fate::Dropped => false,
        };
        has_room && can_go_on
    }

    /// What no request was made of.
    pub(super) fn rest(&self) -> &[u8] {
        self.pending.get(self.start..).unwrap_or_default()
    }

    /// Whether more may be read: of a large request only when there is room for all that is known of it, or on its link.
    ///
    /// # Errors
    /// There never is.
    #[inline]
    pub(super) fn poll_room(
        &mut self,
        session: &Session,
        turn: &Turn,
        cx: &Context<'_>,
    ) -> Poll<Result<Room, OverBudget>> {
        if self.is_empty() {
            return Poll::Ready(Ok(Room::Read));
        }
        match self.fate {
            Fate::Kept if self.parsed.is_some() || self.large.is_some() => Poll::Ready(Ok(Room::Read)),
            Fate::Kept => self.poll_reserve(session, turn, cx).map_ok(|()| Room::Read),
            Fate::Expected if self.has_stream_room() => Poll::Pending,
            Fate::Expected => {
                let limit = turn.limits.request_buffer_bytes;
                let reservation = self
                    .reservation
                    .get_or_insert_with(|| session.route.reservation());
                reservation
                    .poll_hold(STREAM_HELD_BYTES, limit, cx)
                    .map_ok(|()| Room::Advance)
            }
            Fate::Passed => match &session.state.borrow().stream {
                Some(stream) if self.pending.is_empty() && stream.link.stream_room() >= READ_BYTES => {
                    Poll::Ready(Ok(Room::Read))
                }
                _ => Poll::Pending,
            },
            Fate::Dropped => Poll::Ready(Ok(Room::Read)),
        }
    }

    fn has_stream_room(&self) -> bool {
        let held = self.reservation.as_ref().map_or(0, Reservation::bytes);
        held >= STREAM_HELD_BYTES
    }

    fn poll_reserve(
        &mut self,
        session: &Session,
        turn: &Turn,
        cx: &Context<'_>,
    ) -> Poll<Result<(), OverBudget>> {
        let come = self.pending.len() - self.start;
        let needed = come.max(self.parser.bytes_known());
        let held = self.reservation.as_ref().map_or(0, Reservation::bytes);
        if needed <= LARGE_BYTES || needed <= held {
            return Poll::Ready(Ok(()));
        }
        let limit = turn.limits.request_buffer_bytes;
        // What is announced is reserved as it is. Of many small arguments nobody knows how many bytes will come.
        let bytes = match needed > come + READ_BYTES {
            true => needed,
            false => needed.max((2 * come).min(limit)),
        };
        let reservation = self
            .reservation
            .get_or_insert_with(|| session.route.reservation());
        let polled = reservation.poll_hold(bytes, limit, cx);
        if polled.is_ready() {
            self.pending.reserve_exact(bytes.saturating_sub(come));
        }
        polled
    }

    /// Dispatches bytes that have just been read; keeps what cannot go yet.
    pub(super) fn take(&mut self, session: &Rc<Session>, turn: &Turn, came: &[u8]) {
        let mut state = session.state.borrow_mut();
        let mut came = came;
        if self.pending.is_empty() && matches!(self.fate, Fate::Passed | Fate::Dropped) {
            let (used, _) = self
                .pass_on(session, &mut state, turn, came)
                .unwrap_or((0, Passed::Some));
            came = came.get(used..).unwrap_or_default();
        }
        if !self.is_empty() || !state.replay.is_empty() {
            self.pending.extend_from_slice(came);
            return;
        }
        let (used, _) = self.dispatch_all(session, &mut state, turn, came);
        self.pending
            .extend_from_slice(came.get(used..).unwrap_or_default());
    }

    /// The client has said its last: what is not complete will not be.
    pub(super) fn end(&self, session: &Session) {
        if self.fate == Fate::Passed {
            session.state.borrow_mut().cut_stream(None);
        }
    }

    /// Sends again what came back, then what is kept.
    pub(super) fn advance(&mut self, session: &Rc<Session>, turn: &Turn) -> Step {
        let mut state = session.state.borrow_mut();
        let mut progress = false;
        while let Some(returned) = state.replay.pop() {
            if let Err(stall) = send_again(session, &mut state, turn, &returned) {
                state.replay.insert(returned);
                return Step::Stalled { stall, progress };
            }
            progress = true;
        }
        loop {
            if let Err(stall) = self.dispatch_large(session, &mut state, turn) {
                return Step::Stalled { stall, progress };
            }
            if matches!(self.fate, Fate::Passed | Fate::Dropped) {
                let pending = std::mem::take(&mut self.pending);
                let rest = pending.get(self.start..).unwrap_or_default();
                let passed = self.pass_on(session, &mut state, turn, rest);
                self.pending = pending;
                match passed {
                    Ok((used, passed)) => {
                        self.start += used;
                        self.compact();
                        match passed {
                            Passed::All => {}
                            Passed::Some if self.fate == Fate::Passed => return Step::Passing,
                            Passed::Some => return Step::Idle,
                        }
                    }
                    Err(stall) => return Step::Stalled { stall, progress },
                }
            }
            if self.pending.is_empty() {
                return Step::Idle;
            }
            let pending = std::mem::take(&mut self.pending);
            let rest = pending.get(self.start..).unwrap_or_default();
            let (used, halt) = self.dispatch_all(session, &mut state, turn, rest);
            self.pending = pending;
            self.start += used;
            if used > 0 {
                self.reservation = None;
            }
            progress |= used > 0;
            match halt {
                None => {
                    self.compact();
                    match self.begin_passing(session, &mut state, turn) {
                        Ok(true) => {}
                        Ok(false) => return Step::Idle,
                        Err(stall) => return Step::Stalled { stall, progress },
                    }
                }
                Some(Halt::Stall(stall)) => {
                    self.compact();
                    return Step::Stalled { stall, progress };
                }
                Some(Halt::Large(length)) => {
                    self.carve_out(length);
                }
            }
        }
    }

    /// Begins to pass on the next request, which is not complete, if that can be; its room comes first.
    #[inline]
    fn begin_passing(
        &mut self,
        session: &Rc<Session>,
        state: &mut State,
        turn: &Turn,
    ) -> Result<bool, Stall> {
        match self.parser.announced() {
            Some((count, bytes)) if bytes > STREAM_BYTES => {
                self.begin_passing_of(session, state, turn, count)
            }
            _ => Ok(false),
        }
    }

    fn begin_passing_of(
        &mut self,
        session: &Rc<Session>,
        state: &mut State,
        turn: &Turn,
        count: usize,
    ) -> Result<bool, Stall> {
        let bytes = self.pending.get(self.start..).unwrap_or_default();
        let args = Args::new(bytes, self.parser.spans());
        if !streaming::is_streamable(state, args, count) {
            self.fate = Fate::Kept;
            return Ok(false);
        }
        self.fate = Fate::Expected;
        if !self.has_stream_room() {
            return Ok(false);
        }
        self.fate = match streaming::begin(session, state, turn, bytes, args)? {
            Begun::Streaming => Fate::Passed,
            Begun::Refused => Fate::Dropped,
        };
        self.gone = 0;
        Ok(true)
    }

    /// Passes on what there is room for of `bytes`, which the next request begins, or goes on, with; or lets it drop. Returns how many
    /// bytes that was.
    fn pass_on(
        &mut self,
        session: &Rc<Session>,
        state: &mut State,
        turn: &Turn,
        bytes: &[u8],
    ) -> Result<(usize, Passed), Stall> {
        if state.closing {
            return Ok((bytes.len(), Passed::Some));
        }
        if self.fate == Fate::Passed && state.stream.is_none() {
            // Its link has ended, and that has been told.
            self.fate = Fate::Dropped;
            self.reservation = None;
            session.postpone(state, false);
        }
        let complete = match self.parsed {
            Some(length) => Some(length),
            None => match self
                .parser
                .parse(bytes, turn.limits.request_bytes.min(BULK_BYTES_MAX))
            {
                Ok(None) if self.gone + bytes.len() > turn.limits.request_bytes => {
                    let limit = turn.limits.request_bytes;
                    let what = "the request";
                    return Ok((
                        bytes.len(),
                        self.refuse_passed(state, &Refusal::TooBig { what, limit }),
                    ));
                }
                Ok(complete) => complete,
                Err(error) => {
                    return Ok((bytes.len(), self.refuse_passed(state, &Refusal::Protocol(error))));
                }
            },
        };
        self.parsed = complete;
        let can_go = complete.unwrap_or_else(|| self.parser.passable(bytes.len()));
        let has_link = state.stream.as_ref().is_some_and(|stream| stream.link.is_ready());
        if has_link && complete.is_some() && streaming::waits_for_pause(session, state) {
            return Err(Stall::Paused);
        }
        let count = match &state.stream {
            Some(_) if !has_link => 0,
            Some(stream) => {
                let count = can_go.min(stream.link.stream_room());
                stream.link.push_piece(bytes.get(..count).unwrap_or_default());
                count
            }
            None => can_go,
        };
        self.gone += count;
        match complete {
            None => self.parser.pass(count),
            Some(length) if count < length => self.parsed = Some(length - count),
            Some(_) => {
                if let Some(stream) = state.stream.take() {
                    stream.link.end_stream(turn.now_micros);
                }
                self.parser.reset();
                (self.parsed, self.fate, self.reservation) = (None, Fate::Kept, None);
                return Ok((count, Passed::All));
            }
        }
        Ok((count, Passed::Some))
    }

    /// The request that is passed on, or was refused, cannot go on, and nobody knows where the next one begins.
    fn refuse_passed(&mut self, state: &mut State, refusal: &Refusal) -> Passed {
        match state.stream {
            Some(_) => state.cut_stream(Some(refusal.line())),
            // As a server, which has not answered yet then.
            None => answer(state, None, &refusal.line()),
        }
        state.closing = true;
        Passed::Some
    }

    /// Makes the next request, which is of this length and large, one of its own: only what follows it is copied.
    fn carve_out(&mut self, length: usize) {
        let rest = self.pending.split_off(self.start + length);
        let request = Bytes::from_owner(Held {
            bytes: std::mem::replace(&mut self.pending, rest),
            _reservation: self.reservation.take(),
        });
        self.large = Some(request.slice(self.start..));
        self.start = 0;
    }

    fn dispatch_large(&mut self, session: &Rc<Session>, state: &mut State, turn: &Turn) -> Result<(), Stall> {
        let Some(large) = &self.large else {
            return Ok(());
        };
        if !state.closing {
            let request = Request {
                bytes: large,
                large: Some(large),
                args: Args::new(large, self.parser.spans()),
                again: None,
            };
            dispatch(session, state, turn, request)?;
        }
        self.large = None;
        self.parser.reset();
        Ok(())
    }

    /// Answers the request that would be next with an error.
    pub(super) fn refuse_first(&mut self, session: &Session, refusal: &Refusal) {
        let mut state = session.state.borrow_mut();
        state.learning.forget();
        // It may have been waiting for links with another set-up.
        state.refresh_setup();
        if let Some(Returned {
            number,
            role,
            refusals,
            bytes,
            ..
        }) = state.replay.pop()
        {
            let mut parser = RequestParser::new();
            if let Ok(Some(_)) = parser.parse(&bytes, usize::MAX / 2) {
                count_refused(session, Args::new(&bytes, parser.spans()));
            }
            answer(
                &mut state,
                Some(Again {
                    number,
                    role,
                    refusals,
                }),
                &refusal.line(),
            );
            return;
        }
        if self.fate == Fate::Expected {
            answer(&mut state, None, &refusal.line());
            self.fate = Fate::Dropped;
            self.reservation = None;
            return;
        }
        let large = self.large.take();
        self.reservation = None;
        let length = match &large {
            Some(_) => 0,
            None => match self.parsed.take() {
                Some(length) => length,
                None => return,
            },
        };
        let request = match &large {
            Some(large) => Some(&large[..]),
            None => self.parser.rewritten().or_else(|| self.pending.get(self.start..)),
        };
        let args = Args::new(request.unwrap_or_default(), self.parser.spans());
        count_refused(session, args);
        answer(&mut state, None, &refusal.line());
        if state.transaction.open {
            state.transaction.refused = true;
        }
        state.hello_at = 0;
        state.switches_links = false;
        self.parser.reset();
        self.start += length;
        self.compact();
    }

    /// Dispatches requests until one is incomplete or has to wait; returns how many bytes they were.
    #[inline]
    fn dispatch_all(
        &mut self,
        session: &Rc<Session>,
        state: &mut State,
        turn: &Turn,
        bytes: &[u8],
    ) -> (usize, Option<Halt>) {
        let bulk_bytes_max = turn.limits.request_bytes.min(BULK_BYTES_MAX);
        let mut used = 0;
        while !state.closing && !state.is_in_tunnel() {
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return (used, None);
            }
            self.parser.restrict(state.standing != Standing::Admitted);
            let length = match self.parsed.take() {
                Some(length) => length,
                None => match self.parser.parse(rest, bulk_bytes_max) {
                    Ok(Some(length)) => length,
                    Ok(None) if rest.len() > turn.limits.request_bytes => {
                        let limit = turn.limits.request_bytes;
                        refuse_and_close(
                            state,
                            &Refusal::TooBig {
                                what: "the request",
                                limit,
                            },
                        );
                        break;
                    }
                    Ok(None) => return (used, None),
                    Err(
                        ProtocolError::UnauthenticatedMultibulkLength
                        | ProtocolError::UnauthenticatedBulkLength,
                    ) if !is_outside(session, state) => {
                        // It may be served without a password: that is to be known first.
                        self.parser.reset();
                        match state.standing {
                            Standing::Admitted => continue,
                            _ => return (used, Some(Halt::Stall(Stall::Room))),
                        }
                    }
                    Err(error) => {
                        refuse_and_close(state, &Refusal::Protocol(error));
                        break;
                    }
                },
            };
            if length >= OWN_LINK_BYTES {
                return (used, Some(Halt::Large(length)));
            }
            let request = self
                .parser
                .rewritten()
                .or_else(|| rest.get(..length))
                .unwrap_or_default();
            if !self.parser.spans().is_empty() {
                let args = Args::new(request, self.parser.spans());
                let request = Request {
                    bytes: request,
                    large: None,
                    args,
                    again: None,
                };
                if !session.express(state, turn, request.bytes, args)
                    && let Err(stall) = dispatch(session, state, turn, request)
                {
                    self.parsed = Some(length);
                    return (used, Some(Halt::Stall(stall)));
                }
            }
            self.parser.reset();
            used += length;
        }
        // Nothing after the last request is looked at.
        (if state.closing { bytes.len() } else { used }, None)
    }

    fn compact(&mut self) {
        if self.start == self.pending.len() {
            self.pending.clear();
            self.start = 0;
        } else if self.start > READ_BYTES && self.start > self.pending.len() / 2 {
            self.pending.drain(..self.start);
            self.start = 0;
        }
    }
}

/// Whether the client has to authenticate. `false`: it need not, or that is not known yet, and it is woken when it is.
fn is_outside(session: &Rc<Session>, state: &mut State) -> bool {
    match ask_standing(session, state) {
        Ok(standing) => standing == Standing::Outside,
        Err(_) => {
            session.route.wait(session);
            false
        }
    }
}

/// The next request would need more room than there is.
pub(super) fn refuse_over_budget(session: &Session, limit: usize) {
    let what = "this request, which has to be held whole (request_buffer_bytes),";
    refuse_and_close(&mut session.state.borrow_mut(), &Refusal::TooBig { what, limit });
}

pub(super) fn refuse_and_close(state: &mut State, refusal: &Refusal) {
    answer(state, None, &refusal.line());
    state.closing = true;
}

/// A command that came back is parsed again: that happens once in a failover, and keeping its parts for every command
/// would cost all of them.
fn send_again(
    session: &Rc<Session>,
    state: &mut State,
    turn: &Turn,
    returned: &Returned,
) -> Result<(), Stall> {
    let mut parser = RequestParser::new();
    if !matches!(parser.parse(&returned.bytes, usize::MAX / 2), Ok(Some(_))) {
        return Ok(());
    }
    let again = Some(Again {
        number: returned.number,
        role: returned.role,
        refusals: returned.refusals,
    });
    let args = Args::new(&returned.bytes, parser.spans());
    let shorter = match returned.blocked_since {
        Some(since) if returned.role == Role::Blocking => blocking::with_time_left(args, since.elapsed()),
        _ => None,
    };
    let Some(shorter) = shorter else {
        return dispatch(
            session,
            state,
            turn,
            Request {
                bytes: &returned.bytes,
                large: (returned.bytes.len() >= OWN_LINK_BYTES).then_some(&returned.bytes),
                args,
                again,
            },
        );
    };
    let mut parser = RequestParser::new();
    let _ = parser.parse(&shorter, usize::MAX / 2);
    let args = Args::new(&shorter, parser.spans());
    dispatch(
        session,
        state,
        turn,
        Request {
            bytes: &shorter,
            large: None,
            args,
            again,
        },
    )
}
