//! On which sockets does the process listen, and which worker serves which of them?
//!
//! Shell: what was inherited is taken up, the rest is bound.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::StartError;
use crate::config::Config;
use crate::control_plane::ControlPlane;
use crate::data_plane::{self, RouteShared, Seat};
use crate::upgrade::Inherited;

/// By route and worker: sockets that listen.
pub(super) type Sockets = Vec<Vec<Vec<TcpListener>>>;

/// Those of every route's addresses, bound or inherited.
pub(super) fn listen(config: &Config, inherited: &mut Inherited) -> Result<Sockets, StartError> {
    let workers = config.proxy.workers;
    let mut sockets = Sockets::new();
    for route in &config.routes {
        let mut of_workers: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
        for address in &route.listen {
            let given = inherited.take(*address);
            let bound = match given.is_empty() {
                true => data_plane::bind(&route.name, *address, workers)?,
                false => given,
            };
            let shares = data_plane::share_out(bound, workers)?;
            for (of_worker, share) in of_workers.iter_mut().zip(shares) {
                of_worker.extend(share);
            }
        }
        sockets.push(of_workers);
    }
    Ok(sockets)
}

/// For whoever is to take over.
pub(super) fn copies<'a>(
    sockets: &'a Sockets,
    others: impl Iterator<Item = &'a TcpListener>,
) -> io::Result<Vec<OwnedFd>> {
    let all = sockets.iter().flatten().flatten().chain(others);
    all.map(|socket| Ok(socket.try_clone()?.into())).collect()
}

/// What one worker serves: its sockets of each route, and its end of the snapshot.
pub(super) fn seats(
    shared: &[Arc<RouteShared>],
    control: &ControlPlane,
    sockets: &mut Sockets,
    worker: usize,
) -> Vec<Seat> {
    let routes = shared.iter().zip(control.subscriptions(worker)).zip(sockets);
    let seat =
        |((shared, subscription), of_workers): ((&Arc<RouteShared>, _), &mut Vec<Vec<TcpListener>>)| {
            let listeners = of_workers.get_mut(worker).map(std::mem::take);
            Seat {
                shared: Arc::clone(shared),
                subscription,
                listeners: listeners.unwrap_or_default(),
            }
        };
    routes.map(seat).collect()
}

/// One address of the process's own, if it has it; `key`: how it is configured.
pub(super) fn bind_one(
    key: &'static str,
    address: Option<SocketAddr>,
    inherited: &mut Inherited,
) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = address else {
        return Ok(None);
    };
    let given = inherited.take(address).into_iter().next();
    let bind = || {
        let listener = given.map_or_else(|| TcpListener::bind(address), Ok)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind()
        .map(Some)
        .map_err(|source| StartError::Bind { key, address, source })
}
