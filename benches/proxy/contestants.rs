//! What is compared?
//!
//! Shell: direct Redis, twemproxy before one and before both servers, the proxy at weight 0 and at weight 50.

use std::process::Command;

use super::process::{Process, free_port, is_installed};

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

/// The program as operators run it: one worker a core, with its control plane, its guard asking both servers.
fn switchback(old: u16, new: u16, weight: u16) -> Process {
    let (port, metrics) = (free_port(), free_port());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    let config = format!(
        "[proxy]\nadmin_socket = \"{path}/admin.sock\"\nstate_dir = \"{path}\"\n\
         metrics_listen = \"127.0.0.1:{metrics}\"\n\
         [[route]]\nname = \"bench\"\nlisten = [\"127.0.0.1:{port}\"]\nweight = {weight}.0\n\
         old = \"redis://127.0.0.1:{old}\"\nnew = \"redis://127.0.0.1:{new}\"\n"
    );
    let file = folder.path().join("config.toml");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchback"));
    command.args(["run", "--config"]).arg(file);
    command.env("SWITCHBACK_LOG", "warn");
    Process::start(command, port).keeping(folder)
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
