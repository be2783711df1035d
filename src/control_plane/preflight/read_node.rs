//! What do a node's replies mean for the checks?
//!
//! Pure: replies of INFO, TIME, CONFIG GET, ACL LIST, FUNCTION LIST and PUBSUB NUMSUB to facts. What has not its form is
//! an error text, never a default.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use super::facts::{InfoFields, Learnt, UserDigest};
use crate::control_plane::sentinel::reply::Fields;
use crate::limits::{PREFLIGHT_ENTRIES_MAX, PREFLIGHT_TEXT_CHARS_MAX};
use crate::resp::{Value, text};

/// Fields of INFO that are read.
const FIELDS: [&str; 19] = [
    "redis_version",
    "used_memory",
    "total_system_memory",
    "maxmemory",
    "maxmemory_policy",
    "loading",
    "rdb_bgsave_in_progress",
    "rdb_last_bgsave_status",
    "aof_enabled",
    "aof_rewrite_in_progress",
    "aof_last_bgrewrite_status",
    "latest_fork_usec",
    "repl_backlog_size",
    "repl_backlog_active",
    "instantaneous_output_kbps",
    "instantaneous_output_repl_kbps",
    "slave_priority",
    "master_host",
    "master_port",
];

/// The fields of INFO the guard does not read.
pub(super) fn info(reply: &Value) -> InfoFields {
    let mut fields = InfoFields::default();
    for line in text(reply).unwrap_or_default().lines() {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim_end();
        if let Some(known) = FIELDS.iter().find(|known| **known == name) {
            let value = value.chars().take(PREFLIGHT_TEXT_CHARS_MAX).collect();
            fields.values.insert(known, value);
        } else if name == "module" && fields.modules.len() < PREFLIGHT_ENTRIES_MAX {
            fields.modules.extend(module(value));
        }
    }
    fields
}

/// `name=search,ver=20811,api=1,…`
fn module(value: &str) -> Option<(String, u64)> {
    let field = |wanted: &str| {
        let mut pairs = value.split(',').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
    };
    Some((field("name")?.to_owned(), field("ver")?.parse().ok()?))
}

/// TIME, as seconds since 1970.
pub(super) fn time(reply: &Value) -> Learnt<f64> {
    let read = || {
        let Value::Array(items) = reply else { return None };
        let [seconds, micros] = items.as_slice() else {
            return None;
        };
        let number = |value: &Value| text(value)?.parse::<u32>().ok().map(f64::from);
        Some(number(seconds)? + number(micros)? / 1e6)
    };
    read().ok_or_else(|| garbled("TIME"))
}

/// CONFIG GET of one name.
pub(super) fn setting(reply: &Value, name: &'static str) -> Learnt<String> {
    let fields = Fields::of(reply).ok_or_else(|| garbled("CONFIG GET"))?;
    fields
        .text(name)
        .map_err(|_| format!("it has no setting '{name}'"))
}

/// PUBSUB NUMSUB of one channel.
pub(super) fn listeners(reply: &Value) -> Learnt<u64> {
    let read = || match reply {
        Value::Array(items) => text(items.get(1)?)?.parse().ok(),
        _ => None,
    };
    read().ok_or_else(|| garbled("PUBSUB NUMSUB"))
}

/// ACL LIST: `user NAME rule rule …`, where a password is `#` and its hash.
pub(super) fn users(reply: &Value, digest: &RandomState) -> Learnt<BTreeMap<String, UserDigest>> {
    let Value::Array(lines) = reply else {
        return Err(garbled("ACL LIST"));
    };
    let user = |line: &Value| {
        let line = text(line)?;
        let (name, rules) = line.strip_prefix("user ")?.split_once(' ')?;
        let is_password = |rule: &&str| rule.starts_with('#');
        let mut passwords: Vec<&str> = rules.split(' ').filter(is_password).collect();
        passwords.sort_unstable();
        let others: Vec<&str> = rules.split(' ').filter(|rule| !is_password(rule)).collect();
        let digests = UserDigest {
            passwords: digest.hash_one(passwords),
            rules: digest.hash_one(others),
        };
        Some((name.to_owned(), digests))
    };
    let users: Option<_> = lines.iter().take(PREFLIGHT_ENTRIES_MAX).map(user).collect();
    users.ok_or_else(|| garbled("ACL LIST"))
}

