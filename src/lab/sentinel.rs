//! How is one Sentinel started on this machine?
//!
//! Shell. The binary is redis-server's: one package fewer to install.

use std::ffi::OsStr;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::port::address_on;
use super::server::{launch, port_was_taken};
use super::{Client, Directory, Host, LabError, Process, Reply};
use crate::cluster::{NodeAddr, Secret};

/// See the server's.
const STARTS_TRIED_MAX: usize = 10;

/// What a Sentinel is started with.
#[derive(Clone, Debug)]
pub struct SentinelOptions {
    /// Where it runs; `None` for loopback.
    pub host: Option<Host>,
    /// The name of the master it monitors.
    pub master_name: String,
    /// Where that is.
    pub master: NodeAddr,
    /// How many Sentinels must agree that it is down.
    pub quorum: usize,
    /// `down-after-milliseconds`.
    pub down_after: Duration,
    /// `failover-timeout`.
    pub failover_timeout: Duration,
    /// `parallel-syncs`.
    pub parallel_syncs: usize,
    /// How often it asks nodes for INFO and makes itself known to others. Redis's own 10 s and 2 s would have a group
    /// take that long to start, and a demoted master wait 8 s for its demotion.
    pub news_period: Duration,
    /// The nodes' password.
    pub node_password: Option<Secret>,
    /// Asked of its clients and shown to other Sentinels.
    pub password: Option<Secret>,
}

/// A Sentinel. Killed, and its directory removed, on drop.
#[derive(Debug)]
pub struct Sentinel {
    // Before the directory: see the server's.
    process: Process,
    directory: Directory,
    addr: NodeAddr,
    options: SentinelOptions,
}

impl Sentinel {
    /// Starts it on a free port and waits until it answers, not until it knows others.
    ///
    /// # Errors
    /// Any [`LabError`].
    pub fn start(options: &SentinelOptions) -> Result<Self, LabError> {
        let directory = Directory::create("sentinel")?;
        let mut tried = 1;
        loop {
            let addr = address_on(options.host.as_ref())?;
            directory.write("sentinel.conf", &config_text(&directory, &addr, options))?;
            match run(&directory, &addr, options) {
                Err(LabError::Ended { log, .. }) if port_was_taken(&log) && tried < STARTS_TRIED_MAX => {
                    tried += 1
                }
                launched => {
                    return Ok(Self {
                        process: launched?,
                        directory,
                        addr,
                        options: options.clone(),
                    });
                }
            }
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> NodeAddr {
        self.addr.clone()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
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
        Client::connect_with(&self.addr, self.options.password.as_ref())
    }

    /// One command on a connection of its own; an error reply is an error.
    ///
    /// # Errors
    /// [`LabError::Io`], [`LabError::Refused`].
    pub fn call(&self, arguments: &[&str]) -> Result<Reply, LabError> {
        self.client()?.ask(arguments)
    }

    /// Whom it believes to be the master.
    ///
    /// # Errors
    /// [`LabError::Io`], [`LabError::Refused`], [`LabError::Reply`] when it knows none.
    pub fn master(&self) -> Result<NodeAddr, LabError> {
        let reply = self.call(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &self.options.master_name])?;
        let [host, port] = reply.elements() else {
            return Err(LabError::Reply("GET-MASTER-ADDR-BY-NAME".to_owned()));
        };
        let port = port.text().and_then(|digits| digits.parse().ok());
        match (host.text(), port) {
            (Some(host), Some(port)) => Ok(NodeAddr::new(host, port)),
            _ => Err(LabError::Reply("GET-MASTER-ADDR-BY-NAME".to_owned())),
        }
    }

    /// Whether it runs, knows `others` further Sentinels, and sees the replicas at these addresses, and no others,
    /// linked to a master it holds to be up.
    pub fn sees(&self, master: &NodeAddr, replicas: &[NodeAddr], others: usize) -> Result<bool, LabError> {
        let name = self.options.master_name.as_str();
        let mut client = self.client()?;
        let state = client.ask(&["SENTINEL", "MASTER", name])?;
        let known = client.ask(&["SENTINEL", "REPLICAS", name])?;
        let linked = |replica: &Reply| {
            replica.field_text("flags") == "slave" && replica.field_text("master-link-status") == "ok"
        };
        let address = |replica: &Reply| (replica.field_text("ip"), replica.field_text("port"));
        let mut seen: Vec<_> = known
            .elements()
            .iter()
            .filter(|one| linked(one))
            .map(address)
            .collect();
        let mut expected: Vec<_> = replicas
            .iter()
            .map(|one| (one.host.clone(), one.port.to_string()))
            .collect();
        seen.sort();
        expected.sort();
        Ok(state.field_text("flags") == "master"
            && address(&state) == (master.host.clone(), master.port.to_string())
            && state.field_text("num-other-sentinels") == others.to_string()
            && seen == expected)
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

    /// Starts it again on the same port, knowing what it knew.
    ///
    /// # Errors
    /// Any [`LabError`].
    pub fn restart(&mut self) -> Result<(), LabError> {
        self.process.kill()?;
        self.process = run(&self.directory, &self.addr, &self.options)?;
        Ok(())
    }
}

fn run(directory: &Directory, addr: &NodeAddr, options: &SentinelOptions) -> Result<Process, LabError> {
    let file = directory.path().join("sentinel.conf");
    let password = options.password.as_ref();
    let process = launch(
        options.host.as_ref(),
        &[file.as_os_str(), OsStr::new("--sentinel")],
        directory,
        addr,
        password,
    )?;
    let period = options.news_period.as_millis().to_string();
    let mut client = Client::connect_with(addr, password)?;
    // Redis before 7.0 has no such settings, and is only slower for it.
    client.call(&["SENTINEL", "DEBUG", "publish-period", &period])?;
    client.call(&["SENTINEL", "DEBUG", "info-period", &period])?;
    // One that was stopped for a while takes part in nothing for 30 s otherwise.
    client.call(&["SENTINEL", "DEBUG", "tilt-period", "2000"])?;
    Ok(process)
}

fn config_text(directory: &Directory, addr: &NodeAddr, options: &SentinelOptions) -> String {
    let name = &options.master_name;
    let mut lines = vec![
        format!("port {}", addr.port),
        format!("bind {}", addr.host),
        format!("dir {:?}", directory.path()),
        "protected-mode no".to_owned(),
        format!(
            "sentinel monitor {name} {} {} {}",
            options.master.host, options.master.port, options.quorum
        ),
        format!(
            "sentinel down-after-milliseconds {name} {}",
            options.down_after.as_millis()
        ),
        format!(
            "sentinel failover-timeout {name} {}",
            options.failover_timeout.as_millis()
        ),
        format!("sentinel parallel-syncs {name} {}", options.parallel_syncs),
    ];
    if let Some(password) = &options.node_password {
        lines.push(format!("sentinel auth-pass {name} {}", password.expose()));
    }
    if let Some(password) = &options.password {
        lines.push(format!("requirepass {:?}", password.expose()));
        lines.push(format!("sentinel sentinel-pass {}", password.expose()));
    }
    lines.join("\n") + "\n"
}
