//! Is whatever a node says in INFO read within bounds, by lines, and without inventing fields?

use std::time::Duration;

use switchback::control_plane::guard::{InfoError, NodeInfo, parse_info};
use switchback::limits::NODES_MAX;
use switchback::resp::Value;

/// Whether a reading has a field.
type Has = fn(&NodeInfo) -> bool;

/// Fields of INFO that are kept.
const KEPT: [(&str, Has); 8] = [
    ("run_id:", |node| node.run_id.is_some()),
    ("connected_slaves:", |node| node.connected_replicas.is_some()),
    ("sync_full:", |node| node.sync_full.is_some()),
    ("sync_partial_err:", |node| node.sync_partial_err.is_some()),
    ("used_memory:", |node| node.used_memory.is_some()),
    ("maxmemory:", |node| node.maxmemory.is_some()),
    ("total_commands_processed:", |node| node.commands.is_some()),
    ("master_link_status:", |node| node.link_up.is_some()),
];

/// Panics when a reading leaves its bounds or says what the text does not.
pub fn check(input: &[u8]) {
    for is_master in [true, false] {
        let result = read(input, is_master);
        let mut longer = input.to_vec();
        longer.extend_from_slice(b"\r\nfield_of_a_newer_version:ip=10.0.0.1,port=1\r\n");
        assert_eq!(
            read(&longer, is_master),
            result,
            "an unknown field means something"
        );
        match result {
            Ok(node) => bounded(&node, input, is_master),
            Err(error) => assert_eq!(error, InfoError::NoReplication),
        }
    }
    let garbage = Value::BulkString(input.to_vec());
    let role = parse_info(&garbage, &Value::Array(vec![garbage.clone()]), Duration::ZERO);
    assert!(!matches!(input, b"master" | b"slave") || role != Err(InfoError::NoRole));
}

fn read(info: &[u8], is_master: bool) -> Result<NodeInfo, InfoError> {
    let name: &[u8] = if is_master { b"master" } else { b"slave" };
    let role = Value::Array(vec![Value::BulkString(name.to_vec())]);
    parse_info(&Value::BulkString(info.to_vec()), &role, Duration::ZERO)
}

fn bounded(node: &NodeInfo, info: &[u8], is_master: bool) {
    assert_eq!(node.is_master, is_master);
    assert!(node.replicas.len() <= NODES_MAX);
    assert!(node.replicas.iter().all(|line| !line.addr.host.is_empty()));
    assert!(!is_master || (node.follows.is_none() && node.link_up.is_none()));
    let text = String::from_utf8_lossy(info);
    for (name, has) in KEPT {
        assert!(!has(node) || text.contains(name), "{name} comes from nowhere");
    }
}
