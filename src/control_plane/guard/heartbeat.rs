//! How long does a message take from a master to its replica?
//!
//! Shell: PUBLISH travels in the replication stream, so a heartbeat published on the master and heard on a replica has
//! waited in every queue the data waits in. INFO's offsets move once a second; this moves every interval. One publisher
//! a master, one listener a replica, a shared [`Ledger`]; every delay is between two reads of this process's clock.
//!
//! A replica whose connection is lost is not late: nothing is known of it until it can be listened to again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval, timeout};

use super::ObservationKind;
use super::ledger::Ledger;
use super::probe::Sink;
use super::redial::Redial;
use crate::cluster::{Access, NodeAddr};
use crate::control_plane::client::{Client, ClientError};
use crate::limits::PROBE_TIMEOUT;
use crate::resp::Value;

/// The channel heartbeats travel on.
const CHANNEL: &[u8] = b"__switchback:heartbeat";

/// A master's heartbeats, shared by its publisher and the listeners on its replicas; never locked across an await.
pub(super) type SharedLedger = Arc<Mutex<Ledger>>;

/// A ledger with an id of its own.
pub(super) fn new_ledger() -> SharedLedger {
    Arc::new(Mutex::new(Ledger::new(fastrand::u64(..))))
}

/// What a poisoned ledger holds is still true: entries are written whole.
fn open(ledger: &SharedLedger) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One end of the heartbeats: a connection to a node, and who wants to know.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) sink: Sink,
    pub(super) node: NodeAddr,
    pub(super) access: Access,
    pub(super) every: Duration,
    pub(super) ledger: SharedLedger,
}

impl End {
    /// Publishes a heartbeat every interval, for ever; each answer of the master is reported as its own heartbeat.
    pub(super) async fn publish(self) {
        let mut redial = Redial::default();
        let mut refused = None;
        loop {
            if let Ok(client) = self.connect().await
                && self
                    .publish_over(client, &mut redial, &mut refused)
                    .await
                    .is_none()
            {
                return;
            }
            redial.wait().await;
        }
    }

    /// Listens for heartbeats, for ever; reports each that arrives, and the age of the oldest that is missing.
    pub(super) async fn listen(self) {
        let mut redial = Redial::default();
        loop {
            if let Ok(mut client) = self.connect().await
                && let Ok(Ok(_)) = timeout(PROBE_TIMEOUT, client.call(&[b"SUBSCRIBE", CHANNEL])).await
            {
                redial.worked();
                if self.listen_over(client).await.is_none() {
                    return;
                }
            }
            redial.wait().await;
        }
    }

    async fn connect(&self) -> Result<Client, ClientError> {
        let connecting = Client::connect(&self.node, &self.access, "switchback-heartbeat");
        timeout(PROBE_TIMEOUT, connecting)
            .await
            .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }

    /// Publishes until the connection fails; `None` when nobody listens any more.
    async fn publish_over(
        &self,
        mut client: Client,
        redial: &mut Redial,
        refused: &mut Option<String>,
    ) -> Option<()> {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let sent = Instant::now();
            let (sequence, stamp) = open(&self.ledger).send(sent);
            let words = [b"PUBLISH", CHANNEL, stamp.as_bytes()];
            match timeout(PROBE_TIMEOUT, client.call(&words)).await {
                Ok(Ok(_)) => {
                    open(&self.ledger).acknowledge(sequence);
                    redial.worked();
                    *refused = None;
                    let delay = sent.elapsed();
                    let kind = ObservationKind::Heartbeat { delay };
                    self.sink.observe(&self.node, kind).await?;
                }
                // It answers, but without heartbeats the rule stays unknown: an operator must read why, once.
                Ok(Err(ClientError::Refused(text))) if refused.as_ref() != Some(&text) => {
                    let told = format!("{} refuses to publish heartbeats: {text}", self.node);
                    self.sink.notice("heartbeat_refused", told).await?;
                    *refused = Some(text);
                }
                Ok(Err(ClientError::Refused(_))) => {}
                Ok(Err(_)) | Err(_) => return Some(()),
            }
        }
    }

    /// Listens until the connection fails; `None` when nobody wants to know any more.
    async fn listen_over(&self, mut client: Client) -> Option<()> {
        let mut heard = open(&self.ledger).newest();
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let kind = tokio::select! {
                biased;
                message = client.receive() => match message {
                    Ok(message) => self.hear(&message, &mut heard),
                    Err(_) => return Some(()),
                },
                _ = ticks.tick() => self.miss(heard),
            };
            if let Some(kind) = kind {
                self.sink.observe(&self.node, kind).await?;
            }
        }
    }

    fn hear(&self, message: &Value, heard: &mut u64) -> Option<ObservationKind> {
        let Value::Array(parts) = message else { return None };
        let [Value::BulkString(kind), _, Value::BulkString(stamp)] = parts.as_slice() else {
            return None;
        };
        let ledger = open(&self.ledger);
        let sequence = ledger.read(stamp).filter(|_| kind == b"message")?;
        if sequence <= *heard {
            return None;
        }
        *heard = sequence;
        let delay = ledger.age(sequence, Instant::now())?;
        Some(ObservationKind::Heartbeat { delay })
    }

    /// A heartbeat younger than the interval is on its way, not missing.
    fn miss(&self, heard: u64) -> Option<ObservationKind> {
        let age = open(&self.ledger).missing(heard, Instant::now())?;
        (age >= self.every).then_some(ObservationKind::HeartbeatOutstanding { age })
    }
}
