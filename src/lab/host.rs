//! Where does a program of the lab run?
//!
//! Shell: a host is a network namespace without a name. It is held by an open file of ours and by whoever runs in it, so
//! that the kernel takes it back when both are gone, whatever ended them.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use nix::sched::{CloneFlags, unshare};

use super::LabError;

/// A hardware address that no host has.
const NOBODY: &str = "02:00:00:00:00:01";

/// One host of a [`Network`](super::Network). Clones are one.
#[derive(Clone, Debug)]
pub struct Host {
    namespace: Arc<File>,
    address: String,
}

impl Host {
    /// A host nobody can reach yet.
    pub(super) fn create(address: String) -> Result<Self, LabError> {
        // Namespaces are a thread's, and one that has ended keeps none.
        let create = || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            own_namespace()
        };
        let created = std::thread::scope(|scope| scope.spawn(create).join());
        let created = created.unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()));
        let namespace = created.map_err(LabError::io("creating a network namespace"))?;
        Ok(Self::of(namespace, address))
    }

    pub(super) fn of(namespace: File, address: String) -> Self {
        Self {
            namespace: Arc::new(namespace),
            address,
        }
    }

    /// Its address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where the namespace is to be found by others: `ip` takes a path wherever it takes a name.
    pub(super) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.namespace.as_raw_fd())
    }

    /// What a command begins with that is to run here.
    pub(super) fn entering(&self) -> Vec<PathBuf> {
        vec![
            "nsenter".into(),
            format!("--net={}", self.path()).into(),
            "--".into(),
        ]
    }

    /// Caps what it sends, to everyone together, from now on.
    ///
    /// # Errors
    /// [`LabError::Io`], [`LabError::Ended`].
    pub fn cap(&self, bits_per_second: u64) -> Result<(), LabError> {
        let rate = format!("{bits_per_second}bit");
        let words = "qdisc replace dev eth0 root tbf burst 64kb latency 50ms rate";
        self.run(
            "tc",
            &[&words.split(' ').collect::<Vec<_>>()[..], &[&rate]].concat(),
        )
    }

    /// Caps what it sends, with a queue of so many bytes: what is sent at once and does not fit is lost. A long queue is
    /// delay, a short one is loss, which is how real links do both; kernels with `netem` are not everywhere.
    ///
    /// # Errors
    /// As [`Self::cap`].
    pub fn cap_with_queue(&self, bits_per_second: u64, queue_bytes: u32) -> Result<(), LabError> {
        let (rate, limit) = (format!("{bits_per_second}bit"), queue_bytes.to_string());
        let words = "qdisc replace dev eth0 root tbf burst 3kb limit";
        let words = words.split(' ').chain([limit.as_str(), "rate", rate.as_str()]);
        self.run("tc", &words.collect::<Vec<_>>())
    }

    /// Takes the cap away.
    ///
    /// # Errors
    /// As [`Self::cap`]; also when there was none.
    pub fn uncap(&self) -> Result<(), LabError> {
        self.run("tc", &["qdisc", "del", "dev", "eth0", "root"])
    }

    /// Pulls its plug, or puts it back: meanwhile nobody hears from it, and nobody is told.
    ///
    /// # Errors
    /// As [`Self::cap`].
    pub fn plug(&self, is_in: bool) -> Result<(), LabError> {
        let state = if is_in { "up" } else { "down" };
        self.run("ip", &["link", "set", "eth0", state])
    }

    /// Sends what is for another host to nobody, without telling whoever sends, or no longer so. Both must be told to have
    /// a link that is dead for packets each way; one is enough for every connection to be.
    ///
    /// # Errors
    /// As [`Self::cap`].
    pub fn part_from(&self, other: &Self, is_apart: bool) -> Result<(), LabError> {
        let address = other.address();
        // A plug that is pulled takes such entries with it: then there is none to take away.
        let words = match is_apart {
            true => [
                "neigh",
                "replace",
                address,
                "dev",
                "eth0",
                "lladdr",
                NOBODY,
                "nud",
                "permanent",
            ]
            .to_vec(),
            false => ["neigh", "flush", "to", address, "dev", "eth0", "nud", "permanent"].to_vec(),
        };
        self.run("ip", &words)
    }

    /// Runs a program here to its end.
    pub(super) fn run(&self, program: &str, arguments: &[&str]) -> Result<(), LabError> {
        let mut entering = self.entering().into_iter();
        let mut command = Command::new(entering.next().unwrap_or_default());
        command.args(entering).arg(program).args(arguments);
        run(command, program)
    }
}

/// The namespace of the thread that asks.
pub(super) fn own_namespace() -> std::io::Result<File> {
    File::open("/proc/thread-self/ns/net")
}

/// Runs a command to its end.
pub(super) fn run(mut command: Command, program: &str) -> Result<(), LabError> {
    let output = command
        .output()
        .map_err(LabError::io(format!("running {program}")))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(LabError::Ended {
            what: program.to_owned(),
            log: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        }),
    }
}
