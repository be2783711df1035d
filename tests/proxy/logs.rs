//! What is in the log: for people, for programs, and when something goes wrong again and again.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use switchback::lab::{Client, Directory, Process, free_port, wait_for};

use crate::operating::{server, url};
use crate::running::{SOON, program, stderr};

/// A proxy of one worker with a log of its own.
struct Logged {
    process: Process,
    directory: Directory,
    port: u16,
}

impl Logged {
    /// `program` is run with `sh -c`; `$0` is the program, `$1` the configuration.
    fn start(old: &str, program: &str) -> Self {
        let directory = Directory::create("log-test").unwrap();
        let (port, metrics) = (free_port().unwrap(), free_port().unwrap());
        let path = |name: &str| directory.path().join(name).display().to_string();
        // Nobody is there: what matters is that a route has a way back.
        let new = "redis://127.0.0.1:1";
        let config = format!(
            "[proxy]\nworkers = 1\nadmin_socket = \"{}\"\nstate_dir = \"{}\"\nmetrics_listen = \"127.0.0.1:{metrics}\"\n\
             [[route]]\nname = \"r\"\nlisten = [\"127.0.0.1:{port}\"]\nold = \"{old}\"\nnew = \"{new}\"\n",
            path("admin.sock"),
            path("state")
        );
        directory.write("switchback.toml", &config).unwrap();
        let binary = env!("CARGO_BIN_EXE_switchback");
        let arguments = ["-c", program, binary, &path("switchback.toml")];
        let log = directory.path().join("log");
        let process = Process::start_on(None, Path::new("sh"), &arguments, &log).unwrap();
        let started = Self {
            process,
            directory,
            port,
        };
        let serves = wait_for("the proxy to serve", SOON, || started.log().contains("serving"));
        serves.unwrap_or_else(|error| panic!("{error}: {}", started.log()));
        started
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn end(mut self) -> String {
        let mut admin = Client::connect_unix(&self.directory.path().join("admin.sock")).unwrap();
        admin.call(&["SHUTDOWN", "GRACE", "0"]).unwrap();
        wait_for("the proxy to end", SOON, || !self.process.is_running()).unwrap();
        self.log()
    }
}

/// Each line as an object that has what every event has.
fn events(log: &str) -> Vec<Value> {
    let event = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(
            event["timestamp"]
                .as_str()
                .unwrap()
                .parse::<jiff::Timestamp>()
                .is_ok(),
            "{line}"
        );
        assert!(
            ["ERROR", "WARN", "INFO"].contains(&event["level"].as_str().unwrap()),
            "{line}"
        );
        assert!(event["message"].is_string(), "{line}");
        event
    };
    log.lines().map(event).collect()
}

#[test]
fn every_line_of_a_proxys_life_is_an_object_where_objects_are_asked_for() {
    let old = server();
    let logged = Logged::start(&url(&old), "exec \"$0\" run --log-format json --config \"$1\"");
    let mut admin = Client::connect_unix(&logged.directory.path().join("admin.sock")).unwrap();
    let hostile = "\"}\u{1b}[31m\n{\"level\":\"ERROR\"";
    admin.call(&["BACK", "r", "REASON", hostile]).unwrap();
    drop(old);
    let mut app = Client::connect(&switchback::cluster::NodeAddr::new("127.0.0.1", logged.port)).unwrap();
    app.send(&["GET", "k"]).unwrap();
    wait_for("the node's end to be told", SOON, || {
        logged.log().contains("node is not usable")
    })
    .unwrap();
    let events = events(&logged.end());
    let find = |message: &str| {
        let found = events
            .iter()
            .find(|event| event["message"].as_str().unwrap().contains(message));
        found.unwrap_or_else(|| panic!("{message}: {events:#?}"))
    };
    let serving = find("serving");
    assert_eq!((&serving["workers"], &serving["routes"]), (&1.into(), &1.into()));
    let started = find("weight 0.00, steady");
    assert_eq!(
        (&started["route"], &started["kind"]),
        (&"r".into(), &"started".into())
    );
    assert!(started["epoch"].is_u64());
    assert_eq!(find("node is not usable")["side"], "old");
    find("ending");
    let back: Vec<_> = events
        .iter()
        .filter(|event| event["kind"] == "route_back")
        .collect();
    assert!(back.len() == 1 && back[0]["level"] == "INFO", "{back:#?}");
}

