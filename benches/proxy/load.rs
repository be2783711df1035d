//! What is asked of a contestant, and what did it take?
//!
//! Shell: one run of redis-benchmark, and the processor time of the proxy and of the servers before and after.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::contestants::Contestant;
use super::process::Process;

/// Connections of redis-benchmark.
pub(crate) const CLIENTS: usize = 50;
/// Size of the key space: at weight 50 keys must fall on both sides.
pub(crate) const KEYS: usize = 100_000;
/// Length of a value.
pub(crate) const VALUE_BYTES: usize = 64;

/// One kind of load.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) command: &'static str,
    pub(crate) pipeline: usize,
}

/// SET before GET, so that there is something to get.
pub(crate) fn all() -> impl Iterator<Item = Load> {
    [1, 16]
        .into_iter()
        .flat_map(|pipeline| ["SET", "GET"].map(|command| Load { command, pipeline }))
}

/// The outcome of one run.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) requests_per_second: f64,
    pub(crate) p99_millis: f64,
    /// Microseconds of processor time a request; 0 without a proxy.
    pub(crate) proxy_micros: f64,
    /// The same of the servers together.
    pub(crate) redis_micros: f64,
}

/// How many requests keep `contestant` busy for about `length`.
pub(crate) fn requests_for(
    contestant: &Contestant,
    servers: &[Process],
    load: Load,
    length: Duration,
) -> usize {
    let trial = run(contestant, servers, load, 20_000 * load.pipeline.min(5));
    (trial.requests_per_second * length.as_secs_f64()) as usize
}

/// Runs `requests` requests.
pub(crate) fn run(contestant: &Contestant, servers: &[Process], load: Load, requests: usize) -> Measured {
    let servers_cpu = || servers.iter().map(Process::cpu_seconds).sum::<f64>();
    let proxy_cpu = || contestant.proxy.as_ref().map_or(0.0, Process::cpu_seconds);
    let before = (proxy_cpu(), servers_cpu());
    let output = benchmark(contestant.port, load, requests);
    let micros = |seconds: f64| seconds * 1e6 / requests as f64;
    let (requests_per_second, p99_millis) =
        figures(&output).unwrap_or_else(|| panic!("redis-benchmark on {}: {output}", contestant.name));
    Measured {
        requests_per_second,
        p99_millis,
        proxy_micros: micros(proxy_cpu() - before.0),
        redis_micros: micros(servers_cpu() - before.1),
    }
}

fn benchmark(port: u16, load: Load, requests: usize) -> String {
    let output = Command::new("redis-benchmark")
        .args(["--csv", "-p", &port.to_string(), "-t", load.command])
        .args(["-n", &requests.to_string(), "-P", &load.pipeline.to_string()])
        .args(["-c", &CLIENTS.to_string(), "-r", &KEYS.to_string()])
        .args(["-d", &VALUE_BYTES.to_string()])
        .stderr(Stdio::null())
        .output()
        .expect("redis-benchmark must be installed (Debian package redis-tools)");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Requests a second and the 99th percentile of the latency, of the last line of redis-benchmark's CSV:
/// `"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"`.
fn figures(csv: &str) -> Option<(f64, f64)> {
    let fields: Vec<&str> = csv.lines().last()?.split(',').collect();
    let number = |at: usize| fields.get(at)?.trim_matches('"').parse().ok();
    Some((number(1)?, number(6)?))
}