/// FUNCTION LIST WITHCODE.
pub(super) fn functions(reply: &Value, digest: &RandomState) -> Learnt<BTreeMap<String, u64>> {
    let Value::Array(libraries) = reply else {
        return Err(garbled("FUNCTION LIST"));
    };
    let library = |entry: &Value| {
        let fields = Fields::of(entry)?;
        let code = fields.text("library_code").ok()?;
        Some((fields.text("library_name").ok()?, digest.hash_one(code)))
    };
    let read: Option<_> = libraries
        .iter()
        .take(PREFLIGHT_ENTRIES_MAX)
        .map(library)
        .collect();
    read.ok_or_else(|| garbled("FUNCTION LIST"))
}

fn garbled(command: &str) -> String {
    format!("it answers {command} with something else")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::decode_value;
    use proptest::prelude::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn array(items: &[&str]) -> Value {
        Value::Array(items.iter().map(|item| bulk(item)).collect())
    }

    #[test]
    fn info_is_read_for_what_is_known_and_nothing_is_made_up() {
        let fields = info(&bulk(
            "# Server\r\nredis_version:7.0.15\r\nused_memory:12\r\nnew_field:1\r\n\
             module:name=search,ver=20811,api=1\r\nmodule:name=,api\r\nlatest_fork_usec:x\r\n",
        ));
        assert_eq!(fields.text("redis_version"), Some("7.0.15"));
        assert_eq!(fields.number("used_memory"), Some(12.0));
        assert_eq!(fields.number("latest_fork_usec"), None);
        assert_eq!(fields.number("maxmemory"), None);
        assert_eq!(fields.values.len(), 3);
        assert_eq!(fields.modules, BTreeMap::from([("search".to_owned(), 20_811)]));
    }

    #[test]
    fn time_and_settings_are_read_or_are_errors() {
        assert_eq!(time(&array(&["1700000000", "250000"])), Ok(1_700_000_000.25));
        for bad in [array(&["x", "1"]), array(&["1"]), bulk("1")] {
            assert!(time(&bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            setting(&array(&["databases", "16"]), "databases"),
            Ok("16".to_owned())
        );
        assert!(setting(&array(&[]), "databases").is_err());
        assert_eq!(listeners(&array(&["__sentinel__:hello", "3"])), Ok(3));
        assert!(listeners(&array(&["__sentinel__:hello"])).is_err());
    }

    #[test]
    fn equal_users_have_equal_digests_whatever_the_order_of_their_passwords() {
        let digest = RandomState::new();
        let read = |line: &str| users(&array(&[line]), &digest).unwrap()["app"];
        let first = read("user app on #aa #bb ~* +@all");
        assert_eq!(first, read("user app on #bb #aa ~* +@all"));
        let other_password = read("user app on #aa ~* +@all");
        assert_eq!(first.rules, other_password.rules);
        assert_ne!(first.passwords, other_password.passwords);
        let other_rules = read("user app off #aa #bb ~* +@all");
        assert_ne!(first.rules, other_rules.rules);
        assert_eq!(first.passwords, other_rules.passwords);
        assert!(users(&array(&["nonsense"]), &digest).is_err());
        let shown = format!("{:?}", users(&array(&["user app on #c0ffee ~*"]), &digest));
        assert!(!shown.contains("c0ffee"), "{shown}");
    }

    #[test]
    fn libraries_are_told_apart_by_their_code() {
        let digest = RandomState::new();
        let library = |code: &str| array(&["library_name", "lib", "engine", "LUA", "library_code", code]);
        let read = |code: &str| functions(&Value::Array(vec![library(code)]), &digest).unwrap()["lib"];
        assert_eq!(read("a"), read("a"));
        assert_ne!(read("a"), read("b"));
        assert_eq!(functions(&array(&[]), &digest), Ok(BTreeMap::new()));
        assert!(functions(&array(&["x"]), &digest).is_err());
    }

    proptest! {
        #[test]
        fn no_reply_can_panic_a_reader(words in proptest::collection::vec("(user|name|[ -~]{0,12})", 0..8), raw: Vec<u8>) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let digest = RandomState::new();
            let nested = Value::Array(vec![array(&words)]);
            for reply in [array(&words), nested, Value::BulkString(raw.clone()), decode_value(b":1\r\n").unwrap()] {
                let _ = (info(&reply), time(&reply), setting(&reply, "x"), listeners(&reply));
                let _ = (users(&reply, &digest), functions(&reply, &digest));
            }
        }
    }
}
