//! How are one Sentinel and one node asked, again and again?
//!
//! Shell: each has a task of its own with connections it keeps, so that a silent one holds up nobody. A task only
//! reports; it ends when it is aborted or nobody listens.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

use super::agreement::View;
use super::message::{Message, pushed};
use super::nodes::Answer;
use super::reply::{self, ReplyError};
use super::sentinels::Fault;
use super::topology::Input;
use crate::cluster::{Access, NodeAddr};
use crate::control_plane::client::{Client, ClientError};
use crate::limits::{
    FOLLOW_GAP, FOLLOW_INTERVAL, REDIAL_FIRST, REDIAL_LONGEST, ROLE_TIMEOUT, SENTINEL_TIMEOUT,
};
use crate::resp::{Value, text};

/// What an operator sees in CLIENT LIST.
const CLIENT_NAME: &str = "switchback-follow";

/// Whom a task asks, and how it is heard.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) peer: NodeAddr,
    pub(crate) access: Access,
    pub(crate) inputs: mpsc::Sender<Input>,
    /// Ask at once. Many of these before the next question are one.
    pub(crate) now: Rc<Notify>,
}

#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("{0}")]
    Client(#[from] ClientError),
    #[error("{0}")]
    Reply(#[from] ReplyError),
    #[error("no answer within {0:?}")]
    Silent(Duration),
}

impl AskError {
    fn fault(&self) -> Fault {
        match self {
            Self::Client(ClientError::Refused(_)) | Self::Reply(ReplyError::NoSuchMaster) => Fault::Refused,
            Self::Client(ClientError::Garbage(_) | ClientError::TooLarge) | Self::Reply(_) => Fault::Garbage,
            Self::Client(ClientError::Io(_)) | Self::Silent(_) => Fault::Lost,
        }
    }
}

impl Asker {
    /// Polls a Sentinel and listens to it.
    pub(crate) async fn follow_sentinel(self, master_name: String) {
        tokio::join!(self.poll_sentinel(&master_name), self.listen());
    }

    /// Asks a node for its ROLE.
    pub(crate) async fn follow_node(self) {
        let mut link = None;
        loop {
            let answer = match self.ask_role(&mut link).await {
                Ok(role) => Answer::Role(role),
                Err(error) => {
                    link = None;
                    match error.fault() {
                        Fault::Lost => Answer::Silent,
                        Fault::Refused | Fault::Garbage => Answer::Refused(error.to_string()),
                    }
                }
            };
            let node = self.peer.clone();
            if self.inputs.send(Input::Role { node, answer }).await.is_err() {
                return;
            }
            self.pause().await;
        }
    }

    async fn poll_sentinel(&self, master_name: &str) {
        let (mut link, mut id, mut failures) = (None, None, 0);
        loop {
            let sentinel = self.peer.clone();
            let outcome = self.ask_view(&mut link, master_name, &mut id).await;
            let input = match outcome {
                Ok(view) => {
                    failures = 0;
                    Input::Answered { sentinel, view }
                }
                Err(error) => {
                    link = None;
                    failures += 1;
                    // Another process may listen there the next time.
                    id = None;
                    Input::Failed {
                        sentinel,
                        fault: error.fault(),
                        text: error.to_string(),
                    }
                }
            };
            if self.inputs.send(input).await.is_err() {
                return;
            }
            match failures {
                0 => self.pause().await,
                _ => sleep(redial_wait(failures)).await,
            }
        }
    }

    async fn listen(&self) {
        let mut failures = 0;
        while !self.inputs.is_closed() {
            match self.subscription(&mut failures).await {
                Err(AskError::Client(ClientError::Refused(_))) if failures > 0 => {}
                Err(error @ AskError::Client(ClientError::Refused(_))) => {
                    let sentinel = self.peer.clone();
                    let text = error.to_string();
                    let _ = self.inputs.send(Input::Deaf { sentinel, text }).await;
                }
                // The poll says so.
                Ok(()) | Err(_) => {}
            }
            failures += 1;
            sleep(redial_wait(failures)).await;
        }
    }

    /// One subscribed connection, to its end.
    async fn subscription(&self, failures: &mut u32) -> Result<(), AskError> {
        let mut client = self.connect(SENTINEL_TIMEOUT).await?;
        let subscribed = client.call(&[b"PSUBSCRIBE", b"*"]);
        within(SENTINEL_TIMEOUT, subscribed).await?;
        *failures = 0;
        // What it published before is seen by asking.
        self.now.notify_one();
        loop {
            let Some((channel, payload)) = pushed(&client.receive().await?) else {
                continue;
            };
            // One that has not its form is no reason to end: asking is the answer to all of them.
            let message = Message::parse(&channel, &payload).unwrap_or(Message::Other);
            if message == Message::Other {
                self.now.notify_one();
                continue;
            }
            let sentinel = self.peer.clone();
            let announced = Input::Announced { sentinel, message };
            if self.inputs.send(announced).await.is_err() {
                return Ok(());
            }
        }
    }

    async fn ask_role(&self, link: &mut Option<Client>) -> Result<reply::Role, AskError> {
        let client = match link {
            Some(client) => client,
            None => link.insert(self.connect(ROLE_TIMEOUT).await?),
        };
        let value = within(ROLE_TIMEOUT, client.call(&[b"ROLE"])).await?;
        Ok(reply::role(&value)?)
    }

    async fn ask_view(
        &self,
        link: &mut Option<Client>,
        master_name: &str,
        id: &mut Option<String>,
    ) -> Result<View, AskError> {
        let client = match link {
            Some(client) => client,
            None => link.insert(self.connect(SENTINEL_TIMEOUT).await?),
        };
        if id.is_none() {
            *id = match within(SENTINEL_TIMEOUT, client.call(&[b"SENTINEL", b"MYID"])).await {
                Ok(value) => text(&value),
                // Redis before 6.2.
                Err(AskError::Client(ClientError::Refused(_))) => None,
                Err(error) => return Err(error),
            };
        }
        let [named, master, replicas, sentinels] =
            within(SENTINEL_TIMEOUT, ask_all(client, master_name)).await?;
        let state = reply::master(&master)?;
        Ok(View {
            id: id.clone(),
            named: reply::master_addr(&named)?,
            epoch: state.config_epoch,
            flags: state.flags,
            replicas: reply::replicas(&replicas)?,
            sentinels: reply::sentinels(&sentinels)?,
        })
    }

    async fn connect(&self, time: Duration) -> Result<Client, AskError> {
        within(time, Client::connect(&self.peer, &self.access, CLIENT_NAME)).await
    }

    /// Until it is time to ask again.
    async fn pause(&self) {
        sleep(FOLLOW_GAP).await;
        let _ = timeout(FOLLOW_INTERVAL, self.now.notified()).await;
    }
}

/// In one round trip, so that the four answers are of one moment.
async fn ask_all(client: &mut Client, master_name: &str) -> Result<[Value; 4], ClientError> {
    const QUESTIONS: [&[u8]; 4] = [b"GET-MASTER-ADDR-BY-NAME", b"MASTER", b"REPLICAS", b"SENTINELS"];
    for question in QUESTIONS {
        client
            .send(&[b"SENTINEL", question, master_name.as_bytes()])
            .await?;
    }
    let mut answers = QUESTIONS.map(|_| Value::Null);
    let mut refused = None;
    for answer in &mut answers {
        *answer = client.receive().await?;
        if let Value::Error(text) = answer {
            refused.get_or_insert(text.to_string());
        }
    }
    match refused {
        Some(text) => Err(ClientError::Refused(text)),
        None => Ok(answers),
    }
}

async fn within<T>(
    time: Duration,
    question: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, AskError> {
    match timeout(time, question).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(AskError::Silent(time)),
    }
}

/// Between half and all of a doubled wait, so that Sentinels are not dialled in step.
fn redial_wait(failures: u32) -> Duration {
    let doubled = REDIAL_FIRST.saturating_mul(1 << failures.min(16));
    doubled.min(REDIAL_LONGEST).mul_f64(0.5 + fastrand::f64() / 2.0)
}
