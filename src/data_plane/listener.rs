//! How do clients get in?
//!
//! Shell: each worker has its own SO_REUSEPORT socket for each address, so the kernel spreads connections and no
//! worker hands one over to another.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tracing::warn;

use super::local_route::LocalRoute;
use super::refusal::Refusal;
use super::session::{Ends, Session, drive};

/// Connections the kernel queues before they are accepted.
const BACKLOG: i32 = 1024;
/// Wait after an accept that failed for want of descriptors or memory: others must give some back first.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("route '{route}' cannot listen on {address}: {source}")]
pub struct ListenError {
    /// The route.
    pub route: String,
    /// Its address.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
}

/// One socket for each of `workers`, all on `address`; port 0 picks one free port for all.
///
/// # Errors
/// When the address is in use, also by another process that shares ports, or cannot be bound at all.
pub fn bind(route: &str, address: SocketAddr, workers: usize) -> Result<Vec<TcpListener>, ListenError> {
    let failed = |source| ListenError {
        route: route.to_owned(),
        address,
        source,
    };
    // With SO_REUSEPORT two proxies could share an address unnoticed: the first try is made without.
    drop(socket(address, false).map_err(failed)?);
    let first = socket(address, true).map_err(failed)?;
    let address = first.local_addr().map_err(failed)?;
    let mut sockets = vec![first];
    while sockets.len() < workers {
        sockets.push(socket(address, true).map_err(failed)?);
    }
    Ok(sockets)
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts clients until the future is dropped.
pub(super) async fn accept(
    route: Rc<LocalRoute>,
    listener: tokio::net::TcpListener,
    scratch: Rc<RefCell<Vec<u8>>>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, addr)) => admit(&route, stream, addr, &scratch),
            Err(error) => {
                warn!(route = route.name, %error, "a client could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

fn admit(route: &Rc<LocalRoute>, mut stream: TcpStream, addr: SocketAddr, scratch: &Rc<RefCell<Vec<u8>>>) {
    let before = route.stats.clients.fetch_add(1, Ordering::Relaxed);
    if before >= route.limits().clients {
        route.stats.clients.fetch_sub(1, Ordering::Relaxed);
        tokio::task::spawn_local(async move {
            let line = Refusal::TooManyClients.line();
            let _ = tokio::time::timeout(ACCEPT_RETRY, stream.write_all(&line)).await;
        });
        return;
    }
    if let Err(error) = tune(&stream) {
        warn!(route = route.name, %error, "a client's socket options could not be set");
    }
    let ends = Ends {
        addr,
        laddr: stream.local_addr().unwrap_or(Ends::NONE.laddr),
        fd: stream.as_raw_fd(),
    };
    let session = Session::new(route.clients().next_id(), Rc::clone(route), ends);
    route.joined(&session);
    let scratch = Rc::clone(scratch);
    tokio::task::spawn_local(async move {
        let route = Rc::clone(&session.route);
        drive(Rc::clone(&session), stream, scratch).await;
        route.left(&session);
        route.stats.clients.fetch_sub(1, Ordering::Relaxed);
    });
}

/// Redis's own defaults for its clients: no delay, keepalive of 300 s.
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(300))
        .with_interval(Duration::from_secs(100));
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
