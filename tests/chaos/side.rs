//! What is done to a side's nodes and Sentinels?
//!
//! Shell.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use switchback::cluster::NodeAddr;
use switchback::lab::{Sentinel, wait_for};

use crate::fault::{Fault, NodeFault, SentinelFault};
use crate::stage::SideStage;
use crate::windows::Windows;

/// A full sync through a link that was narrow, on a machine that has other things to do.
const WHOLE_PATIENCE: Duration = Duration::from_secs(45);

/// A side while faults are played on it.
pub(crate) struct SidePlay<'a> {
    stage: &'a mut SideStage,
    /// The other side's first master.
    stranger: NodeAddr,
    began: Instant,
    /// The node that a fault is on, while it is.
    hit: Option<NodeAddr>,
    /// The master when the side was whole last.
    master: NodeAddr,
    /// How many promotions there had been by then.
    promotions: usize,
    /// When the last faults of nodes began that may have Sentinels change it. They may do so some time after a fault has
    /// ended and all looks as before, so the last but one counts as well.
    suspects: Vec<Duration>,
    /// When what had been acknowledged may have been lost.
    pub(crate) may_lose: Windows,
    /// What went another way than a fault needs.
    pub(crate) wrong: Option<String>,
}

impl<'a> SidePlay<'a> {
    pub(crate) fn new(stage: &'a mut SideStage, stranger: NodeAddr, began: Instant) -> Self {
        Self {
            master: stage.group.servers()[0].addr(),
            promotions: stage.promotions(),
            stage,
            stranger,
            began,
            hit: None,
            suspects: Vec::new(),
            may_lose: Windows::default(),
            wrong: None,
        }
    }

    /// What was hit, for the record.
    pub(crate) fn begin(&mut self, fault: Fault) -> String {
        match fault {
            Fault::Node(_, fault) => self.begin_node(fault),
            Fault::Sentinel(_, fault) => self.begin_sentinel(fault),
            Fault::Proxy(_) | Fault::Operator(_) => String::new(),
        }
    }

    pub(crate) fn end(&mut self, fault: Fault) {
        match fault {
            Fault::Node(_, fault) => self.end_node(fault),
            Fault::Sentinel(_, fault) => self.end_sentinel(fault),
            Fault::Proxy(_) | Fault::Operator(_) => {}
        }
    }

    /// Waits until all nodes follow one master. Only then is it known whether another one took over, be it for a while, as when the
    /// Sentinel that leads a failover is cut off in the midst of it: if none did, nothing may be lost.
    fn make_whole(&mut self) -> Option<NodeAddr> {
        let mut found = None;
        // Where it is not, the caller has nothing to go on with and says so.
        let _ = wait_for("the side to be whole", WHOLE_PATIENCE, || {
            found = self.stage.whole_under();
            found.is_some()
        });
        let master = found?;
        let promotions = self.stage.promotions();
        if master != self.master || promotions != self.promotions {
            let first = self.suspects.first().copied().unwrap_or_default();
            self.may_lose.add(first, self.began.elapsed());
            (self.master, self.promotions) = (master.clone(), promotions);
        }
        self.suspects.drain(..self.suspects.len().saturating_sub(1));
        Some(master)
    }

    /// Waits until most Sentinels name this master. One that is killed while a failover to it goes on is followed by nobody, as
    /// long as Sentinels wait for that failover.
    fn is_known_to_sentinels(&self, master: &NodeAddr) -> bool {
        let sentinels = self.stage.group.sentinels();
        let names_it = |sentinel: &&Sentinel| sentinel.master().is_ok_and(|named| named == *master);
        wait_for("most Sentinels to name the master", WHOLE_PATIENCE, || {
            sentinels.iter().filter(names_it).count() * 2 > sentinels.len()
        })
        .is_ok()
    }

    /// Waits until Sentinels agree as well, and are not about to change anything. In a word how the side is then.
    pub(crate) fn settle(&mut self) -> Result<String, String> {
        let side = self.stage.side.name();
        self.stage
            .group
            .settle()
            .map_err(|error| format!("{side}: {error}"))?;
        let master = self.make_whole().ok_or_else(|| format!("{side} is not whole"))?;
        Ok(format!("{side} has settled under {master}"))
    }

