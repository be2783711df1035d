//! What did a work take?
//!
//! Shell: one run of a load generator, and the processor time of the proxy and of the servers before and after.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use switchback::lab::Server;

use super::arguments::{Arguments, Tool};
use super::contestants::Contestant;
use super::fan::{Fan, Publisher, channel};
use super::footprint::cpu_seconds;
use super::listeners::Listeners;
use super::values::Values;
use super::work::{Get, Kind, Work};

/// Commands of the run that finds out how many a longer one has.
const TRIAL: usize = 5_000;
/// Bytes of values that the trial has at most.
const TRIAL_BYTES: usize = 64 << 20;
/// PUBLISH commands in one write.
const PUBLISHES: usize = 10;

/// The outcome of one run. Of messages, an operation is a delivery.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    /// Of the time to a reply; not a number of messages.
    pub(crate) p99_millis: f64,
    /// Microseconds of processor time an operation; 0 without a proxy.
    pub(crate) proxy_micros: f64,
    /// The same of the servers together.
    pub(crate) redis_micros: f64,
}

/// How much is asked of everybody alike.
#[derive(Clone, Copy)]
pub(crate) enum Amount {
    Commands(usize),
    Time(Duration),
}

/// How much keeps `contestant` busy for about `length`.
pub(crate) fn amount_for(
    contestant: &Contestant,
    work: Work,
    length: Duration,
    arguments: &Arguments,
) -> Amount {
    let Kind::Get(get) = work.kind else {
        return Amount::Time(length);
    };
    let trial = (TRIAL * get.pipeline / get.keys).min(TRIAL_BYTES / get.values.bytes);
    let (per_second, _) = reads(contestant, get, trial.max(get.clients * get.pipeline), arguments);
    let commands = (per_second * length.as_secs_f64()) as usize;
    Amount::Commands(commands.max(get.clients * get.pipeline))
}

/// Does `work` once.
pub(crate) fn run(
    contestant: &Contestant,
    servers: &[Server],
    work: Work,
    amount: Amount,
    arguments: &Arguments,
) -> Measured {
    let servers_cpu = || {
        servers
            .iter()
            .map(|server| cpu_seconds(server.pid()))
            .sum::<f64>()
    };
    let (proxy, redis) = (contestant.cpu_seconds(), servers_cpu());
    let measured = |(per_second, p99_millis), operations: f64| Measured {
        per_second,
        p99_millis,
        proxy_micros: (contestant.cpu_seconds() - proxy) * 1e6 / operations,
        redis_micros: (servers_cpu() - redis) * 1e6 / operations,
    };
    match (work.kind, amount) {
        (Kind::Get(get), Amount::Commands(commands)) => {
            let figures = reads(contestant, get, commands, arguments);
            measured(figures, commands as f64)
        }
        (
            Kind::Messages {
                subscribers,
                channels,
            },
            Amount::Time(length),
        ) => {
            let (per_second, deliveries) = messages(contestant, subscribers, channels, length);
            measured((per_second, f64::NAN), deliveries)
        }
        _ => unreachable!("reads are counted, messages timed"),
    }
}

/// Commands a second and the 99th percentile, in milliseconds.
fn reads(contestant: &Contestant, get: Get, commands: usize, arguments: &Arguments) -> (f64, f64) {
    let (output, figures) = match arguments.load {
        Tool::RedisBenchmark => {
            let output = redis_benchmark(contestant.port, get, commands);
            let figures = of_csv(&output);
            (output, figures)
        }
        Tool::Memtier => {
            let output = memtier(&arguments.memtier, contestant.port, get, commands);
            let figures = of_json(&output);
            (output, figures)
        }
    };
    figures.unwrap_or_else(|| panic!("{}: {output}", contestant.name))
}

/// The command and its keys, each what a load generator puts a random one for.
fn words(get: Get, key: String) -> Vec<String> {
    let name = if get.keys == 1 { "GET" } else { "MGET" };
    let keys = std::iter::repeat_n(key, get.keys);
    std::iter::once(name.to_owned()).chain(keys).collect()
}

fn redis_benchmark(port: u16, get: Get, commands: usize) -> String {
    let output = Command::new("redis-benchmark")
        .args(["--csv", "-p", &port.to_string(), "-n", &commands.to_string()])
        .args(["-c", &get.clients.to_string(), "-P", &get.pipeline.to_string()])
        .args(["-r", &get.values.count.to_string()])
        .args(words(get, format!("{}__rand_int__", get.values.prefix)))
        .stderr(Stdio::null())
        .output()
        .expect("redis-benchmark must be installed (Debian package redis-tools)");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Requests a second and the 99th percentile of the latency, of the last line of redis-benchmark's CSV:
/// `"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"`.
fn of_csv(csv: &str) -> Option<(f64, f64)> {
    // The command with all its keys is the first field.
    let fields: Vec<&str> = csv.lines().last()?.rsplit(',').collect();
    let number = |from_the_end: usize| fields.get(from_the_end)?.trim_matches('"').parse().ok();
    Some((number(6)?, number(1)?))
}

/// Its JSON goes to a file: what it prints is for people.
fn memtier(program: &Path, port: u16, get: Get, commands: usize) -> String {
    let results = tempfile::NamedTempFile::new().unwrap();
    let Values { count, .. } = get.values;
    let output = Command::new(program)
        .args([
            "--server",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "--hide-histogram",
        ])
        .args(["--threads", "1", "--clients", &get.clients.to_string()])
        .args(["--requests", &(commands / get.clients).max(1).to_string()])
        .args(["--pipeline", &get.pipeline.to_string()])
        .args(["--key-prefix", get.values.prefix, "--key-minimum", "1"])
        .args(["--key-maximum", &count.to_string()])
        .args(["--command", &words(get, "__key__".to_owned()).join(" ")])
        // Of the command before it.
        .args(["--command-key-pattern", "R"])
        .arg("--json-out-file")
        .arg(results.path())
        .output()
        .expect("memtier_benchmark is not where --memtier says");
    let json = std::fs::read_to_string(results.path()).unwrap();
    match output.status.success() {
        true => json,
        false => String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn of_json(json: &str) -> Option<(f64, f64)> {
    let value: Value = serde_json::from_str(json).ok()?;
    let (totals, runtime) = (&value["ALL STATS"]["Totals"], &value["ALL STATS"]["Runtime"]);
    // Its own operations a second are 0 where it has not run for one.
    let millis = runtime["Total duration"].as_f64()?;
    let p99 = &totals["Percentile Latencies"]["p99.00"];
    Some((totals["Count"].as_f64()? * 1_000.0 / millis, p99.as_f64()?))
}

/// Deliveries a second, and how many there were.
fn messages(contestant: &Contestant, subscribers: usize, channels: usize, length: Duration) -> (f64, f64) {
    let fan = Fan {
        subscribers,
        channels,
        pipeline: PUBLISHES,
    };
    let address = contestant.addr();
    let listeners = Listeners::subscribe(&address, subscribers, channel, channels);
    let mut publisher = Publisher::new(fan, &address);
    let begin = Instant::now();
    publisher.publish_for(length, &listeners);
    let deliveries = publisher.deliveries as f64;
    (deliveries / begin.elapsed().as_secs_f64(), deliveries)
}
