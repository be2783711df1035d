//! What is done to the proxy itself?
//!
//! Shell.

use std::fs::{self, File};
use std::io::Write;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use switchback::lab::{Client, Directory, Host, Reply, wait_for};

use crate::fault::ProxyFault;
use crate::running::{Running, SOON};
use crate::stage::run;

/// Enough for the records of a route, and soon filled.
const DISK: &str = "size=64k";
const RELOADED: &str = "# reloaded\n";
/// Seconds by which its clock is wrong; read by libfaketime whenever the time is asked for.
const OFFSET: &str = "offset";

pub(crate) struct Proxy {
    pub(crate) running: Running,
    /// Who has taken over from the process that [`Running`] knows.
    successor: Option<Pid>,
    has_disk: bool,
    /// What says by how much its clock is wrong.
    clock: Option<Directory>,
    descriptors: Option<String>,
    /// What should not have been.
    pub(crate) wrong: Vec<String>,
}

impl Proxy {
    /// With a small disk of its own for its state and with a clock of its own, where they may be had.
    pub(crate) fn start(host: Option<&Host>, old: &str, new: &str, route: &str) -> Self {
        let clock = clock();
        let environment = clock
            .as_ref()
            .map_or_else(Vec::new, |(environment, _)| environment.clone());
        let mut running = Running::start_within(host, environment, "", old, Some(new), route);
        running.kill();
        let state = running.path("state").display().to_string();
        let has_disk = run("mount", &["-t", "tmpfs", "-o", DISK, "tmpfs", &state]);
        running.restart();
        Self {
            running,
            successor: None,
            has_disk,
            clock: clock.map(|(_, directory)| directory),
            descriptors: None,
            wrong: Vec::new(),
        }
    }

    pub(crate) fn has_disk(&self) -> bool {
        self.has_disk
    }

    pub(crate) fn has_clock(&self) -> bool {
        self.clock.is_some()
    }

    pub(crate) fn pid(&self) -> u32 {
        let first = self.running.pid();
        self.successor.map_or(first, |pid| pid.as_raw().cast_unsigned())
    }

    pub(crate) fn begin(&mut self, fault: ProxyFault) {
        match fault {
            ProxyFault::Killed => self.kill(),
            ProxyFault::Frozen => self.signal(Signal::SIGSTOP),
            ProxyFault::Upgraded => self.upgrade(),
            ProxyFault::Reloaded => {
                let config = self.config();
                self.write_config(&(config + RELOADED));
                self.expect_reload("OK");
            }
            ProxyFault::ReloadedWrong => {
                let config = self.config();
                self.write_config(&config.replace("workers", "wrokers"));
                self.expect_reload("-ERR");
                self.write_config(&config);
            }
            ProxyFault::DiskFull => self.fill_disk(),
            ProxyFault::OutOfDescriptors => self.take_descriptors(),
            ProxyFault::ClockJumps(seconds) => self.set_clock(seconds),
        }
    }

    pub(crate) fn end(&mut self, fault: ProxyFault) {
        match fault {
            ProxyFault::Killed => self.running.restart(),
            ProxyFault::Frozen => self.signal(Signal::SIGCONT),
            ProxyFault::Upgraded | ProxyFault::Reloaded | ProxyFault::ReloadedWrong => {}
            ProxyFault::DiskFull => drop(fs::remove_file(self.filler())),
            ProxyFault::OutOfDescriptors => self.give_descriptors(),
            ProxyFault::ClockJumps(_) => self.set_clock(0),
        }
    }

