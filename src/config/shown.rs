//! How is a faulty value shown without showing a password?
//!
//! Pure: text in, text out. It is masked by its shape alone, before anything is parsed, because a URL is shown exactly
//! when it could not be parsed and nobody knows which part is the password.

use std::fmt::Write;

/// Characters shown of any found value.
const SHOWN_MAX: usize = 80;
const MASK: &str = "***";

/// Any found text: quoted, on one line, cut, and without whatever stands before an `@`.
pub(super) fn shown(text: &str) -> String {
    quoted(&mask_before_at(text))
}

/// A text meant as a URL: beside what [`shown`] hides, also everything after a `:` that is no port, and queries.
pub(super) fn shown_url(text: &str) -> String {
    let masked = mask_before_at(text);
    let (scheme, rest) = match masked.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), masked.as_str()),
    };
    let (rest, query) = match rest.find(['?', '#']) {
        Some(at) => (&rest[..at], MASK),
        None => (rest, ""),
    };
    let (userinfo, rest) = match rest.strip_prefix("***@") {
        Some(hosts) => ("***@", hosts),
        None => ("", rest),
    };
    let (hosts, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let hosts: Vec<String> = hosts.split(',').map(mask_after_colon).collect();
    quoted(&format!("{scheme}{userinfo}{}{path}{query}", hosts.join(",")))
}

/// `redis://user:pass@host` as `redis://***@host`. The last `@` counts: an unescaped one is likely inside a password.
fn mask_before_at(text: &str) -> String {
    let Some((before, after)) = text.rsplit_once('@') else {
        return text.to_owned();
    };
    let is_scheme = |scheme: &str| {
        scheme
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'+')
    };
    match before.split_once("://") {
        Some((scheme, _)) if is_scheme(scheme) => format!("{scheme}://{MASK}@{after}"),
        _ => format!("{MASK}@{after}"),
    }
}

/// `user:secret` as `user:***`, since a forgotten `@host` makes a password look like a port.
fn mask_after_colon(host: &str) -> String {
    let is_port = |port: &str| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.find(']') {
        Some(end) if host.starts_with('[') => end + 1,
        _ => host.find(':').unwrap_or(host.len()),
    };
    match host[name..].strip_prefix(':') {
        Some(port) if !is_port(port) => format!("{}:{MASK}", &host[..name]),
        None if name < host.len() => format!("{}{MASK}", &host[..name]),
        _ => host.to_owned(),
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for (index, char) in text.chars().enumerate() {
        if index == SHOWN_MAX {
            out.push_str("...");
            break;
        }
        if char.is_control() {
            // A write to a String cannot fail.
            let _ = write!(out, "{}", char.escape_debug());
        } else {
            out.push(char);
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_malformed_url_shows_its_password() {
        for url in [
            "redis://app:hunter2@host",
            "redis://app:hunter2@host:port",
            "redis://:hunter2@:6379",
            "redis://app:hun@ter2@host:1",
            "redis://app:x/hunter2@host:1",
            "redis://app:hunter2",
            "redis://app:1hunter2/db",
            "redis:app:hunter2@host:1",
            "app:hunter2@host:1",
            "hunter2://app@host:1",
            "hunter2@host:1",
            "redis://host:1?password=hunter2",
            "redis://host:1/#hunter2",
            "redis://[::1]hunter2",
            "redis://[::1]:hunter2",
            "redis+sentinel://h:1,app:hunter2/m",
            "redis://app:hunter2\u{0}@host:1",
        ] {
            let shown = shown_url(url);
            assert!(!shown.contains("hunter2"), "{url} shown as {shown}");
        }
    }

    #[test]
    fn what_is_no_secret_is_shown() {
        assert_eq!(shown_url("redis://h:70000"), "\"redis://h:70000\"");
        assert_eq!(
            shown_url("redis+sentinel://u:p@h:1,[::1]:2/m"),
            "\"redis+sentinel://***@h:1,[::1]:2/m\""
        );
        assert_eq!(shown("5 parsecs"), "\"5 parsecs\"");
    }

    #[test]
    fn what_is_shown_is_one_bounded_line() {
        assert_eq!(shown("a\nb\u{1b}[0m"), "\"a\\nb\\u{1b}[0m\"");
        assert_eq!(shown(&"é".repeat(1_000)).chars().count(), SHOWN_MAX + 5);
    }
}
