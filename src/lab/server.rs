//! How is one redis-server started on this machine?
//!
//! Shell. Configured by a file, so that Sentinel's CONFIG REWRITE works and a restart comes back in the role it had.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::port::address_on;
use super::{Client, Directory, Host, LabError, Process, Reply, wait_for};
use crate::cluster::{NodeAddr, Secret};

/// Ports tried before giving up: another process may take the same one at the same time.
const STARTS_TRIED_MAX: usize = 10;
/// A start takes 20 ms on an idle machine; tests may leave none idle.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// What a server is started with.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    /// Asked of clients, and shown to its master.
    pub password: Option<Secret>,
    /// Where it runs; `None` for loopback.
    pub host: Option<Host>,
    /// Its master at first.
    pub replica_of: Option<NodeAddr>,
    /// Further lines of redis.conf: `"maxmemory 10mb"`.
    pub config: Vec<String>,
}

/// A redis-server without persistence. Killed, and its directory removed, on drop.
#[derive(Debug)]
pub struct Server {
    // Before the directory: fields are dropped in order, and the process writes there.
    process: Process,
    directory: Directory,
    addr: NodeAddr,
    host: Option<Host>,
    password: Option<Secret>,
}

impl Server {
    /// Starts it on a free port and waits until it answers.
    ///
    /// # Errors
    /// Any [`LabError`]; with [`LabError::Ended`], the config was refused.
    pub fn start(options: &ServerOptions) -> Result<Self, LabError> {
        let directory = Directory::create("redis")?;
        let mut tried = 1;
        loop {
            let addr = address_on(options.host.as_ref())?;
            let file = directory.write("redis.conf", &config_text(&directory, &addr, options))?;
            let host = options.host.as_ref();
            match launch(
                host,
                &[file.as_os_str()],
                &directory,
                &addr,
                options.password.as_ref(),
            ) {
                Err(LabError::Ended { log, .. }) if port_was_taken(&log) && tried < STARTS_TRIED_MAX => {
                    tried += 1
                }
                launched => {
                    return Ok(Self {
                        process: launched?,
                        directory,
                        addr,
                        host: options.host.clone(),
                        password: options.password.clone(),
                    });
                }
            }
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> NodeAddr {
        self.addr.clone()
    }

    /// The port of [`Self::addr`].
    pub fn port(&self) -> u16 {
        self.addr.port
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The end of what it wrote, for error texts.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// A new connection, authenticated.
    ///
    /// # Errors
    /// [`LabError::Io`] when it is down.
    pub fn client(&self) -> Result<Client, LabError> {
        Client::connect_with(&self.addr, self.password.as_ref())
    }

    /// One command on a connection of its own; an error reply is an error.
    ///
    /// # Errors
    /// [`LabError::Io`], [`LabError::Refused`].
    pub fn call(&self, arguments: &[&str]) -> Result<Reply, LabError> {
        self.client()?.ask(arguments)
    }

    /// One field of `INFO section`; empty when it is not there.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn info(&self, section: &str, field: &str) -> Result<String, LabError> {
        let text = self.call(&["INFO", section])?.text().unwrap_or_default();
        Ok(info_field(&text, field).to_owned())
    }

    /// Whether the process has not ended.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Sends a signal: SIGSTOP freezes, SIGCONT thaws.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn signal(&self, signal: Signal) -> Result<(), LabError> {
        self.process.signal(signal)
    }

    /// kill -9.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn kill(&mut self) -> Result<(), LabError> {
        self.process.kill().map(drop)
    }

    /// Starts it again, on the same port and with the role it had last; kills it first where it still runs.
    ///
    /// # Errors
    /// Any [`LabError`].
    pub fn restart(&mut self) -> Result<(), LabError> {
        self.process.kill()?;
        let file = self.directory.path().join("redis.conf");
        self.process = launch(
            self.host.as_ref(),
            &[file.as_os_str()],
            &self.directory,
            &self.addr,
            self.password.as_ref(),
        )?;
        Ok(())
    }
}

/// One field of an INFO text; empty when it is not there.
pub(super) fn info_field<'a>(text: &'a str, field: &str) -> &'a str {
    let value = |line: &'a str| line.strip_prefix(field)?.strip_prefix(':');
    text.lines().find_map(value).unwrap_or_default()
}

pub(super) fn port_was_taken(log: &str) -> bool {
    log.contains("Address already in use") || log.contains("Failed listening on port")
}

/// Runs redis-server and waits until it answers. Whoever answers must have our process's id: on a port that was taken
/// in between, somebody else would.
pub(super) fn launch(
    host: Option<&Host>,
    arguments: &[&std::ffi::OsStr],
    directory: &Directory,
    addr: &NodeAddr,
    password: Option<&Secret>,
) -> Result<Process, LabError> {
    let log: PathBuf = directory.path().join("log");
    let mut process = Process::start_on(host, Path::new("redis-server"), arguments, &log)?;
    let pid = process.pid().to_string();
    let answers = || -> Result<bool, LabError> {
        let text = Client::connect_with(addr, password)?
            .ask(&["INFO", "server"])?
            .text();
        Ok(info_field(&text.unwrap_or_default(), "process_id") == pid)
    };
    let mut ended = false;
    let waited = wait_for(&format!("redis-server on {addr}"), START_PATIENCE, || {
        ended = !process.is_running();
        ended || answers().unwrap_or(false)
    });
    if ended {
        return Err(LabError::Ended {
            what: format!("redis-server on {addr}"),
            log: process.log_tail(),
        });
    }
    waited.map(|()| process)
}

fn config_text(directory: &Directory, addr: &NodeAddr, options: &ServerOptions) -> String {
    let mut lines = vec![
        format!("port {}", addr.port),
        format!("bind {}", addr.host),
        format!("dir {:?}", directory.path()),
        "save \"\"".to_owned(),
        "appendonly no".to_owned(),
        // On a host of a network nobody else is in, its clients are on others.
        "protected-mode no".to_owned(),
        // Redis waits 5 s for further replicas before a sync: no help where all are there from the start.
        "repl-diskless-sync-delay 0".to_owned(),
        // Of Redis's 1 MB, a modest load leaves a replica two seconds to come back without a full sync: not fit to begin a
        // shift with, as pre-flight says.
        "repl-backlog-size 64mb".to_owned(),
    ];
    if let Some(password) = &options.password {
        lines.push(format!("requirepass {:?}", password.expose()));
        lines.push(format!("masterauth {:?}", password.expose()));
    }
    if let Some(master) = &options.replica_of {
        lines.push(format!("replicaof {} {}", master.host, master.port));
    }
    lines.extend(options.config.iter().cloned());
    lines.join("\n") + "\n"
}
