//! What do a Sentinel's replies mean for the checks?
//!
//! Pure: SENTINEL MASTER, REPLICAS, SENTINELS and MASTERS to facts. Unlike [`crate::control_plane::sentinel::reply`], which decides whom to
//! follow, an entry that has not its form is left out: the others are still worth reading.

use super::facts::{KnownNode, SentinelAnswer};
use crate::control_plane::sentinel::reply::Fields;
use crate::limits::{NODES_MAX, PREFLIGHT_ENTRIES_MAX, SENTINELS_MAX};
use crate::resp::Value;

/// Redis's default `replica-priority`, also what holds for a node that has not said so yet.
const PRIORITY_DEFAULT: u64 = 100;

/// One Sentinel's four answers.
pub(super) fn answer(master: &Value, replicas: &Value, sentinels: &Value, masters: &Value) -> SentinelAnswer {
    SentinelAnswer {
        id: None,
        master: Fields::of(master).and_then(|fields| node(&fields)),
        replicas: entries(replicas, NODES_MAX)
            .filter_map(|fields| node(&fields))
            .collect(),
        sentinels: entries(sentinels, SENTINELS_MAX)
            .filter_map(|fields| fields.addr().ok())
            .collect(),
        monitored: entries(masters, PREFLIGHT_ENTRIES_MAX)
            .filter_map(|fields| Some((fields.text("name").ok()?, node(&fields)?)))
            .collect(),
    }
}

fn entries(value: &Value, entries_max: usize) -> impl Iterator<Item = Fields<'_>> {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        _ => &[],
    };
    items.iter().take(entries_max).filter_map(Fields::of)
}

fn node(fields: &Fields<'_>) -> Option<KnownNode> {
    let flags = fields.text("flags").unwrap_or_default();
    Some(KnownNode {
        addr: fields.addr().ok()?,
        run_id: fields.text("runid").unwrap_or_default(),
        priority: fields.number("slave-priority").unwrap_or(PRIORITY_DEFAULT),
        is_down: flags.split(',').any(|flag| flag == "s_down" || flag == "o_down"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::NodeAddr;
    use proptest::prelude::*;

    fn array(words: &str) -> Value {
        let bulk = |word: &str| Value::BulkString(word.as_bytes().to_vec());
        Value::Array(words.split(' ').map(bulk).collect())
    }

    #[test]
    fn replicas_have_a_priority_and_one_that_cannot_be_read_hides_no_other() {
        let listed = Value::Array(vec![
            array("ip h port 1 runid a flags slave,s_down slave-priority 0"),
            array("ip h port x"),
            array("ip h port 2 flags slave"),
        ]);
        let masters = Value::Array(vec![array("name m ip h port 9 runid z flags master")]);
        let seen = answer(&Value::Null, &listed, &Value::Null, &masters);
        assert_eq!(
            seen.replicas,
            [
                KnownNode {
                    addr: NodeAddr::new("h", 1),
                    run_id: "a".to_owned(),
                    priority: 0,
                    is_down: true
                },
                KnownNode {
                    addr: NodeAddr::new("h", 2),
                    run_id: String::new(),
                    priority: 100,
                    is_down: false
                },
            ]
        );
        assert_eq!(seen.monitored[0].0, "m");
        assert_eq!(seen.master, None);
    }

    proptest! {
        #[test]
        fn no_reply_can_panic_the_reader(words in proptest::collection::vec("(ip|port|runid|name|[0-9]{0,6})", 0..12)) {
            let value = array(&words.join(" "));
            let listed = Value::Array(vec![value.clone()]);
            let _ = answer(&value, &listed, &value, &listed);
        }
    }
}
