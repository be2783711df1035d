//! Which names and addresses has this config given away already?
//!
//! Pure: what must be unique in the whole process, remembered while its routes are read one by one.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::fault::Report;
use super::model::RouteConfig;
use crate::cluster::{Discovery, NodeAddr, Side};

/// Names and listen addresses by the key path that took them.
#[derive(Debug, Default)]
pub(super) struct Taken {
    names: BTreeMap<String, String>,
    addresses: BTreeMap<SocketAddr, String>,
}

impl Taken {
    /// Takes a route's name.
    ///
    /// # Errors
    /// The path that has it.
    pub(super) fn name(&mut self, name: &str, path: &str) -> Result<(), String> {
        take(&mut self.names, name.to_owned(), path)
    }

    /// A route has this name.
    pub(super) fn has_name(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// Takes an address to listen on. `0.0.0.0:1` and `127.0.0.1:1` are two: the kernel tells them apart.
    ///
    /// # Errors
    /// The path that has it.
    pub(super) fn address(&mut self, address: SocketAddr, path: &str) -> Result<(), String> {
        take(&mut self.addresses, address, path)
    }

    /// Reports sides that are this very proxy, where a command would go round for ever, and routes between a side and
    /// itself.
    pub(super) fn report_loops(
        &self,
        route: &RouteConfig,
        path: impl Fn(Side) -> String,
        report: &Report<'_>,
    ) {
        let sides = [Some(&route.old), route.new.as_ref()];
        for (side, endpoint) in Side::BOTH.into_iter().zip(sides) {
            let Some(Discovery::Fixed(node)) = endpoint.map(|endpoint| &endpoint.discovery) else {
                continue;
            };
            if let Some(taker) = address_of(node).and_then(|address| self.addresses.get(&address)) {
                let text =
                    format!("found {node}, which this proxy itself listens on ({taker}); allowed: a Redis");
                report.add(path(side), None, text);
            }
        }
        if route
            .new
            .as_ref()
            .is_some_and(|new| new.discovery == route.old.discovery)
        {
            report.add(
                path(Side::New),
                None,
                "found the same as `old`; allowed: another group, or no `new`",
            );
        }
    }
}

fn take<K: Ord>(taken: &mut BTreeMap<K, String>, key: K, path: &str) -> Result<(), String> {
    match taken.get(&key) {
        Some(taker) => Err(taker.clone()),
        None => {
            taken.insert(key, path.to_owned());
            Ok(())
        }
    }
}

/// Names are not resolved here, `localhost` aside: that would make reading a config wait for the network.
fn address_of(node: &NodeAddr) -> Option<SocketAddr> {
    let host = if node.host == "localhost" {
        "127.0.0.1"
    } else {
        node.host.as_str()
    };
    Some(SocketAddr::new(host.parse::<IpAddr>().ok()?, node.port))
}
