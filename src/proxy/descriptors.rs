//! For how many clients has the process descriptors?
//!
//! Shell.

use std::sync::Arc;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::Config;
use crate::data_plane::RouteShared;

/// Descriptors a proxy needs beside its clients': links, Sentinels, probes, operators, files.
const SPARE_DESCRIPTORS: u64 = 512;

/// As many descriptors as the routes' clients may need, as far as the hard limit allows. How many there are then.
pub(super) fn raise_descriptor_limit(config: &Config) -> Option<u64> {
    let wanted = clients(config) as u64 * 2 + SPARE_DESCRIPTORS;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    if soft >= wanted {
        return Some(soft);
    }
    let raised = wanted.min(hard);
    setrlimit(Resource::RLIMIT_NOFILE, raised, hard).ok()?;
    Some(raised)
}

/// Clients of all routes together, as the limits have them.
fn clients(config: &Config) -> usize {
    config.routes.iter().map(|route| route.limits.clients).sum()
}

/// As Redis: clients that there are no descriptors for are refused, and leave some for links, and for operators, who are needed most
/// when there are too many. Each route has its share.
pub(super) fn share_descriptors(config: &Config, shared: &[Arc<RouteShared>], limit: Option<u64>) {
    let Some(limit) = limit else { return };
    let room = limit - SPARE_DESCRIPTORS.min(limit / 2);
    let wanted = clients(config) as u64;
    if wanted <= room {
        return;
    }
    tracing::warn!(
        wanted,
        room,
        limit,
        "fewer clients are let in than the limits allow: there are not enough descriptors (ulimit -n, LimitNOFILE)"
    );
    for route in shared {
        let share = route.config.limits.clients as u64 * room / wanted.max(1);
        route.admit_at_most(usize::try_from(share).unwrap_or(usize::MAX));
    }
}
