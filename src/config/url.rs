//! Where does a side's URL say that it is found, and what does it say to authenticate with?
//!
//! Pure: text in, parts or a cause out. Not a general URL parser: those know one host, and Sentinel URLs list several.

use std::net::Ipv6Addr;

use percent_encoding::percent_decode_str;

use crate::cluster::{Discovery, NodeAddr, Secret};
use crate::limits::{PASSWORD_BYTES_MAX, SENTINELS_MAX};

/// The parts of a URL.
#[derive(Debug, PartialEq)]
pub(super) struct SideUrl {
    pub(super) discovery: Discovery,
    /// Nodes and Sentinels speak TLS.
    pub(super) is_tls: bool,
    /// For the Redis nodes. Sentinels have users of their own, so these are never sent to one.
    pub(super) given: Given,
}

/// A user and a password as one place gives them; either may be given elsewhere.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Given {
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
}

/// Why a URL is none. No variant carries any of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UrlFault {
    #[error(
        "it has no scheme; allowed: redis://host:port or redis+sentinel://host:port,host:port/master-name, with TLS rediss"
    )]
    NoScheme,
    #[error(
        "its scheme is unknown; allowed: redis:// and redis+sentinel://, with TLS rediss:// and rediss+sentinel://"
    )]
    UnknownScheme,
    #[error("a '/', '?' or '#' stands before its '@'; in a password write them as %2F, %3F and %23")]
    Unescaped,
    #[error("it goes on after a '?' or '#'; allowed: no query and no fragment")]
    Query,
    #[error("it has a path; allowed: redis://host:port, as apps SELECT their database themselves")]
    Path,
    #[error("it lists several addresses; allowed: one with redis://, several with redis+sentinel://")]
    SeveralNodes,
    #[error("it lists more Sentinels than {SENTINELS_MAX}")]
    TooManySentinels,
    #[error("it lists one Sentinel twice")]
    SentinelTwice,
    #[error("it names no master; allowed: redis+sentinel://host:port/master-name")]
    NoMasterName,
    #[error("its master name holds a blank, a '/' or a control character, or is longer than 256 bytes")]
    MasterName,
    #[error("a host is missing; allowed: host:port")]
    NoHost,
    #[error("a host is no name and no address; IPv6 addresses stand in brackets, as in [::1]:6379")]
    Host,
    #[error("a port is missing; allowed: host:port, as in 10.0.0.1:6379")]
    NoPort,
    #[error("a port is not a number from 1 to 65535")]
    Port,
    #[error("a '%' is not followed by two hex digits, or the bytes they give are not UTF-8")]
    Escape,
    #[error("its password is longer than {PASSWORD_BYTES_MAX} bytes")]
    PasswordTooLong,
    #[error("its password is empty; without one, leave out the ':' too")]
    EmptyPassword,
}

/// Reads `redis://[user:pass@]host:port` or `redis+sentinel://[user:pass@]host:port[,host:port…]/master-name`, `rediss` for TLS.
/// User, password and master name are percent-decoded.
pub(super) fn parse(text: &str) -> Result<SideUrl, UrlFault> {
    let (scheme, rest) = text.split_once("://").ok_or(UrlFault::NoScheme)?;
    let (is_sentinel, is_tls) = match scheme {
        "redis" => (false, false),
        "redis+sentinel" => (true, false),
        "rediss" => (false, true),
        "rediss+sentinel" => (true, true),
        _ => return Err(UrlFault::UnknownScheme),
    };
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if tail.contains('@') {
        return Err(UrlFault::Unescaped);
    }
    if tail.contains(['?', '#']) {
        return Err(UrlFault::Query);
    }
    let (given, hosts) = match authority.rsplit_once('@') {
        Some((userinfo, hosts)) => (given(userinfo)?, hosts),
        None => (Given::default(), authority),
    };
    let path = tail.strip_prefix('/');
    let discovery = if is_sentinel {
        sentinel(hosts, path)?
    } else {
        fixed(hosts, path)?
    };
    Ok(SideUrl {
        discovery,
        is_tls,
        given,
    })
}

fn fixed(hosts: &str, path: Option<&str>) -> Result<Discovery, UrlFault> {
    if path.is_some() {
        return Err(UrlFault::Path);
    }
    if hosts.contains(',') {
        return Err(UrlFault::SeveralNodes);
    }
    Ok(Discovery::Fixed(node(hosts)?))
}

fn sentinel(hosts: &str, path: Option<&str>) -> Result<Discovery, UrlFault> {
    let mut sentinels = Vec::new();
    for host in hosts.split(',') {
        let node = node(host)?;
        if sentinels.contains(&node) {
            return Err(UrlFault::SentinelTwice);
        }
        if sentinels.len() == SENTINELS_MAX {
            return Err(UrlFault::TooManySentinels);
        }
        sentinels.push(node);
    }
    let name = path.filter(|path| !path.is_empty());
    let master_name = decode(name.ok_or(UrlFault::NoMasterName)?)?;
    let is_bad = |char: char| char.is_whitespace() || char.is_control() || char == '/';
    if master_name.len() > 256 || master_name.contains(is_bad) {
        return Err(UrlFault::MasterName);
    }
    Ok(Discovery::Sentinel {
        sentinels,
        master_name,
    })
}

pub(super) fn node(text: &str) -> Result<NodeAddr, UrlFault> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(UrlFault::Host)?;
            host.parse::<Ipv6Addr>().map_err(|_| UrlFault::Host)?;
            let port = port.strip_prefix(':');
            (host, port.ok_or(UrlFault::NoPort)?)
        }
        None if text.matches(':').count() > 1 => return Err(UrlFault::Host),
        None if text.is_empty() || text.starts_with(':') => return Err(UrlFault::NoHost),
        None => {
            let (host, port) = text.split_once(':').ok_or(UrlFault::NoPort)?;
            (is_name(host).then_some(host).ok_or(UrlFault::Host)?, port)
        }
    };
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| is_number && *port > 0);
    Ok(NodeAddr::new(host, port.ok_or(UrlFault::Port)?))
}

/// A host name or IPv4 address, by its characters; whether it resolves is found out when it is dialled. Underscores
/// are no part of host names but are of names that containers go by.
fn is_name(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    host.len() <= 253 && host.bytes().all(allowed)
}

fn given(userinfo: &str) -> Result<Given, UrlFault> {
    let (user, password) = match userinfo.split_once(':') {
        Some((_, "")) => return Err(UrlFault::EmptyPassword),
        Some((user, password)) => (user, Some(decode(password)?)),
        None => (userinfo, None),
    };
    if password
        .as_ref()
        .is_some_and(|text| text.len() > PASSWORD_BYTES_MAX)
    {
        return Err(UrlFault::PasswordTooLong);
    }
    Ok(Given {
        user: Some(decode(user)?).filter(|user| !user.is_empty()),
        password: password.map(Secret::new),
    })
}

/// Percent-decoding that refuses what the library would leave as it is.
fn decode(text: &str) -> Result<String, UrlFault> {
    let is_escape = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !text.split('%').skip(1).all(is_escape) {
        return Err(UrlFault::Escape);
    }
    let decoded = percent_decode_str(text).decode_utf8();
    Ok(decoded.map_err(|_| UrlFault::Escape)?.into_owned())
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
