//! How do a client's bytes become requests, and its replies bytes?
//!
//! Shell: what a client at rest sends is read and dispatched as soon as it comes, and its replies are written by the links they come
//! from. Whatever is out of the ordinary is its task's, of which it has one: it is polled when it is woken. Bytes are read into the
//! worker's shared buffer, so that an idle client holds none; what is left of a request when the bytes end is kept until more come.
//! A client that has had nothing to say for a while has no task either.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use tracing::debug;

use super::dispatch::{Stall, Turn};
use super::hold::{Hold, Patience};
use super::input::{Input, Room, Step, refuse_over_budget};
use super::state::{Session, State};
use super::tunnel::pass_on;
use crate::data_plane::budget::OverBudget;
use crate::data_plane::reactor::Socket;
use crate::limits::{CLIENT_READS_A_TURN, DRAIN_NEW_CLIENTS, READ_BYTES};

/// What the session's task ends by, while nothing is wrong.
enum End {
    /// The client is gone, or has been answered its last.
    Over,
    /// It has nothing to say, and can be parked.
    AtRest,
}

/// Has a client served until it is gone, has been answered its last, or is parked.
pub(crate) fn serve(session: Rc<Session>) {
    tokio::task::spawn_local(async move {
        while let End::AtRest = drive(&session).await {
            if session.route.park(&session) {
                return;
            }
        }
        session.route.left(&session);
    });
}

async fn drive(session: &Rc<Session>) -> End {
    let mut client = Client {
        ended: false,
        hold: Hold::default(),
    };
    let mut result = std::future::poll_fn(|cx| client.poll(session, cx)).await;
    if let Ok(End::AtRest) = result {
        client.hold.release(&session.route.stats);
        return End::AtRest;
    }
    if result.is_ok()
        && session.state.borrow().is_in_tunnel()
        && let Some(stream) = session.stream.take()
    {
        let input = session.input.take();
        let rest = input.as_ref().map_or(&[][..], |input| input.rest());
        result = pass_on(session, stream, rest).await.map(|()| End::Over);
    }
    if let Err(error) = result {
        debug!(route = session.route.name, client = session.id, %error, "client connection ended");
    }
    client.hold.release(&session.route.stats);
    session.input.take();
    session.close();
    End::Over
}

struct Client {
    /// The client has closed its sending half.
    ended: bool,
    hold: Hold,
}

impl Client {
    fn poll(&mut self, session: &Rc<Session>, cx: &mut Context<'_>) -> Poll<io::Result<End>> {
        let mut input = session.take_input();
        let result = self.poll_with(&mut input, session, cx);
        session.keep(input);
        result
    }

