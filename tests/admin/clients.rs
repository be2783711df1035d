//! redis-cli and redis-rs, in both protocols.

use std::io::{BufRead, BufReader};
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use redis::{Connection, Value, cmd};
use switchback::control_plane::admin::Command;

use crate::stand_in::StandIn;

fn connect(stand_in: &StandIn, protocol: &str) -> Connection {
    let url = format!("unix://{}?protocol={protocol}", stand_in.path().display());
    let connection = redis::Client::open(url).unwrap().get_connection().unwrap();
    connection
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    connection
}

fn field<'a>(map: &'a Value, name: &str) -> &'a Value {
    let name = Value::BulkString(name.as_bytes().to_vec());
    map.as_map_iter()
        .unwrap()
        .find(|(key, _)| **key == name)
        .map(|(_, value)| value)
        .unwrap()
}

#[test]
fn redis_cli_reads_and_changes_a_route() {
    let stand_in = StandIn::start();
    assert_eq!(stand_in.redis_cli(&["PING"]), "PONG\n");
    assert_eq!(stand_in.redis_cli(&["weight", "r"]), "25.00\n");
    let json = stand_in.redis_cli(&["STATUS", "r", "JSON"]);
    let status: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&status["weight"], &status["reason"]),
        (&25.0.into(), &serde_json::Value::Null)
    );
    let error = stand_in.redis_cli(&["WEIGHT", "r", "50"]);
    assert_eq!(
        error,
        "FROZEN rule=link_down node=127.0.0.1:1 measured=1.000 limit=1\n\n"
    );
    assert_eq!(
        stand_in.redis_cli(&["WEIGHT", "r", "50", "OVER", "1.5", "FORCE", "I", "know"]),
        "OK\n"
    );
    let forced = std::iter::repeat_with(|| stand_in.asked()).find(|command| match command {
        Command::SetWeight { force, .. } => force.is_some(),
        _ => false,
    });
    assert_eq!(
        forced,
        Some(Command::SetWeight {
            route: "r".to_owned(),
            weight: "50".parse().unwrap(),
            over: Some(Duration::from_millis(1500)),
            force: Some("I know".to_owned()),
        })
    );
    // redis-cli has a HELP of its own, which never reaches a server.
    let help: Vec<String> = cmd("HELP").query(&mut connect(&stand_in, "resp2")).unwrap();
    assert!(help.contains(&"BACK route [REASON text]".to_owned()));
    let resp3 = stand_in.redis_cli(&["-3", "STATUS", "r"]);
    assert!(resp3.contains("weight 25\n"), "{resp3}");
}

#[test]
fn redis_rs_sees_maps_in_resp3_and_flat_arrays_in_resp2() {
    let stand_in = StandIn::start();
    let mut resp2 = connect(&stand_in, "resp2");
    let mut resp3 = connect(&stand_in, "resp3");
    let status2: Value = cmd("STATUS").arg("r").query(&mut resp2).unwrap();
    let status3: Value = cmd("STATUS").arg("r").query(&mut resp3).unwrap();
    assert!(matches!(&status2, Value::Array(items) if items.len() == 20));
    assert!(matches!(&status3, Value::Map(pairs) if pairs.len() == 10));
    assert_eq!(*field(&status2, "weight"), Value::BulkString(b"25".to_vec()));
    assert_eq!(*field(&status3, "weight"), Value::Double(25.0));
    assert_eq!(*field(&status2, "latched"), Value::Int(0));
    assert_eq!(*field(&status3, "latched"), Value::Boolean(false));
    for status in [&status2, &status3] {
        assert_eq!(*field(status, "reason"), Value::Nil);
        assert_eq!(*field(field(status, "old"), "commands_total"), Value::Int(12));
    }
}

