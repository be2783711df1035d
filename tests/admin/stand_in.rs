//! An admin socket, and behind it a loop that answers what the tests ask.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Output, Stdio};
use std::sync::mpsc as std_mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use switchback::control_plane::Event;
use switchback::control_plane::admin::{AdminListener, Command, Reply, Request, serve};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

/// A socket that is served until this is dropped.
pub(crate) struct StandIn {
    directory: TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    asked: std_mpsc::Receiver<Command>,
}

/// What the loop does with a request beyond the usual answers.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Loop {
    /// Answers.
    Answers,
    /// Drops what it is asked.
    Drops,
    /// Sends more events at once than a subscriber's queue holds.
    Floods,
}

impl StandIn {
    pub(crate) fn start() -> Self {
        Self::with(Loop::Answers)
    }

    pub(crate) fn with(kind: Loop) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = AdminListener::bind(directory.path().join("a.sock")).unwrap();
        let (stop, stopped) = oneshot::channel();
        let (tell, asked) = std_mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(run(listener, kind, stopped, tell));
        });
        Self {
            directory,
            stop: Some(stop),
            thread: Some(thread),
            asked,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("a.sock")
    }

    /// The next command the loop was asked.
    pub(crate) fn asked(&self) -> Command {
        self.asked.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    /// Ends the loop; returns when the socket has ended as well.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    pub(crate) fn raw(&self) -> Raw {
        Raw::connect(&self.path())
    }

    /// Runs redis-cli with `args`.
    pub(crate) fn redis_cli(&self, args: &[&str]) -> String {
        let output = Process::new("redis-cli")
            .arg("-s")
            .arg(self.path())
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("redis-cli must be installed (Debian package redis-tools)");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs the program itself with `args`.
    pub(crate) fn switchback(&self, args: &[&str]) -> Output {
        self.program(args).output().unwrap()
    }

    pub(crate) fn program(&self, args: &[&str]) -> Process {
        let mut program = Process::new(env!("CARGO_BIN_EXE_switchback"));
        program.args(args).env("SWITCHBACK_SOCKET", self.path());
        program.stdin(Stdio::null());
        program
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn run(
    listener: AdminListener,
    kind: Loop,
    mut stopped: oneshot::Receiver<()>,
    tell: std_mpsc::Sender<Command>,
) {
    let (events, mut inbox) = mpsc::channel(8);
    let served = tokio::spawn(serve(listener, events));
    let mut sinks = Vec::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(event) = inbox.recv() => {
                let Event::Admin(Request { command, reply }) = event else { continue };
                if kind != Loop::Drops {
                    let _ = reply.send(answer(&command, kind, &mut sinks));
                }
                let end = matches!(command, Command::Shutdown { .. });
                let _ = tell.send(command);
                if end {
                    break;
                }
            }
        }
    }
    drop(inbox);
    served.await.unwrap();
}

