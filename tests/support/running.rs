//! `switchback run` as its own process, in front of real servers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use switchback::cluster::NodeAddr;
use switchback::lab::{Client, Directory, Host, Process, Reply, free_port, wait_for};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_switchback");
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A running proxy with one route, `r`.
pub(crate) struct Running {
    process: Process,
    host: Option<Host>,
    directory: Directory,
    pub(crate) listen: NodeAddr,
    pub(crate) metrics: SocketAddr,
}

impl Running {
    /// In front of these URLs, with `more` lines in the route's table and below it.
    pub(crate) fn start(old: &str, new: Option<&str>, more: &str) -> Self {
        Self::start_with("", old, new, more)
    }

    /// The same, with further lines of `[proxy]`, where `{dir}` is the proxy's own directory.
    pub(crate) fn start_with(process: &str, old: &str, new: Option<&str>, more: &str) -> Self {
        Self::start_on(None, process, old, new, more)
    }

    /// The same, on a host.
    pub(crate) fn start_on(
        host: Option<&Host>,
        process: &str,
        old: &str,
        new: Option<&str>,
        more: &str,
    ) -> Self {
        let directory = Directory::create("proxy-test").unwrap();
        let (listen, metrics) = (free_port().unwrap(), free_port().unwrap());
        let path = |name: &str| directory.path().join(name).display().to_string();
        let new = new.map_or(String::new(), |url| format!("new = \"{url}\"\n"));
        let config = format!(
            "[proxy]\nworkers = 2\nadmin_socket = \"{}\"\nstate_dir = \"{}\"\nmetrics_listen = \"127.0.0.1:{metrics}\"\n\
             {}\n[[route]]\nname = \"r\"\nlisten = [\"127.0.0.1:{listen}\"]\nold = \"{old}\"\n{new}{more}\n",
            path("admin.sock"),
            path("state"),
            process.replace("{dir}", &directory.path().display().to_string()),
        );
        directory.write("switchback.toml", &config).unwrap();
        let process = run(host, directory.path());
        let running = Self {
            process,
            host: host.cloned(),
            directory,
            listen: NodeAddr::new("127.0.0.1", listen),
            metrics: SocketAddr::from(([127, 0, 0, 1], metrics)),
        };
        running.wait_until_it_answers();
        running
    }

    /// In front of two sides, with a log at this level, `more` lines in the route's table and below it, where `{dir}` is the proxy's own
    /// directory, and these files in that.
    pub(crate) fn start_logging(
        level: &str,
        old: &str,
        new: &str,
        more: &str,
        files: &[(&str, &str)],
    ) -> Self {
        let directory = Directory::create("proxy-test").unwrap();
        for (name, content) in files {
            directory.write(name, content).unwrap();
        }
        let (listen, metrics) = (free_port().unwrap(), free_port().unwrap());
        let path = |name: &str| directory.path().join(name).display().to_string();
        let config = format!(
            "[proxy]\nworkers = 2\nadmin_socket = \"{}\"\nstate_dir = \"{}\"\nmetrics_listen = \"127.0.0.1:{metrics}\"\n\
             [[route]]\nname = \"r\"\nlisten = [\"127.0.0.1:{listen}\"]\nold = \"{old}\"\nnew = \"{new}\"\n{}\n",
            path("admin.sock"),
            path("state"),
            more.replace("{dir}", &directory.path().display().to_string()),
        );
        directory.write("switchback.toml", &config).unwrap();
        let script = format!("SWITCHBACK_LOG={level} exec \"$0\" run --config \"$1\"");
        let words = ["-c", &script, PROGRAM, &path("switchback.toml")];
        let process =
            Process::start_on(None, Path::new("sh"), &words, &directory.path().join("log")).unwrap();
        let running = Self {
            process,
            host: None,
            directory,
            listen: NodeAddr::new("127.0.0.1", listen),
            metrics: SocketAddr::from(([127, 0, 0, 1], metrics)),
        };
        running.wait_until_it_answers();
        running
    }

