//! Which sockets was this process given?
//!
//! Shell: as systemd hands them over (`sd_listen_fds`): by number, from 3 on. Each is known by the address it listens on.

use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;
use tracing::warn;

/// Sockets that listen, and that nobody has taken up yet.
#[derive(Debug, Default)]
pub(crate) struct Inherited(Vec<(SocketAddr, TcpListener)>);

impl Inherited {
    /// What the environment says there is.
    pub(crate) fn from_env() -> Self {
        let mut given = ListenFd::from_env();
        let mut sockets = Vec::new();
        for at in 0..given.len() {
            match given.take_tcp_listener(at) {
                Ok(Some(socket)) => match socket.local_addr() {
                    Ok(address) => sockets.push((address, socket)),
                    Err(error) => warn!(at, %error, "a socket that was handed over is of no use"),
                },
                Ok(None) => {}
                Err(error) => warn!(at, %error, "what was handed over is no TCP socket"),
            }
        }
        Self(sockets)
    }

    /// All sockets of an address; none, if none was given.
    pub(crate) fn take(&mut self, address: SocketAddr) -> Vec<TcpListener> {
        let taken = self.0.extract_if(.., |(other, _)| *other == address);
        taken.map(|(_, socket)| socket).collect()
    }
}

impl Drop for Inherited {
    /// Whoever connects to what is left would wait for nobody.
    fn drop(&mut self) {
        for (address, _) in &self.0 {
            warn!(%address, "a socket that was handed over is of no route: it is closed");
        }
    }
}
