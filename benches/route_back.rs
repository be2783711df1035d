//! How long does a route back take, from the first bad evidence to the last command on `new`?
//!
//! Two real groups, the program itself, a load whose every command is accounted for, and twenty trips at weight 50:
//! `cargo bench --bench route_back [-- TRIPS]`. Odd trips freeze a replica of new's master (both masters alive: no
//! command may fail), even ones the master itself.

// A bench is a program: it may end with a message.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use switchback::cluster::NodeAddr;
use switchback::demo::{Load, LoadOptions};
use switchback::lab::{Client, Directory, Group, GroupOptions, Process, Reply, free_port, wait_for};

const SOON: Duration = Duration::from_secs(60);
const TRIPS: usize = 20;

/// What one trip took, in milliseconds.
struct Trip {
    cause: String,
    /// From the node's freezing to the trip, as an operator sees it.
    from_failure: f64,
    /// From the first bad evidence to the last command on new, as the proxy reports it.
    from_evidence: f64,
    /// From the decision to the last worker's confirmation.
    confirmed: f64,
    /// Commands that failed meanwhile.
    failed: u64,
}

struct Proxy {
    directory: Directory,
    listen: NodeAddr,
    _process: Process,
}

fn main() {
    let trips = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .next()
        .unwrap_or(TRIPS);
    let (old, new) = (group("old-main"), group("new-main"));
    let proxy = Proxy::start(&old, &new);
    let options = LoadOptions {
        per_second: 2_000,
        ..LoadOptions::default()
    };
    let mut results = Vec::new();
    let load = Load::start(&proxy.listen, &options).unwrap();
    for number in 1..=trips {
        let trip = proxy.trip(&new, number % 2 == 0, &load);
        println!(
            "trip {number:2}  {:<16} failure to trip {:7.1} ms   evidence to last command {:7.1} ms   confirmed {:6.3} ms   failed {}",
            trip.cause, trip.from_failure, trip.from_evidence, trip.confirmed, trip.failed
        );
        results.push(trip);
    }
    let mut masters = [&old, &new].map(|group| Client::connect(&group.master().unwrap()).unwrap());
    let ledger = load.stop(&mut masters).unwrap();
    // By cause: a frozen master is silent from the first moment, a frozen replica's master goes on taking commands.
    let causes: BTreeSet<&str> = results.iter().map(|trip| trip.cause.as_str()).collect();
    for cause in causes {
        let trips: Vec<&Trip> = results.iter().filter(|trip| trip.cause == cause).collect();
        print_figures(
            cause,
            "failure to trip",
            trips.iter().map(|trip| trip.from_failure),
        );
        print_figures(
            cause,
            "evidence to last command",
            trips.iter().map(|trip| trip.from_evidence),
        );
        print_figures(
            cause,
            "decision to every worker",
            trips.iter().map(|trip| trip.confirmed),
        );
    }
    println!("{ledger:?}");
}

fn print_figures(cause: &str, what: &str, figures: impl Iterator<Item = f64>) {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    let upper = figures.len() / 2;
    let lower = (figures.len() - 1) / 2;
    let median = (figures[lower] + figures[upper]) / 2.0;
    let worst = figures[figures.len() - 1];
    println!("{cause:<16} {what:<25} median {median:8.3} ms, worst {worst:8.3} ms");
}

fn group(name: &str) -> Group {
    // Sentinels that leave a frozen master alone: it is the proxy that is measured.
    let mut options = GroupOptions::named(name);
    options.down_after = Duration::from_secs(60);
    Group::start(options).unwrap()
}

impl Proxy {
    fn start(old: &Group, new: &Group) -> Self {
        let directory = Directory::create("route-back").unwrap();
        let (listen, metrics) = (free_port().unwrap(), free_port().unwrap());
        let path = |name: &str| directory.path().join(name).display().to_string();
        let config = format!(
            "[proxy]\nadmin_socket = \"{}\"\nstate_dir = \"{}\"\nmetrics_listen = \"127.0.0.1:{metrics}\"\n\
             [[route]]\nname = \"r\"\nlisten = [\"127.0.0.1:{listen}\"]\nold = \"{}\"\nnew = \"{}\"\n",
            path("admin.sock"),
            path("state"),
            old.sentinel_url(),
            new.sentinel_url(),
        );
        let file = directory
            .write("switchback.toml", &config)
            .unwrap()
            .display()
            .to_string();
        let program = Path::new(env!("CARGO_BIN_EXE_switchback"));
        let process = Process::start(
            program,
            &["run", "--config", &file],
            &directory.path().join("log"),
        )
        .unwrap();
        let proxy = Self {
            directory,
            listen: NodeAddr::new("127.0.0.1", listen),
            _process: process,
        };
        wait_for("the proxy to answer", SOON, || proxy.ask(&["PING"]).is_some()).unwrap();
        proxy
    }

    /// The reply's text; `None` for an error, or when nobody answers.
    fn ask(&self, words: &[&str]) -> Option<String> {
        let mut client = Client::connect_unix(&self.directory.path().join("admin.sock")).ok()?;
        match client.call(words).ok()? {
            Reply::Error(_) => None,
            reply => reply.text(),
        }
    }

    /// Half of the traffic on new, something of new freezes, everything is back on old, and well again.
    fn trip(&self, new: &Group, freeze_master: bool, load: &Load) -> Trip {
        wait_for("the raise to be allowed", SOON, || {
            self.ask(&["WEIGHT", "r", "50"]).is_some()
        })
        .unwrap();
        let settled = load.snapshot().acknowledged + 1_000;
        wait_for("the load to run at 50 %", SOON, || {
            load.snapshot().acknowledged > settled
        })
        .unwrap();
        let master = new.master().unwrap();
        let victim = if freeze_master {
            master
        } else {
            new.replicas_of(&master)[0].clone()
        };
        let failed_before = load.snapshot().failures();
        let frozen = Instant::now();
        new.freeze(&victim).unwrap();
        wait_for("the trip", SOON, || {
            self.ask(&["STATUS", "r", "JSON"])
                .is_some_and(|text| text.contains("\"tripped\""))
        })
        .unwrap();
        let from_failure = frozen.elapsed().as_secs_f64() * 1e3;
        let mut reason = None;
        wait_for("the route back", SOON, || {
            reason = self.routed_back();
            reason.is_some()
        })
        .unwrap();
        let reason = reason.unwrap();
        new.thaw(&victim).unwrap();
        wait_for("the route to be armed", SOON, || {
            self.ask(&["ARM", "r"]).is_some()
        })
        .unwrap();
        Trip {
            cause: reason.split(':').next().unwrap_or_default().to_owned(),
            from_failure,
            from_evidence: number_after(&reason, ": "),
            confirmed: number_after(&reason, "confirmed it within "),
            failed: load.snapshot().failures() - failed_before,
        }
    }

    /// What the proxy says of the route back of this trip, once it is complete.
    fn routed_back(&self) -> Option<String> {
        let events: Vec<Value> = serde_json::from_str(&self.ask(&["EVENTS", "COUNT", "50", "JSON"])?).ok()?;
        let since_raise = events.iter().take_while(|event| event["kind"] != "weight");
        let back = since_raise
            .filter(|event| event["kind"] == "routed_back")
            .last()?;
        Some(back["reason"].as_str()?.to_owned())
    }
}

/// The number that stands right behind `mark` in `text`.
fn number_after(text: &str, mark: &str) -> f64 {
    let tail = text.split(mark).nth(1).unwrap_or_default();
    tail.split(' ')
        .next()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(f64::NAN)
}
