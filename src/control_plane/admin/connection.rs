//! How does one admin client's conversation go?
//!
//! Shell: reads requests, asks the control loop, writes replies and events. Strictly one request after the other: an
//! operator's commands must not overtake each other.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::model::{Command, EventSink, Reply, Request};
use super::peer::{CHANNEL, Peer, Step};
use super::reply::{json, push, write};
use crate::control_plane::Event;
use crate::limits::{
    ADMIN_AUTH_WAIT, ADMIN_EVENTS_QUEUED_MAX, ADMIN_LINGER, ADMIN_QUEUE_WAIT, ADMIN_REFUSAL_WAIT,
    ADMIN_REPLY_WAIT, ADMIN_REQUEST_BYTES_MAX, ADMIN_WRITE_WAIT,
};
use crate::resp::{Args, RequestParser};

/// Bytes one read makes room for: an operator's request is a line.
const READ_BYTES: usize = 4 * 1024;

/// Why a conversation is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("the client left")]
    Left,
    #[error("the control loop has ended")]
    Loop,
    #[error("what it sends is no request")]
    Protocol,
    #[error("it has not proved who it is")]
    Unknown,
    #[error("it reads its events too slowly")]
    SlowSubscriber,
    #[error("it does not read its replies")]
    SlowReader,
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// One accepted client.
#[derive(Debug)]
pub(super) struct Connection<S> {
    stream: S,
    events: mpsc::Sender<Event>,
    peer: Peer,
    parser: RequestParser,
    input: BytesMut,
    subscription: Option<mpsc::Receiver<String>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(peer: Peer, stream: S, events: mpsc::Sender<Event>) -> Self {
        Self {
            stream,
            events,
            peer,
            parser: RequestParser::new(),
            input: BytesMut::new(),
            subscription: None,
        }
    }

    /// Runs until either end has had enough.
    pub(super) async fn drive(mut self) -> End {
        let end = self.converse().await;
        // Within TLS the other end is told that nothing follows.
        let _ = timeout(ADMIN_LINGER, self.stream.shutdown()).await;
        end
    }

    async fn converse(&mut self) -> End {
        let late = sleep(ADMIN_AUTH_WAIT);
        tokio::pin!(late);
        loop {
            let is_known = self.peer.is_known();
            if is_known {
                // After a RESET it has as long again.
                late.as_mut().reset(Instant::now() + ADMIN_AUTH_WAIT);
            }
            let turned = tokio::select! {
                turned = self.turn() => turned,
                () = &mut late, if !is_known => Err(End::Unknown),
            };
            match turned {
                Ok(()) => {}
                Err(End::Protocol) => {
                    linger(&mut self.stream).await;
                    return End::Protocol;
                }
                Err(end) => return end,
            }
        }
    }

    /// Answers every request that has been read, then waits for more of them or for an event.
    async fn turn(&mut self) -> Result<(), End> {
        while self.request().await? {}
        self.input.reserve(READ_BYTES);
        tokio::select! {
            read = self.stream.read_buf(&mut self.input) => match read? {
                0 => Err(End::Left),
                _ => Ok(()),
            },
            event = next(&mut self.subscription) => self.deliver(event).await,
            () = self.events.closed() => Err(End::Loop),
        }
    }

    /// Answers the next request; `false` while it is incomplete.
    async fn request(&mut self) -> Result<bool, End> {
        let over = self.input.len().max(self.parser.bytes_known()) > ADMIN_REQUEST_BYTES_MAX;
        let length = match self.parser.parse(&self.input, ADMIN_REQUEST_BYTES_MAX) {
            Ok(Some(length)) if length <= ADMIN_REQUEST_BYTES_MAX => length,
            Ok(None) if !over => return Ok(false),
            Ok(_) => {
                let text = format!("ERR a request has at most {ADMIN_REQUEST_BYTES_MAX} bytes");
                self.say(&Reply::Error(text)).await?;
                return Err(End::Protocol);
            }
            Err(error) => {
                self.say(&Reply::Error(format!("ERR Protocol error: {error}")))
                    .await?;
                return Err(End::Protocol);
            }
        };
        let spans = self.parser.spans();
        let bytes = self.parser.rewritten().unwrap_or(&self.input);
        let step = (!spans.is_empty()).then(|| self.peer.step(Args::new(bytes, spans)));
        self.parser.reset();
        self.input.advance(length);
        if let Some(step) = step {
            self.take(step).await?;
        }
        Ok(true)
    }

