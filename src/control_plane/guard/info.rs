//! What does a node say of itself? INFO's text and ROLE's reply, read into [`NodeInfo`].
//!
//! Pure: a field that is absent or unreadable is `None`, never 0, so that a rule without evidence says so. Fields that
//! are not known are skipped: every version of Redis adds some.

use std::time::Duration;

use super::{NodeInfo, ReplicaLine};
use crate::cluster::NodeAddr;
use crate::limits::NODES_MAX;
use crate::resp::{Value, text};

/// Replies that are no evidence. The node is at fault, or is no Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InfoError {
    /// ROLE did not answer `master` or `slave`: a Sentinel, or garbage.
    #[error("ROLE is neither master nor slave")]
    NoRole,
    /// INFO has no replication section.
    #[error("INFO has no replication section")]
    NoReplication,
}

/// Reads the replies of `INFO` and `ROLE`, asked in this order in one go; `took` is the time from asking to the answer.
///
/// # Errors
/// When the replies say nothing of replication.
pub fn parse(info: &Value, role: &Value, took: Duration) -> Result<NodeInfo, InfoError> {
    let role = Role::read(role).ok_or(InfoError::NoRole)?;
    let info = text(info).ok_or(InfoError::NoReplication)?;
    let mut fields = Fields::default();
    for line in info.lines() {
        if let Some((name, value)) = line.split_once(':') {
            fields.read(name, value.trim_end());
        }
    }
    if !fields.replication {
        return Err(InfoError::NoReplication);
    }
    Ok(fields.finish(&role, took))
}

/// What ROLE says: it is asked after INFO, so it is the newer word on who is master.
struct Role {
    is_master: bool,
    offset: Option<u64>,
}

impl Role {
    fn read(reply: &Value) -> Option<Self> {
        let Value::Array(items) = reply else { return None };
        let is_master = match text(items.first()?)?.as_str() {
            "master" => true,
            "slave" => false,
            _ => return None,
        };
        let offset = items.get(if is_master { 1 } else { 4 });
        Some(Self {
            is_master,
            offset: offset.and_then(text).and_then(|digits| digits.parse().ok()),
        })
    }
}

/// INFO's fields as they come; which of them hold depends on the role.
#[derive(Default)]
struct Fields {
    node: NodeInfo,
    replication: bool,
    master_offset: Option<u64>,
    replica_offset: Option<u64>,
    master_host: Option<String>,
    master_port: Option<u16>,
}

impl Fields {
    fn read(&mut self, name: &str, value: &str) {
        let number = || value.parse::<u64>().ok();
        match name {
            "role" => self.replication = true,
            "run_id" => self.node.run_id = (!value.is_empty()).then(|| value.to_owned()),
            "master_repl_offset" => self.master_offset = number(),
            "slave_repl_offset" => self.replica_offset = number(),
            "connected_slaves" => self.node.connected_replicas = value.parse().ok(),
            "master_host" => self.master_host = Some(value.to_owned()),
            "master_port" => self.master_port = value.parse().ok(),
            "master_link_status" => self.node.link_up = Some(value == "up"),
            "master_sync_in_progress" => self.node.sync_in_progress = Some(value != "0"),
            "sync_full" => self.node.sync_full = number(),
            "sync_partial_err" => self.node.sync_partial_err = number(),
            "used_memory" => self.node.used_memory = number(),
            "maxmemory" => self.node.maxmemory = number(),
            "total_commands_processed" => self.node.commands = number(),
            "used_memory_dataset" => self.node.dataset = number(),
            "mem_not_counted_for_evict" => self.node.not_counted_for_evict = number(),
            "maxmemory_policy" => self.node.maxmemory_policy = Some(value.to_owned()),
            "evicted_keys" => self.node.evicted_keys = number(),
            "total_net_output_bytes" => self.node.net_output_bytes = number(),
            _ => self.read_replica(name, value),
        }
    }

    /// `slaveN:ip=10.0.0.2,port=6379,state=online,offset=14,lag=0`. Read as a replica's line only if it has an address.
    fn read_replica(&mut self, name: &str, value: &str) {
        let number = name.strip_prefix("slave").unwrap_or_default();
        let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        if numbered && self.node.replicas.len() < NODES_MAX {
            self.node.replicas.extend(replica_line(value));
        }
    }

    fn finish(self, role: &Role, took: Duration) -> NodeInfo {
        let mut node = self.node;
        node.took = took;
        node.is_master = role.is_master;
        if role.is_master {
            node.repl_offset = self.master_offset.or(role.offset);
            node.link_up = None;
            node.sync_in_progress = None;
        } else {
            node.repl_offset = self.replica_offset.or(role.offset);
            node.follows = self
                .master_host
                .zip(self.master_port)
                .map(|(host, port)| NodeAddr::new(host, port));
        }
        node
    }
}

