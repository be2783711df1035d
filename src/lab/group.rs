//! How is one side, a master with its replicas and Sentinels, started on this machine?
//!
//! Shell: servers and Sentinels put together, and what one does to such a group: fail it over, kill, freeze.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::{Host, LabError, Sentinel, SentinelOptions, Server, ServerOptions, wait_for};
use crate::cluster::{Credentials, Discovery, Endpoint, NodeAddr, Secret};

/// A group is complete in two seconds on an idle machine; tests may leave none idle.
const SETTLE_PATIENCE: Duration = Duration::from_secs(60);

/// What a group is made of.
#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// The master's name to Sentinel.
    pub name: String,
    /// Replicas of its master.
    pub replicas: usize,
    /// Sentinels; a majority of them is the quorum.
    pub sentinels: usize,
    /// `down-after-milliseconds`.
    pub down_after: Duration,
    /// `failover-timeout`.
    pub failover_timeout: Duration,
    /// `parallel-syncs`.
    pub parallel_syncs: usize,
    /// See [`SentinelOptions::news_period`].
    pub news_period: Duration,
    /// The nodes' password.
    pub password: Option<Secret>,
    /// The Sentinels' password.
    pub sentinel_password: Option<Secret>,
    /// A master of another group whose data the first node copies, before it is made a master.
    pub seeded_from: Option<NodeAddr>,
    /// Where nodes run, the master first; those that come after are on loopback.
    pub hosts: Vec<Host>,
    /// Where the Sentinels run; `None` for loopback.
    pub sentinel_host: Option<Host>,
    /// Further lines of every node's redis.conf.
    pub config: Vec<String>,
}

impl GroupOptions {
    /// Two replicas, three Sentinels that take a master for down after a second, no passwords.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            replicas: 2,
            sentinels: 3,
            down_after: Duration::from_secs(1),
            failover_timeout: Duration::from_secs(10),
            parallel_syncs: 1,
            news_period: Duration::from_millis(500),
            password: None,
            sentinel_password: None,
            seeded_from: None,
            hosts: Vec::new(),
            sentinel_host: None,
            config: Vec::new(),
        }
    }
}

/// A replication group with its Sentinels. All of it ends on drop.
#[derive(Debug)]
pub struct Group {
    // Before the servers: Sentinels that outlived them would start a failover.
    sentinels: Vec<Sentinel>,
    servers: Vec<Server>,
    options: GroupOptions,
}

impl Group {
    /// Starts everything and waits until the replicas are in sync and every Sentinel knows them and the others.
    ///
    /// # Errors
    /// Any [`LabError`]; what had started has ended again.
    pub fn start(options: GroupOptions) -> Result<Self, LabError> {
        let mut group = Self {
            sentinels: Vec::new(),
            servers: Vec::new(),
            options,
        };
        let seed = group.options.seeded_from.clone();
        let master = Server::start(&group.node_options(group.host(0), seed.clone()))?;
        if seed.is_some() {
            wait_for("the data to be copied", SETTLE_PATIENCE, || {
                master
                    .info("replication", "master_link_status")
                    .is_ok_and(|status| status == "up")
            })?;
            master.call(&["REPLICAOF", "NO", "ONE"])?;
        }
        let address = master.addr();
        group.servers.push(master);
        for number in 1..=group.options.replicas {
            group.attach(group.host(number), &address)?;
        }
        group.wait_in_sync(&address)?;
        let sentinel = group.sentinel_options(address);
        for _ in 0..group.options.sentinels {
            group.sentinels.push(Sentinel::start(&sentinel)?);
        }
        group.settle()?;
        Ok(group)
    }

    fn host(&self, number: usize) -> Option<Host> {
        self.options.hosts.get(number).cloned()
    }

    fn node_options(&self, host: Option<Host>, replica_of: Option<NodeAddr>) -> ServerOptions {
        ServerOptions {
            host,
            password: self.options.password.clone(),
            replica_of,
            config: self.options.config.clone(),
        }
    }

    /// Starts one more node as a replica of `master`, without waiting for it to be in sync. Returns its address.
    ///
    /// # Errors
    /// Any [`LabError`].
    pub fn attach(&mut self, host: Option<Host>, master: &NodeAddr) -> Result<NodeAddr, LabError> {
        let server = Server::start(&self.node_options(host, Some(master.clone())))?;
        let address = server.addr();
        self.servers.push(server);
        Ok(address)
    }

    /// Takes a node out of the group's own account; it goes on with whatever it does.
    ///
    /// # Errors
    /// [`LabError::NoSuchNode`].
    pub fn release(&mut self, addr: &NodeAddr) -> Result<Server, LabError> {
        let found = self.servers.iter().position(|server| server.addr() == *addr);
        let index = found.ok_or_else(|| LabError::NoSuchNode(addr.clone()))?;
        Ok(self.servers.remove(index))
    }