#[test]
fn text_is_what_people_get_without_asking_and_the_environment_asks_as_well() {
    let old = server();
    let text = Logged::start(&url(&old), "exec \"$0\" run --config \"$1\"").end();
    let serving = text.lines().find(|line| line.contains("serving")).unwrap();
    assert!(
        serving.contains(" INFO ") && !serving.contains('{') && !text.contains('\u{1b}'),
        "{text}"
    );
    let environment = "SWITCHBACK_LOG_FORMAT=json exec \"$0\" run --config \"$1\"";
    events(&Logged::start(&url(&old), environment).end());
    let level = "SWITCHBACK_LOG=switchback=warn,log==x exec \"$0\" run --config \"$1\"";
    let told = Logged::start(&url(&old), level).end();
    assert!(told.contains("SWITCHBACK_LOG is not understood"), "{told}");
}

#[test]
fn what_cannot_start_says_so_in_an_object_too() {
    let nowhere = program(&[
        "run",
        "--log-format",
        "json",
        "--config",
        "/nowhere/switchback.toml",
    ]);
    assert_eq!(nowhere.status.code(), Some(2));
    let told = events(&stderr(&nowhere));
    assert!(
        told.last().unwrap()["message"]
            .as_str()
            .unwrap()
            .contains("/nowhere/switchback.toml"),
        "{told:?}"
    );
    let directory = Directory::create("log-test").unwrap();
    directory
        .write("bad.toml", "[proxy]\nworkers = -1\nspeed = 9\n")
        .unwrap();
    let file = directory.path().join("bad.toml").display().to_string();
    let faulty = program(&["run", "--log-format", "json", "--config", &file]);
    assert_eq!(faulty.status.code(), Some(2));
    assert!(events(&stderr(&faulty)).len() > 1, "a line a fault");
}

#[test]
fn a_proxy_that_is_out_of_descriptors_for_long_says_so_now_and_then() {
    let old = server();
    let few = "ulimit -n 48; exec \"$0\" run --log-format json --config \"$1\"";
    let logged = Logged::start(&url(&old), few);
    let from = Instant::now();
    let clients: Vec<TcpStream> = (0..60)
        .map(|_| TcpStream::connect(("127.0.0.1", logged.port)).unwrap())
        .collect();
    // Ten at once, some twenty a second from then on, of which one is told.
    let told = "a client could not be accepted";
    wait_for("failures to be told", SOON, || {
        logged.log().matches(told).count() > 12
    })
    .unwrap();
    let seconds = from.elapsed().as_secs_f64();
    // For an operator there is one left.
    let mut admin = Client::connect_unix(&logged.directory.path().join("admin.sock")).unwrap();
    assert_eq!(admin.call(&["PING"]).unwrap().text().as_deref(), Some("PONG"));
    drop(admin);
    drop(clients);
    let events = events(&logged.end());
    let direct = events.iter().filter(|event| event["message"] == told).count();
    assert!(
        direct as f64 <= 10.0 + seconds.ceil(),
        "{direct} lines in {seconds} s"
    );
    assert!(seconds > Duration::from_secs(2).as_secs_f64());
    let left_out = events.iter().filter(|event| event["last"] == told);
    let count: u64 = left_out.map(|event| event["count"].as_u64().unwrap()).sum();
    assert!(count > 20, "what was left out is counted: {count}");
}

#[test]
fn clients_that_there_are_no_descriptors_for_are_refused_and_operators_served() {
    let old = server();
    let logged = Logged::start(
        &url(&old),
        "ulimit -n 200; exec \"$0\" run --log-format json --config \"$1\"",
    );
    let mut clients: Vec<TcpStream> = (0..300)
        .map(|_| TcpStream::connect(("127.0.0.1", logged.port)).unwrap())
        .collect();
    let refused = |client: &mut TcpStream| {
        client.set_read_timeout(Some(SOON)).unwrap();
        client.write_all(b"PING\r\n").unwrap();
        let mut line = String::new();
        BufReader::new(client).read_line(&mut line).unwrap();
        line.starts_with("-ERR max number of clients reached")
    };
    let count = clients
        .iter_mut()
        .filter_map(|client| refused(client).then_some(()))
        .count();
    // Of 200, 100 are kept for whatever else there is.
    assert_eq!(count, 200);
    let mut admin = Client::connect_unix(&logged.directory.path().join("admin.sock")).unwrap();
    assert_eq!(admin.call(&["BACK", "r"]).unwrap().text().as_deref(), Some("OK"));
    let log = logged.log();
    assert!(
        log.contains("fewer clients are let in") && !log.contains("could not be accepted"),
        "{log}"
    );
}
