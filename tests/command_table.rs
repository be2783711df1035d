//! Does the command table say what a real Redis 7.0 says of itself?
//!
//! Shell: asks a redis-server of its own, on a free port, for `COMMAND` and for `COMMAND GETKEYS`.

// Clippy knows functions that are tests, not the functions those are made of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use redis::{Connection, Value};
use switchback::data_plane::command::{KeyRule, Spec, classify, flags, lookup, specs};
use switchback::lab::{Server, ServerOptions};
use switchback::resp::Args;

/// Of Redis 7.2, known so that it can be answered locally.
const NEWER: [&str; 1] = ["client|setinfo"];

fn server() -> (Server, Connection) {
    let server = Server::start(&ServerOptions::default()).unwrap();
    let client = redis::Client::open(("127.0.0.1", server.port())).unwrap();
    let connection = client.get_connection().unwrap();
    (server, connection)
}

/// A row of `COMMAND`'s reply.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    arity: i64,
    flags: u32,
    /// First, last, step.
    range: [i64; 3],
}

fn array(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) | Value::Set(items) => items,
        other => panic!("no array: {other:?}"),
    }
}

fn text(value: &Value) -> &str {
    match value {
        Value::SimpleString(text) => text,
        Value::BulkString(bytes) => std::str::from_utf8(bytes).unwrap(),
        other => panic!("no text: {other:?}"),
    }
}

fn number(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        other => panic!("no number: {other:?}"),
    }
}

fn bit(name: &str) -> u32 {
    let known = flags::NAMES.iter().find(|(known, _)| *known == name);
    known.unwrap_or_else(|| panic!("flag {name} is not known")).1
}

fn collect(command: &Value, into: &mut BTreeMap<String, Row>) {
    let fields = array(command);
    let subcommands = array(&fields[9]);
    let mut flags = array(&fields[2]).iter().map(|flag| bit(text(flag))).sum();
    if !subcommands.is_empty() {
        flags |= flags::CONTAINER;
    }
    let row = Row {
        arity: number(&fields[1]),
        flags,
        range: [number(&fields[3]), number(&fields[4]), number(&fields[5])],
    };
    into.insert(text(&fields[0]).to_owned(), row);
    for subcommand in subcommands {
        collect(subcommand, into);
    }
}

/// What a row of the table says, in the server's words.
fn row(spec: &Spec) -> Row {
    let range = match spec.keys {
        KeyRule::None | KeyRule::Counted { .. } | KeyRule::Streams => [0, 0, 0],
        // PUBLISH has no key for Redis, and SPUBLISH has one.
        KeyRule::Channel if spec.name == "publish" => [0, 0, 0],
        KeyRule::Channel | KeyRule::StoreCounted | KeyRule::SortStore | KeyRule::GeoStore => [1, 1, 1],
        KeyRule::Migrate => [3, 3, 1],
        KeyRule::Range { first, last, step } => [first.into(), last.into(), step.into()],
    };
    Row {
        arity: spec.arity.into(),
        flags: spec.flags,
        range,
    }
}

#[test]
fn the_table_is_what_a_live_server_says() {
    let (_server, mut connection) = server();
    let reply: Value = redis::cmd("COMMAND").query(&mut connection).unwrap();
    let mut live = BTreeMap::new();
    for command in array(&reply) {
        collect(command, &mut live);
    }
    assert!(live.len() > 300, "only {} commands", live.len());

    let faults: Vec<String> = live
        .iter()
        .filter_map(|(name, said)| {
            let mut words = name.split('|').map(str::as_bytes);
            let Some(spec) = lookup(words.next().unwrap(), words.next()) else {
                return Some(format!("{name} is missing"));
            };
            assert_eq!(spec.name, name);
            (row(spec) != *said).then(|| format!("{name}: {:?}, the server says {said:?}", row(spec)))
        })
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");

    let invented: Vec<&str> = specs()
        .map(|spec| spec.name)
        .filter(|name| !live.contains_key(*name) && !NEWER.contains(name))
        .collect();
    assert!(invented.is_empty(), "not of Redis 7.0: {invented:?}");
}

/// Chooses the words of generated requests.
struct Words(fastrand::Rng);