    /// Makes a node of another group a replica of `master`.
    ///
    /// # Errors
    /// [`LabError::Io`], [`LabError::Refused`].
    pub fn adopt(&mut self, server: Server, master: &NodeAddr) -> Result<(), LabError> {
        let port = master.port.to_string();
        let told = server.call(&["REPLICAOF", &master.host, &port]);
        self.servers.push(server);
        told.map(drop)
    }

    /// Has every Sentinel forget all replicas and find those there are: otherwise one that has gone elsewhere is soon
    /// fetched back.
    ///
    /// # Errors
    /// [`LabError::Io`], [`LabError::Refused`].
    pub fn reset_sentinels(&self) -> Result<(), LabError> {
        let reset = |sentinel: &Sentinel| {
            sentinel
                .call(&["SENTINEL", "RESET", &self.options.name])
                .map(drop)
        };
        self.sentinels.iter().try_for_each(reset)
    }

    fn sentinel_options(&self, master: NodeAddr) -> SentinelOptions {
        let options = &self.options;
        SentinelOptions {
            host: options.sentinel_host.clone(),
            master_name: options.name.clone(),
            master,
            quorum: options.sentinels / 2 + 1,
            down_after: options.down_after,
            failover_timeout: options.failover_timeout,
            parallel_syncs: options.parallel_syncs,
            news_period: options.news_period,
            node_password: options.password.clone(),
            password: options.sentinel_password.clone(),
        }
    }

    /// The master's name to Sentinel.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// All nodes, the first master first, whatever their roles are now.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The Sentinels.
    pub fn sentinels(&self) -> &[Sentinel] {
        &self.sentinels
    }

    /// One of the Sentinels, to kill or restart.
    pub fn sentinel_mut(&mut self, index: usize) -> Option<&mut Sentinel> {
        self.sentinels.get_mut(index)
    }

    /// The node that listens on `addr`.
    ///
    /// # Errors
    /// [`LabError::NoSuchNode`].
    pub fn server(&self, addr: &NodeAddr) -> Result<&Server, LabError> {
        let found = self.servers.iter().find(|server| server.addr() == *addr);
        found.ok_or_else(|| LabError::NoSuchNode(addr.clone()))
    }

    /// The same, to kill or restart.
    ///
    /// # Errors
    /// [`LabError::NoSuchNode`].
    pub fn server_mut(&mut self, addr: &NodeAddr) -> Result<&mut Server, LabError> {
        let found = self.servers.iter_mut().find(|server| server.addr() == *addr);
        found.ok_or_else(|| LabError::NoSuchNode(addr.clone()))
    }

    /// The side as an endpoint of a route.
    pub fn endpoint(&self) -> Endpoint {
        let credentials = |password: &Option<Secret>| {
            let password = password.clone()?;
            Some(Credentials { user: None, password })
        };
        Endpoint {
            discovery: Discovery::Sentinel {
                sentinels: self.sentinels.iter().map(Sentinel::addr).collect(),
                master_name: self.options.name.clone(),
            },
            tls: None,
            node_auth: credentials(&self.options.password),
            sentinel_auth: credentials(&self.options.sentinel_password),
        }
    }

    /// The side as a URL of the configuration, passwords left out.
    pub fn sentinel_url(&self) -> String {
        let sentinels: Vec<String> = self.sentinels.iter().map(|one| one.addr().to_string()).collect();
        format!("redis+sentinel://{}/{}", sentinels.join(","), self.options.name)
    }

