//! How do clients get in?
//!
//! Shell: each worker has its own SO_REUSEPORT socket for each address, so the kernel spreads connections and no
//! worker hands one over to another.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::local_route::LocalRoute;
use super::reactor::Watched;
use super::refusal::Refusal;
use super::session::{Ends, Session, serve};
use crate::limits::TLS_HANDSHAKE_TIMEOUT;
use crate::net::{Stream, Wire};
use crate::stats::Closed;
use crate::tls::ListenerTls;

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
    // With SO_REUSEPORT two proxies could share an address unnoticed: the first try is made without. It does not listen, or
    // a client that came just then would be reset when it is dropped; others' listening is noticed all the same.
    drop(bound(address, false).map_err(failed)?);
    let first = listening(address).map_err(failed)?;
    let address = first.local_addr().map_err(failed)?;
    let mut sockets = vec![first];
    while sockets.len() < workers {
        sockets.push(listening(address).map_err(failed)?);
    }
    Ok(sockets)
}

/// Shares out sockets of one address that somebody else has bound: every worker has at least one, and none is without a worker, or who
/// connects to it would wait for nobody.
///
/// # Errors
/// The operating system has no descriptor left for a copy.
pub fn share_out(sockets: Vec<TcpListener>, workers: usize) -> io::Result<Vec<Vec<TcpListener>>> {
    let mut shares: Vec<Vec<TcpListener>> = Vec::new();
    for worker in 0..workers {
        let copy = sockets
            .get(worker % sockets.len().max(1))
            .filter(|_| worker >= sockets.len());
        shares.push(
            copy.map(TcpListener::try_clone)
                .transpose()?
                .into_iter()
                .collect(),
        );
    }
    for (at, socket) in sockets.into_iter().enumerate() {
        socket.set_nonblocking(true)?;
        if let Some(share) = shares.get_mut(at % workers) {
            share.push(socket);
        }
    }
    Ok(shares)
}

fn listening(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bound(address, true)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bound(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Accepts clients until the future is dropped.
pub(super) async fn accept(route: Rc<LocalRoute>, listener: Watched<TcpListener>) {
    loop {
        match listener.readable(TcpListener::accept).await {
            Ok((stream, addr)) => {
                admit(&route, stream, addr);
                // Others have their turn: there may be thousands.
                tokio::task::coop::consume_budget().await;
            }
            Err(error) => {
                warn!(route = route.name, %error, "a client could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

fn admit(route: &Rc<LocalRoute>, mut stream: TcpStream, addr: SocketAddr) {
    if let Err(refusal) = route.enters(addr.ip()) {
        route.stats.closed(match refusal {
            Refusal::TooManyOfAddress { .. } => Closed::Address,
            _ => Closed::Clients,
        });
        // There is room for a line.
        let _ = stream.write_all(&refusal.line());
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
    match route.client_tls() {
        None => begin(route, stream.into(), ends),
        Some(tls) => {
            let (route, tls) = (Rc::clone(route), tls.clone());
            tokio::task::spawn_local(async move {
                let sealed = timeout(TLS_HANDSHAKE_TIMEOUT, seal(stream, &tls)).await;
                match sealed.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                    Ok(wire) => begin(&route, wire, ends),
                    Err(error) => {
                        debug!(route = route.name, %addr, %error, "a client has not agreed on TLS");
                        route.stats.closed(Closed::Tls);
                        route.leaves(addr.ip());
                    }
                }
            });
        }
    }
}

async fn seal(stream: TcpStream, tls: &ListenerTls) -> io::Result<Wire> {
    stream.set_nonblocking(true)?;
    let stream = tokio::net::TcpStream::from_std(stream)?;
    let connection = tls.connection().map_err(io::Error::other)?;
    Stream::sealed(stream, connection).await?.into_wire()
}

fn begin(route: &Rc<LocalRoute>, wire: Wire, ends: Ends) {
    let session = Session::new(route.clients().next_id(), Rc::clone(route), ends);
    if let Err(error) = session.connect(wire) {
        warn!(route = route.name, %error, "a client could not be watched");
        route.leaves(ends.addr.ip());
        return;
    }
    route.joined(&session);
    serve(session);
}

/// Redis's own defaults for its clients: no delay, keepalive of 300 s.
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(300))
        .with_interval(Duration::from_secs(100));
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::time::Instant;

    /// The window was some microseconds: one of these rounds hit it nearly always.
    const ROUNDS: usize = 400;

    #[test]
    fn a_client_that_comes_while_an_address_is_taken_is_refused_or_stays() {
        for _ in 0..ROUNDS {
            let free = bound("127.0.0.1:0".parse().unwrap(), false).unwrap();
            let address = free.local_addr().unwrap().as_socket().unwrap();
            drop(free);

            let client = std::thread::spawn(move || {
                let deadline = Instant::now() + Duration::from_secs(10);
                loop {
                    match std::net::TcpStream::connect(address) {
                        Err(error)
                            if error.kind() == ErrorKind::ConnectionRefused && Instant::now() < deadline => {}
                        other => return other,
                    }
                }
            });
            let listeners = bind("main", address, 2).unwrap();
            let stream = client.join().unwrap().unwrap();
            stream.set_nonblocking(true).unwrap();

            assert_eq!(stream.peek(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
            drop(listeners);
        }
    }

    #[test]
    fn no_worker_is_without_a_socket_and_no_socket_without_a_worker() {
        for (sockets, workers) in [(1, 1), (1, 3), (2, 2), (2, 3), (3, 2), (5, 2)] {
            let bound = bind("main", "127.0.0.1:0".parse().unwrap(), sockets).unwrap();
            let shares = share_out(bound, workers).unwrap();
            assert_eq!(shares.len(), workers);
            assert!(
                shares.iter().all(|share| !share.is_empty()),
                "{sockets} {workers}"
            );
            let all = shares.iter().map(Vec::len).sum::<usize>();
            assert_eq!(all, sockets.max(workers));
        }
    }

    #[test]
    fn an_address_on_which_another_listens_is_not_shared() {
        let address = "127.0.0.1:0".parse().unwrap();
        let taken = bind("main", address, 2).unwrap();
        let error = bind("other", taken[0].local_addr().unwrap(), 2).unwrap_err();

        assert_eq!(error.source.kind(), ErrorKind::AddrInUse);
    }
}
