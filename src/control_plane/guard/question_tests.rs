//! Is a node asked no more than is needed, and are its replies read as it means them?

use proptest::prelude::*;

use super::*;

const MASTER: &str = "role:master\r\nconnected_slaves:1\r\nmaster_repl_offset:5\r\n";
const REPLICA: &str = "role:slave\r\nmaster_host:h\r\nmaster_port:1\r\nslave_repl_offset:5\r\n";

fn bulk(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

fn error(text: &str) -> Value {
    Value::Error(text.to_owned())
}

fn pair(name: &str, value: &str) -> Value {
    Value::Array(vec![bulk(name), bulk(value)])
}

/// What a healthy node replies to one command.
fn reply(part: Part, is_master: bool) -> Value {
    match part {
        Part::Info | Part::WholeInfo => bulk(if is_master { MASTER } else { REPLICA }),
        Part::Role => Value::Array(vec![bulk(if is_master { "master" } else { "slave" })]),
        Part::Replicas => bulk("id=3 addr=10.0.0.2:5000 age=16 omem=20504\n"),
        Part::Errors => bulk(
            "# Errorstats\r\nerrorstat_OOM:count=4\r\n# Persistence\r\nloading:0\r\nrdb_bgsave_in_progress:1\r\n",
        ),
        Part::Slowlog => Value::Array(vec![Value::Array(vec![Value::Integer(41), Value::Integer(0)])]),
        Part::MasterLink => bulk("id=4 addr=h:1 laddr=10.0.0.2:5000\n"),
        Part::BufferLimit => pair(
            "client-output-buffer-limit",
            "normal 0 0 0 slave 268435456 67108864 60 pubsub 1 2 3",
        ),
        Part::Backlog => pair("repl-backlog-size", "1048576"),
    }
}

fn ask(asking: &mut Asking, now: Instant, is_master: bool) -> (Vec<Part>, NodeInfo) {
    let parts = asking.next(now);
    let replies: Vec<Value> = parts.iter().map(|part| reply(*part, is_master)).collect();
    let (node, refused) = asking.read(&parts, &replies, Duration::ZERO).unwrap();
    assert_eq!(refused, [] as [&str; 0]);
    (parts, node)
}

#[test]
fn a_master_is_asked_for_its_replicas_every_time_and_for_details_once_a_second() {
    let start = Instant::now();
    let mut asking = Asking::default();
    assert_eq!(
        ask(&mut asking, start, true).0,
        [Part::Info, Part::Role],
        "who is it?"
    );
    ask(&mut asking, start, true);
    for step in 1..10 {
        let (parts, node) = ask(&mut asking, start + Duration::from_millis(100) * step, true);
        assert_eq!(parts, [Part::Info, Part::Role, Part::Replicas]);
        assert_eq!(node.replica_clients.unwrap()[0].omem_bytes, 20_504);
        assert_eq!(node.details, None);
    }
    let (parts, node) = ask(&mut asking, start + Duration::from_secs(1), true);
    assert!(!parts.contains(&Part::MasterLink) && parts.contains(&Part::Slowlog));
    let expected = NodeDetails {
        oom_errors: Some(4),
        slowlog_entries: Some(42),
        master_link: None,
        replica_buffer_limit: Some(BufferLimit {
            hard_bytes: 268_435_456,
            soft_bytes: 67_108_864,
            soft_seconds: 60,
        }),
        backlog_size: Some(1_048_576),
    };
    assert_eq!(*node.details.unwrap(), expected);
}

#[test]
fn a_replica_is_asked_for_its_end_of_the_link_and_not_for_replicas() {
    let start = Instant::now();
    let mut asking = Asking::default();
    ask(&mut asking, start, false);
    let (parts, node) = ask(&mut asking, start, false);
    assert!(!parts.contains(&Part::Replicas));
    assert_eq!(node.replica_clients, None);
    let link = node.details.unwrap().master_link.unwrap();
    assert_eq!(link.to_string(), "10.0.0.2:5000");
}

#[test]
fn what_is_refused_is_told_once_and_asked_for_once_a_second() {
    let start = Instant::now();
    let mut asking = Asking::default();
    ask(&mut asking, start, true);
    ask(&mut asking, start, true);
    let mut told = Vec::new();
    let mut asked = 0;
    for step in 1..=20 {
        let parts = asking.next(start + Duration::from_millis(100) * step);
        asked += parts.iter().filter(|part| **part == Part::Replicas).count();
        let refuse = |part: &Part| match part {
            Part::Replicas => error("NOPERM no"),
            part => reply(*part, true),
        };
        let replies: Vec<Value> = parts.iter().map(refuse).collect();
        let (node, refused) = asking.read(&parts, &replies, Duration::ZERO).unwrap();
        assert_eq!(node.replica_clients, None);
        told.extend(refused);
    }
    assert_eq!(
        told,
        ["CLIENT LIST TYPE replica, which serves output_buffer: NOPERM no"]
    );
    assert!(asked <= 3, "{asked}");
}

#[test]
fn a_node_whose_info_takes_one_section_is_asked_for_all() {
    let start = Instant::now();
    let mut asking = Asking::default();
    let parts = asking.next(start);
    let replies: Vec<Value> = parts.iter().map(|_| error("ERR syntax error")).collect();
    assert_eq!(asking.read(&parts, &replies, Duration::ZERO), Err(None));
    ask(&mut asking, start, true);
    let parts = asking.next(start);
    assert_eq!(parts[0], Part::WholeInfo);
    assert!(!parts.contains(&Part::Errors), "it is in the whole");
    let replies: Vec<Value> = parts.iter().map(|part| reply(*part, true)).collect();
    let (node, _) = asking.read(&parts, &replies, Duration::ZERO).unwrap();
    assert_eq!(node.details.unwrap().oom_errors, None, "absent is not 0");
}

#[test]
fn a_refusal_of_what_is_needed_is_no_answer() {
    let mut asking = Asking::default();
    let parts = asking.next(Instant::now());
    let replies: Vec<Value> = parts.iter().map(|_| error("NOAUTH no")).collect();
    let expected = Err(Some(NoAnswer("NOAUTH no".to_owned())));
    assert_eq!(asking.read(&parts, &replies, Duration::ZERO), expected);
}

#[test]
fn an_empty_slowlog_and_an_empty_list_of_errors_are_none_and_not_silence() {
    assert_eq!(slowlog_entries(&Value::Array(Vec::new())), Some(0));
    assert_eq!(oom_errors("# Errorstats\r\n"), Some(0));
    assert_eq!(oom_errors("# Stats\r\n"), None);
}

proptest! {
    #[test]
    fn no_reply_panics(text in "\\PC{0,40}", number: i64) {
        let values = [bulk(&text), Value::Integer(number), Value::Null, pair(&text, &text), Value::Array(vec![pair(&text, "")])];
        for value in &values {
            let _ = (slowlog_entries(value), buffer_limit(value), setting(value));
            let mut asking = Asking { is_master: Some(true), ..Asking::default() };
            let parts = asking.next(Instant::now());
            let replies = vec![value.clone(); parts.len()];
            let _ = asking.read(&parts, &replies, Duration::ZERO);
        }
    }
}
