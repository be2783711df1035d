//! Which processes does the benchmark run, and how much processor time have they had?
//!
//! Shell: each is killed by its own id when its owner is dropped.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::footprint::cpu_seconds;

/// A server of ours on a loopback port.
pub(crate) struct Process {
    child: Child,
    pub(crate) port: u16,
    /// What it writes to; gone after it.
    _folder: Option<TempDir>,
}

impl Process {
    /// Runs `command`, and returns once it answers on `port`.
    pub(crate) fn start(mut command: Command, port: u16) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let process = Self {
            child,
            port,
            _folder: None,
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while !answers(port) {
            assert!(Instant::now() < deadline, "{command:?} does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        process
    }

    /// Removes `folder` once the process has ended.
    pub(crate) fn keeping(mut self, folder: TempDir) -> Self {
        self._folder = Some(folder);
        self
    }

    /// A redis-server that writes nothing to disk.
    pub(crate) fn redis() -> Self {
        let port = free_port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
        command.args(["--save", "", "--appendonly", "no"]);
        Self::start(command, port)
    }

    /// Processor time so far, user and system, of all its threads.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        cpu_seconds(self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port nobody listened on a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Whether `program` can be started.
pub(crate) fn is_installed(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}

/// GET, not PING: twemproxy refuses the latter, and a proxy that has not reached its server yet lets it wait.
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<u8> {
        let mut stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port)))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n")?;
        let mut first = [0];
        stream.read_exact(&mut first)?;
        Ok(first[0])
    };
    ask().is_ok_and(|first| first == b'$')
}
