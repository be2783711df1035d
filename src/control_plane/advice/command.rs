//! How is a command for a node written, so that it can be pasted into a shell?
//!
//! Pure. No password stands in it: where one is needed, redis-cli asks for it.

use crate::cluster::{Access, NodeAddr};

/// `redis-cli -h … -p …` and its words.
pub(super) fn redis_cli(node: &NodeAddr, access: Option<&Access>, words: &str) -> String {
    let mut line = format!("redis-cli -h {} -p {}", quoted(&node.host), node.port);
    if access.is_some_and(|access| access.tls.is_some()) {
        line += " --tls";
    }
    if let Some(auth) = access.and_then(|access| access.auth.as_ref()) {
        if let Some(user) = &auth.user {
            line += &format!(" --user {}", quoted(user));
        }
        line += " --askpass";
    }
    format!("{line} {words}")
}

/// A word of a shell. Hosts come from nodes: one that is none must not become a command of its own.
pub(super) fn quoted(word: &str) -> String {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':' | b'%');
    if !word.is_empty() && !word.starts_with('-') && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    let printable: String = word.chars().filter(|char| !char.is_control()).collect();
    format!("'{}'", printable.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Credentials, Secret};

    #[test]
    fn a_command_has_user_and_no_password() {
        let node = NodeAddr::new("::1", 6379);
        assert_eq!(redis_cli(&node, None, "PING"), "redis-cli -h ::1 -p 6379 PING");
        let auth = Credentials {
            user: Some("switchback".to_owned()),
            password: Secret::new("hunter2"),
        };
        let access = Access {
            auth: Some(auth),
            tls: None,
        };
        let line = redis_cli(&node, Some(&access), "PING");
        assert_eq!(line, "redis-cli -h ::1 -p 6379 --user switchback --askpass PING");
    }

    #[test]
    fn a_host_that_a_node_made_up_stays_one_word() {
        assert_eq!(quoted("a;rm -rf /\n"), "'a;rm -rf /'");
        assert_eq!(quoted("$(x)'`"), "'$(x)'\\''`'");
        assert_eq!(quoted("-x"), "'-x'");
        assert_eq!(quoted(""), "''");
    }
}
