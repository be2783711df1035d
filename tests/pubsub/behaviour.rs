//! Is an app's conversation about messages that of Redis, byte for byte?

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use switchback::cluster::NodeAddr;
use switchback::lab::{Server, ServerOptions};

use crate::proxied::{Client, wait_for};
use crate::running::Running;
use crate::url;
use crate::words::request;

const SCRIPT: &str = include_str!("script.txt");

struct Scene {
    title: &'static str,
    lines: Vec<&'static str>,
}

fn scenes() -> Vec<Scene> {
    let paragraphs = SCRIPT.split("\n\n").filter(|text| text.starts_with("= "));
    let scene = |text: &'static str| {
        let mut lines = text.lines();
        Scene {
            title: lines.next().unwrap().trim_start_matches("= "),
            lines: lines.collect(),
        }
    };
    paragraphs.map(scene).collect()
}

/// Plays a scene; what came back, line by line.
fn play(scene: &Scene, address: &NodeAddr) -> Vec<(&'static str, String)> {
    let address: SocketAddr = address.to_string().parse().unwrap();
    let mut clients = BTreeMap::new();
    let mut heard = Vec::new();
    for line in &scene.lines {
        let (name, rest) = line.split_at(1);
        let client: &mut Client = clients.entry(name).or_insert_with(|| Client::connect(address));
        let (kind, rest) = rest.split_at(1);
        if kind == ">" {
            let bytes: Vec<u8> = rest.trim().split(" | ").flat_map(request).collect();
            client.stream.write_all(&bytes).unwrap();
            continue;
        }
        let count: usize = rest.trim().parse().unwrap_or_default();
        let values: Vec<Vec<u8>> = (0..count).map(|_| client.reply()).collect();
        let text = match kind {
            "<" => shown(&values),
            "~" => shown(&sorted(values)),
            "^" => parted(values),
            "?" => masked(&shown(&values)),
            "!" => format!("{:?}", client.try_reply()),
            other => panic!("{other} in {line}"),
        };
        heard.push((*line, text));
    }
    heard
}

fn shown(values: &[Vec<u8>]) -> String {
    let lines: Vec<String> = values
        .iter()
        .map(|value| value.escape_ascii().to_string())
        .collect();
    lines.join("\n    ")
}

fn sorted(mut values: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    values.sort();
    values
}

/// Confirmations without their counts, in order of their names, and the counts as they came.
fn parted(values: Vec<Vec<u8>>) -> String {
    let part = |value: Vec<u8>| {
        let count = value.iter().rposition(|byte| *byte == b':').unwrap();
        (value[..count].to_vec(), value[count..].to_vec())
    };
    let (names, counts): (Vec<_>, Vec<_>) = values.into_iter().map(part).unzip();
    shown(&[sorted(names), counts].concat())
}

/// Without integers.
fn masked(text: &str) -> String {
    let parts = text.split(':').enumerate();
    let masked = parts.map(|(index, part)| match index {
        0 => part,
        _ => part.trim_start_matches(|c: char| c.is_ascii_digit()),
    });
    masked.collect::<Vec<_>>().join(":")
}

fn talkative() -> Server {
    let options = ServerOptions {
        config: vec!["notify-keyspace-events KEA".to_owned()],
        ..ServerOptions::default()
    };
    Server::start(&options).unwrap()
}

fn differences(address: &NodeAddr, direct: &NodeAddr) -> Vec<String> {
    let mut found = Vec::new();
    for scene in scenes() {
        let there = play(&scene, direct);
        // A reply that does not come ends a scene, not the others.
        let played = catch_unwind(AssertUnwindSafe(|| play(&scene, address)));
        let Ok(here) = played else {
            found.push(format!("{}: no reply", scene.title));
            continue;
        };
        let pairs = there.iter().zip(&here).filter(|(there, here)| there != here);
        found.extend(pairs.map(|((line, there), (_, here))| {
            format!(
                "{}: {line}\n  direct:\n    {there}\n  proxied:\n    {here}",
                scene.title
            )
        }));
    }
    found
}

fn assert_same(running: &Running) {
    let direct = talkative();
    let found = differences(&running.listen, &direct.addr());
    assert!(
        found.is_empty(),
        "{} lines differ\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn the_script_is_one_that_servers_agree_on() {
    let (one, other) = (talkative(), talkative());
    assert!(scenes().len() >= 20, "{} scenes", scenes().len());
    let found = differences(&one.addr(), &other.addr());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn with_one_side_every_reply_and_message_is_as_from_a_server() {
    let old = talkative();
    assert_same(&Running::start(&url(&old), None, ""));
}

#[test]
fn with_two_sides_every_reply_and_message_is_as_from_a_server_at_any_weight() {
    let (old, new) = (talkative(), talkative());
    let running = Running::start(&url(&old), Some(&url(&new)), "");
    assert_same(&running);
    for percent in ["50", "100"] {
        running.raise(percent);
        // What PUBLISH tells in a transaction is the node's own count, of links: none that is left over is to be among them.
        for server in [&old, &new] {
            wait_for("channels to be forgotten", || {
                let known = Client::connect(server.addr().to_string().parse().unwrap()).call(&[
                    b"PUBSUB",
                    b"CHANNELS",
                    b"x*",
                ]);
                known == b"*0\r\n"
            });
        }
        assert_same(&running);
    }
}
