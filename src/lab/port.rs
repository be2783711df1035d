//! Which port is free?
//!
//! Shell: tries. Whoever starts a server on it finds out whether it still was, and takes the next one.

use std::net::TcpListener;

use super::{Host, LabError};
use crate::cluster::NodeAddr;

/// Below Linux's ephemeral ports (32768 and up): a proxy that redials a dead server there would sooner or later be
/// given that very port for its own end, and be connected to itself.
const PORTS: std::ops::Range<u16> = 10_000..32_000;
const PORTS_TRIED_MAX: usize = 1_000;

/// An address for a server: on loopback, or of the host. There nobody else listens on any port, or a server would find
/// out.
pub(super) fn address_on(host: Option<&Host>) -> Result<NodeAddr, LabError> {
    Ok(match host {
        None => NodeAddr::new("127.0.0.1", free_port()?),
        Some(host) => NodeAddr::new(host.address(), fastrand::u16(PORTS)),
    })
}

/// A loopback port nobody listened on a moment ago.
///
/// # Errors
/// [`LabError::Io`] when there is none.
pub fn free_port() -> Result<u16, LabError> {
    let mut last = None;
    for _ in 0..PORTS_TRIED_MAX {
        let port = fastrand::u16(PORTS);
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => return Ok(port),
            Err(error) => last = Some(error),
        }
    }
    let source = last.unwrap_or_else(|| std::io::ErrorKind::AddrInUse.into());
    Err(LabError::io("looking for a free port")(source))
}
