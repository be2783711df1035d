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
            Self::At(address) => Connection::open(address, patience).await,
            Self::Sentinel {
                sentinels,
                master_name,
            } => {
                let found = connect_to_master(sentinels, master_name);
                tokio::time::timeout(patience, found)
                    .await
                    .map_err(|_| io::ErrorKind::TimedOut)?
            }
        }
    }
}

async fn connect_to_master(sentinels: &[NodeAddr], name: &str) -> io::Result<Connection> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for sentinel in sentinels {
        match ask(sentinel, name).await {
            Ok(connection) => return Ok(connection),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn ask(sentinel: &NodeAddr, name: &str) -> io::Result<Connection> {
    let mut asked = Connection::open(sentinel, ASK_PATIENCE).await?;
    let reply = asked
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
