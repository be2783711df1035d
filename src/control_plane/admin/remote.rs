//! Who may talk to the proxy from another host?
//!
//! Shell: whoever shows, within TLS, that it knows the password. They are few, and counted apart: whoever comes to this address keeps
//! nobody from the socket.

use std::io;
use std::net::TcpListener;

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::connection::Connection;
use super::peer::Peer;
use super::socket::converse;
use crate::config::AdminRemote;
use crate::control_plane::Event;
use crate::limits::{ADMIN_ACCEPT_RETRY, ADMIN_CLIENTS_MAX, ADMIN_LAST_REPLIES_WAIT, TLS_HANDSHAKE_TIMEOUT};
use crate::net::Stream;

/// Serves operators until the control loop is gone. Beyond as many as there may be, they wait in the kernel's queue.
pub(crate) async fn serve_remote(socket: TcpListener, remote: AdminRemote, events: mpsc::Sender<Event>) {
    let socket = match tokio::net::TcpListener::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => return warn!(%error, "admin_listen does not work"),
    };
    let mut clients = JoinSet::new();
    let mut last_id = 0;
    loop {
        tokio::select! {
            accepted = socket.accept(), if clients.len() < ADMIN_CLIENTS_MAX => match accepted {
                Ok((stream, address)) => {
                    last_id += 1;
                    let peer = Peer::asked(last_id, remote.auth.clone());
                    let (remote, events) = (remote.clone(), events.clone());
                    clients.spawn(async move {
                        let sealed = timeout(TLS_HANDSHAKE_TIMEOUT, seal(stream, &remote)).await;
                        match sealed.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                            Ok(stream) => converse(Connection::new(peer, stream, events)).await,
                            Err(error) => debug!(%address, %error, "an admin client has not agreed on TLS"),
                        }
                    });
                }
                Err(error) => {
                    warn!(%error, "an admin client could not be accepted");
                    sleep(ADMIN_ACCEPT_RETRY).await;
                }
            },
            Some(_) = clients.join_next() => {}
            () = events.closed() => break,
        }
    }
    drop(socket);
    let _ = timeout(ADMIN_LAST_REPLIES_WAIT, clients.join_all()).await;
}

async fn seal(stream: TcpStream, remote: &AdminRemote) -> io::Result<Stream> {
    stream.set_nodelay(true)?;
    let connection = remote.tls.connection().map_err(io::Error::other)?;
    Stream::sealed(stream, connection).await
}
