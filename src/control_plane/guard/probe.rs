//! How is one node?
//!
//! Shell: one kept connection, one question in one write every interval, an observation for each try. It judges nothing, and
//! runs until it is dropped or nobody listens. A node that is slow has one question open, never more.
//!
//! A question takes a node some 65 µs (redis-server 7.0.15), and 20 µs more for every 4,000 clients: CLIENT
//! LIST looks at each of them.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::question::{Asking, NoAnswer, Part};
use super::redial::Redial;
use super::{Observation, ObservationKind};
use crate::cluster::{Access, NodeAddr, Side};
use crate::control_plane::Event;
use crate::control_plane::client::{Client, ClientError};
use crate::limits::PROBE_TIMEOUT;
use crate::resp::Value;

/// Where a shell's observations go: the control loop, with the route and the side they are of.
#[derive(Clone, Debug)]
pub(super) struct Sink {
    pub(super) route: usize,
    pub(super) side: Side,
    pub(super) events: mpsc::Sender<Event>,
}

impl Sink {
    /// Hands one observation over; `None` when nobody listens any more.
    pub(super) async fn observe(&self, node: &NodeAddr, kind: ObservationKind) -> Option<()> {
        let observation = Observation {
            node: node.clone(),
            at: Instant::now(),
            kind,
        };
        let event = Event::Observation {
            route: self.route,
            side: self.side,
            observation,
        };
        self.events.send(event).await.ok()
    }

    /// Tells an operator something.
    pub(super) async fn notice(&self, kind: &'static str, text: String) -> Option<()> {
        let event = Event::Notice {
            route: self.route,
            side: self.side,
            kind,
            text,
        };
        self.events.send(event).await.ok()
    }
}

/// Asks `node` every `interval`, for ever.
pub(super) async fn probe(sink: Sink, node: NodeAddr, access: Access, every: Duration) {
    let mut redial = Redial::default();
    let mut asking = Asking::default();
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let connected = timeout(PROBE_TIMEOUT, Client::connect(&node, &access, "switchback-probe"));
        let reason = match connected.await {
            Ok(Ok(client)) => match ask(&sink, &node, client, &mut asking, &mut ticks, &mut redial).await {
                Some(reason) => reason,
                None => return,
            },
            Ok(Err(error)) => error.to_string(),
            Err(_) => "timed out".to_owned(),
        };
        let given_up = ObservationKind::NoAnswer { reason };
        if sink.observe(&node, given_up).await.is_none() {
            return;
        }
        redial.wait().await;
    }
}

/// Asks over one connection until it fails, and returns why; `None` when nobody listens any more.
async fn ask(
    sink: &Sink,
    node: &NodeAddr,
    mut client: Client,
    asking: &mut Asking,
    ticks: &mut tokio::time::Interval,
    redial: &mut Redial,
) -> Option<String> {
    // A new connection is a new chance: what has changed is worth knowing before the next tick.
    ticks.reset_immediately();
    loop {
        ticks.tick().await;
        let asked = Instant::now();
        let parts = asking.next(asked);
        let replies = match timeout(PROBE_TIMEOUT, question(&mut client, &parts)).await {
            Ok(Ok(replies)) => replies,
            Ok(Err(error)) => return Some(error.to_string()),
            Err(_) => return Some("timed out".to_owned()),
        };
        let kind = match asking.read(&parts, &replies, asked.elapsed()) {
            Ok((info, refused)) => {
                redial.worked();
                for what in refused {
                    sink.notice("probe_refused", format!("{node} refuses {what}"))
                        .await?;
                }
                ObservationKind::Info(Box::new(info))
            }
            Err(None) => {
                ticks.reset_immediately();
                continue;
            }
            Err(Some(NoAnswer(reason))) => ObservationKind::NoAnswer { reason },
        };
        sink.observe(node, kind).await?;
    }
}

/// All replies are read before any is judged, or a refusal of one would leave the others in the connection.
async fn question(client: &mut Client, parts: &[Part]) -> Result<Vec<Value>, ClientError> {
    let commands: Vec<_> = parts.iter().map(|part| part.words()).collect();
    client.send_all(&commands).await?;
    let mut replies = Vec::with_capacity(parts.len());
    for _ in parts {
        replies.push(client.receive().await?);
    }
    Ok(replies)
}
