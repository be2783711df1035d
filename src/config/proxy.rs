//! How is `[proxy]` read?
//!
//! Pure.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::found::Found;
use super::keys::Keys;
use super::model::{AdminRemote, ProxyConfig};
use super::section::Section;
use super::surroundings::Surroundings;
use super::taken::Taken;
use super::text::{ADDRESS_ALLOWED, address, socket_path_fault};
use super::url::Given;
use super::{secret, tls};

/// Keys of `[proxy]`.
pub(super) const PROXY: Keys = Keys {
    known: &[
        "workers",
        "admin_socket",
        "admin_listen",
        "admin_tls",
        "admin_auth",
        "metrics_listen",
        "state_dir",
        "trace_dir",
        "trace_bytes",
    ],
};
/// More threads than any machine this runs on has cores is a slip of the pen.
const WORKERS_MAX: usize = 1024;
/// Less is not worth a look, and more is not read: a file of a trace is half of it.
const TRACE_BYTES: RangeInclusive<usize> = 1024 * 1024..=16 * 1024 * 1024 * 1024;

/// `[proxy]`; absent keys, and an absent table, mean the defaults.
pub(super) fn read(
    section: Option<&Section<'_>>,
    around: &Surroundings<'_>,
    taken: &mut Taken,
) -> ProxyConfig {
    let mut proxy = defaults(around);
    if let Some(section) = section {
        proxy.workers = match section.or("workers", 0, |found| found.count(0..=WORKERS_MAX)) {
            0 => around.cores,
            workers => workers,
        };
        proxy.admin_socket = section.or("admin_socket", proxy.admin_socket, socket_path);
        proxy.admin_remote = admin_remote(section, around, taken);
        proxy.metrics_listen = section.or("metrics_listen", proxy.metrics_listen, metrics);
        proxy.state_dir = section.or("state_dir", proxy.state_dir, directory);
        proxy.trace_dir = section.get("trace_dir").and_then(|found| directory(&found));
        proxy.trace_bytes = section.or("trace_bytes", proxy.trace_bytes, |found| found.bytes(TRACE_BYTES));
    }
    if let Some(address) = proxy.metrics_listen {
        // The first to take an address: nobody can have it.
        let _ = taken.address(address, "proxy.metrics_listen");
    }
    proxy
}

/// What holds when nothing is said.
pub(super) fn defaults(around: &Surroundings<'_>) -> ProxyConfig {
    ProxyConfig {
        workers: around.cores,
        admin_socket: PathBuf::from(ProxyConfig::ADMIN_SOCKET),
        admin_remote: None,
        metrics_listen: Some(ProxyConfig::METRICS_LISTEN),
        state_dir: PathBuf::from(ProxyConfig::STATE_DIR),
        trace_dir: None,
        trace_bytes: ProxyConfig::TRACE_BYTES,
    }
}

/// Whoever may say `BACK` from another host proves who it is, and is not overheard.
fn admin_remote(section: &Section<'_>, around: &Surroundings<'_>, taken: &mut Taken) -> Option<AdminRemote> {
    let Some(found) = section.get("admin_listen") else {
        for key in ["admin_tls", "admin_auth"] {
            if let Some(found) = section.get(key) {
                found.fault("of an address that is not there; allowed: with `admin_listen`");
            }
        }
        return None;
    };
    let tls = section.need(
        "admin_tls",
        "a table with `cert` and `key`: an admin address is never without TLS",
    );
    let auth = section.need(
        "admin_auth",
        "a table with one of password, password_file and password_env",
    );
    let tls = tls.and_then(|_| tls::listener(section, "admin_tls", around));
    let auth = auth.and_then(|found| {
        let given = found.section(secret::AUTH)?;
        match secret::merge(Given::default(), secret::given(&given, around)?) {
            Ok(Some(auth)) => Some(auth),
            Ok(None) => {
                found.fault("found no password; allowed: one of password, password_file and password_env");
                None
            }
            Err(text) => {
                found.fault(text);
                None
            }
        }
    });
    let listen = found.parsed(ADDRESS_ALLOWED, address)?;
    if let Err(taker) = taken.address(listen, "proxy.admin_listen") {
        found.fault(format!(
            "found \"{listen}\", which {taker} has already; allowed: an address of its own"
        ));
    }
    Some(AdminRemote {
        listen,
        tls: tls?,
        auth: auth?,
    })
}

fn socket_path(found: &Found<'_>) -> Option<PathBuf> {
    let path = found.text("the path of a unix socket")?;
    match socket_path_fault(path) {
        Some(text) => {
            found.fault(text);
            None
        }
        None => Some(PathBuf::from(path)),
    }
}

/// `""` is nowhere.
fn metrics(found: &Found<'_>) -> Option<Option<SocketAddr>> {
    let allowed = format!("{ADDRESS_ALLOWED}, or \"\" for nowhere");
    found.parsed(&allowed, |text| match text {
        "" => Some(None),
        text => address(text).map(Some),
    })
}

fn directory(found: &Found<'_>) -> Option<PathBuf> {
    found.parsed("a directory's path", |text| {
        (!text.is_empty()).then(|| PathBuf::from(text))
    })
}
