//! Where does an app connect to?
//!
//! Shell: an address that stays, or whatever Sentinel says at the moment, as a client library that knows Sentinel does
//! it: asked at each connection, the answer confirmed by ROLE.

use std::io;
use std::time::Duration;

use super::connection::Connection;
use crate::cluster::NodeAddr;
use crate::lab::{Group, Reply};

/// How long one Sentinel, or the node it names, may take: the next one is asked then.
const ASK_PATIENCE: Duration = Duration::from_secs(1);

/// Where apps connect to.
#[derive(Clone, Debug)]
pub enum Target {
    /// The proxy, or one Redis.
    At(NodeAddr),
    /// A master, by its name, as these Sentinels have it.
    Sentinel {
        /// In the order they are asked.
        sentinels: Vec<NodeAddr>,
        /// Its name.
        master_name: String,
    },
}

impl From<&NodeAddr> for Target {
    fn from(address: &NodeAddr) -> Self {
        Self::At(address.clone())
    }
}

impl From<&Group> for Target {
    fn from(group: &Group) -> Self {
        Self::Sentinel {
            sentinels: group.sentinels().iter().map(|one| one.addr()).collect(),
            master_name: group.name().to_owned(),
        }
    }
}

impl Target {
    /// A connection to it, within `patience`.
    pub(super) async fn connect(&self, patience: Duration) -> io::Result<Connection> {
        match self {
            Self::Sentinel {
                sentinels,
                master_name,
            } => {
                let found = first_of(sentinels, |asked| master(asked, master_name));
                within(patience, found).await
            }
            Self::At(address) => Connection::open(address, patience).await,
        }
    }

    /// The same, but for a master to one of its replicas that are linked to it: to the `turn`-th of them, and again from
    /// the first on. To the master where there is none, as client libraries do it.
    pub(super) async fn connect_to_replica(&self, turn: usize, patience: Duration) -> io::Result<Connection> {
        match self {
            Self::Sentinel {
                sentinels,
                master_name,
            } => {
                let found = async {
                    match first_of(sentinels, |asked| replica(asked, master_name, turn)).await {
                        Ok(connection) => Ok(connection),
                        Err(_) => first_of(sentinels, |asked| master(asked, master_name)).await,
                    }
                };
                within(patience, found).await
            }
            Self::At(address) => Connection::open(address, patience).await,
        }
    }
}

async fn within<T>(patience: Duration, found: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(patience, found)
        .await
        .map_err(|_| io::ErrorKind::TimedOut)?
}

/// What the first Sentinel has to offer that has something.
async fn first_of<F>(sentinels: &[NodeAddr], ask: impl Fn(Connection) -> F) -> io::Result<Connection>
where
    F: Future<Output = io::Result<Connection>>,
{
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for sentinel in sentinels {
        let asked = async { ask(Connection::open(sentinel, ASK_PATIENCE).await?).await };
        match asked.await {
            Ok(connection) => return Ok(connection),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn replica(mut sentinel: Connection, name: &str, turn: usize) -> io::Result<Connection> {
    let reply = sentinel
        .call(&["SENTINEL", "REPLICAS", name], ASK_PATIENCE)
        .await?;
    let linked = |replica: &&Reply| {
        replica.field_text("flags") == "slave" && replica.field_text("master-link-status") == "ok"
    };
    let mut found: Vec<(String, u16)> = reply
        .elements()
        .iter()
        .filter(linked)
        .filter_map(|one| Some((one.field_text("ip"), one.field_text("port").parse().ok()?)))
        .collect();
    // Sentinel keeps them in no order.
    found.sort();
    let (host, port) = found
        .get(turn % found.len().max(1))
        .ok_or(io::ErrorKind::NotFound)?;
    Connection::open(&NodeAddr::new(host, *port), ASK_PATIENCE).await
}

async fn master(mut sentinel: Connection, name: &str) -> io::Result<Connection> {
    let reply = sentinel
        .call(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name], ASK_PATIENCE)
        .await?;
    let address = match reply.elements() {
        [host, port] => host
            .text()
            .zip(port.text().and_then(|digits| digits.parse().ok())),
        _ => None,
    };
    let (host, port) = address.ok_or(io::ErrorKind::NotFound)?;
    let mut node = Connection::open(&NodeAddr::new(&host, port), ASK_PATIENCE).await?;
    let role = node.call(&["ROLE"], ASK_PATIENCE).await?;
    match role.elements().first().and_then(Reply::text).as_deref() {
        Some("master") => Ok(node),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
