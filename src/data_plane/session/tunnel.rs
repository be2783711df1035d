//! How is a client served that wants a replica's stream?
//!
//! Shell: SYNC and PSYNC, where the route allows them, and a replica's REPLCONF before these. The client has a connection of its own
//! to the master, and from that request on bytes pass both ways as they come: nobody here understands them. At most a buffer each
//! way waits, so each end is read at the pace of the other. It ends with either of them, and when the side does not own everything
//! any more or has another master: the client sees its connection closed, as by a server.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::time::interval;

use super::dispatch::{Sending, Stall, Stop, is_between};
use super::local::settle;
use super::state::{Session, State};
use crate::cluster::{NodeAddr, Side};
use crate::data_plane::reactor::Socket;
use crate::data_plane::refusal::Refusal;
use crate::limits::{READ_BYTES, REDIAL_FIRST, SUBSCRIBER_CHECK};
use crate::net::Stream;
use crate::routing::majority_owner;

/// How far a client's tunnel has got.
pub(crate) enum Tunnel {
    /// The master is being connected to.
    Opening,
    /// `None`: nobody was there in time.
    Opened(Option<Far>),
    /// This request is to be the first that the master reads.
    Entered(Far, Vec<u8>),
    /// Bytes pass.
    Passing,
}

/// The far end.
pub(crate) struct Far {
    side: Side,
    node: Arc<NodeAddr>,
    stream: Stream,
}

impl Sending<'_> {
    /// Whether the request is a replica's. Where nothing but REPLCONF is allowed, that is answered like any other command.
    pub(super) fn is_of_a_replica(&self) -> bool {
        let allows = |name| self.session.route.allows(name);
        match self.class.spec.map(|spec| spec.name) {
            Some("sync" | "psync") => true,
            Some("replconf") => allows("sync") || allows("psync"),
            _ => false,
        }
    }

    /// The last request that is looked at: what follows it is for the master to read.
    pub(super) fn enter_tunnel(&self, state: &mut State, side: Side) -> Result<(), Stop> {
        settle(state)?;
        match state.tunnel.take() {
            Some(Tunnel::Opened(Some(far))) if far.side == side => {
                self.session.unsubscribe_all(state);
                state.monitor = None;
                state.tunnel = Some(Tunnel::Entered(far, self.request.bytes.to_vec()));
                Ok(())
            }
            Some(Tunnel::Opened(None)) => {
                let waited = self.turn.limits.hold.time.as_millis();
                let waited_ms = u64::try_from(waited).unwrap_or(u64::MAX);
                Err(Refusal::NoUpstream { side, waited_ms }.into())
            }
            Some(Tunnel::Opened(Some(_))) | None => {
                let deadline = Instant::now() + self.turn.limits.hold.time;
                tokio::task::spawn_local(open(Rc::clone(self.session), side, deadline));
                state.tunnel = Some(Tunnel::Opening);
                Err(Stall::Replies.into())
            }
            under_way @ Some(Tunnel::Opening | Tunnel::Entered(..) | Tunnel::Passing) => {
                state.tunnel = under_way;
                Err(Stall::Replies.into())
            }
        }
    }
}

impl State {
    /// No request is looked at any more.
    #[inline]
    pub(super) fn is_in_tunnel(&self) -> bool {
        matches!(self.tunnel, Some(Tunnel::Entered(..) | Tunnel::Passing))
    }

    /// By CLIENT KILL, or as its user is gone.
    fn is_to_end(&self) -> bool {
        self.killed || self.disowned || self.closing
    }
}

/// Connects as the session's user, and tries again for as long as a command would be held.
async fn open(session: Rc<Session>, side: Side, deadline: Instant) {
    let user = session.state.borrow().setting.user;
    let links = session.route.links(side);
    let mut far = None;
    while far.is_none() && !session.closed.get() && Instant::now() < deadline {
        match links.open_beside(&session.route, user).await {
            Some((node, stream)) => far = Some(Far { side, node, stream }),
            None => tokio::time::sleep(REDIAL_FIRST).await,
        }
    }
    session.state.borrow_mut().tunnel = Some(Tunnel::Opened(far));
    session.wake.wake();
}

/// Hands on what comes from either end until it is over; `rest` is what the client has sent behind its request.
///
/// # Errors
/// One of the connections was lost.
pub(super) async fn pass_on(session: &Session, client: Socket, rest: &[u8]) -> io::Result<()> {
    let entered = session.state.borrow_mut().tunnel.replace(Tunnel::Passing);
    let Some(Tunnel::Entered(far, mut request)) = entered else {
        return Ok(());
    };
    request.extend_from_slice(rest);
    let (from_client, to_client) = split(Stream::of(client.into_wire()?)?);
    let (from_node, mut to_node) = split(far.stream);
    let there = async {
        to_node.write_all(&request).await?;
        to_node.flush().await?;
        drop(request);
        copy(session, from_client, to_node).await
    };
    tokio::select! {
        result = there => result,
        result = copy(session, from_node, to_client) => result,
        () = over(session, far.side, &far.node) => Ok(()),
    }
}

async fn copy(
    session: &Session,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        session.touched(session.route.clock());
        to.write_all(buffer.get(..count).unwrap_or_default()).await?;
        to.flush().await?;
    }
}

/// Until the client may not be served any longer, whatever its ends have to say.
async fn over(session: &Session, side: Side, node: &NodeAddr) {
    let route = &session.route;
    let mut looks = interval(SUBSCRIBER_CHECK);
    std::future::poll_fn(|cx| {
        session.wake.polled(cx);
        while looks.poll_tick(cx).is_ready() {}
        let weight = route.snapshot().weight;
        let has_moved =
            is_between(weight) || majority_owner(weight) != side || !route.links(side).is_present(node);
        match has_moved || route.is_draining() || session.state.borrow().is_to_end() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}