impl Words {
    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.0.usize(..words.len())]
    }

    fn key(&mut self) -> String {
        format!("key:{}", self.0.u32(..100_000))
    }

    fn keys(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.key()).collect()
    }

    /// A number of keys and the keys, now and then with a number that does not fit.
    fn counted(&mut self, least: usize) -> Vec<String> {
        let count = self.0.usize(least..5);
        let keys = self.keys(count);
        let said = match self.0.u8(..10) {
            0 => self.one_of(&["x", "-1", "99"]).to_owned(),
            _ => count.to_string(),
        };
        [vec![said], keys].concat()
    }

    /// Options in any order, words of other options among their values.
    fn options(&mut self, options: &[&str]) -> Vec<String> {
        let count = self.0.usize(0..4);
        let chosen: Vec<&str> = (0..count).map(|_| self.one_of(options)).collect();
        let words = chosen.iter().flat_map(|option| option.split(' '));
        words
            .map(|word| {
                if word == "KEY" {
                    self.key()
                } else {
                    word.to_owned()
                }
            })
            .collect()
    }

    /// One option: of several that store, GETKEYS names the first, and the commands store to the last.
    fn destination(&mut self, options: &[&str]) -> Vec<String> {
        let words = self.one_of(options).split(' ');
        words
            .map(|word| {
                if word == "KEY" {
                    self.key()
                } else {
                    word.to_owned()
                }
            })
            .collect()
    }

    fn tail(&mut self, spec: &Spec) -> Vec<String> {
        match spec.keys {
            KeyRule::Counted { count } => {
                let before = self.keys(usize::from(count) - 1);
                [
                    before,
                    self.counted(0),
                    self.options(&["WEIGHTS 1 2", "LEFT", "LIMIT 3", "a"]),
                ]
                .concat()
            }
            KeyRule::StoreCounted => [
                self.keys(1),
                self.counted(1),
                self.options(&["WEIGHTS 1 2", "AGGREGATE SUM"]),
            ]
            .concat(),
            KeyRule::Streams => self.streams(spec),
            KeyRule::SortStore => {
                let options = [
                    "BY KEY",
                    "GET #",
                    "GET store",
                    "LIMIT 0 10",
                    "ALPHA",
                    "STORE KEY",
                    "BY limit",
                    "desc",
                ];
                [self.keys(1), self.options(&options), self.options(&["STORE"])].concat()
            }
            KeyRule::GeoStore => {
                let place = self.keys(if spec.name == "georadius" { 5 } else { 4 });
                let options = self.options(&["WITHDIST", "COUNT 3", "ASC"]);
                [
                    place,
                    options,
                    self.destination(&["STORE KEY", "storedist KEY", "STORE", "ASC"]),
                ]
                .concat()
            }
            KeyRule::Migrate => {
                let many = self.0.bool();
                let key = if many { String::new() } else { self.key() };
                let start = [
                    "host".to_owned(),
                    "1".to_owned(),
                    key,
                    "0".to_owned(),
                    "10".to_owned(),
                ];
                let options = self.options(&["COPY", "AUTH keys", "AUTH2 keys auth", "REPLACE"]);
                let keys = if many {
                    self.options(&["KEYS KEY KEY"])
                } else {
                    Vec::new()
                };
                [start.to_vec(), options, keys].concat()
            }
            KeyRule::None | KeyRule::Channel | KeyRule::Range { .. } => self.plain(spec),
        }
    }

    fn plain(&mut self, spec: &Spec) -> Vec<String> {
        let names = spec.name.split('|').count();
        // GETKEYS refuses PFMERGE with a destination alone, which PFMERGE itself takes.
        let names = if spec.name == "pfmerge" { 0 } else { names };
        let least = usize::from(spec.arity.unsigned_abs()) - names;
        let more = if spec.arity < 0 { self.0.usize(0..6) } else { 0 };
        // Half a pair, here and of streams, is an error for us and the server; GETKEYS does not look that closely.
        let even = matches!(spec.keys, KeyRule::Range { step: 2, .. });
        self.keys(if even { least + more / 2 * 2 } else { least + more })
    }

    fn streams(&mut self, spec: &Spec) -> Vec<String> {
        let group = match spec.name {
            "xreadgroup" => vec!["GROUP".to_owned(), "streams".to_owned(), "block".to_owned()],
            _ => Vec::new(),
        };
        let options = self.options(&["COUNT 1", "BLOCK 0", "NOACK"]);
        let count = self.0.usize(0..5) * 2;
        [group, options, vec!["Streams".to_owned()], self.keys(count)].concat()
    }
}