    /// The master's address as the first Sentinel that answers has it.
    ///
    /// # Errors
    /// The last Sentinel's, when none answers.
    pub fn master(&self) -> Result<NodeAddr, LabError> {
        let mut last = LabError::Reply("GET-MASTER-ADDR-BY-NAME".to_owned());
        for sentinel in &self.sentinels {
            match sentinel.master() {
                Ok(address) => return Ok(address),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Everyone but `master`.
    pub fn replicas_of(&self, master: &NodeAddr) -> Vec<NodeAddr> {
        let all = self.servers.iter().map(Server::addr);
        all.filter(|addr| addr != master).collect()
    }

    /// Has Sentinel fail the group over while everyone is alive, and waits until every Sentinel that answers names the same
    /// new master and that is one. Returns its address. The demoted one follows later: see [`Self::settle`].
    ///
    /// # Errors
    /// Any [`LabError`].
    pub fn failover(&self) -> Result<NodeAddr, LabError> {
        let before = self.master()?;
        let first = self
            .sentinels
            .first()
            .ok_or_else(|| LabError::NoSuchNode(before.clone()))?;
        // Refused with -NOGOODSLAVE while Sentinel has no fresh INFO of a replica, with -INPROG during another one.
        wait_for("Sentinel to begin a failover", SETTLE_PATIENCE, || {
            first.call(&["SENTINEL", "FAILOVER", &self.options.name]).is_ok()
        })?;
        self.wait_for_master_other_than(&before)
    }

    /// Waits until every Sentinel that answers names the same master, not `before`, and that is one. Returns its address.
    ///
    /// # Errors
    /// [`LabError::Timeout`].
    pub fn wait_for_master_other_than(&self, before: &NodeAddr) -> Result<NodeAddr, LabError> {
        let mut found = None;
        wait_for("a new master", SETTLE_PATIENCE, || {
            found = self.agreed_master().ok().filter(|master| master != before);
            found.is_some()
        })?;
        found.ok_or_else(|| LabError::Reply("GET-MASTER-ADDR-BY-NAME".to_owned()))
    }

    /// The master all Sentinels that answer name and ROLE confirms.
    ///
    /// # Errors
    /// [`LabError::Reply`] where they do not; otherwise as [`Self::master`].
    pub fn agreed_master(&self) -> Result<NodeAddr, LabError> {
        let master = self.master()?;
        if self
            .sentinels
            .iter()
            .filter_map(|one| one.master().ok())
            .any(|named| named != master)
        {
            return Err(LabError::Reply("GET-MASTER-ADDR-BY-NAME".to_owned()));
        }
        let role = self.server(&master)?.call(&["ROLE"])?;
        match role.elements().first().and_then(super::Reply::text) {
            Some(role) if role == "master" => Ok(master),
            _ => Err(LabError::Reply("ROLE".to_owned())),
        }
    }

    /// Waits until all nodes are in sync with one master and all Sentinels that answer see that.
    ///
    /// # Errors
    /// [`LabError::Timeout`].
    pub fn settle(&self) -> Result<(), LabError> {
        wait_for("the group to settle", SETTLE_PATIENCE, || self.has_settled())
    }

    /// Whether it is so now.
    pub fn has_settled(&self) -> bool {
        self.is_settled().unwrap_or(false)
    }

    fn is_settled(&self) -> Result<bool, LabError> {
        let master = if self.sentinels.is_empty() {
            self.servers
                .first()
                .map(Server::addr)
                .ok_or_else(|| LabError::Reply("ROLE".to_owned()))?
        } else {
            self.agreed_master()?
        };
        let replicas = self.replicas_of(&master);
        for sentinel in self.sentinels.iter().filter(|one| one.master().is_ok()) {
            if !sentinel.sees(&master, &replicas, self.sentinels.len() - 1)? {
                return Ok(false);
            }
        }
        self.is_in_sync(&master)
    }

    fn wait_in_sync(&self, master: &NodeAddr) -> Result<(), LabError> {
        wait_for("the replicas to be in sync", SETTLE_PATIENCE, || {
            self.is_in_sync(master).unwrap_or(false)
        })
    }

    fn is_in_sync(&self, master: &NodeAddr) -> Result<bool, LabError> {
        let replicas = self.replicas_of(master);
        let text = self
            .server(master)?
            .call(&["INFO", "replication"])?
            .text()
            .unwrap_or_default();
        if text.matches("state=online").count() != replicas.len() {
            return Ok(false);
        }
        for replica in &replicas {
            if self.server(replica)?.info("replication", "master_link_status")? != "up" {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Closes the master's connections to its replicas, and waits until all are in sync again. A connection's buffers grow
    /// to what its link carries and stay so: what is to be seen of a link that was narrowed is seen on new ones only.
    ///
    /// # Errors
    /// Any [`LabError`].
    pub fn reconnect_replicas(&self) -> Result<(), LabError> {
        let master = self.master()?;
        self.server(&master)?
            .call(&["CLIENT", "KILL", "TYPE", "replica"])?;
        self.wait_in_sync(&master)
    }

    /// kill -9 of one node.
    ///
    /// # Errors
    /// [`LabError::NoSuchNode`], [`LabError::Io`].
    pub fn kill(&mut self, addr: &NodeAddr) -> Result<(), LabError> {
        self.server_mut(addr)?.kill()
    }

    /// SIGSTOP of one node: it accepts connections and answers nothing.
    ///
    /// # Errors
    /// [`LabError::NoSuchNode`], [`LabError::Io`].
    pub fn freeze(&self, addr: &NodeAddr) -> Result<(), LabError> {
        self.server(addr)?.signal(Signal::SIGSTOP)
    }

    /// SIGCONT of one node.
    ///
    /// # Errors
    /// [`LabError::NoSuchNode`], [`LabError::Io`].
    pub fn thaw(&self, addr: &NodeAddr) -> Result<(), LabError> {
        self.server(addr)?.signal(Signal::SIGCONT)
    }
}