#[test]
fn errors_of_the_loop_arrive_with_their_code() {
    let stand_in = StandIn::start();
    for protocol in ["resp2", "resp3"] {
        let mut connection = connect(&stand_in, protocol);
        let frozen = cmd("WEIGHT").arg("r").arg(50).exec(&mut connection).unwrap_err();
        assert_eq!(frozen.code(), Some("FROZEN"));
        let unknown = cmd("BACK").arg("nowhere").exec(&mut connection).unwrap_err();
        assert!(
            unknown.to_string().contains("no such route 'nowhere'"),
            "{unknown}"
        );
        assert_eq!(cmd("PING").query::<String>(&mut connection).unwrap(), "PONG");
    }
}

#[test]
fn events_reach_a_redis_rs_subscriber() {
    let stand_in = StandIn::start();
    let mut subscriber = connect(&stand_in, "resp2");
    let mut pubsub = subscriber.as_pubsub();
    pubsub.subscribe("events").unwrap();
    cmd("BACK")
        .arg("r")
        .exec(&mut connect(&stand_in, "resp3"))
        .unwrap();
    let message = pubsub.get_message().unwrap();
    assert_eq!(message.get_channel_name(), "events");
    let event: serde_json::Value = serde_json::from_slice(message.get_payload_bytes()).unwrap();
    assert_eq!(event["kind"], "told");
}

#[test]
fn events_reach_redis_cli() {
    let stand_in = StandIn::start();
    let mut subscriber = Process::new("redis-cli")
        .arg("-s")
        .arg(stand_in.path())
        .args(["SUBSCRIBE", "events"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(subscriber.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert_eq!(
        lines.by_ref().take(3).collect::<Vec<_>>(),
        ["subscribe", "events", "1"]
    );
    assert_eq!(stand_in.redis_cli(&["ARM", "r"]), "OK\n");
    assert_eq!(lines.by_ref().take(2).collect::<Vec<_>>(), ["message", "events"]);
    assert!(lines.next().unwrap().contains(r#""kind":"told""#));
    subscriber.kill().unwrap();
    subscriber.wait().unwrap();
}

#[test]
fn a_subscriber_subscribes_once_and_may_leave_and_go_on() {
    let stand_in = StandIn::start();
    let mut client = stand_in.raw();
    client.send(b"SUBSCRIBE events events\r\n");
    assert_eq!(client.until(":1\r\n").matches("subscribe").count(), 1);
    assert_eq!(client.until(":1\r\n").matches("subscribe").count(), 1);
    assert!(client.ask("WEIGHT r").starts_with("-ERR Can't execute 'weight'"));
    client.send(b"UNSUBSCRIBE\r\n");
    assert_eq!(
        client.until(":0\r\n"),
        "*3\r\n$11\r\nunsubscribe\r\n$6\r\nevents\r\n:0\r\n"
    );
    client.send(b"UNSUBSCRIBE events\r\n");
    assert_eq!(
        client.until(":0\r\n"),
        "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"
    );
    assert_eq!(client.ask("ARM r"), "+OK\r\n");
    // No event of ARM came in between.
    assert_eq!(client.ask("PING"), "+PONG\r\n");
}

#[test]
fn in_resp3_a_subscriber_may_ask_and_events_are_pushes() {
    let stand_in = StandIn::start();
    let mut client = stand_in.raw();
    client.send(b"HELLO 3\r\n");
    client.until("modules\r\n*0\r\n");
    client.send(b"SUBSCRIBE events\r\n");
    assert_eq!(
        client.until(":1\r\n"),
        ">3\r\n$9\r\nsubscribe\r\n$6\r\nevents\r\n:1\r\n"
    );
    assert_eq!(client.ask("BACK r REASON late"), "+OK\r\n");
    assert!(
        client
            .until("}\r\n")
            .starts_with(">3\r\n$7\r\nmessage\r\n$6\r\nevents\r\n$")
    );
    assert_eq!(client.ask("QUIT"), "+OK\r\n");
    assert_eq!(client.rest(), "");
}
