//! Groups whose nodes, and Sentinels, speak TLS beside what the lab asks them without.

use switchback::cluster::NodeAddr;
use switchback::lab::{Server, ServerOptions, free_port};

use crate::authority::{Authority, Identity, text};

/// A server with a second port, for TLS; `asks`: for clients' certificates too.
pub(crate) fn server(authority: &Authority, identity: &Identity, asks: bool) -> (Server, NodeAddr) {
    let port = free_port().unwrap();
    let config = lines(authority, identity, asks, port);
    let server = Server::start(&ServerOptions {
        config,
        ..ServerOptions::default()
    })
    .unwrap();
    (server, NodeAddr::new("127.0.0.1", port))
}

/// A replica of it, likewise: the master tells of it by its TLS port.
pub(crate) fn replica(authority: &Authority, identity: &Identity, master: &NodeAddr) -> (Server, NodeAddr) {
    let port = free_port().unwrap();
    let mut config = lines(authority, identity, false, port);
    config.push("tls-replication yes".to_owned());
    let server = Server::start(&ServerOptions {
        config,
        replica_of: Some(master.clone()),
        ..ServerOptions::default()
    })
    .unwrap();
    (server, NodeAddr::new("127.0.0.1", port))
}

fn lines(authority: &Authority, identity: &Identity, asks: bool, port: u16) -> Vec<String> {
    vec![
        format!("tls-port {port}"),
        format!("tls-ca-cert-file {}", text(&authority.ca())),
        format!("tls-cert-file {}", text(&identity.cert)),
        format!("tls-key-file {}", text(&identity.key)),
        format!("tls-auth-clients {}", if asks { "yes" } else { "no" }),
    ]
}