fn replica_line(value: &str) -> Option<ReplicaLine> {
    let field = |wanted: &str| {
        let mut pairs = value.split(',').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
    };
    let addr = NodeAddr::new(field("ip")?, field("port")?.parse().ok()?);
    (!addr.host.is_empty()).then(|| ReplicaLine {
        addr,
        online: field("state") == Some("online"),
        offset: field("offset")
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0),
        lag_seconds: field("lag").and_then(|digits| digits.parse().ok()).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MASTER: &str = "# Server\r\nrun_id:abc\r\n# Memory\r\nused_memory:1000\r\nused_memory_dataset:900\r\n\
        maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\nmem_not_counted_for_evict:40\r\n\
        # Replication\r\nrole:master\r\nconnected_slaves:3\r\n\
        slave0:ip=10.0.0.2,port=6379,state=online,offset=140,lag=1\r\n\
        slave1:ip=fe80::2,port=6380,state=wait_bgsave,offset=0,lag=0\r\n\
        slave2:ip=replica-3.example,port=6381,state=online,offset=139,lag=0\r\n\
        master_repl_offset:150\r\n# Stats\r\nsync_full:2\r\nsync_partial_err:1\r\ntotal_commands_processed:77\r\n\
        total_net_output_bytes:500\r\ntotal_net_repl_output_bytes:200\r\nevicted_keys:3\r\n";
    const REPLICA: &str = "role:slave\r\nmaster_host:::1\r\nmaster_port:6379\r\nmaster_link_status:up\r\n\
        master_sync_in_progress:0\r\nslave_repl_offset:149\r\nmaster_repl_offset:148\r\nconnected_slaves:0\r\n";

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn role(name: &str) -> Value {
        Value::Array(vec![bulk(name), Value::Integer(5), Value::Array(Vec::new())])
    }

    #[test]
    fn a_master_is_read_with_its_replicas_whatever_their_addresses_look_like() {
        let took = Duration::from_millis(2);
        let node = parse(&bulk(MASTER), &role("master"), took).unwrap();
        assert!(node.is_master);
        assert_eq!(node.took, took);
        assert_eq!(node.run_id.as_deref(), Some("abc"));
        assert_eq!(node.repl_offset, Some(150));
        assert_eq!(node.connected_replicas, Some(3));
        assert_eq!((node.sync_full, node.sync_partial_err), (Some(2), Some(1)));
        assert_eq!((node.used_memory, node.maxmemory), (Some(1000), Some(0)));
        assert_eq!(node.commands, Some(77));
        assert_eq!((node.dataset, node.not_counted_for_evict), (Some(900), Some(40)));
        assert_eq!(node.maxmemory_policy.as_deref(), Some("allkeys-lru"));
        assert_eq!(node.evicted_keys, Some(3));
        assert_eq!(node.net_output_bytes, Some(500));
        assert_eq!((node.replica_clients, node.details), (None, None), "not in INFO");
        let seen: Vec<_> = node
            .replicas
            .iter()
            .map(|line| (line.addr.to_string(), line.online, line.offset, line.lag_seconds))
            .collect();
        let expected = [
            ("10.0.0.2:6379".to_owned(), true, 140, 1),
            ("[fe80::2]:6380".to_owned(), false, 0, 0),
            ("replica-3.example:6381".to_owned(), true, 139, 0),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_replica_is_read_with_its_own_offset_and_whom_it_follows() {
        let node = parse(&bulk(REPLICA), &role("slave"), Duration::ZERO).unwrap();
        assert!(!node.is_master);
        assert_eq!(node.repl_offset, Some(149));
        assert_eq!(node.follows, Some(NodeAddr::new("::1", 6379)));
        assert_eq!((node.link_up, node.sync_in_progress), (Some(true), Some(false)));
        assert_eq!(node.sync_full, None, "absent is not 0");
    }

    #[test]
    fn role_has_the_last_word_on_who_is_master() {
        let node = parse(&bulk(REPLICA), &role("master"), Duration::ZERO).unwrap();
        assert!(node.is_master);
        assert_eq!(node.link_up, None);
        assert_eq!(node.repl_offset, Some(148));
    }

    #[test]
    fn a_sentinel_and_a_node_without_replication_are_no_evidence() {
        let parse = |info: &str, name: &str| parse(&bulk(info), &role(name), Duration::ZERO);
        assert_eq!(parse(MASTER, "sentinel"), Err(InfoError::NoRole));
        assert_eq!(parse("run_id:abc\r\n", "master"), Err(InfoError::NoReplication));
        assert_eq!(parse("", "master"), Err(InfoError::NoReplication));
    }

    #[test]
    fn a_master_cannot_list_more_replicas_than_are_kept() {
        let mut info = "role:master\r\n".to_owned();
        for index in 0..=NODES_MAX {
            info += &format!("slave{index}:ip=h{index},port=1,state=online,offset=0,lag=0\r\n");
        }
        let node = parse(&bulk(&info), &role("master"), Duration::ZERO).unwrap();
        assert_eq!(node.replicas.len(), NODES_MAX);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(info: Vec<u8>, name: Vec<u8>) {
            let role = Value::Array(vec![Value::BulkString(name)]);
            let _ = parse(&Value::BulkString(info.clone()), &role, Duration::ZERO);
            let _ = parse(&Value::BulkString(info), &Value::Null, Duration::ZERO);
        }

        #[test]
        fn mangled_lines_never_panic_and_never_become_zero(
            lines in proptest::collection::vec("(slave[0-9]{0,3}|role|sync_full|master_port|run_id):[ -~]{0,40}", 0..20)
        ) {
            let info = bulk(&lines.join("\r\n"));
            if let Ok(node) = parse(&info, &role("slave"), Duration::ZERO) {
                let zero = lines.iter().any(|line| line.starts_with("sync_full:") && line.contains('0'));
                prop_assert!(node.sync_full != Some(0) || zero);
            }
        }

        #[test]
        fn every_replica_line_is_read_back(host in "[a-z0-9.:-]{1,20}", port: u16, offset: u64, lag: u32) {
            let line = replica_line(&format!("ip={host},port={port},state=online,offset={offset},lag={lag}")).unwrap();
            prop_assert_eq!(line.addr, NodeAddr::new(host, port));
            prop_assert_eq!((line.offset, line.lag_seconds), (offset, u64::from(lag)));
        }
    }
}
