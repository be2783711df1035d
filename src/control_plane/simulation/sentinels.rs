//! What do a side's Sentinels do, believe and say, and which of them cannot be believed?
//!
//! Pure: three of them that agree on a failover as Redis's do, in the same order and with delays; each may be made to lie, to
//! learn late, to be cut off or to be silent. What is not modelled: how they elect a leader. One of those that are well leads.

use fastrand::Rng;

use super::nodes::Nodes;
use super::schedule::{Mischief, NODES, SENTINELS};
use crate::cluster::{NodeAddr, Side};
use crate::control_plane::sentinel::message::{Instance, InstanceKind, Message, News};
use crate::control_plane::sentinel::simulated::{Flags, ReplicaState, SentinelState, View};

/// How long a master is down before they agree that it is. Unit: milliseconds.
const DOWN_AFTER: u64 = 1_500;
/// How long they wait after a failover that came to nothing. Unit: milliseconds.
const RETRY: u64 = 4_000;
/// How long a former master that is back is left alone. Unit: milliseconds.
const CONVERT: u64 = 2_500;
/// How long a liar lists a foreigner before it names it. Unit: milliseconds.
const ADOPTION: u64 = 3_000;

/// How long what one has said counts. Unit: milliseconds.
const REMEMBERED: u64 = 11_000;

/// One Sentinel.
#[derive(Debug)]
struct Sentinel {
    mischief: Mischief,
    since: u64,
    /// When it last ceased to lie.
    lied: Option<u64>,
    /// Whom it names, at which epoch.
    named: (usize, u64),
    /// What it will learn, and when.
    learns: Option<(u64, (usize, u64))>,
}

#[derive(Debug)]
struct Failover {
    leader: usize,
    target: usize,
    began: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begun,
    Promoting,
    Promoted,
}

/// All of one side's.
#[derive(Debug)]
pub(super) struct Sentinels {
    pub(super) side: Side,
    each: [Sentinel; SENTINELS],
    /// Whom those that are well have agreed on.
    pub(super) agreed: (usize, u64),
    failover: Option<Failover>,
    is_forced: bool,
    not_before: u64,
    /// Since when a node that is not the agreed master says that it is one.
    stray_since: [Option<u64>; NODES],
    /// What was announced, by whom.
    announced: Vec<(usize, Message)>,
}

impl Sentinels {
    pub(super) fn new(side: Side) -> Self {
        let honest = |_| Sentinel {
            mischief: Mischief::Honest,
            since: 0,
            lied: None,
            named: (0, 1),
            learns: None,
        };
        Self {
            side,
            each: std::array::from_fn(honest),
            agreed: (0, 1),
            failover: None,
            is_forced: false,
            not_before: 0,
            stray_since: [None; NODES],
            announced: Vec::new(),
        }
    }

    pub(super) fn addr(&self, index: usize) -> NodeAddr {
        let port = u16::try_from(index).unwrap() + 1;
        NodeAddr::new(format!("sentinel-{}", self.side), port)
    }

    /// One of them at most lies at a time: what two of three agree on is what Sentinels go by.
    pub(super) fn mischief(&mut self, index: usize, mischief: Mischief, now: u64) {
        let mut others = self.each.iter().enumerate().filter(|(other, _)| *other != index);
        let still_lies = |other: &Sentinel| {
            let remembered = other.lied.is_some_and(|lied| now < lied + REMEMBERED);
            is_lie(other.mischief) || remembered
        };
        if is_lie(mischief) && others.any(|(_, other)| still_lies(other)) {
            return;
        }
        let one = &mut self.each[index];
        if is_lie(one.mischief) {
            one.lied = Some(now);
        }
        (one.mischief, one.since) = (mischief, now);
        if mischief == Mischief::Honest {
            one.learns = Some((now + 300, self.agreed));
        }
    }

    /// Whether it tells the truth, as it sees it.
    pub(super) fn is_truthful(&self, index: usize) -> bool {
        let mischief = self.each[index].mischief;
        !is_lie(mischief) && mischief != Mischief::Silent
    }

    pub(super) fn force_failover(&mut self) {
        self.is_forced = true;
    }

    /// Time passes: they look at the nodes, and act.
    pub(super) fn step(&mut self, now: u64, nodes: &mut Nodes, foreigner: &NodeAddr, rng: &mut Rng) {
        for one in &mut self.each {
            let learns = one.learns.take_if(|(at, _)| *at <= now);
            if let Some((_, named)) = learns
                && one.mischief != Mischief::Split
            {
                one.named = named;
            }
        }
        match self.failover.take() {
            Some(failover) => self.go_on(failover, now, nodes, rng),
            None => self.begin(now, nodes, rng),
        }
        self.convert_strays(now, nodes);
        for index in 0..SENTINELS {
            self.lie(index, nodes, foreigner, rng);
        }
    }

