//! What does `switchback run --listen … --old …` ask for, without a file?
//!
//! Pure, except for what [`super::Surroundings`] reads.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::fault::{Faults, Report};
use super::model::{
    Config, GuardConfig, OnUncertain, ProxyConfig, RampConfig, RouteConfig, RouteLimits, SubscribeTo,
    Unauthenticated,
};
use super::proxy;
use super::shown::shown;
use super::side::endpoint_of_flag;
use super::surroundings::Surroundings;
use super::taken::Taken;
use super::text::{ADDRESS_ALLOWED, address, socket_path_fault};
use crate::cluster::Side;
use crate::routing::Weight;

/// The flags as typed. Passwords do not belong on a command line, where every user of the machine can read them: they
/// are taken from `SWITCHBACK_OLD_PASSWORD`, `SWITCHBACK_OLD_SENTINEL_PASSWORD` and the same with `NEW`, too.
#[derive(Clone, Default)]
pub struct Flags {
    /// `--listen`: where apps connect to.
    pub listen: String,
    /// `--old`: URL of the side that has the traffic.
    pub old: String,
    /// `--new`: URL of the side that is to have it.
    pub new: Option<String>,
    /// `--admin-socket`; the file's default.
    pub admin_socket: Option<PathBuf>,
    /// `--metrics`, `""` for nowhere; the file's default.
    pub metrics: Option<String>,
    /// `--state-dir`. Default: `/var/lib/switchback` for root, else `$XDG_STATE_HOME/switchback`, else
    /// `~/.local/state/switchback`. Weight and latch are remembered there as with a file.
    pub state_dir: Option<PathBuf>,
}

impl Flags {
    /// The name of the one route.
    pub const ROUTE: &str = "main";
}

impl std::fmt::Debug for Flags {
    /// Without the URLs, which may hold passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flags")
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

/// The config that flags ask for: one route named [`Flags::ROUTE`], everything else as with an empty file.
///
/// # Errors
/// Every fault, by flag.
pub fn from_flags(flags: &Flags, around: &Surroundings<'_>) -> Result<Config, Faults> {
    let report = Report::new("");
    let mut taken = Taken::default();
    let proxy = proxy_of(flags, around, &report);
    if let Some(metrics) = proxy.metrics_listen {
        // The first to take an address: nobody can have it.
        let _ = taken.address(metrics, "--metrics");
    }
    let listen = listen(&flags.listen, &mut taken, &report);
    let old = endpoint_of_flag(&report, "--old", &flags.old, Side::Old, around);
    let new = flags
        .new
        .as_deref()
        .and_then(|text| endpoint_of_flag(&report, "--new", text, Side::New, around));
    let route = listen.zip(old).map(|(listen, old)| RouteConfig {
        name: Flags::ROUTE.to_owned(),
        tls: None,
        listen: vec![listen],
        old,
        new,
        weight: Weight::ZERO,
        subscribe_to: SubscribeTo::Master,
        unauthenticated: Unauthenticated::Route,
        uncertain: OnUncertain::Error,
        uncertain_publish: OnUncertain::Retry,
        allow: Vec::new(),
        guard: GuardConfig::default(),
        ramp: RampConfig::default(),
        limits: RouteLimits::default(),
    });
    if let Some(route) = &route {
        taken.report_loops(route, |side| format!("--{side}"), &report);
    }
    let routes = route.into_iter().collect();
    report.into_result(Config { proxy, routes })
}

fn proxy_of(flags: &Flags, around: &Surroundings<'_>, report: &Report<'_>) -> ProxyConfig {
    let mut proxy = proxy::defaults(around);
    if let Some(path) = &flags.admin_socket {
        if let Some(text) = socket_path_fault(&path.to_string_lossy()) {
            report.add("--admin-socket", None, text);
        }
        proxy.admin_socket.clone_from(path);
    }
    match flags.metrics.as_deref() {
        None => {}
        Some("") => proxy.metrics_listen = None,
        Some(text) => match address(text) {
            Some(address) => proxy.metrics_listen = Some(address),
            None => {
                let text = format!(
                    "found {}; allowed: {ADDRESS_ALLOWED}, or \"\" for nowhere",
                    shown(text)
                );
                report.add("--metrics", None, text);
            }
        },
    }
    match flags.state_dir.clone().or_else(|| state_dir(around)) {
        Some(path) if !path.as_os_str().is_empty() => proxy.state_dir = path,
        _ => report.add(
            "--state-dir",
            None,
            "found neither it nor HOME; allowed: a directory's path",
        ),
    }
    proxy
}

fn listen(text: &str, taken: &mut Taken, report: &Report<'_>) -> Option<SocketAddr> {
    let Some(address) = address(text) else {
        let text = format!("found {}; allowed: {ADDRESS_ALLOWED}", shown(text));
        report.add("--listen", None, text);
        return None;
    };
    match taken.address(address, "--listen") {
        Ok(()) => Some(address),
        Err(taker) => {
            let text = format!("found {address}, which {taker} has already; allowed: an address of its own");
            report.add("--listen", None, text);
            None
        }
    }
}

/// Where an unprivileged process keeps its state, by the XDG base directory specification.
fn state_dir(around: &Surroundings<'_>) -> Option<PathBuf> {
    if around.is_root {
        return Some(PathBuf::from(ProxyConfig::STATE_DIR));
    }
    let absolute = |name| {
        (around.env)(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    base.map(|base| base.join("switchback"))
}

#[cfg(test)]
#[path = "flags_tests.rs"]
mod tests;
