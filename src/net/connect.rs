//! How is a connection to a node or a Sentinel opened?
//!
//! Shell: resolves the host each time, so that a changed DNS record is followed, and sets the socket's options.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};

use super::stream::Stream;
use crate::cluster::NodeAddr;
use crate::tls::SideTls;

/// A peer that takes no byte for this long is gone.
const USER_TIMEOUT: Duration = Duration::from_secs(15);

/// A connection: no delay, keepalive; with TLS, once both ends have proved who they are. The caller bounds the time.
///
/// # Errors
/// The last address's error, when none of the host's addresses answers; whatever TLS has against it.
pub(crate) async fn connect(node: &NodeAddr, tls: Option<&SideTls>) -> io::Result<Stream> {
    let socket = dial(node).await?;
    match tls {
        Some(tls) => Stream::sealed(socket, tls.connection(&node.host)?).await,
        None => Ok(socket.into()),
    }
}

async fn dial(node: &NodeAddr) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    let addresses: Vec<SocketAddr> = lookup_host((node.host.as_str(), node.port)).await?.collect();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                let socket = SockRef::from(&stream);
                let keepalive = TcpKeepalive::new()
                    .with_time(Duration::from_secs(10))
                    .with_interval(Duration::from_secs(5));
                socket.set_tcp_keepalive(&keepalive)?;
                socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
