//! Does the guard read INFO as a plain search for the last such line does, and can no node's words upset its rules?
//!
//! An input is two wire replies, as a probe reads them: INFO's and ROLE's. Where it is not, all of it is taken for INFO's text.

use std::time::{Duration, Instant};

use switchback::cluster::{NodeAddr, Side, Topology};
use switchback::config::GuardConfig;
use switchback::control_plane::guard::{NodeInfo, Observation, ObservationKind, Rules, Verdict, parse_info};
use switchback::limits::NODES_MAX;
use switchback::resp::{ReplyScanner, Value, decode_value, text};

/// Panics when a field is read that is not there, or another value; or when the rules say `bad` of a side that was
/// never healthy.
pub fn check(input: &[u8]) {
    let (info, role) = replies(input).unwrap_or_else(|| {
        let role = Value::Array(vec![Value::BulkString(b"slave".to_vec())]);
        (Value::BulkString(input.to_vec()), role)
    });
    let lines = text(&info).unwrap_or_default();
    let result = parse_info(&info, &role, Duration::ZERO);
    if matches!(info, Value::BulkString(_)) {
        let newer = Value::BulkString(format!("{lines}\r\nfield_of_a_newer_version:ip=a,port=1\r\n").into());
        assert_eq!(
            parse_info(&newer, &role, Duration::ZERO),
            result,
            "an unknown field means something"
        );
    }
    let Ok(node) = result else {
        return;
    };
    assert_eq!(node.sync_full, number(&lines, "sync_full:"));
    assert_eq!(node.sync_partial_err, number(&lines, "sync_partial_err:"));
    assert_eq!(node.used_memory, number(&lines, "used_memory:"));
    assert!(node.replicas.len() <= NODES_MAX);
    assert!(node.replicas.iter().all(|line| !line.addr.host.is_empty()));
    assert!(node.is_master || node.repl_offset.is_some() || number(&lines, "slave_repl_offset:").is_none());
    judge(node);
}

fn replies(input: &[u8]) -> Option<(Value, Value)> {
    let first = ReplyScanner::new().scan(input).ok()??;
    let (info, role) = input.split_at_checked(first)?;
    Some((decode_value(info).ok()?, decode_value(role).ok()?))
}

/// A second opinion: what the last line of this name says.
fn number(lines: &str, name: &str) -> Option<u64> {
    let line = lines.lines().rfind(|line| line.starts_with(name))?;
    line[name.len()..].trim_end().parse().ok()
}

fn judge(node: NodeInfo) {
    let now = Instant::now();
    let addr = |port| NodeAddr::new("h", port);
    let mut rules = Rules::new(GuardConfig::default(), Side::New);
    let topology = Topology {
        master: Some(addr(1)),
        replicas: vec![addr(2)],
        heir: None,
    };
    rules.topology(&topology, now);
    for port in [1, 2] {
        rules.observe(&Observation {
            node: addr(port),
            at: now,
            kind: ObservationKind::Info(Box::new(node.clone())),
        });
    }
    for verdict in rules.verdicts(now) {
        assert_ne!(verdict.verdict, Verdict::Bad, "{verdict}");
    }
}
