//! Until when are the certificates good that the proxy shows?
//!
//! Shell: asked at each scrape, since a reload puts others in their place.

use metrics::{Gauge, gauge};

use super::names;
use crate::cluster::Side;
use crate::config::Config;
use crate::tls::{ListenerTls, SideTls};

/// All that are configured.
pub(super) struct Certificates(Vec<(Gauge, Shown)>);

enum Shown {
    ToClients(ListenerTls),
    ToNodes(SideTls),
}

impl Certificates {
    pub(super) fn new(config: &Config) -> Self {
        let one = |route: &str, what: &'static str, shown| {
            let gauge = gauge!(names::CERTIFICATE_EXPIRY, "route" => route.to_owned(), "use" => what);
            (gauge, shown)
        };
        let mut all = Vec::new();
        if let Some(remote) = &config.proxy.admin_remote {
            all.push(one("", "admin", Shown::ToClients(remote.tls.clone())));
        }
        for route in &config.routes {
            if let Some(tls) = &route.tls {
                all.push(one(&route.name, "listen", Shown::ToClients(tls.clone())));
            }
            for side in Side::BOTH {
                let tls = route.side(side).and_then(|endpoint| endpoint.tls.as_ref());
                if let Some(tls) = tls.filter(|tls| tls.expires().is_some()) {
                    all.push(one(&route.name, side.name(), Shown::ToNodes(tls.clone())));
                }
            }
        }
        Self(all)
    }

    pub(super) fn refresh(&self) {
        for (gauge, shown) in &self.0 {
            let expires = match shown {
                Shown::ToClients(tls) => tls.expires(),
                Shown::ToNodes(tls) => tls.expires(),
            };
            if let Some(seconds) = expires {
                gauge.set(seconds as f64);
            }
        }
    }
}