    async fn take(&mut self, step: Step) -> Result<(), End> {
        match step {
            Step::Say(reply) => self.say(&reply).await,
            Step::Close(reply) => {
                self.say(&reply).await?;
                Err(End::Left)
            }
            Step::Refuse(reply) => {
                sleep(ADMIN_REFUSAL_WAIT).await;
                self.say(&reply).await?;
                Err(End::Unknown)
            }
            Step::Ask(command) => {
                let reply = self.ask(command).await;
                self.say(&reply).await
            }
            Step::Subscribe(times) => self.subscribe(times).await,
            Step::Unsubscribe(times) => self.unsubscribe(times).await,
            Step::Reset(reply) => {
                self.subscription = None;
                self.say(&reply).await
            }
        }
    }

    /// The loop's answer, or why there is none.
    async fn ask(&self, command: Command) -> Reply {
        let as_json = command.wants_json();
        let wait = ADMIN_REPLY_WAIT + command.takes();
        let (reply, answer) = oneshot::channel();
        let request = Event::Admin(Request { command, reply });
        let refused = match self.events.send_timeout(request, ADMIN_QUEUE_WAIT).await {
            Ok(()) => None,
            Err(SendTimeoutError::Timeout(_)) => {
                Some("ERR the control loop is busy; nothing was done, try again")
            }
            Err(SendTimeoutError::Closed(_)) => Some("ERR the control loop has ended; nothing was done"),
        };
        if let Some(text) = refused {
            return Reply::Error(text.to_owned());
        }
        match timeout(wait, answer).await {
            Ok(Ok(reply @ (Reply::Map(_) | Reply::Array(_)))) if as_json => Reply::Bulk(json(&reply)),
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => Reply::Error("ERR the control loop ended before it answered".to_owned()),
            Err(_) => Reply::Error(unanswered(wait)),
        }
    }

    async fn subscribe(&mut self, times: usize) -> Result<(), End> {
        if self.subscription.is_none() {
            let (sink, events) = mpsc::channel(ADMIN_EVENTS_QUEUED_MAX);
            let command = Command::SubscribeEvents {
                sink: EventSink(sink),
            };
            if let refusal @ Reply::Error(_) = self.ask(command).await {
                return self.say(&refusal).await;
            }
            self.subscription = Some(events);
            self.peer.subscribed = true;
        }
        self.confirm("subscribe", Reply::Bulk(CHANNEL.to_owned()), times)
            .await
    }

    async fn unsubscribe(&mut self, times: usize) -> Result<(), End> {
        let channel = match self.subscription.take() {
            Some(_) => Reply::Bulk(CHANNEL.to_owned()),
            None => Reply::Null,
        };
        self.peer.subscribed = false;
        self.confirm("unsubscribe", channel, times).await
    }

    async fn confirm(&mut self, what: &str, channel: Reply, times: usize) -> Result<(), End> {
        let mut out = Vec::new();
        let count = i64::from(self.peer.subscribed);
        let items = [Reply::Bulk(what.to_owned()), channel, Reply::Integer(count)];
        for _ in 0..times {
            push(&items, self.peer.protocol, &mut out);
        }
        self.send(&out).await
    }

    /// `None`: the loop has dropped the sink, because it was full or because the loop ended.
    async fn deliver(&mut self, event: Option<String>) -> Result<(), End> {
        let text = event.ok_or(End::SlowSubscriber)?;
        // One was taken out, so one less than the bound means that the queue was full and an event may be lost.
        let waiting = self.subscription.as_ref().map_or(0, mpsc::Receiver::len);
        if waiting + 1 >= ADMIN_EVENTS_QUEUED_MAX {
            return Err(End::SlowSubscriber);
        }
        let bulk = |text: &str| Reply::Bulk(text.to_owned());
        let mut out = Vec::new();
        push(
            &[bulk("message"), bulk(CHANNEL), Reply::Bulk(text)],
            self.peer.protocol,
            &mut out,
        );
        self.send(&out).await
    }

    async fn say(&mut self, reply: &Reply) -> Result<(), End> {
        let mut out = Vec::new();
        write(reply, self.peer.protocol, &mut out);
        self.send(&out).await
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), End> {
        match timeout(ADMIN_WRITE_WAIT, self.stream.write_all(bytes)).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(End::SlowReader),
        }
    }
}

/// Hears a client out that has been told its last reply, for a bounded time.
pub(super) async fn linger(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let _ = timeout(ADMIN_LINGER, async {
        stream.shutdown().await?;
        let mut ignored = [0; READ_BYTES];
        while stream.read(&mut ignored).await? > 0 {}
        io::Result::Ok(())
    })
    .await;
}

fn unanswered(wait: Duration) -> String {
    format!(
        "ERR the control loop has not answered within {} s; what was asked may still happen",
        wait.as_secs()
    )
}

/// The next event; never, for who has not subscribed.
async fn next(subscription: &mut Option<mpsc::Receiver<String>>) -> Option<String> {
    match subscription {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}