    fn poll_with(
        &mut self,
        input: &mut Input,
        session: &Rc<Session>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<End>> {
        session.wake.polled(cx);
        session.at_rest.set(false);
        let route = &session.route;
        let now = route.clock();
        let mut is_to_park = session.asked_to_park.take();
        if !is_to_park {
            session.touched(now);
        }
        let turn = session.turn(now);
        let mut is_settled = false;
        for _ in 0..CLIENT_READS_A_TURN {
            if !is_settled {
                let step = self.advance(input, session, &turn, cx);
                session.queued_bytes.set(input.len());
                session.keep_tracking(&turn);
                flush(session)?;
                if let Some(end) = self.end(input, session, &turn, step)? {
                    return end;
                }
                is_settled = !self.ended && session.is_settled(input);
            }
            match input.poll_room(session, &turn, cx) {
                Poll::Ready(Ok(Room::Read)) => {}
                Poll::Ready(Ok(Room::Advance)) => continue,
                Poll::Ready(Err(OverBudget)) => {
                    refuse_over_budget(session, turn.limits.request_buffer_bytes);
                    is_settled = false;
                    continue;
                }
                Poll::Pending => return Poll::Pending,
            }
            match session.read()? {
                Some(0) => {
                    input.end(session);
                    self.ended = true;
                    is_settled = false;
                }
                Some(count) => {
                    if std::mem::take(&mut is_to_park) {
                        session.touched(now);
                    }
                    session.dispatch(input, &turn, count);
                    is_settled = !self.ended && session.is_settled(input);
                }
                None => {
                    session.at_rest.set(is_settled);
                    return match is_to_park && session.can_park() {
                        true => Poll::Ready(Ok(End::AtRest)),
                        false => Poll::Pending,
                    };
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Dispatches what can be dispatched; what has waited too long for a master is refused.
    fn advance(
        &mut self,
        input: &mut Input,
        session: &Rc<Session>,
        turn: &Turn,
        cx: &mut Context<'_>,
    ) -> Step {
        loop {
            let step = input.advance(session, turn);
            let Step::Stalled {
                stall: Stall::Hold(side),
                progress,
            } = step
            else {
                self.hold.release(&session.route.stats);
                return step;
            };
            if progress {
                self.hold.release(&session.route.stats);
            }
            match self.hold.poll(session, &turn.limits.hold, side, cx) {
                Patience::Lasts => return step,
                Patience::Over(refusal) => input.refuse_first(session, &refusal),
            }
        }
    }

    /// Whether the session is over (`Ready`), or has nothing to read for now (`Pending`); `None`: it reads on.
    fn end(
        &self,
        input: &Input,
        session: &Session,
        turn: &Turn,
        step: Step,
    ) -> io::Result<Option<Poll<io::Result<End>>>> {
        let state = session.state.borrow();
        if state.broken {
            return Err(io::Error::other("a reply was cut short by the end of its link"));
        }
        if state.killed {
            return Err(io::Error::other("killed by CLIENT KILL"));
        }
        if state.disowned {
            return Err(io::Error::other(
                "its user has been deleted, or may not listen to this any more",
            ));
        }
        if state.evicted {
            return Err(io::Error::other("output buffer limit for subscribers reached"));
        }
        let waiting = state.replies.bytes();
        if waiting > turn.limits.output_buffer_bytes {
            return Err(io::Error::other("output buffer limit reached"));
        }
        if state.is_in_tunnel() {
            let is_settled = state.replies.open_count() == 0 && waiting == 0 && !session.has_unsent();
            return Ok(Some(match is_settled {
                true => Poll::Ready(Ok(End::Over)),
                false => Poll::Pending,
            }));
        }
        let idle = matches!(step, Step::Idle);
        let last = state.closing || (self.ended && idle) || (idle && session.is_drained(&state));
        if last && state.replies.open_count() == 0 && waiting == 0 && !session.has_unsent() {
            return Ok(Some(Poll::Ready(Ok(End::Over))));
        }
        if self.ended && (!state.subscriptions.is_empty() || state.monitor.is_some()) {
            // As Redis; and messages that go on coming must not keep it.
            return Ok(Some(Poll::Ready(Ok(End::Over))));
        }
        if self.ended && (state.blocked.is_some() || state.postponed) {
            // As Redis: a client that left while blocked takes no element, and what it had still to say is not heard.
            return Ok(Some(Poll::Ready(Ok(End::Over))));
        }
        let full = (!idle && input.len() >= READ_BYTES) || waiting > turn.limits.output_buffer_bytes / 4;
        Ok((last || self.ended || full).then_some(Poll::Pending))
    }
}

fn flush(session: &Session) -> io::Result<()> {
    let is_done = session.flush()?;
    if !is_done && session.stream.borrow().as_ref().is_some_and(Socket::is_writable) {
        session.wake.wake();
    }
    session.has_taken();
    Ok(())
}

impl Session {
    /// There may be something to read, or room to write.
    #[inline]
    pub(crate) fn on_socket(self: &Rc<Self>) {
        let is_served = self.at_rest.get() && !self.wake.is_told() && self.serve_at_rest();
        if !is_served {
            self.wake.wake();
        }
    }

    /// There is a fault in serving it: its connection is closed, as nobody knows what it has been told.
    pub(crate) fn fail(&self) {
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.broken = true;
        }
        self.at_rest.set(false);
        self.wake.wake();
    }

    /// Has what a client at rest has sent on its way. `false`: there is more to do, which is its task's.
    fn serve_at_rest(self: &Rc<Self>) -> bool {
        let count = match self.read() {
            Ok(Some(count)) if count > 0 => count,
            Ok(None) => return true,
            // It is over, and its task is told the same.
            Ok(Some(_)) | Err(_) => return false,
        };
        let now = self.route.clock();
        self.touched(now);
        self.at_rest.set(false);
        let mut input = self.take_input();
        self.dispatch(&mut input, &self.turn(now), count);
        // What the proxy answers itself.
        let is_written = self.flush().is_ok();
        let is_settled = is_written && self.is_settled(&input);
        self.keep(input);
        self.at_rest.set(is_settled);
        let is_read = self
            .stream
            .borrow()
            .as_ref()
            .is_some_and(|socket| !socket.is_readable());
        is_settled && is_read
    }

    /// As if its task had been polled and found nothing.
    #[cfg(test)]
    pub(crate) fn rests(&self) {
        self.wake.polled(&Context::from_waker(std::task::Waker::noop()));
        self.at_rest.set(true);
    }

    #[inline]
    fn turn(&self, now: u64) -> Turn {
        Turn {
            snapshot: self.route.snapshot(),
            limits: self.route.limits(),
            now_micros: now as u32,
        }
    }

    /// Reads into what the worker's clients share.
    #[inline]
    fn read(&self) -> io::Result<Option<usize>> {
        match self.stream.borrow().as_ref() {
            Some(socket) => socket.read(&mut self.route.scratch.space()),
            None => Ok(Some(0)),
        }
    }

    /// The proxy is ending, and no request of the client's may be on its way that was sent in good faith: it has just come in, and has
    /// said nothing yet.
    fn is_drained(&self, state: &State) -> bool {
        let is_new = state.replies.next_number() == 0 && self.since.elapsed() < DRAIN_NEW_CLIENTS;
        self.route.is_draining() && !is_new
    }

    /// Bytes that were written wait for room in the socket: TLS has taken them.
    pub(super) fn has_unsent(&self) -> bool {
        self.stream.borrow().as_ref().is_some_and(Socket::has_unsent)
    }

    /// Dispatches as many bytes that have just been read.
    #[inline]
    fn dispatch(self: &Rc<Self>, input: &mut Input, turn: &Turn, count: usize) {
        let read = self.route.scratch.read();
        input.take(self, turn, read.get(..count).unwrap_or_default());
    }

    /// Whether everything that came is on its way, and there is nothing to be done before something else comes.
    #[inline]
    fn is_settled(&self, input: &Input) -> bool {
        let state = self.state.borrow();
        input.is_empty() && state.replies.bytes() == 0 && state.is_plain() && !self.route.is_draining()
    }

    /// What is kept of its input, or one with nothing in it.
    #[inline]
    fn take_input(&self) -> Box<Input> {
        self.input.take().unwrap_or_else(|| self.route.scratch.input())
    }

    #[inline]
    fn keep(&self, input: Box<Input>) {
        match input.is_empty() {
            true => self.route.scratch.give_back(input),
            false => *self.input.borrow_mut() = Some(input),
        }
    }
}
