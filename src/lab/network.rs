//! How do servers get hosts of their own, with links that can be as narrow as real ones?
//!
//! Shell: network namespaces on one bridge, itself in a namespace of its own, which the thread that asks for it enters. None
//! has a name: there is nothing to clash with, nothing of anybody else's that could be touched, and nothing to remove.

use std::fs::File;
use std::marker::PhantomData;
use std::process::Command;

use nix::sched::{CloneFlags, setns, unshare};

use super::LabError;
use super::host::{Host, own_namespace, run};
use super::process::spawner;

/// Hosts of one network.
const HOSTS_MAX: usize = 64;
/// Nobody else is in this network, so any private one will do.
const SUBNET: &str = "10.77.0";

/// A network of hosts. The thread that created it is at its hub, with every thread it starts from then on, until the
/// value is dropped: programs that talk to servers run there, and on no narrow link.
#[derive(Debug)]
pub struct Network {
    hub: Host,
    hosts: Vec<Host>,
    outside: File,
    /// To leave is the same thread's to do.
    _stays: PhantomData<*const ()>,
}

impl Network {
    /// A network with so many hosts, 64 at most.
    ///
    /// # Errors
    /// [`LabError`] when this process may not (it is not root, or in a container without that right), or `ip` is not
    /// installed; the thread is then where it was.
    pub fn create(hosts: usize) -> Result<Self, LabError> {
        let outside = own_namespace().map_err(LabError::io("finding the network namespace"))?;
        // Or it would stay at this hub for good, and with it whatever it starts outside.
        spawner().map_err(LabError::io("starting a thread"))?;
        unshare(CloneFlags::CLONE_NEWNET)
            .map_err(std::io::Error::from)
            .map_err(LabError::io("creating a network namespace"))?;
        let hub = own_namespace().map_err(LabError::io("finding the network namespace"))?;
        // From here on it is left again whatever happens.
        let mut network = Self {
            hub: Host::of(hub, format!("{SUBNET}.1")),
            hosts: Vec::new(),
            outside,
            _stays: PhantomData,
        };
        network.set_up(hosts.min(HOSTS_MAX))?;
        Ok(network)
    }

    fn set_up(&mut self, hosts: usize) -> Result<(), LabError> {
        ip("link set lo up")?;
        ip("link add br0 type bridge")?;
        ip(&format!("addr add {}/24 dev br0", self.hub.address()))?;
        ip("link set br0 up")?;
        for number in 0..hosts {
            let host = Host::create(format!("{SUBNET}.{}", number + 2))?;
            ip(&format!(
                "link add h{number} type veth peer name eth0 netns {}",
                host.path()
            ))?;
            ip(&format!("link set h{number} master br0 up"))?;
            let inside = |words: &str| host.run("ip", &words.split(' ').collect::<Vec<_>>());
            inside("link set lo up")?;
            inside(&format!("addr add {}/24 dev eth0", host.address()))?;
            inside("link set eth0 up")?;
            self.hosts.push(host);
        }
        Ok(())
    }

    /// Where clients run.
    pub fn hub(&self) -> &Host {
        &self.hub
    }

    /// Where servers run.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // What fails here leaves a thread at a hub without hosts, and nobody to tell.
        let _ = setns(&self.outside, CloneFlags::CLONE_NEWNET);
    }
}

/// At the hub, as long as the thread that asks is there.
fn ip(words: &str) -> Result<(), LabError> {
    let mut command = Command::new("ip");
    command.args(words.split(' '));
    run(command, "ip")
}