    fn kill(&mut self) {
        if let Some(pid) = self.successor.take() {
            end(pid);
        }
        self.running.kill();
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().cast_signed()), signal).unwrap();
    }

    fn upgrade(&mut self) {
        let before = self.pid();
        let reply = self.say(&["UPGRADE"]);
        if reply != "OK" {
            self.wrong.push(format!("UPGRADE: {reply}"));
            return;
        }
        let mut next = None;
        let outcome = wait_for("another process to take over", SOON, || {
            next = taken_over(&self.running.log()).filter(|pid| pid.as_raw() != before.cast_signed());
            next.is_some()
        });
        self.successor = next.or(self.successor);
        if let Err(error) = outcome {
            self.wrong.push(format!("UPGRADE: {error}"));
        }
    }

    fn config(&self) -> String {
        fs::read_to_string(self.running.path("switchback.toml")).unwrap()
    }

    fn write_config(&self, text: &str) {
        fs::write(self.running.path("switchback.toml"), text).unwrap();
    }

    fn expect_reload(&mut self, expected: &str) {
        let reply = self.say(&["CONFIG", "RELOAD"]);
        if !reply.starts_with(expected) {
            self.wrong.push(format!("CONFIG RELOAD: {reply}"));
        }
    }

    fn filler(&self) -> std::path::PathBuf {
        self.running.path("state/filler")
    }

    /// Until not a byte more fits.
    fn fill_disk(&self) {
        let mut filler = File::create(self.filler()).unwrap();
        for bytes in [4096, 1] {
            while filler.write_all(&vec![b'x'; bytes]).is_ok() {}
        }
    }

    fn set_clock(&self, seconds: i32) {
        if let Some(clock) = &self.clock {
            clock.write(OFFSET, &format!("{seconds:+}\n")).unwrap();
        }
    }

    fn take_descriptors(&mut self) {
        let pid = self.pid();
        self.descriptors = soft_limit(pid);
        let has = open_descriptors(pid);
        self.limit_descriptors(&format!("{has}:"));
    }

    fn give_descriptors(&mut self) {
        if let Some(before) = self.descriptors.take() {
            self.limit_descriptors(&format!("{before}:"));
        }
    }

    fn limit_descriptors(&mut self, soft: &str) {
        let pid = self.pid().to_string();
        if !run("prlimit", &["--pid", &pid, &format!("--nofile={soft}")]) {
            self.wrong
                .push(format!("prlimit --nofile={soft} of {pid} failed"));
        }
    }

    /// Said by an operator who comes back where there is nobody to talk to.
    fn say(&self, words: &[&str]) -> String {
        say(&self.running.socket(), words).unwrap_or_else(|| "nobody answers".to_owned())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(pid) = self.successor.take() {
            end(pid);
        }
        if self.has_disk {
            let state = self.running.path("state").display().to_string();
            run("umount", &["--lazy", &state]);
        }
    }
}

/// The variables that give a program a wall clock of its own, and where that is set; its monotonic one stays, as it does when
/// a real clock is put right. `None` where libfaketime is not installed.
fn clock() -> Option<(Vec<String>, Directory)> {
    let library = fs::read_dir("/usr/lib")
        .ok()?
        .flatten()
        .map(|entry| entry.path().join("faketime/libfaketime.so.1"))
        .find(|path| path.exists())?;
    let directory = Directory::create("clock").unwrap();
    let file = directory.write(OFFSET, "+0\n").unwrap();
    let environment = vec![
        format!("LD_PRELOAD={}", library.display()),
        format!("FAKETIME_TIMESTAMP_FILE={}", file.display()),
        "FAKETIME_NO_CACHE=1".to_owned(),
        "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
        "FAKETIME_DISABLE_SHM=1".to_owned(),
    ];
    Some((environment, directory))
}

/// `None` while nobody answers; an error with its `-`.
pub(crate) fn say(socket: &std::path::Path, words: &[&str]) -> Option<String> {
    let mut client = Client::connect_unix(socket).ok()?;
    match client.call(words).ok()? {
        Reply::Error(text) => Some(format!("-{text}")),
        reply => reply.text(),
    }
}

fn end(pid: Pid) {
    let _ = kill(pid, Signal::SIGKILL);
    let gone = || kill(pid, None).is_err();
    let _ = wait_for("a process to be gone", Duration::from_secs(5), gone);
}

/// The last one that has.
fn taken_over(log: &str) -> Option<Pid> {
    let line = log
        .lines()
        .rfind(|line| line.contains("another process has taken over"))?;
    let number = line.rsplit("process=").next()?.trim();
    number.parse().ok().map(Pid::from_raw)
}

pub(crate) fn open_descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

fn soft_limit(pid: u32) -> Option<String> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3).map(str::to_owned)
}