/// The keys as the server's `COMMAND GETKEYS` tells them; none when it refuses.
fn live_keys(connection: &mut Connection, request: &[String]) -> Vec<String> {
    let reply: Result<Value, _> = redis::cmd("COMMAND")
        .arg("GETKEYS")
        .arg(request)
        .query(connection);
    match reply {
        Ok(keys) => array(&keys).iter().map(|key| text(key).to_owned()).collect(),
        Err(error) => {
            assert!(!error.is_io_error(), "{request:?}: {error}");
            Vec::new()
        }
    }
}

fn our_keys(request: &[String]) -> Vec<String> {
    let mut start = 0;
    let spans: Vec<(u32, u32)> = request
        .iter()
        .map(|word| {
            let span = (start, u32::try_from(word.len()).unwrap());
            start += span.1;
            span
        })
        .collect();
    let bytes = request.concat();
    let args = Args::new(bytes.as_bytes(), &spans);
    let keys = classify(args).keys.bytes(args);
    keys.map(|key| String::from_utf8(key.to_vec()).unwrap()).collect()
}

#[test]
fn keys_are_found_where_a_live_server_finds_them() {
    let (_server, mut connection) = server();
    let seed = std::env::var("SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let mut words = Words(fastrand::Rng::with_seed(seed));
    let mut compared = 0;
    let mut specs: Vec<&Spec> = specs().collect();
    specs.sort_unstable_by_key(|spec| spec.name);
    for spec in specs {
        // A channel is none to GETKEYS.
        if spec.has(flags::PUBSUB) || NEWER.contains(&spec.name) {
            continue;
        }
        let rounds = match spec.keys {
            KeyRule::None => 1,
            KeyRule::Range { .. } => 4,
            _ => 60,
        };
        for _ in 0..rounds {
            let tail = words.tail(spec);
            let request: Vec<String> = spec.name.split('|').map(str::to_owned).chain(tail).collect();
            // GETKEYS says nothing of these, and we what may help a newer server.
            if !spec.accepts(request.len()) {
                continue;
            }
            assert_eq!(
                our_keys(&request),
                live_keys(&mut connection, &request),
                "{request:?}"
            );
            compared += 1;
        }
    }
    assert!(compared > 1_000, "only {compared} requests compared");
}

#[test]
fn counts_that_only_getkeys_would_read_are_refused_by_the_commands() {
    let (_server, mut connection) = server();
    for count in ["01", "+1", " 1", "1 ", "", "-0", "0x1"] {
        for command in [
            "EVAL {} ? k",
            "ZUNIONSTORE to ? k",
            "LMPOP ? k LEFT",
            "SINTERCARD ? k",
            "BZMPOP 1 ? k MIN",
        ] {
            let request: Vec<String> = command
                .split(' ')
                .map(|word| if word == "?" { count } else { word }.to_owned())
                .collect();
            assert_eq!(our_keys(&request), [""; 0], "{request:?}");
            let reply: redis::RedisResult<Value> =
                redis::cmd(&request[0]).arg(&request[1..]).query(&mut connection);
            assert!(reply.is_err(), "{request:?}: {reply:?}");
        }
    }
}

#[test]
fn of_several_destinations_the_last_is_stored_to() {
    let (_server, mut connection) = server();
    redis::cmd("GEOADD")
        .arg(&["g", "0", "0", "m"])
        .exec(&mut connection)
        .unwrap();
    redis::cmd("RPUSH")
        .arg(&["l", "1"])
        .exec(&mut connection)
        .unwrap();
    for request in [
        "GEORADIUS g 0 0 1 m STORE a STORE b",
        "GEORADIUS g 0 0 1 m STOREDIST a STORE b",
        "GEORADIUSBYMEMBER g m 1 m STORE a STOREDIST b",
        "SORT l STORE a STORE b",
    ] {
        let request: Vec<String> = request.split(' ').map(str::to_owned).collect();
        assert_eq!(our_keys(&request), [request[1].as_str(), "b"], "{request:?}");
        redis::cmd(&request[0])
            .arg(&request[1..])
            .exec(&mut connection)
            .unwrap();
        let stored: Vec<bool> = ["a", "b"]
            .iter()
            .map(|key| redis::cmd("DEL").arg(key).query(&mut connection).unwrap())
            .collect();
        assert_eq!(stored, [false, true], "{request:?}");
    }
}
