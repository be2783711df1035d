//! How is one `[[route]]` read?
//!
//! Pure, except for what [`super::Surroundings`] reads. Every key is looked at, whatever is wrong with the others.

use std::net::SocketAddr;

use super::found::Found;
use super::keys::Keys;
use super::model::{OnUncertain, RouteConfig, SubscribeTo, Unauthenticated};
use super::section::Section;
use super::surroundings::Surroundings;
use super::taken::Taken;
use super::text::{ADDRESS_ALLOWED, NAME_ALLOWED, address, is_name, weight};
use super::{guard, ramp, route_limits, side, tls};
use crate::cluster::Side;
use crate::data_plane::command::allowable;
use crate::limits::LISTEN_MAX;
use crate::routing::Weight;

/// Keys of `[[route]]`.
pub(super) const ROUTE: Keys = Keys {
    known: &[
        "name",
        "listen",
        "tls",
        "old",
        "old_auth",
        "old_sentinel_auth",
        "old_tls",
        "new",
        "new_auth",
        "new_sentinel_auth",
        "new_tls",
        "weight",
        "data",
        "subscribe_to",
        "unauthenticated",
        "uncertain",
        "uncertain_publish",
        "allow",
        "guard",
        "ramp",
        "limits",
    ],
};

const UNCERTAIN: [(&str, OnUncertain); 2] = [("error", OnUncertain::Error), ("retry", OnUncertain::Retry)];
const SUBSCRIBE_TO: [(&str, SubscribeTo); 2] =
    [("master", SubscribeTo::Master), ("replica", SubscribeTo::Replica)];
const UNAUTHENTICATED: [(&str, Unauthenticated); 2] = [
    ("route", Unauthenticated::Route),
    ("default", Unauthenticated::Default),
];

/// How the route at `index` is called in key paths: by its name, if it has one of its own.
pub(super) fn path(index: usize, name: Option<&str>, taken: &Taken) -> String {
    match name {
        Some(name) if is_name(name) && !taken.has_name(name) => format!("route[{name}]"),
        _ => format!("route[{index}]"),
    }
}

/// One route. `None`: what has no default is missing or faulty.
pub(super) fn read(route: &Section<'_>, around: &Surroundings<'_>, taken: &mut Taken) -> Option<RouteConfig> {
    let name = name(route, taken);
    let listen = listen(route, taken);
    let old = side::endpoint(route, Side::Old, around);
    let new = side::endpoint(route, Side::New, around);
    data(route);
    let uncertain = |key, default| route.or(key, default, |found| found.word(&UNCERTAIN));
    let read = RouteConfig {
        tls: tls::listener(route, "tls", around),
        weight: weight_of(route),
        subscribe_to: route.or("subscribe_to", SubscribeTo::Master, |found| {
            found.word(&SUBSCRIBE_TO)
        }),
        unauthenticated: route.or("unauthenticated", Unauthenticated::Route, |found| {
            found.word(&UNAUTHENTICATED)
        }),
        uncertain: uncertain("uncertain", OnUncertain::Error),
        uncertain_publish: uncertain("uncertain_publish", OnUncertain::Retry),
        allow: allow(route),
        guard: guard::read(route.section("guard", guard::GUARD).as_ref()),
        ramp: ramp::read(route.section("ramp", ramp::RAMP).as_ref()),
        limits: route_limits::read(route.section("limits", route_limits::LIMITS).as_ref()),
        name: name?,
        listen: listen?,
        old: old?,
        new,
    };
    Some(read)
}

fn name(route: &Section<'_>, taken: &mut Taken) -> Option<String> {
    let found = route.need("name", NAME_ALLOWED)?;
    let name = found.parsed(NAME_ALLOWED, |text| is_name(text).then(|| text.to_owned()))?;
    match taken.name(&name, &route.path) {
        Ok(()) => Some(name),
        Err(taker) => {
            found.fault(format!(
                "found \"{name}\", which {taker} has already; allowed: a name of its own"
            ));
            None
        }
    }
}

fn listen(route: &Section<'_>, taken: &mut Taken) -> Option<Vec<SocketAddr>> {
    let allowed = format!("an array of 1 to {LISTEN_MAX} addresses, as in [\"127.0.0.1:6400\"]");
    let found = route.need("listen", &allowed)?;
    let items = found.items(&allowed)?;
    if !(1..=LISTEN_MAX).contains(&items.len()) {
        found.fault(format!("found {} addresses; allowed: {allowed}", items.len()));
        return None;
    }
    let addresses: Vec<_> = items.iter().map(|item| listen_address(item, taken)).collect();
    addresses.into_iter().collect()
}

/// Commands that work on a connection of one's own, and are refused by default for what they do to a server.
fn allow(route: &Section<'_>) -> Vec<&'static str> {
    let words: Vec<(&str, &'static str)> = allowable().map(|name| (name, name)).collect();
    let Some(found) = route.get("allow") else {
        return Vec::new();
    };
    let items = found.items("an array of names of commands, as in [\"debug\"]");
    let mut allowed: Vec<_> = items
        .iter()
        .flatten()
        .filter_map(|item| item.word(&words))
        .collect();
    allowed.sort_unstable();
    allowed.dedup();
    allowed
}

fn listen_address(found: &Found<'_>, taken: &mut Taken) -> Option<SocketAddr> {
    let address = found.parsed(ADDRESS_ALLOWED, address)?;
    match taken.address(address, &found.path) {
        Ok(()) => Some(address),
        Err(taker) => {
            found.fault(format!(
                "found \"{address}\", which {taker} has already; allowed: an address of its own"
            ));
            None
        }
    }
}

fn weight_of(route: &Section<'_>) -> Weight {
    let Some(found) = route.get("weight") else {
        return Weight::ZERO;
    };
    let allowed = "a percentage from 0 to 100 with at most two decimals";
    let weight = found.number(allowed, weight).unwrap_or(Weight::ZERO);
    if weight != Weight::ZERO && route.get("new").is_none() {
        found.fault(format!(
            "found {weight}, but the route has no `new`; allowed: 0, or a `new`"
        ));
    }
    weight
}

/// Only checked: while there is one way of treating data, nothing needs to know it.
fn data(route: &Section<'_>) {
    let Some(found) = route.get("data") else { return };
    let allowed = "\"independent\"";
    match found.text(allowed) {
        Some("linked") => {
            found.fault("\"linked\" is not supported by this version yet; allowed: \"independent\"")
        }
        Some(_) => drop(found.word(&[("independent", ())])),
        None => {}
    }
}
