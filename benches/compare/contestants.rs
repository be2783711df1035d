//! What is compared?
//!
//! Shell: direct Redis, the floor, the proxies that are there, and the proxy itself at weight 0, 50 and 100.

use std::path::Path;

use switchback::cluster::NodeAddr;
use switchback::lab::{Directory, Server, free_port};

use super::arguments::Arguments;
use super::floor;
use super::footprint::cpu_seconds;
use super::started::{Settings, Started, file, switchback};

/// The weights at which the proxy is shown; the first one is what others are compared with.
const WEIGHTS: [u16; 3] = [0, 50, 100];

/// Something that load can be pointed at.
pub(crate) struct Contestant {
    pub(crate) name: String,
    pub(crate) port: u16,
    /// `None` for Redis itself.
    proxy: Option<Started>,
    /// It can carry SUBSCRIBE.
    pub(crate) has_messages: bool,
}

impl Contestant {
    /// Processor time so far, user and system, of the proxy's threads together; 0 of Redis itself.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.proxy.as_ref().map_or(0.0, |proxy| cpu_seconds(proxy.pid()))
    }

    pub(crate) fn is_direct(&self) -> bool {
        self.proxy.is_none()
    }

    /// The one others are compared with.
    pub(crate) fn is_ours(&self) -> bool {
        self.name == ours(WEIGHTS[0])
    }

    pub(crate) fn addr(&self) -> NodeAddr {
        NodeAddr::new("127.0.0.1", self.port)
    }
}

fn ours(weight: u16) -> String {
    format!("switchback, weight {weight}")
}

/// The direct one first: the others are measured by it.
pub(crate) fn all(servers: &[Server; 2], arguments: &Arguments) -> Vec<Contestant> {
    let [old, new] = [servers[0].port(), servers[1].port()];
    let mut all = vec![Contestant {
        name: "direct".to_owned(),
        port: old,
        proxy: None,
        has_messages: true,
    }];
    let mut add =
        |name: &str, has_messages: bool, program: &Path, set_up: &dyn Fn(&Directory, u16) -> Vec<String>| {
            if !arguments.is_against(name) {
                return;
            }
            match Started::start(program, set_up) {
                Ok(proxy) => all.push(Contestant {
                    name: name.to_owned(),
                    port: proxy.port,
                    proxy: Some(proxy),
                    has_messages,
                }),
                Err(error) => println!("{name} is left out: {error}"),
            }
        };
    add("floor", false, &std::env::current_exe().unwrap(), &|_, port| {
        vec![floor::WORD.to_owned(), port.to_string(), old.to_string()]
    });
    add("HAProxy", true, Path::new("haproxy"), &|directory, port| {
        haproxy(directory, port, old, arguments.workers())
    });
    add("twemproxy", false, Path::new("nutcracker"), &|directory, port| {
        twemproxy(directory, port, old)
    });
    add("predixy", true, &arguments.predixy, &|directory, port| {
        predixy(directory, port, old, arguments.workers())
    });
    for (name, program) in &arguments.peer {
        add(name, true, program, &|_, port| {
            vec![port.to_string(), old.to_string()]
        });
    }
    for weight in WEIGHTS {
        add(&ours(weight), true, &arguments.switchback, &|directory, port| {
            let settings = Settings {
                weight,
                workers: Some(arguments.workers()),
                ..Settings::default()
            };
            switchback(directory, port, [old, new], settings)
        });
    }
    all
}

/// A relay of bytes, a connection to Redis for each of a client.
fn haproxy(directory: &Directory, port: u16, redis: u16, workers: usize) -> Vec<String> {
    let config = format!(
        "global\n  maxconn 2000\n  nbthread {workers}\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 10m\n  timeout server 10m\n\
         listen redis\n  bind 127.0.0.1:{port}\n  server redis 127.0.0.1:{redis}\n"
    );
    vec![
        "-db".to_owned(),
        "-f".to_owned(),
        file(directory, "haproxy.cfg", &config),
    ]
}

/// As it is usually run: one connection to the server.
fn twemproxy(directory: &Directory, port: u16, redis: u16) -> Vec<String> {
    let config = format!(
        "bench:\n  listen: 127.0.0.1:{port}\n  hash: fnv1a_64\n  distribution: ketama\n  redis: true\n  \
         server_connections: 1\n  servers:\n   - 127.0.0.1:{redis}:1\n"
    );
    let config = file(directory, "nutcracker.yml", &config);
    let stats = free_port().unwrap().to_string();
    let words = ["-c", &config, "-o", "/dev/null", "-a", "127.0.0.1", "-s", &stats];
    words.map(str::to_owned).to_vec()
}

/// A pool of one server.
fn predixy(directory: &Directory, port: u16, redis: u16, workers: usize) -> Vec<String> {
    let config = format!(
        "Name bench\nBind 127.0.0.1:{port}\nWorkerThreads {workers}\nClientTimeout 0\nLogVerbSample 0\nLogDebugSample 0\n\
         LogInfoSample 0\nAuthority {{\n  Auth {{\n    Mode admin\n  }}\n}}\n\
         StandaloneServerPool {{\n  Databases 1\n  Hash crc16\n  Distribution modula\n  MasterReadPriority 60\n  \
         RefreshMethod fixed\n  Group one {{\n    + 127.0.0.1:{redis}\n  }}\n}}\n"
    );
    vec![file(directory, "predixy.conf", &config)]
}