    fn begin_node(&mut self, fault: NodeFault) -> String {
        let Some(master) = self.make_whole() else {
            return "left out: the side is not whole".to_owned();
        };
        if fault == NodeFault::MasterKilled && !self.is_known_to_sentinels(&master) {
            return format!("left out: most Sentinels do not know {master}");
        }
        let replicas = self.stage.group.replicas_of(&master);
        let replica = replicas[self.began.elapsed().as_micros() as usize % replicas.len()].clone();
        let hit = match fault {
            NodeFault::ReplicaKilled
            | NodeFault::ReplicaFrozen
            | NodeFault::ReplicaUnplugged
            | NodeFault::ReplicaNarrow(_) => replica,
            _ => master,
        };
        self.suspects.push(self.began.elapsed());
        self.hit = Some(hit.clone());
        match fault {
            NodeFault::MasterKilled | NodeFault::ReplicaKilled => self.stage.group.kill(&hit).unwrap(),
            NodeFault::MasterFrozen | NodeFault::ReplicaFrozen => self.stage.group.freeze(&hit).unwrap(),
            NodeFault::MasterUnplugged | NodeFault::ReplicaUnplugged => self.plug(&hit, false),
            NodeFault::MasterSplit => self.part(&hit, true),
            NodeFault::MasterNarrow(link) | NodeFault::ReplicaNarrow(link) => {
                let (bits, queue) = link.shape();
                let host = self.stage.host_of(&hit).unwrap();
                host.cap_with_queue(bits, queue).unwrap();
            }
            NodeFault::FailedOver => {
                let told = self.stage.group.failover();
                return told.map_or_else(|error| format!("{hit}: {error}"), |now| format!("{hit} to {now}"));
            }
        }
        hit.to_string()
    }

    fn end_node(&mut self, fault: NodeFault) {
        let Some(hit) = self.hit.take() else { return };
        match fault {
            NodeFault::MasterKilled => self.restart_behind_successor(&hit),
            NodeFault::ReplicaKilled => self.stage.group.server_mut(&hit).unwrap().restart().unwrap(),
            NodeFault::MasterFrozen | NodeFault::ReplicaFrozen => self.stage.group.thaw(&hit).unwrap(),
            NodeFault::MasterUnplugged | NodeFault::ReplicaUnplugged => self.plug(&hit, true),
            NodeFault::MasterSplit => self.part(&hit, false),
            NodeFault::MasterNarrow(_) | NodeFault::ReplicaNarrow(_) => {
                self.stage.host_of(&hit).unwrap().uncap().unwrap();
            }
            NodeFault::FailedOver => {}
        }
    }

    /// It has nothing saved: back as a master it would be an empty one, and whoever followed it then would lose everything, which
    /// is Redis's own doing and known. So it waits for its successor, and comes back behind it.
    fn restart_behind_successor(&mut self, node: &NodeAddr) {
        let group = &mut self.stage.group;
        let successor = group.wait_for_master_other_than(node);
        let server = group.server_mut(node).unwrap();
        match successor {
            Ok(successor) => {
                let config = server.directory().join("redis.conf");
                let mut config = File::options().append(true).open(config).unwrap();
                writeln!(config, "replicaof {} {}", successor.host, successor.port).unwrap();
            }
            Err(error) => self.wrong = Some(format!("nobody follows {node}: {error}")),
        }
        server.restart().unwrap();
    }

    fn plug(&self, node: &NodeAddr, is_in: bool) {
        self.stage.host_of(node).unwrap().plug(is_in).unwrap();
    }

    fn part(&self, node: &NodeAddr, is_apart: bool) {
        let own = self.stage.host_of(node).unwrap();
        let others = self
            .stage
            .hosts
            .iter()
            .filter(|host| host.address() != own.address());
        for other in others {
            own.part_from(other, is_apart).unwrap();
            other.part_from(own, is_apart).unwrap();
        }
    }

    fn begin_sentinel(&mut self, fault: SentinelFault) -> String {
        let group = &mut self.stage.group;
        match fault {
            SentinelFault::Killed(index) => group.sentinel_mut(index).unwrap().kill().unwrap(),
            SentinelFault::Frozen(index) => group.sentinels()[index].signal(Signal::SIGSTOP).unwrap(),
            SentinelFault::Unplugged(index) => {
                self.stage.sentinel_host(index).unwrap().plug(false).unwrap();
            }
            SentinelFault::NamesReplica => {
                let first = group.servers()[0].addr();
                let master = group.agreed_master().unwrap_or(first);
                self.stage.liar.say(group.replicas_of(&master).pop());
            }
            SentinelFault::NamesStranger => self.stage.liar.say(Some(self.stranger.clone())),
            SentinelFault::NamesNobody => self.stage.liar.say(Some(NodeAddr::new("127.0.0.1", 1))),
        }
        String::new()
    }

    fn end_sentinel(&mut self, fault: SentinelFault) {
        let group = &mut self.stage.group;
        match fault {
            SentinelFault::Killed(index) => group.sentinel_mut(index).unwrap().restart().unwrap(),
            SentinelFault::Frozen(index) => group.sentinels()[index].signal(Signal::SIGCONT).unwrap(),
            SentinelFault::Unplugged(index) => {
                self.stage.sentinel_host(index).unwrap().plug(true).unwrap();
            }
            SentinelFault::NamesReplica | SentinelFault::NamesStranger | SentinelFault::NamesNobody => {
                self.stage.liar.say(None);
            }
        }
    }
}