fn answer(command: &Command, kind: Loop, sinks: &mut Vec<mpsc::Sender<String>>) -> Reply {
    let known = |route: &str| route == "r" || (route == "ramping" && matches!(command, Command::Ramp { .. }));
    let unknown = |route: &str| Reply::Error(format!("ERR no such route '{route}'"));
    match command {
        Command::Status { route: None, .. } => Reply::Array(vec![status()]),
        Command::Status {
            route: Some(route), ..
        } if known(route) => status(),
        Command::Status {
            route: Some(route), ..
        } if route == "ramping" => ramping(),
        Command::Health { .. } => Reply::Array(vec![health()]),
        Command::Topology { .. } => Reply::Array(vec![topology()]),
        Command::Events { count, .. } => {
            let all = [
                event(3, "r", "weight"),
                event(2, "s", "weight"),
                event(1, "r", "start"),
            ];
            Reply::Array(all.into_iter().take(*count).collect())
        }
        Command::GetWeight { route } if known(route) => Reply::Bulk("25.00".to_owned()),
        Command::SetWeight {
            route, force: None, ..
        } if known(route) => {
            Reply::Error("FROZEN rule=link_down node=127.0.0.1:1 measured=1.000 limit=1".to_owned())
        }
        Command::SetWeight { route, .. }
        | Command::Back { route, .. }
        | Command::Arm { route }
        | Command::Ramp { route, .. }
            if known(route) =>
        {
            for sink in &*sinks {
                let _ = sink.try_send(format!(r#"{{"time":"2025-01-01T00:00:00Z","epoch":4,"route":"{route}","kind":"told","reason":"by an operator"}}"#));
            }
            Reply::Ok
        }
        Command::Status {
            route: Some(route), ..
        }
        | Command::GetWeight { route }
        | Command::SetWeight { route, .. }
        | Command::Back { route, .. }
        | Command::Arm { route }
        | Command::Ramp { route, .. } => unknown(route),
        Command::SubscribeEvents { sink } => {
            if kind == Loop::Floods {
                // Kept although it is full: the socket has to notice by itself.
                while sink.0.try_send("{}".to_owned()).is_ok() {}
            }
            sinks.push(sink.0.clone());
            Reply::Ok
        }
        Command::ConfigReload | Command::Upgrade | Command::Shutdown { .. } => Reply::Ok,
    }
}

fn text(text: &str) -> Reply {
    Reply::Bulk(text.to_owned())
}

fn status() -> Reply {
    let side = |port: u16| {
        Reply::Map(vec![
            ("master", text(&format!("127.0.0.1:{port}"))),
            ("replicas", Reply::Array(vec![text("127.0.0.1:9")])),
            ("verdict", text("ok")),
            ("commands_total", Reply::Integer(12)),
        ])
    };
    Reply::Map(vec![
        ("route", text("r")),
        ("state", text("steady")),
        ("weight", Reply::Double(25.0)),
        ("target", Reply::Double(25.0)),
        ("epoch", Reply::Integer(3)),
        ("latched", Reply::Boolean(false)),
        ("reason", Reply::Null),
        ("clients", Reply::Integer(2)),
        ("old", side(1)),
        ("new", side(2)),
    ])
}

/// Of another route, in the middle of a ramp.
fn ramping() -> Reply {
    let weights = |weights: &[f64]| Reply::Array(weights.iter().copied().map(Reply::Double).collect());
    Reply::Map(vec![
        ("route", text("ramping")),
        ("state", text("ramping")),
        ("weight", Reply::Double(5.0)),
        ("target", Reply::Double(100.0)),
        ("paused", Reply::Null),
        ("estimated_end", text("2026-01-02T03:04:05.678Z")),
        (
            "ramp",
            Reply::Map(vec![
                ("step", Reply::Integer(1)),
                ("steps", weights(&[5.0, 100.0])),
                ("next", Reply::Double(100.0)),
                ("hold_left_seconds", Reply::Double(61.2)),
            ]),
        ),
    ])
}

fn health() -> Reply {
    Reply::Map(vec![
        ("route", text("r")),
        ("side", text("new")),
        ("rule", text("link_down")),
        ("verdict", text("unknown")),
        ("measured", Reply::Null),
        ("limit", Reply::Double(1.0)),
    ])
}

fn topology() -> Reply {
    Reply::Map(vec![
        ("route", text("r")),
        ("side", text("old")),
        ("master", text("127.0.0.1:1")),
    ])
}

fn event(epoch: i64, route: &str, kind: &str) -> Reply {
    Reply::Map(vec![
        ("time", text("2025-01-01T00:00:00Z")),
        ("epoch", Reply::Integer(epoch)),
        ("route", text(route)),
        ("kind", text(kind)),
        ("reason", text("because")),
    ])
}

/// A client that sees bytes.
pub(crate) struct Raw(pub(crate) UnixStream);

impl Raw {
    pub(crate) fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(stream)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        // A peer that has closed shows in what is read.
        let _ = self.0.write_all(bytes);
    }

    /// Reads until what has come ends with `end`.
    pub(crate) fn until(&mut self, end: &str) -> String {
        let mut seen = Vec::new();
        let mut byte = [0];
        while !seen.ends_with(end.as_bytes()) {
            match self.0.read(&mut byte) {
                Ok(1) => seen.push(byte[0]),
                other => panic!("{other:?} after {}", String::from_utf8_lossy(&seen)),
            }
        }
        String::from_utf8(seen).unwrap()
    }

    /// Reads until the connection is closed.
    pub(crate) fn rest(&mut self) -> String {
        let mut seen = Vec::new();
        match self.0.read_to_end(&mut seen) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("not closed: {error}"),
        }
        String::from_utf8(seen).unwrap()
    }

    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes());
        self.until("\r\n")
    }
}

/// Waits for a condition, bounded.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