    fn active(&self) -> Vec<usize> {
        let is_active =
            |index: &usize| !matches!(self.each[*index].mischief, Mischief::Silent | Mischief::Split);
        (0..SENTINELS).filter(is_active).collect()
    }

    fn begin(&mut self, now: u64, nodes: &Nodes, rng: &mut Rng) {
        let active = self.active();
        let down = nodes.down_since[self.agreed.0];
        let is_down = down.is_some_and(|since| now >= since + DOWN_AFTER);
        if (!is_down && !self.is_forced) || active.len() < 2 || now < self.not_before {
            return;
        }
        self.is_forced = false;
        self.not_before = now + RETRY;
        let leader = active[rng.usize(..active.len())];
        let master = self.instance(InstanceKind::Master, nodes.addr(self.agreed.0));
        for by in active {
            self.announce(by, News::Down, &master);
        }
        self.announce(leader, News::AgreedDown, &master);
        self.announce(leader, News::FailoverStarted, &master);
        let fit = |index: &usize| {
            *index != self.agreed.0 && nodes.is_up(*index) && !nodes.group.nodes[*index].is_master
        };
        let Some(target) = (0..nodes.count()).find(fit) else {
            self.announce(leader, News::FailoverAborted, &master);
            return;
        };
        self.failover = Some(Failover {
            leader,
            target,
            began: now,
            stage: Stage::Begun,
        });
    }

    fn go_on(&mut self, mut failover: Failover, now: u64, nodes: &mut Nodes, rng: &mut Rng) {
        let Failover { leader, target, .. } = failover;
        let gives_up =
            !nodes.is_up(target) || matches!(self.each[leader].mischief, Mischief::Silent | Mischief::Split);
        if gives_up && failover.stage != Stage::Promoted {
            let master = self.instance(InstanceKind::Master, nodes.addr(self.agreed.0));
            self.announce(leader, News::FailoverAborted, &master);
            return;
        }
        let replica = self.instance(InstanceKind::Replica, nodes.addr(target));
        match failover.stage {
            Stage::Begun => {
                self.announce(leader, News::Promoting, &replica);
                failover.stage = Stage::Promoting;
            }
            Stage::Promoting if now >= failover.began + rng.u64(100..1_500) => {
                nodes.promote(target);
                self.announce(leader, News::Promoted, &replica);
                failover.stage = Stage::Promoted;
            }
            Stage::Promoting => {}
            Stage::Promoted => {
                let from = nodes.addr(self.agreed.0).clone();
                self.agreed = (target, self.agreed.1 + 1);
                self.each[leader].named = self.agreed;
                let switch = Message::SwitchMaster {
                    master_name: self.side.name().to_owned(),
                    from,
                    to: nodes.addr(target).clone(),
                };
                self.announced.push((leader, switch));
                for other in 0..SENTINELS {
                    let late = match self.each[other].mischief {
                        Mischief::Stale => rng.u64(3_000..9_000),
                        _ => rng.u64(100..1_500),
                    };
                    if other != leader {
                        self.each[other].learns = Some((now + late, self.agreed));
                    }
                }
                for index in 0..nodes.count() {
                    if index != target && nodes.is_up(index) && !nodes.group.nodes[index].is_master {
                        nodes.demote(index, target, now);
                    }
                }
                return;
            }
        }
        self.failover = Some(failover);
    }

    /// A former master that is back is made a replica, as is a replica of another than the agreed one.
    fn convert_strays(&mut self, now: u64, nodes: &mut Nodes) {
        if self.failover.is_some() || self.active().len() < 2 {
            return;
        }
        let (master, _) = self.agreed;
        if nodes.is_up(master) && !nodes.group.nodes[master].is_master {
            nodes.promote(master);
        }
        let port = nodes.addr(master).port;
        for index in 0..nodes.count() {
            let node = &nodes.group.nodes[index];
            let is_stray = index != master && nodes.is_up(index) && (node.is_master || node.follows != port);
            let since = is_stray.then(|| self.stray_since[index].unwrap_or(now));
            self.stray_since[index] = since;
            if since.is_some_and(|since| now >= since + CONVERT) {
                nodes.demote(index, master, now);
            }
        }
    }

