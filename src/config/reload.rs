//! Can a changed config be applied to a running proxy?
//!
//! Pure. Every type is taken apart field by field, so that a new key does not compile until it is sorted in here.
//!
//! May change: certificates and keys, `trace_dir` and `trace_bytes`, `[route.guard]`, `[route.ramp]`, `[route.limits]`, and `weight`, which only
//! counts for a route nobody has heard of yet.
//! Everything else is built into sockets, links and threads at start: it needs a restart.

use super::fault::{Faults, Report};
use super::model::{AdminRemote, Config, ProxyConfig, RouteConfig};
use crate::cluster::{Endpoint, Side};

/// Whether `new` differs from `old` only in what may change while the proxy runs.
///
/// # Errors
/// One fault for each difference that needs a restart, by key path. Nothing of `new` must be applied then.
pub fn reloadable(old: &Config, new: &Config) -> Result<(), Faults> {
    let report = Report::new("");
    compare_proxy(&old.proxy, &new.proxy, &report);
    for route in &old.routes {
        let path = format!("route[{}]", route.name);
        match find(new, &route.name) {
            Some(changed) => compare_route(&path, route, changed, &report),
            None => report.add(path, None, "is gone; removing a route needs a restart"),
        }
    }
    for route in &new.routes {
        if find(old, &route.name).is_none() {
            let path = format!("route[{}]", route.name);
            report.add(path, None, "is new; adding a route needs a restart");
        }
    }
    report.into_result(())
}

fn find<'a>(config: &'a Config, name: &str) -> Option<&'a RouteConfig> {
    config.routes.iter().find(|route| route.name == name)
}

fn compare_proxy(old: &ProxyConfig, new: &ProxyConfig, report: &Report<'_>) {
    let ProxyConfig {
        workers,
        admin_socket,
        admin_remote,
        metrics_listen,
        state_dir,
        trace_dir: _,
        trace_bytes: _,
    } = old;
    // What is in its files may change.
    let of =
        |remote: &Option<AdminRemote>| remote.as_ref().map(|remote| (remote.listen, remote.auth.clone()));
    let differs = [
        ("workers", *workers != new.workers),
        ("admin_socket", *admin_socket != new.admin_socket),
        ("admin_listen", of(admin_remote) != of(&new.admin_remote)),
        ("metrics_listen", *metrics_listen != new.metrics_listen),
        ("state_dir", *state_dir != new.state_dir),
    ];
    report_changed("proxy", &differs, report);
}

fn compare_route(path: &str, old: &RouteConfig, new: &RouteConfig, report: &Report<'_>) {
    let RouteConfig {
        name: _,
        listen,
        tls,
        old: old_side,
        new: new_side,
        weight: _,
        subscribe_to,
        unauthenticated,
        uncertain,
        uncertain_publish,
        allow,
        guard: _,
        ramp: _,
        limits: _,
    } = old;
    let differs = [
        ("listen", *listen != new.listen),
        // What is in its files may change, whether there is any may not.
        ("tls", tls.is_some() != new.tls.is_some()),
        ("subscribe_to", *subscribe_to != new.subscribe_to),
        ("unauthenticated", *unauthenticated != new.unauthenticated),
        ("uncertain", *uncertain != new.uncertain),
        ("uncertain_publish", *uncertain_publish != new.uncertain_publish),
        ("allow", *allow != new.allow),
    ];
    report_changed(path, &differs, report);
    compare_side(path, Side::Old, Some(old_side), Some(&new.old), report);
    compare_side(path, Side::New, new_side.as_ref(), new.new.as_ref(), report);
}

/// Credentials are named apart from the address, because a changed password file looks like no change of the config.
fn compare_side(path: &str, side: Side, old: Option<&Endpoint>, new: Option<&Endpoint>, report: &Report<'_>) {
    let (Some(old), Some(new)) = (old, new) else {
        if old.is_some() != new.is_some() {
            report_changed(path, &[(side.name(), true)], report);
        }
        return;
    };
    let Endpoint {
        discovery,
        tls,
        node_auth,
        sentinel_auth,
    } = old;
    let differs = [
        (
            format!("{side}"),
            *discovery != new.discovery || tls.is_some() != new.tls.is_some(),
        ),
        (format!("{side}_auth"), *node_auth != new.node_auth),
        (
            format!("{side}_sentinel_auth"),
            *sentinel_auth != new.sentinel_auth,
        ),
    ];
    let differs: Vec<(&str, bool)> = differs
        .iter()
        .map(|(key, differs)| (key.as_str(), *differs))
        .collect();
    report_changed(path, &differs, report);
}

fn report_changed(path: &str, differs: &[(&str, bool)], report: &Report<'_>) {
    for (key, _) in differs.iter().filter(|(_, differs)| *differs) {
        report.add(format!("{path}.{key}"), None, "has changed; this needs a restart");
    }
}

#[cfg(test)]
#[path = "reload_tests.rs"]
mod tests;
