//! What are the runs played on?
//!
//! Shell: hosts with narrow links where we may have them, and groups on them. Where we may not, what a narrow link does
//! to five replicas is done by an output buffer too small for what is written: the script then says when.

use std::time::Duration;

use crate::cluster::NodeAddr;
use crate::demo::breakage::Breakage;
use crate::demo::error::DemoError;
use crate::lab::{Client, Group, GroupOptions, Host, LabError, Network, Server};

use super::course::{Course, LINK_BITS, NODE_CONFIG, USUAL};

/// Bytes of a value of the data set.
const VALUE_BYTES: usize = 64 * 1024;
/// The replicas' to have taken it; below a client's.
const FILL_PATIENCE: Duration = Duration::from_secs(4);
/// Sentinels take a master for down after this long: what is to be seen is a master that is not.
const DOWN_AFTER: Duration = Duration::from_secs(5);

/// The hosts of a run.
#[derive(Debug)]
pub(super) struct Stage {
    network: Option<Network>,
    strain: Option<Breakage>,
}

impl Stage {
    /// With narrow links, or without.
    pub(super) fn set(hosts: Option<usize>) -> Result<Self, LabError> {
        Ok(Self {
            network: hosts.map(Network::create).transpose()?,
            strain: None,
        })
    }

    pub(super) fn hub(&self) -> Option<&Host> {
        self.network.as_ref().map(Network::hub)
    }

    pub(super) fn host(&self, number: usize) -> Option<Host> {
        self.network.as_ref()?.hosts().get(number).cloned()
    }

    /// A master, its usual replicas and three Sentinels, from this host on.
    pub(super) fn group(
        &self,
        name: &str,
        first_host: usize,
        seeded_from: Option<NodeAddr>,
    ) -> Result<Group, LabError> {
        let mut options = GroupOptions::named(name);
        options.hosts = (first_host..=first_host + options.replicas)
            .filter_map(|number| self.host(number))
            .collect();
        options.sentinel_hosts = self.hub().cloned().into_iter().collect();
        options.down_after = DOWN_AFTER;
        options.seeded_from = seeded_from;
        options.config = NODE_CONFIG.map(str::to_owned).into();
        Group::start(options)
    }

    /// From now on what a host sends fits its link, or waits: in the masters' output buffers soon, not in those of
    /// connections that grew on wide links.
    pub(super) fn narrow_links(&self, groups: &[&Group]) -> Result<(), LabError> {
        let Some(network) = &self.network else {
            return Ok(());
        };
        network.hosts().iter().try_for_each(|host| host.cap(LINK_BITS))?;
        groups.iter().try_for_each(|group| group.reconnect_replicas())
    }

    /// This master feeds more replicas than its link carries. Where there are no narrow links, that is made so.
    pub(super) fn strain(&mut self, master: &Server) -> Result<(), LabError> {
        if self.network.is_none() {
            self.strain = Some(Breakage::start(master)?);
        }
        Ok(())
    }

    /// It does no longer.
    pub(super) fn relieve(&mut self, master: &Server) -> Result<(), LabError> {
        if self.strain.take().is_some() {
            for line in NODE_CONFIG {
                if let Some((name, value)) = line.split_once(' ') {
                    master.call(&["CONFIG", "SET", name, value])?;
                }
            }
        }
        Ok(())
    }
}

/// Writes what every full sync will have to copy. Nothing of it can be compressed.
pub(super) fn fill(master: &Server, course: &Course) -> Result<(), DemoError> {
    let mut random = fastrand::Rng::with_seed(course.seed);
    let mut client: Client = master.client()?;
    for number in 0..course.dataset_bytes / VALUE_BYTES {
        let mut value = vec![0; VALUE_BYTES];
        random.fill(&mut value);
        client.ask(&[b"SET".as_slice(), format!("data:{number}").as_bytes(), &value])?;
    }
    // Or some of it would still be on its way when links become narrow.
    let (replicas, millis) = (USUAL.to_string(), FILL_PATIENCE.as_millis().to_string());
    client.ask(&["WAIT", &replicas, &millis])?;
    Ok(())
}
