//! Is whatever bytes a Sentinel or node answers with decoded within bounds, or an error?

use switchback::control_plane::sentinel::message::pushed;
use switchback::control_plane::sentinel::reply::{Role, master, master_addr, replicas, role, sentinels};
use switchback::limits::{DECODE_DEPTH_MAX, NODES_MAX, SENTINELS_MAX};
use switchback::resp::{Value, decode_value};

use super::sentinel_message;

/// Panics when a decoded reply is deeper than the bound, or what is read of it leaves its bounds.
pub fn check(input: &[u8]) {
    let Ok(value) = decode_value(input) else {
        return;
    };
    assert!(depth(&value) <= DECODE_DEPTH_MAX);
    let _ = master(&value);
    if let Ok(addr) = master_addr(&value) {
        sentinel_message::is_address(&addr);
    }
    if let Ok(replicas) = replicas(&value) {
        assert!(replicas.len() <= NODES_MAX);
        replicas
            .iter()
            .for_each(|replica| sentinel_message::is_address(&replica.addr));
    }
    if let Ok(sentinels) = sentinels(&value) {
        assert!(sentinels.len() <= SENTINELS_MAX);
        sentinels
            .iter()
            .for_each(|sentinel| sentinel_message::is_address(&sentinel.addr));
    }
    if let Ok(Role::Master(online)) = role(&value) {
        assert!(online.len() <= NODES_MAX);
        online.iter().for_each(sentinel_message::is_address);
    }
    if let Some((channel, payload)) = pushed(&value) {
        sentinel_message::check(format!("{channel}\n{payload}").as_bytes());
    }
}

/// Levels of arrays that hold something. As deep as the recursion here, which is why it may recurse.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) if !items.is_empty() => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
