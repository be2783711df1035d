//! How does the demo run the proxy and operate it?
//!
//! Shell: the proxy as a child process, with a configuration as an operator would write it, and its admin socket and
//! metrics as an operator would use them. It knows nothing of the proxy that interface.md does not promise.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::error::DemoError;
use crate::cluster::NodeAddr;
use crate::lab::{Client, Directory, Group, Host, LabError, Process, free_port, wait_for};

/// The demo's only route.
pub(super) const ROUTE: &str = "demo";

const START_PATIENCE: Duration = Duration::from_secs(20);
const SCRAPE_PATIENCE: Duration = Duration::from_secs(5);
/// A scrape of one route is some 20 KB.
const SCRAPE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// `STATUS route JSON`, as far as the demo reads it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Status {
    pub(super) state: String,
    pub(super) weight: f64,
    pub(super) latched: bool,
    pub(super) old: SideStatus,
    pub(super) new: SideStatus,
}

/// One side of it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct SideStatus {
    pub(super) verdict: String,
    pub(super) commands_total: u64,
}

/// One of `EVENTS … JSON`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct EventLine {
    time: String,
    pub(super) kind: String,
    #[serde(default)]
    pub(super) side: Option<String>,
    #[serde(default)]
    pub(super) reason: Option<String>,
}

impl EventLine {
    /// When it happened; `None` where the proxy does not write RFC 3339.
    pub(super) fn at(&self) -> Option<Timestamp> {
        self.time.parse().ok()
    }
}

/// One row of `check --preflight --json`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PreflightRow {
    pub(super) check: String,
    pub(super) side: String,
    pub(super) measured: String,
    pub(super) limit: String,
    verdict: String,
    /// A raise from 0.
    pub(super) refuses: bool,
    pub(super) advice: String,
}

/// What a proxy is started with besides its groups.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Setting<'a> {
    /// Where it runs; `None` for where we are.
    pub(super) host: Option<&'a Host>,
    /// Further lines of `[proxy]`.
    pub(super) process: &'a str,
    /// Further lines of the route's table, and tables below it.
    pub(super) more: &'a str,
}

/// A running proxy. Ends on drop.
#[derive(Debug)]
pub(super) struct Proxy {
    // Before the directory: it writes there.
    process: Process,
    _directory: Directory,
    program: PathBuf,
    config: PathBuf,
    socket: PathBuf,
    addr: NodeAddr,
    metrics: NodeAddr,
}

impl Proxy {
    /// Runs `program run` with one route over both groups, and waits until it answers.
    pub(super) fn start(
        program: &Path,
        old: &Group,
        new: &Group,
        setting: Setting<'_>,
    ) -> Result<Self, DemoError> {
        let directory = Directory::create("demo")?;
        let socket = directory.path().join("admin.sock");
        let (addr, metrics) = (
            NodeAddr::new("127.0.0.1", free_port()?),
            NodeAddr::new("127.0.0.1", free_port()?),
        );
        let mut config = process_text(directory.path(), &socket, &metrics);
        config.push_str(setting.process);
        config.push_str(&route_text(&addr, [old, new]));
        config.push_str(setting.more);
        let file = directory.write("switchback.toml", &config)?;
        let arguments = [Path::new("run"), Path::new("--config"), &file];
        let mut proxy = Self {
            process: Process::start_on(setting.host, program, &arguments, &directory.path().join("log"))?,
            _directory: directory,
            program: program.to_owned(),
            config: file,
            socket,
            addr,
            metrics,
        };
        proxy.wait_until_it_answers()?;
        Ok(proxy)
    }

    fn wait_until_it_answers(&mut self) -> Result<(), LabError> {
        let mut ended = false;
        let answered = wait_for("the proxy to answer", START_PATIENCE, || {
            ended = !self.process.is_running();
            let admin = Client::connect_unix(&self.socket).and_then(|mut client| client.ask(&["PING"]));
            ended || (admin.is_ok() && Client::connect(&self.addr).is_ok())
        });
        if ended {
            return Err(LabError::Ended {
                what: "the proxy".to_owned(),
                log: self.process.log_tail(),
            });
        }
        answered
    }

    /// Where apps connect to.
    pub(super) fn addr(&self) -> &NodeAddr {
        &self.addr
    }

    /// `check --preflight` as an operator runs it: the rows that are not ok. Some seconds.
    pub(super) fn preflight(&self) -> Result<Vec<PreflightRow>, DemoError> {
        let output = Command::new(&self.program)
            .args(["check", "--preflight", "--json", "--config"])
            .arg(&self.config)
            .output()
            .map_err(LabError::io("running the pre-flight"))?;
        let rows: Vec<PreflightRow> =
            serde_json::from_slice(&output.stdout).map_err(|_| DemoError::Answer("check --preflight"))?;
        Ok(rows.into_iter().filter(|row| row.verdict != "ok").collect())
    }

