//! How are `old` and `new` and what they authenticate with read?
//!
//! Pure, except for what [`super::Surroundings`] reads.

use super::fault::Report;
use super::found::Found;
use super::secret::{self, AUTH};
use super::section::Section;
use super::shown::shown_url;
use super::surroundings::Surroundings;
use super::tls;
use super::url::{self, Given, SideUrl};
use crate::cluster::{Credentials, Discovery, Endpoint, Side};

const URL_ALLOWED: &str = "redis://[user:pass@]host:port or redis+sentinel://[user:pass@]host:port,host:port/master-name, with TLS rediss";

/// The keys that say how one side is found.
struct SideKeys {
    url: &'static str,
    auth: &'static str,
    sentinel_auth: &'static str,
    tls: &'static str,
}

const fn keys(side: Side) -> SideKeys {
    match side {
        Side::Old => SideKeys {
            url: "old",
            auth: "old_auth",
            sentinel_auth: "old_sentinel_auth",
            tls: "old_tls",
        },
        Side::New => SideKeys {
            url: "new",
            auth: "new_auth",
            sentinel_auth: "new_sentinel_auth",
            tls: "new_tls",
        },
    }
}

/// One side of a route. `None`: it is absent, or faulty and reported.
pub(super) fn endpoint(route: &Section<'_>, side: Side, around: &Surroundings<'_>) -> Option<Endpoint> {
    let keys = keys(side);
    let url = match side {
        Side::Old => route.need(keys.url, URL_ALLOWED),
        Side::New => route.get(keys.url),
    };
    let node = auth(route, keys.auth, around);
    let sentinel = auth(route, keys.sentinel_auth, around);
    let Some(url) = url else {
        let credentials = [node, sentinel].into_iter().flatten().map(|(found, _)| found);
        for found in credentials.chain(route.get(keys.tls)) {
            found.fault(format!(
                "of a side that is not there; allowed: with `{}`",
                keys.url
            ));
        }
        return None;
    };
    let SideUrl {
        discovery,
        is_tls,
        given,
    } = read_url(&url)?;
    let sentinel_is_idle = sentinel
        .as_ref()
        .filter(|_| matches!(discovery, Discovery::Fixed(_)));
    if let Some((found, _)) = sentinel_is_idle {
        found.fault(
            "credentials for Sentinels, but the URL is of a fixed node; allowed: with redis+sentinel://",
        );
    }
    let tls = tls::side(route, &url, is_tls, keys.tls, around);
    // All are looked at before any may end this.
    let node_auth = merged(&url, given, node);
    let sentinel_auth = merged(&url, Given::default(), sentinel);
    Some(Endpoint {
        discovery,
        tls: tls?,
        node_auth: node_auth?,
        sentinel_auth: sentinel_auth?,
    })
}

/// A credentials table, if it is there; its content is `None` when that is faulty.
fn auth<'a>(
    route: &Section<'a>,
    key: &'static str,
    around: &Surroundings<'_>,
) -> Option<(Found<'a>, Option<Given>)> {
    let found = route.get(key)?;
    let given = found.section(AUTH).and_then(|section| {
        if section.is_empty() {
            found.fault(
                "found nothing in it; allowed: user and one of password, password_file and password_env",
            );
        }
        secret::given(&section, around)
    });
    Some((found, given))
}

fn read_url(found: &Found<'_>) -> Option<SideUrl> {
    let text = found.text(URL_ALLOWED)?;
    match url::parse(text) {
        Ok(url) => Some(url),
        Err(fault) => {
            found.fault(format!("found {}: {fault}", shown_url(text)));
            None
        }
    }
}

fn merged(
    url: &Found<'_>,
    given: Given,
    mut table: Option<(Found<'_>, Option<Given>)>,
) -> Option<Option<Credentials>> {
    let other = match &mut table {
        Some((_, given)) => given.take()?,
        None => Given::default(),
    };
    let at = table.as_ref().map_or(url, |(found, _)| found);
    match secret::merge(given, other) {
        Ok(credentials) => Some(credentials),
        Err(text) => {
            at.fault(text);
            None
        }
    }
}

/// One side as a flag's URL gives it, its passwords as the environment does.
pub(super) fn endpoint_of_flag(
    report: &Report<'_>,
    flag: &str,
    text: &str,
    side: Side,
    around: &Surroundings<'_>,
) -> Option<Endpoint> {
    let SideUrl {
        discovery,
        is_tls,
        given,
    } = match url::parse(text) {
        Ok(url) => url,
        Err(fault) => {
            report.add(flag, None, format!("found {}: {fault}", shown_url(text)));
            return None;
        }
    };
    let from_env = |kind: &str| {
        let variable = format!("SWITCHBACK_{}{kind}_PASSWORD", side.name().to_uppercase());
        match secret::from_env(&variable, around) {
            None => Some(Given::default()),
            Some(Ok(password)) => Some(Given {
                user: None,
                password: Some(password),
            }),
            Some(Err(text)) => {
                report.add(variable, None, text);
                None
            }
        }
    };
    let merge = |url: Given, kind: &str| match secret::merge(url, from_env(kind)?) {
        Ok(credentials) => Some(credentials),
        Err(text) => {
            report.add(flag, None, text);
            None
        }
    };
    let node_auth = merge(given, "");
    let sentinel_auth = match discovery {
        Discovery::Sentinel { .. } => merge(Given::default(), "_SENTINEL"),
        Discovery::Fixed(_) => Some(None),
    };
    let tls = match is_tls.then(|| tls::of_the_system(around)).transpose() {
        Ok(tls) => Some(tls),
        Err(text) => {
            report.add(flag, None, text);
            None
        }
    };
    Some(Endpoint {
        discovery,
        tls: tls?,
        node_auth: node_auth?,
        sentinel_auth: sentinel_auth?,
    })
}
