//! Does the demo keep its promise, and clean up whatever happens to it?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use switchback::lab::wait_for;

const SOON: Duration = Duration::from_secs(30);
/// Servers and Sentinels of both groups.
const PROCESSES: usize = 12;

/// A demo with a temporary directory of its own, so that what it leaves there shows.
struct Demo {
    process: Child,
    temporary: tempfile::TempDir,
}

impl Demo {
    fn start() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_switchback"))
            .arg("demo")
            .env("TMPDIR", temporary.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { process, temporary }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).unwrap();
    }

    /// Waits until all of both groups runs, and returns the process ids.
    fn groups(&self) -> Vec<u32> {
        let mut found = Vec::new();
        wait_for("both groups", SOON, || {
            found = children(self.process.id());
            found.len() >= PROCESSES
        })
        .unwrap();
        found
    }

    fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_for("the demo to end", SOON, || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        })
        .unwrap();
        status.unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// State letter and parent from `/proc/PID/stat`, whose second field is a name in brackets.
fn state_and_parent(pid: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

fn children(parent: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| state_and_parent(*pid).is_some_and(|(_, of)| of == parent))
        .collect()
}

/// A zombie has ended; whoever inherited it has yet to notice.
fn runs(pid: u32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| state != "Z")
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn ctrl_c_ends_everything_and_leaves_nothing_behind() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let mut demo = Demo::start();
        let groups = demo.groups();
        demo.signal(signal);
        assert_eq!(demo.wait().code(), Some(1));
        assert!(groups.iter().all(|pid| !runs(*pid)));
        assert_eq!(entries(demo.temporary.path()), 0);
    }
}

#[test]
fn no_server_outlives_a_demo_that_is_killed() {
    let mut demo = Demo::start();
    let groups = demo.groups();
    demo.signal(Signal::SIGKILL);
    demo.wait();
    wait_for("the servers to end", SOON, || {
        groups.iter().all(|pid| !runs(*pid))
    })
    .unwrap();
}