    /// The same, while it still looks for its nodes.
    pub(crate) fn start_without_waiting(old: &str) -> Self {
        let directory = Directory::create("proxy-test").unwrap();
        let (listen, metrics) = (free_port().unwrap(), free_port().unwrap());
        let path = |name: &str| directory.path().join(name).display().to_string();
        let config = format!(
            "[proxy]\nworkers = 1\nadmin_socket = \"{}\"\nstate_dir = \"{}\"\nmetrics_listen = \"127.0.0.1:{metrics}\"\n\
             [[route]]\nname = \"r\"\nlisten = [\"127.0.0.1:{listen}\"]\nold = \"{old}\"\n",
            path("admin.sock"),
            path("state"),
        );
        directory.write("switchback.toml", &config).unwrap();
        let process = run(None, directory.path());
        Self {
            process,
            host: None,
            directory,
            listen: NodeAddr::new("127.0.0.1", listen),
            metrics: SocketAddr::from(([127, 0, 0, 1], metrics)),
        }
    }

    fn wait_until_it_answers(&self) {
        let answers = || UnixStream::connect(self.socket()).is_ok() && self.try_status().is_some();
        let outcome = wait_for("the proxy to answer", SOON, answers);
        outcome.unwrap_or_else(|error| panic!("{error}\n{}", self.process.log_tail()));
    }

    /// kill -9, then the same command again.
    pub(crate) fn kill_and_restart(&mut self) {
        self.process.kill().unwrap();
        self.process = run(self.host.as_ref(), self.directory.path());
        self.wait_until_it_answers();
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.process = run(self.host.as_ref(), self.directory.path());
        self.wait_until_it_answers();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal).unwrap();
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !self.process.is_running()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("admin.sock")
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.listen).unwrap()
    }

    pub(crate) fn admin(&self, words: &[&str]) -> Reply {
        Client::connect_unix(&self.socket()).unwrap().call(words).unwrap()
    }

    /// The reply's text, an error's with its `-`.
    pub(crate) fn say(&self, words: &[&str]) -> String {
        match self.admin(words) {
            Reply::Error(text) => format!("-{text}"),
            reply => reply.text().unwrap_or_default(),
        }
    }

    /// `None` while nobody answers.
    pub(crate) fn try_say(&self, words: &[&str]) -> Option<String> {
        let mut client = Client::connect_unix(&self.socket()).ok()?;
        client.call(words).ok()?.text()
    }

    fn try_status(&self) -> Option<Value> {
        let mut client = Client::connect_unix(&self.socket()).ok()?;
        let text = client.call(&["STATUS", "r", "JSON"]).ok()?.text()?;
        serde_json::from_str(&text).ok()
    }

    pub(crate) fn status(&self) -> Value {
        self.try_status().expect("STATUS r JSON")
    }

    /// Newest first.
    pub(crate) fn events(&self) -> Vec<Value> {
        serde_json::from_str(&self.say(&["EVENTS", "COUNT", "1000", "JSON"])).unwrap()
    }

    pub(crate) fn has_event(&self, kind: &str) -> bool {
        self.events().iter().any(|event| event["kind"] == kind)
    }

    /// Raises as soon as the guard has the evidence to allow it.
    pub(crate) fn raise(&self, percent: &str) {
        let mut last = String::new();
        let outcome = wait_for("the raise to be allowed", SOON, || {
            last = self.say(&["WEIGHT", "r", percent]);
            last == "OK"
        });
        outcome.unwrap_or_else(|error| panic!("{error}: {last}\n{}", self.say(&["HEALTH", "r", "JSON"])));
    }

    pub(crate) fn wait_until(&self, what: &str, mut condition: impl FnMut(&Value) -> bool) {
        let outcome = wait_for(what, SOON, || condition(&self.status()));
        outcome.unwrap_or_else(|error| panic!("{error}: {:#}\n{:#?}", self.status(), self.events()));
    }

    /// A page of the metrics address: status line and body.
    pub(crate) fn page(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.metrics).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    /// The value of a metric, its labels as they stand on the page.
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let (_, page) = self.page("/metrics");
        page.lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }
}

fn run(host: Option<&Host>, directory: &Path) -> Process {
    let config = directory.join("switchback.toml").display().to_string();
    Process::start_on(
        host,
        Path::new(PROGRAM),
        &["run", "--config", &config],
        &directory.join("log"),
    )
    .unwrap()
}

/// Ends with its owner.
pub(crate) struct Child(pub(crate) std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The same, with a log that goes into a pipe nobody reads.
pub(crate) fn run_unread(config: &Path) -> Child {
    let mut command = Command::new(PROGRAM);
    command.args(["run", "--config"]).arg(config);
    command
        .env("SWITCHBACK_LOG", "info")
        .stderr(std::process::Stdio::piped());
    Child(command.spawn().unwrap())
}

/// Runs the program to its end.
pub(crate) fn program(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
