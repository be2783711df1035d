//! What stands behind a route? The nouns both planes share: sides, nodes, endpoints, credentials, topology.
//!
//! Pure: data and its text forms only; nothing here opens a socket.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::tls::SideTls;

/// One of the two replication groups behind a route. A route without `new` only ever uses [`Side::Old`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The group that is being replaced, and that a route back returns to.
    Old,
    /// The group that replaces it.
    New,
}

impl Side {
    /// Both sides, in the order every table and report lists them.
    pub const BOTH: [Self; 2] = [Self::Old, Self::New];

    /// The side that is not this one.
    pub const fn other(self) -> Self {
        match self {
            Self::Old => Self::New,
            Self::New => Self::Old,
        }
    }

    /// `0` for old, `1` for new: the index into every `[T; 2]` that is kept by side.
    pub const fn index(self) -> usize {
        match self {
            Self::Old => 0,
            Self::New => 1,
        }
    }

    /// `"old"` or `"new"`: the value of the `side` label and the key in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where one Redis or Sentinel process listens. `host` is a name or an address, without brackets. Written as its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct NodeAddr {
    /// Host name, IPv4 or IPv6 address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl NodeAddr {
    /// A node address from its two parts; brackets around an IPv6 host are dropped.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        let host = host.into();
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => inner.to_owned(),
            None => host,
        };
        Self { host, port }
    }
}

impl fmt::Display for NodeAddr {
    /// `host:port`, an IPv6 host in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A text that is no `host:port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("allowed: host:port, an IPv6 host in brackets")]
pub struct NodeAddrError;

impl TryFrom<String> for NodeAddr {
    type Error = NodeAddrError;

    /// What [`fmt::Display`] writes. Hosts are not looked at more closely: a node may list another under any name.
    fn try_from(text: String) -> Result<Self, NodeAddrError> {
        let (host, port) = text.rsplit_once(':').ok_or(NodeAddrError)?;
        let port = port.parse().map_err(|_| NodeAddrError)?;
        Ok(Self::new(host, port))
    }
}

impl From<NodeAddr> for String {
    fn from(node: NodeAddr) -> Self {
        node.to_string()
    }
}

/// A password. Its `Debug` and `Display` never show it; [`Secret::expose`] is the only way to its text. Its memory is overwritten when it
/// goes.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps the text of a password.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself, for writing an AUTH to a socket and for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What a connection authenticates with: `AUTH password`, or `AUTH user password`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Credentials {
    /// ACL user; `None` is the server's default user.
    pub user: Option<String>,
    /// Its password.
    pub password: Secret,
}

/// How a side is found: a fixed node, or a master name asked of Sentinels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// `redis://host:port`: this node is the master, whatever happens.
    Fixed(NodeAddr),
    /// `redis+sentinel://host:port,host:port/master-name`.
    Sentinel {
        /// The Sentinels to ask first; others are learnt from them. Never empty.
        sentinels: Vec<NodeAddr>,
        /// The name Sentinel monitors the master under.
        master_name: String,
    },
}

/// One side as configured: where it is found and what to authenticate with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Fixed node or Sentinels.
    pub discovery: Discovery,
    /// `rediss` schemes: TLS to nodes and Sentinels.
    pub tls: Option<SideTls>,
    /// For the Redis nodes.
    pub node_auth: Option<Credentials>,
    /// For the Sentinels.
    pub sentinel_auth: Option<Credentials>,
}

impl Endpoint {
    /// How its nodes are spoken to.
    pub fn node_access(&self) -> Access {
        Access {
            auth: self.node_auth.clone(),
            tls: self.tls.clone(),
        }
    }

    /// How its Sentinels are.
    pub fn sentinel_access(&self) -> Access {
        Access {
            auth: self.sentinel_auth.clone(),
            tls: self.tls.clone(),
        }
    }
}

/// How a node or a Sentinel is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Access {
    /// As whom.
    pub auth: Option<Credentials>,
    /// Within TLS.
    pub tls: Option<SideTls>,
}

/// The nodes of one side as the control plane believes them to be now.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Topology {
    /// The node whose ROLE says master. `None`: none is known, or a failover is under way and writes to the last
    /// one could be lost, so commands are held.
    pub master: Option<NodeAddr>,
    /// Replicas of that master, in address order, dead ones left out.
    pub replicas: Vec<NodeAddr>,
    /// While there is no master because Sentinel is making another node one: that node. Of a moment; it is not written.
    #[serde(skip)]
    pub heir: Option<NodeAddr>,
}

impl Topology {
    /// Whether `node` is one of its nodes.
    pub fn has(&self, node: &NodeAddr) -> bool {
        self.master.as_ref() == Some(node) || self.replicas.contains(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_read_from_its_own_text() {
        for node in [
            NodeAddr::new("10.0.0.1", 6379),
            NodeAddr::new("[fe80::1]", 1),
            NodeAddr::new("redis-1", 65_535),
        ] {
            assert_eq!(NodeAddr::try_from(node.to_string()), Ok(node));
        }
        for text in ["", "h", "h:", "h:65536", "h:-1"] {
            assert_eq!(NodeAddr::try_from(text.to_owned()), Err(NodeAddrError), "{text}");
        }
    }
}
