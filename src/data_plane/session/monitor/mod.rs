//! What do the servers of a route execute, as they say it?
//!
//! Shell: MONITOR, on a connection of the client's own to each side. What a side says is passed on while it owns anything; it goes
//! on through changes of weight and of master until RESET or the end of the client. What the proxy does there for itself is left out.

mod own;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use own::Own;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::dispatch::{Sending, Stop};
use super::local::settle;
use super::state::{Session, State};
use crate::cluster::{NodeAddr, Side};
use crate::data_plane::local_route::LocalRoute;
use crate::data_plane::pubsub::Delivery;
use crate::data_plane::refusal::Refusal;
use crate::data_plane::users::UserId;
use crate::limits::{CONNECT_TIMEOUT, OWN_LINE_BYTES_MAX, REDIAL_FIRST, SUBSCRIBER_CHECK};
use crate::net::Stream;
use crate::resp::{Protocol, parse_i64};

/// The connections of a client that monitors; they end with it.
#[derive(Default)]
pub(crate) struct Monitor(Vec<AbortHandle>);

impl Drop for Monitor {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

struct Connected {
    node: Arc<NodeAddr>,
    stream: BufReader<Stream>,
    own: Own,
}

impl Sending<'_> {
    /// OK once every side that owns anything says what it does. A second one has no reply, as in Redis.
    pub(super) fn monitor(&self, state: &mut State) -> Result<(), Stop> {
        if state.monitor.is_some() {
            return Ok(());
        }
        settle(state)?;
        let number = state.replies.open();
        state.asking = true;
        let session = Rc::clone(self.session);
        let limit = self.turn.limits.hold.time;
        let opening = tokio::task::spawn_local(async move {
            match open(&session, Instant::now() + limit).await {
                Ok(sides) => session.monitors(number, sides),
                Err(Failure::Refused(text)) => session.told(number, |state| {
                    state.monitor = None;
                    [b"-", text.as_bytes(), b"\r\n"].concat()
                }),
                Err(Failure::Nobody(side)) => session.told(number, |state| {
                    state.monitor = None;
                    let waited_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
                    Refusal::NoUpstream { side, waited_ms }.line()
                }),
            }
        });
        state.monitor = Some(Monitor(vec![opening.abort_handle()]));
        Ok(())
    }
}

enum Failure {
    /// The node's words.
    Refused(String),
    Nobody(Side),
}

async fn open(session: &Session, deadline: Instant) -> Result<Vec<(Side, Option<Connected>)>, Failure> {
    let (route, user) = (&session.route, session.user());
    let mut sides = Vec::new();
    for side in route.sides() {
        let connected = match owns(route, side) {
            false => None,
            true => loop {
                match connect(route, side, user).await {
                    Some(Ok(connected)) => break Some(connected),
                    Some(Err(text)) => return Err(Failure::Refused(text)),
                    None if Instant::now() >= deadline => return Err(Failure::Nobody(side)),
                    None => tokio::time::sleep(REDIAL_FIRST).await,
                }
            },
        };
        sides.push((side, connected));
    }
    Ok(sides)
}

fn owns(route: &LocalRoute, side: Side) -> bool {
    route.snapshot().weight.owns_any(side)
}

/// A connection on which the master of `side` says what it does; `None`: not now. An error is the node's.
async fn connect(route: &LocalRoute, side: Side, user: UserId) -> Option<Result<Connected, String>> {
    let (node, stream) = route.links(side).open_beside(route, user).await?;
    timeout(CONNECT_TIMEOUT, async {
        let mut stream = BufReader::new(stream);
        stream
            .write_all(b"*2\r\n$6\r\nCLIENT\r\n$4\r\nLIST\r\n*1\r\n$7\r\nMONITOR\r\n")
            .await
            .ok()?;
        let mut own = Own::default();
        // Who may not see this list is shown all.
        if let Some(length) = line(&mut stream).await?.strip_prefix(b"$") {
            let mut left = usize::try_from(parse_i64(length.trim_ascii_end())?).ok()? + b"\r\n".len();
            while left > 0 {
                let client = line(&mut stream).await?;
                left = left.checked_sub(client.len())?;
                own.listed(&client);
            }
        }
        Some(match line(&mut stream).await?.strip_prefix(b"-") {
            None => Ok(Connected { node, stream, own }),
            Some(text) => Err(String::from_utf8_lossy(text).trim_end().to_owned()),
        })
    })
    .await
    .ok()?
}

/// A line with its end, or a piece of one that is longer than any but for somebody's name; `None`: the connection has ended.
async fn line(stream: &mut BufReader<Stream>) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let mut limited = stream.take(OWN_LINE_BYTES_MAX);
    limited.read_until(b'\n', &mut line).await.ok()?;
    (!line.is_empty()).then_some(line)
}

/// Passes on what one side says, for as long as the client is there.
async fn follow(session: Rc<Session>, side: Side, mut connected: Option<Connected>) {
    loop {
        if let Some(connected) = connected.take() {
            pass_on(&session, side, connected).await;
        }
        tokio::time::sleep(SUBSCRIBER_CHECK).await;
        if owns(&session.route, side)
            && let Some(Ok(again)) = connect(&session.route, side, session.user()).await
        {
            connected = Some(again);
        }
    }
}

/// Until the connection ends, or its node is not the master any more.
async fn pass_on(session: &Session, side: Side, connected: Connected) {
    let Connected {
        node,
        mut stream,
        mut own,
    } = connected;
    let (mut lines, mut heard) = (Vec::new(), Vec::new());
    let links = session.route.links(side);
    let limit = session.route.limits().output_buffer_bytes;
    while links.is_present(&node) {
        match timeout(SUBSCRIBER_CHECK, stream.read_buf(&mut lines)).await {
            Err(_) => continue,
            Ok(Err(_) | Ok(0)) => return,
            Ok(Ok(_)) => {}
        }
        let whole = memchr::memrchr(b'\n', &lines).map_or(0, |end| end + 1);
        heard.clear();
        for line in lines
            .get(..whole)
            .unwrap_or_default()
            .split_inclusive(|byte| *byte == b'\n')
        {
            if !own.is_own(line) {
                heard.extend_from_slice(line);
            }
        }
        if owns(&session.route, side) {
            session.hears(&heard);
        }
        lines.drain(..whole);
        if lines.len() > limit {
            session.kill_now();
        }
    }
}

impl Session {
    fn user(&self) -> UserId {
        self.state.borrow().setting.user
    }

    fn monitors(self: &Rc<Self>, number: u64, sides: Vec<(Side, Option<Connected>)>) {
        self.told(number, |state| {
            let follow = |(side, connected)| {
                tokio::task::spawn_local(follow(Rc::clone(self), side, connected)).abort_handle()
            };
            let all = sides.into_iter().map(follow).collect();
            // The task that has opened them is about to end.
            if let Some(before) = &mut state.monitor {
                before.0 = all;
            }
            b"+OK\r\n".to_vec()
        });
    }

    /// Whole lines, which are no pushes in RESP3 either.
    fn hears(&self, lines: &[u8]) {
        if !self.closed.get() && !lines.is_empty() {
            let mut state = self.state.borrow_mut();
            state
                .replies
                .deliver(0, &Delivery::Copied(lines), Protocol::Resp2);
            drop(state);
            self.wake.wake();
        }
    }
}