    fn lie(&mut self, index: usize, nodes: &Nodes, foreigner: &NodeAddr, rng: &mut Rng) {
        if rng.u8(0..4) > 0 {
            return;
        }
        let other = nodes.addr(rng.usize(..nodes.count())).clone();
        match self.each[index].mischief {
            Mischief::Promises => {
                let instance = self.instance(InstanceKind::Replica, &other);
                self.announce(index, News::Promoting, &instance);
            }
            Mischief::AdoptsForeigner => {
                let instance = self.instance(InstanceKind::Replica, foreigner);
                self.announce(index, News::Promoting, &instance);
            }
            Mischief::Announces => {
                let switch = Message::SwitchMaster {
                    master_name: self.side.name().to_owned(),
                    from: nodes.addr(self.agreed.0).clone(),
                    to: other,
                };
                self.announced.push((index, switch));
            }
            _ => {}
        }
    }

    fn instance(&self, kind: InstanceKind, addr: &NodeAddr) -> Instance {
        Instance {
            kind,
            addr: addr.clone(),
            master_name: self.side.name().to_owned(),
        }
    }

    fn announce(&mut self, by: usize, news: News, instance: &Instance) {
        let instance = instance.clone();
        self.announced.push((by, Message::Instance { news, instance }));
    }

    /// What has been announced since, to whoever listened.
    pub(super) fn take_announced(&mut self) -> Vec<(usize, Message)> {
        let mut announced = std::mem::take(&mut self.announced);
        announced.retain(|(by, _)| self.each[*by].mischief != Mischief::Silent);
        announced
    }

    /// What it answers when it is asked; an error: that it does not.
    pub(super) fn view(
        &self,
        index: usize,
        nodes: &Nodes,
        foreigner: &NodeAddr,
        now: u64,
    ) -> Result<View, bool> {
        let one = &self.each[index];
        let (named, mut epoch) = one.named;
        let mut named_addr = nodes.addr(named).clone();
        let sees_down = |node: usize| {
            one.mischief == Mischief::Split || nodes.down_since[node].is_some_and(|since| now >= since + 500)
        };
        let replica = |node: usize| ReplicaState {
            addr: nodes.addr(node).clone(),
            flags: Flags {
                s_down: sees_down(node),
                ..Flags::default()
            },
            link_down: (!nodes.group.nodes[node].link_up).then_some(std::time::Duration::from_secs(1)),
        };
        let mut replicas: Vec<ReplicaState> = (0..nodes.count())
            .filter(|node| *node != named)
            .map(replica)
            .collect();
        let adopt = |replicas: &mut Vec<ReplicaState>| {
            replicas.push(ReplicaState {
                addr: foreigner.clone(),
                flags: Flags::default(),
                link_down: None,
            });
        };
        match one.mischief {
            Mischief::Silent => return Err(false),
            Mischief::Garbles => return Err(true),
            Mischief::NamesReplica => {
                named_addr = nodes.addr((named + 1) % nodes.count()).clone();
                epoch += 5;
            }
            Mischief::NamesForeigner => {
                named_addr = foreigner.clone();
                epoch += 5;
            }
            Mischief::AdoptsForeigner if now < one.since + ADOPTION => adopt(&mut replicas),
            Mischief::AdoptsForeigner => {
                named_addr = foreigner.clone();
                epoch += 5;
            }
            Mischief::NamesNobody => {
                named_addr = NodeAddr::new("nobody", 1);
                epoch += 5;
            }
            Mischief::ListsNobody => replicas.clear(),
            Mischief::Honest
            | Mischief::Split
            | Mischief::Stale
            | Mischief::Promises
            | Mischief::Announces => {}
        }
        let leads = self
            .failover
            .as_ref()
            .is_some_and(|failover| failover.leader == index);
        let is_down = sees_down(named);
        let others = (0..SENTINELS).filter(|other| *other != index);
        Ok(View {
            id: Some(id(index)),
            named: named_addr,
            epoch,
            flags: Flags {
                s_down: is_down,
                o_down: is_down && one.mischief != Mischief::Split && self.active().len() >= 2,
                failover_in_progress: leads,
                ..Flags::default()
            },
            replicas,
            sentinels: others
                .map(|other| SentinelState {
                    addr: self.addr(other),
                    id: id(other),
                })
                .collect(),
        })
    }
}

fn id(index: usize) -> String {
    format!("id{index}")
}

/// Whether it says what it knows to be wrong.
pub(super) fn is_lie(mischief: Mischief) -> bool {
    match mischief {
        Mischief::Honest | Mischief::Silent | Mischief::Split | Mischief::Stale => false,
        Mischief::NamesReplica
        | Mischief::NamesForeigner
        | Mischief::AdoptsForeigner
        | Mischief::NamesNobody
        | Mischief::Promises
        | Mischief::Announces
        | Mischief::ListsNobody
        | Mischief::Garbles => true,
    }
}
