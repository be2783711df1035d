//! What is a schedule played on? Two real groups, each node and each Sentinel on a host of its own, and the real program.
//!
//! Shell.

use std::process::Command;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use switchback::cluster::{NodeAddr, Side};
use switchback::lab::{Client, Group, GroupOptions, Host, Network, Server};

use crate::fault::Means;
use crate::liar::Liar;
use crate::proxy::Proxy;

const REPLICAS: usize = 2;
const SENTINELS: usize = 3;
const HOSTS_BY_SIDE: usize = 1 + REPLICAS + SENTINELS;

/// Rules clear soon, so that orders have a chance; how soon they are bad is as shipped. A message is sent once or not at all:
/// then one that comes twice is the proxy's doing.
const ROUTE: &str = "uncertain_publish = \"error\"\n[route.guard]\nhealthy_before = \"500ms\"\n";

/// One side.
pub(crate) struct SideStage {
    pub(crate) side: Side,
    pub(crate) group: Group,
    /// By node in the order of [`Group::servers`], then by Sentinel. None where there may be none.
    pub(crate) hosts: Vec<Host>,
    pub(crate) liar: Liar,
}

impl SideStage {
    /// The node that is master to all others now, if there is one, by asking the nodes: Sentinels may be out.
    pub(crate) fn whole_under(&self) -> Option<NodeAddr> {
        let servers = self.group.servers();
        let is_whole = |server: &&Server| {
            let told = Client::connect_within(&server.addr(), Duration::from_millis(500));
            let told = told
                .ok()
                .and_then(|mut client| client.ask(&["INFO", "replication"]).ok());
            let text = told.and_then(|reply| reply.text()).unwrap_or_default();
            text.contains("role:master") && text.matches("state=online").count() == servers.len() - 1
        };
        servers.iter().find(is_whole).map(|server| server.addr())
    }

    /// How many times a node of the side has been made master, as they log it.
    pub(crate) fn promotions(&self) -> usize {
        let of = |server: &Server| {
            let log = std::fs::read(server.directory().join("log")).unwrap_or_default();
            String::from_utf8_lossy(&log)
                .matches("MASTER MODE enabled")
                .count()
        };
        self.group.servers().iter().map(of).sum()
    }

    pub(crate) fn host_of(&self, node: &NodeAddr) -> Option<&Host> {
        let position = self.group.servers().iter().position(|one| one.addr() == *node)?;
        self.hosts.get(position)
    }

    pub(crate) fn sentinel_host(&self, index: usize) -> Option<&Host> {
        self.hosts.get(1 + REPLICAS + index)
    }

    fn start(side: Side, hosts: &[Host]) -> Self {
        let mut options = GroupOptions::named(side.name());
        let (nodes, sentinels) = hosts.split_at(hosts.len().min(1 + REPLICAS));
        options.hosts = nodes.to_vec();
        options.sentinel_hosts = sentinels.to_vec();
        Self {
            side,
            group: Group::start(options).unwrap(),
            hosts: hosts.to_vec(),
            liar: Liar::silent(),
        }
    }

    fn url(&self) -> String {
        let own = self.group.sentinel_url();
        let (sentinels, name) = own.rsplit_once('/').unwrap();
        format!("{sentinels},{}/{name}", self.liar.address())
    }
}

/// All of it. Ends in this order.
pub(crate) struct Stage {
    pub(crate) proxy: Proxy,
    pub(crate) sides: [SideStage; 2],
    network: Option<Network>,
}

impl Stage {
    pub(crate) fn set() -> Self {
        let network = Network::create(2 * HOSTS_BY_SIDE);
        let network = network.map_err(|error| println!("no hosts here: {error}")).ok();
        let hosts = network.as_ref().map_or(&[][..], Network::hosts);
        let (of_old, of_new) = hosts.split_at(hosts.len() / 2);
        let sides = std::thread::scope(|scope| {
            // Threads start where this one is: at the hub.
            let starting = [(Side::Old, of_old), (Side::New, of_new)]
                .map(|(side, hosts)| scope.spawn(move || SideStage::start(side, hosts)));
            starting.map(|one| one.join().unwrap())
        });
        let hub = network.as_ref().map(Network::hub);
        let proxy = Proxy::start(hub, &sides[0].url(), &sides[1].url(), ROUTE);
        Self {
            proxy,
            sides,
            network,
        }
    }

    pub(crate) fn means(&self) -> Means {
        Means {
            has_hosts: self.network.is_some(),
            has_disk: self.proxy.has_disk(),
            has_clock: self.proxy.has_clock(),
        }
    }

    /// The ends of everybody's logs.
    pub(crate) fn logs(&self) -> String {
        let mut logs = format!("the proxy:\n{}\n", tail(&self.proxy.running.log(), 12_000));
        for side in &self.sides {
            for server in side.group.servers() {
                let (name, addr) = (side.side.name(), server.addr());
                logs += &format!("{name} {addr}:\n{}\n", tail(&server.log_tail(), 700));
            }
            for sentinel in side.group.sentinels() {
                let (name, addr) = (side.side.name(), sentinel.addr());
                logs += &format!("{name} sentinel {addr}:\n{}\n", tail(&sentinel.log_tail(), 700));
            }
        }
        logs
    }
}

fn tail(text: &str, bytes: usize) -> &str {
    text.get(text.len().saturating_sub(bytes)..).unwrap_or(text)
}

/// Has this thread, and what it starts from now on, see file systems of its own: what is mounted here ends with us. Whether
/// that is allowed.
pub(crate) fn own_mounts() -> bool {
    unshare(CloneFlags::CLONE_NEWNS).is_ok() && run("mount", &["--make-rprivate", "/"])
}

pub(crate) fn run(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).status();
    status.is_ok_and(|status| status.success())
}
