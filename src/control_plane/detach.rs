//! Which of the nodes an operator has named still hang on the old master, and can they be detached?
//!
//! Shell. `REPLICAOF NO ONE`, to a node that is named in the configuration and has just said, on the same connection, that it
//! is a replica of what is the old master now; never to another one, and never to a master. Sentinel's list of replicas is no
//! criterion: it has every replica that ever attached. Nothing is tried twice: an operator is told, and decides.

use tokio::time::timeout;

use super::client::{Client, ClientError};
use crate::cluster::{Access, NodeAddr};
use crate::limits::PROBE_TIMEOUT;
use crate::resp::{Value, text};

/// One node, at a trip.
#[derive(Clone, Debug)]
pub(super) struct Detach {
    pub(super) node: NodeAddr,
    /// Old's master now; `None`: there is none, and nothing is done.
    pub(super) master: Option<NodeAddr>,
    /// What it may want to be told; those of `new` and those of `old`, and it may be of neither's group yet.
    pub(super) accesses: Vec<Access>,
}

/// An event's kind and reason.
pub(super) type Told = (&'static str, String);

/// Why a node was left as it is.
#[derive(Debug, thiserror::Error)]
enum Left {
    /// It is no replica of the old master's.
    #[error("{0}")]
    NotAttached(String),
    /// It cannot be asked or told.
    #[error("{0}")]
    Failed(String),
}

impl Detach {
    /// Does it, within seconds, and says what came of it.
    pub(super) async fn run(self) -> Told {
        match self.detach().await {
            Ok(master) => (
                "detached",
                format!(
                    "{} is not fed by the old master {master} any more (REPLICAOF NO ONE); old Sentinels attach it again \
                     unless they are made to forget it: SENTINEL RESET",
                    self.node
                ),
            ),
            Err(Left::NotAttached(why)) => ("detach_skipped", format!("{}: {why}", self.node)),
            Err(Left::Failed(why)) => ("detach_failed", format!("{}: {why}", self.node)),
        }
    }

    async fn detach(&self) -> Result<&NodeAddr, Left> {
        let no_master = || Left::Failed("old has no master now; nothing was done".to_owned());
        let master = self.master.as_ref().ok_or_else(no_master)?;
        if *master == self.node {
            return Err(Left::NotAttached("it is the old master".to_owned()));
        }
        let (mut client, role) = self.ask_role().await?;
        match followed(&role) {
            Some(followed) if followed == *master => {}
            Some(followed) => {
                return Err(Left::NotAttached(format!(
                    "it follows {followed}, not the old master {master}"
                )));
            }
            None => return Err(Left::NotAttached("it is no replica".to_owned())),
        }
        match timeout(PROBE_TIMEOUT, client.call(&[b"REPLICAOF", b"NO", b"ONE"])).await {
            Ok(Ok(_)) => Ok(master),
            Ok(Err(error)) => Err(Left::Failed(format!("REPLICAOF NO ONE: {error}"))),
            Err(_) => Err(Left::Failed(format!(
                "REPLICAOF NO ONE was not answered within {PROBE_TIMEOUT:?}"
            ))),
        }
    }

    /// A connection, and the node's ROLE; with the first credentials it takes.
    async fn ask_role(&self) -> Result<(Client, Value), Left> {
        let mut refused = None;
        for access in &self.accesses {
            let asking = async {
                let mut client = Client::connect(&self.node, access, "switchback-detach").await?;
                let role = client.call(&[b"ROLE"]).await?;
                Ok((client, role))
            };
            match timeout(PROBE_TIMEOUT, asking).await {
                Ok(Ok(asked)) => return Ok(asked),
                Ok(Err(ClientError::Refused(text))) => refused = Some(text),
                Ok(Err(error)) => return Err(Left::Failed(error.to_string())),
                Err(_) => return Err(Left::Failed(format!("no answer within {PROBE_TIMEOUT:?}"))),
            }
        }
        Err(Left::Failed(refused.unwrap_or_default()))
    }
}

/// Whom a node follows, by its ROLE; `None`: it is no replica.
fn followed(role: &Value) -> Option<NodeAddr> {
    let Value::Array(items) = role else { return None };
    match items.as_slice() {
        [role, host, port, ..] if text(role).as_deref() == Some("slave") => {
            let port = text(port)?.parse().ok()?;
            Some(NodeAddr::new(text(host)?, port))
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "detach_tests.rs"]
mod tests;