    /// One admin command; an error reply is an error.
    fn admin(&self, words: &[&str]) -> Result<String, DemoError> {
        let reply = Client::connect_unix(&self.socket)?.ask(words)?;
        Ok(reply.text().unwrap_or_default())
    }

    pub(super) fn status(&self) -> Result<Status, DemoError> {
        let json = self.admin(&["STATUS", ROUTE, "JSON"])?;
        serde_json::from_str(&json).map_err(|_| DemoError::Answer("STATUS"))
    }

    /// Moves the weight; returns once every worker routes by it, or with the proxy's reason not to.
    pub(super) fn shift(&self, percent: u8) -> Result<(), DemoError> {
        self.admin(&["WEIGHT", ROUTE, &percent.to_string()]).map(drop)
    }

    /// The same, the proxy's reason not to being an answer; `force` is why it is to be done all the same.
    pub(super) fn try_shift(
        &self,
        percent: u8,
        force: Option<&str>,
    ) -> Result<Result<(), String>, DemoError> {
        let percent = percent.to_string();
        let mut words = vec!["WEIGHT", ROUTE, &percent];
        words.extend(force.iter().flat_map(|reason| ["FORCE", *reason]));
        match self.admin(&words) {
            Ok(_) => Ok(Ok(())),
            Err(DemoError::Lab(LabError::Refused { reply, .. })) => Ok(Err(reply)),
            Err(error) => Err(error),
        }
    }

    /// Everything back to old.
    pub(super) fn back(&self) -> Result<(), DemoError> {
        self.admin(&["BACK", ROUTE]).map(drop)
    }

    /// Newest first.
    pub(super) fn events(&self) -> Result<Vec<EventLine>, DemoError> {
        let json = self.admin(&["EVENTS", "COUNT", "1000", "JSON"])?;
        serde_json::from_str(&json).map_err(|_| DemoError::Answer("EVENTS"))
    }

    /// `switchback_route_back_seconds`: from the first bad evidence to the last command sent to `new`. `None` before a
    /// route back is over.
    pub(super) fn route_back_time(&self) -> Result<Option<Duration>, DemoError> {
        let text = self.scrape().map_err(LabError::io("reading the metrics"))?;
        Ok(sample(&text, "switchback_route_back_seconds_sum"))
    }

    fn scrape(&self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect((self.metrics.host.as_str(), self.metrics.port))?;
        stream.set_read_timeout(Some(SCRAPE_PATIENCE))?;
        let request = format!(
            "GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.metrics
        );
        stream.write_all(request.as_bytes())?;
        let mut text = String::new();
        stream.take(SCRAPE_BYTES_MAX).read_to_string(&mut text)?;
        Ok(text)
    }
}

/// The value of the first sample of a metric, in seconds; `None` where it is missing or no time.
fn sample(text: &str, name: &str) -> Option<Duration> {
    let is_sample = |line: &&str| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
    };
    let line = text.lines().find(is_sample)?;
    let seconds: f64 = line.rsplit(' ').next()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn process_text(state: &Path, socket: &Path, metrics: &NodeAddr) -> String {
    format!(
        r#"[proxy]
admin_socket = {socket:?}
metrics_listen = "{metrics}"
state_dir = {state:?}
"#
    )
}

fn route_text(addr: &NodeAddr, sides: [&Group; 2]) -> String {
    let [old, new] = sides.map(Group::sentinel_url);
    format!(
        r#"
[[route]]
name = "{ROUTE}"
listen = ["{addr}"]
old = "{old}"
new = "{new}"
data = "independent"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_the_demo_reads_may_hold_more_than_it_reads() {
        let side = r#"{"master":"127.0.0.1:1","replicas":[],"verdict":"ok","commands_total":7,"more":1}"#;
        let json = format!(
            r#"{{"route":"demo","state":"tripped","weight":0.0,"target":0.0,"epoch":4,"latched":true,"reason":null,"clients":8,"old":{side},"new":{side}}}"#
        );
        let status: Status = serde_json::from_str(&json).unwrap();
        assert!(status.latched && status.new.commands_total == 7);
        let json = r#"[{"time":"2026-01-02T03:04:05.678Z","epoch":4,"route":"demo","kind":"trip","reason":"rule=resync_loop"}]"#;
        let events: Vec<EventLine> = serde_json::from_str(json).unwrap();
        assert_eq!(events[0].at().unwrap().subsec_millisecond(), 678);
    }

    #[test]
    fn a_sample_is_found_by_its_whole_name() {
        let text = "# TYPE x_sum counter\nx_sum_of{a=\"b\"} 1\nx_sum{route=\"demo\"} 0.25\nx_sum{route=\"other\"} 3\n";
        assert_eq!(sample(text, "x_sum"), Some(Duration::from_millis(250)));
        assert_eq!(sample(text, "y"), None);
        assert_eq!(sample("x_sum NaN", "x_sum"), None);
    }
}
