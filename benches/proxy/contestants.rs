//! What is compared?
//!
//! Shell: direct Redis, twemproxy before one and before both servers, the proxy at weight 0 and at weight 50.

use std::process::Command;

use super::process::{Process, free_port, is_installed};
use super::serve;

/// Something redis-benchmark can be pointed at.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    /// `None` for Redis itself.
    pub(crate) proxy: Option<Process>,
}

/// The direct one first: the others are measured by it.
pub(crate) fn all(servers: &[Process; 2]) -> Vec<Contestant> {
    let [old, new] = [servers[0].port, servers[1].port];
    let mut all = vec![Contestant {
        name: "direct",
        port: old,
        proxy: None,
    }];
    let mut add = |name, proxy: Process| {
        let port = proxy.port;
        all.push(Contestant {
            name,
            port,
            proxy: Some(proxy),
        });
    };
    if is_installed("nutcracker") {
        add("twemproxy, 1 server", twemproxy(&[old]));
        add("twemproxy, 2 servers", twemproxy(&[old, new]));
    } else {
        println!("twemproxy is left out: nutcracker (Debian package nutcracker) is not installed");
    }
    add("switchback, weight 0", switchback(old, new, 0));
    add("switchback, weight 50", switchback(old, new, 50));
    all
}

/// The proxy, on a free port. The one place to change when it is to be the program with its control plane.
fn switchback(old: u16, new: u16, weight: u16) -> Process {
    let port = free_port();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(serve::WORD);
    command.args([port, old, new, weight].map(|word| word.to_string()));
    Process::start(command, port)
}

/// twemproxy as it is usually run: one connection to each server.
fn twemproxy(servers: &[u16]) -> Process {
    let port = free_port();
    let lines: String = servers
        .iter()
        .map(|server| format!("   - 127.0.0.1:{server}:1\n"))
        .collect();
    let config = format!(
        "bench:\n  listen: 127.0.0.1:{port}\n  hash: fnv1a_64\n  distribution: ketama\n  redis: true\n  \
         server_connections: 1\n  servers:\n{lines}"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config).unwrap();
    let mut command = Command::new("nutcracker");
    command.arg("-c").arg(file.path()).args(["-o", "/dev/null"]);
    command.args(["-a", "127.0.0.1", "-s", &free_port().to_string()]);
    Process::start(command, port)
}
