//! How do a client's bytes become requests, and its replies bytes?
//!
//! Shell: one task a client, polled by its socket, and by its links when there is more to do than to write a reply. It reads into the
//! worker's shared buffer, so that an idle client holds none; what is left of a request when the bytes end is kept until more come. A
//! client that has had nothing to say for a while has no task either.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tracing::debug;

use super::dispatch::{Stall, Turn};
use super::hold::{Hold, Patience};
use super::input::{Input, Room, Step, refuse_over_budget};
use super::scratch::Scratch;
use super::state::Session;
use super::tunnel::pass_on;
use crate::data_plane::budget::OverBudget;
use crate::limits::{CLIENT_READS_A_TURN, READ_BYTES};

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
        scratch: Rc::clone(&session.route.scratch),
        input: None,
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
        let rest = client.input.as_ref().map_or(&[][..], |input| input.rest());
        result = pass_on(session, stream, rest).await.map(|()| End::Over);
    }
    if let Err(error) = result {
        debug!(route = session.route.name, client = session.id, %error, "client connection ended");
    }
    client.hold.release(&session.route.stats);
    session.close();
    End::Over
}

struct Client {
    scratch: Rc<Scratch>,
    /// Between two polls: what it has sent and what could not be dispatched, if there is anything.
    input: Option<Box<Input>>,
    /// The client has closed its sending half.
    ended: bool,
    hold: Hold,
}

impl Client {
    fn poll(&mut self, session: &Rc<Session>, cx: &mut Context<'_>) -> Poll<io::Result<End>> {
        let mut input = self.input.take().unwrap_or_else(|| self.scratch.input());
        let result = self.poll_with(&mut input, session, cx);
        match input.is_empty() {
            true => self.scratch.give_back(input),
            false => self.input = Some(input),
        }
        result
    }

    fn poll_with(
        &mut self,
        input: &mut Input,
        session: &Rc<Session>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<End>> {
        let was_told = session.wake.polled(cx);
        let route = &session.route;
        let now = route.clock();
        let mut is_to_park = session.asked_to_park.take();
        if !is_to_park {
            session.touched(now);
        }
        let turn = Turn {
            snapshot: route.snapshot(),
            limits: route.limits(),
            now_micros: now as u32,
        };
        // Nobody but its socket has woken it: there is nothing to look at but what that brings.
        let mut is_settled = session.at_rest.replace(false) && !was_told;
        for _ in 0..CLIENT_READS_A_TURN {
            if !is_settled {
                let step = self.advance(input, session, &turn, cx);
                session.queued_bytes.set(input.len());
                session.keep_tracking(&turn);
                self.poll_flush(session, cx)?;
                if let Some(end) = self.end(input, session, &turn, step)? {
                    return end;
                }
                is_settled = self.is_settled(input, session);
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
            match self.poll_read(session, cx) {
                Poll::Ready(Ok(0)) => {
                    input.end(session);
                    self.ended = true;
                    is_settled = false;
                }
                Poll::Ready(Ok(count)) => {
                    if std::mem::take(&mut is_to_park) {
                        session.touched(now);
                    }
                    let read = self.scratch.read();
                    input.take(session, &turn, read.get(..count).unwrap_or_default());
                    drop(read);
                    is_settled = self.is_settled(input, session);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
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

    /// Whether everything that came is on its way, and there is nothing to be done before something else comes.
    #[inline]
    fn is_settled(&self, input: &Input, session: &Session) -> bool {
        let state = session.state.borrow();
        input.is_empty()
            && !self.ended
            && state.replies.bytes() == 0
            && state.is_plain()
            && !session.route.is_draining()
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
            let is_settled = state.replies.open_count() == 0 && waiting == 0;
            return Ok(Some(match is_settled {
                true => Poll::Ready(Ok(End::Over)),
                false => Poll::Pending,
            }));
        }
        let idle = matches!(step, Step::Idle);
        let last = state.closing || (self.ended && idle) || (session.route.is_draining() && idle);
        if last && state.replies.open_count() == 0 && waiting == 0 {
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

    fn poll_flush(&mut self, session: &Session, cx: &mut Context<'_>) -> io::Result<()> {
        if session.state.borrow().replies.output.is_empty() {
            return Ok(());
        }
        let is_done = session.flush()?;
        if let Some(stream) = session.stream.borrow().as_ref()
            && !is_done
            && stream.poll_write_ready(cx)?.is_ready()
        {
            cx.waker().wake_by_ref();
        }
        // A private link is read at the pace of this client.
        for lane in &session.state.borrow().lanes {
            if lane.is_private()
                && let Some(link) = &lane.link
            {
                link.wake.wake();
            }
        }
        Ok(())
    }

    fn poll_read(&mut self, session: &Session, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut stream = session.stream.borrow_mut();
        let Some(stream) = stream.as_mut() else {
            return Poll::Ready(Ok(0));
        };
        let mut space = self.scratch.space();
        let mut space = ReadBuf::new(&mut space);
        match Pin::new(stream).poll_read(cx, &mut space) {
            Poll::Ready(result) => Poll::Ready(result.map(|()| space.filled().len())),
            Poll::Pending => Poll::Pending,
        }
    }
}
