//! How is one node?
//!
//! Shell: one kept connection, INFO and ROLE in one write every interval, an observation for each try. It judges nothing, and
//! runs until it is dropped or nobody listens. A node that is slow has one question open, never more.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::redial::Redial;
use super::{NodeInfo, Observation, ObservationKind, parse_info};
use crate::cluster::{Credentials, NodeAddr, Side};
use crate::control_plane::Event;
use crate::control_plane::client::{Client, ClientError};
use crate::limits::PROBE_TIMEOUT;
use crate::resp::Value;

/// What INFO is asked for; commands are counted under `stats`.
const SECTIONS: [&[u8]; 5] = [b"INFO", b"server", b"memory", b"replication", b"stats"];

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
pub(super) async fn probe(sink: Sink, node: NodeAddr, auth: Option<Credentials>, every: Duration) {
    let mut redial = Redial::default();
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let connected = timeout(
            PROBE_TIMEOUT,
            Client::connect(&node, auth.as_ref(), "switchback-probe"),
        );
        let reason = match connected.await {
            Ok(Ok(client)) => match ask(&sink, &node, client, &mut ticks, &mut redial).await {
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
    ticks: &mut tokio::time::Interval,
    redial: &mut Redial,
) -> Option<String> {
    let mut sections = &SECTIONS[..];
    // A new connection is a new chance: what has changed is worth knowing before the next tick.
    ticks.reset_immediately();
    loop {
        ticks.tick().await;
        let kind = match timeout(PROBE_TIMEOUT, question(&mut client, sections)).await {
            Ok(Ok(info)) => {
                redial.worked();
                ObservationKind::Info(Box::new(info))
            }
            // Before Redis 7, INFO takes one section: then it is asked for all.
            Ok(Err(ClientError::Refused(text))) if sections.len() > 1 && text.contains("syntax") => {
                sections = &SECTIONS[..1];
                continue;
            }
            Ok(Err(ClientError::Refused(reason))) => ObservationKind::NoAnswer { reason },
            Ok(Err(error)) => return Some(error.to_string()),
            Err(_) => return Some("timed out".to_owned()),
        };
        sink.observe(node, kind).await?;
    }
}

async fn question(client: &mut Client, sections: &[&[u8]]) -> Result<NodeInfo, ClientError> {
    let asked = Instant::now();
    client.send(sections).await?;
    client.send(&[b"ROLE"]).await?;
    // Both are read before either is judged, or a refusal of the first would leave the second in the connection.
    let (info, role) = (client.receive().await?, client.receive().await?);
    for reply in [&info, &role] {
        if let Value::Error(text) = reply {
            return Err(ClientError::Refused(text.clone()));
        }
    }
    let info = parse_info(&info, &role, asked.elapsed());
    info.map_err(|error| ClientError::Refused(error.to_string()))
}
