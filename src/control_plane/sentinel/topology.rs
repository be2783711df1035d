//! Which node is a side's master now, and which are its replicas?
//!
//! Pure: what Sentinels and nodes say in, topology and notices out. Sentinels propose, ROLE on the node disposes:
//!
//! - A node is followed when Sentinels name it **and** it says itself that it is a master. The newest config epoch goes
//!   first; one Sentinel alone may only name a node that others have in the group. An older epoch than the one followed is a stale
//!   Sentinel's, and counts only when a majority holds to it and nobody knows a newer one.
//! - `master` is `None`, so that commands are held, while writes to it would be lost: it says that it is no master any
//!   more, or it is silent in a failover, or Sentinel is promoting another. A silent master without a failover stays:
//!   whoever connects to it holds by himself.
//! - A promotion that Sentinel announced is followed as soon as the promoted node says that it is master. Sentinel itself
//!   takes up to a second to see it (its INFO period), and `+switch-master` of the leader waits for every replica. Until then
//!   the node is the `heir`, where subscriptions are prepared; with the former master alive for a moment longer, in which
//!   they are made before anybody writes there.
//!
//! Messages are not believed: all but the promotion only have everyone asked at once.

mod election;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Instant;

use super::agreement::View;
use super::message::{Instance, InstanceKind, Message, News};
use super::nodes::{Answer, Nodes, Standing};
use super::notices::{DownReports, Notice, Notices};
use super::reply::ReplicaState;
use super::sentinels::{Fault, Sentinels};
use crate::cluster::{NodeAddr, Topology};
use crate::limits::{DISCOVERY_WAIT, FOLLOW_URGENT_MAX, HEIR_WAIT, NODES_MAX, REPLICA_LINK_DOWN_MAX};

/// What one side's watcher reacts to.
#[derive(Debug)]
pub(crate) enum Input {
    /// A Sentinel published this.
    Announced { sentinel: NodeAddr, message: Message },
    /// A Sentinel answered a poll.
    Answered { sentinel: NodeAddr, view: View },
    /// A Sentinel did not.
    Failed {
        sentinel: NodeAddr,
        fault: Fault,
        text: String,
    },
    /// A node was asked for its ROLE.
    Role { node: NodeAddr, answer: Answer },
    /// A Sentinel will not publish its events to us; it can still be polled.
    Deaf { sentinel: NodeAddr, text: String },
    /// Time has passed.
    Tick,
}

/// What follows from an input.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The topology, if it changed, and why.
    pub(crate) topology: Option<(Topology, String)>,
    /// To be told.
    pub(crate) notices: Vec<Notice>,
    /// Everyone is to be asked now, not at the next interval.
    pub(crate) ask_now: bool,
}

/// The master that is followed.
#[derive(Clone, Debug)]
struct Current {
    addr: NodeAddr,
    epoch: u64,
}

/// A Sentinel is making another node the master.
#[derive(Debug)]
struct Promotion {
    target: NodeAddr,
    by: NodeAddr,
    since: Instant,
    /// Whom to return to when nothing comes of it.
    from: Current,
}

/// One Sentinel-watched side.
#[derive(Debug)]
pub(crate) struct Follower {
    master_name: String,
    started: Instant,
    sentinels: Sentinels,
    nodes: Nodes,
    notices: Notices,
    down: DownReports,
    agreed_down: DownReports,
    current: Option<Current>,
    promotion: Option<Promotion>,
    /// Since when [`Self::current`] has been followed, when its promotion was announced and the former master alive: subscribers
    /// that are there before the first write know that they have missed nothing.
    promoted: Option<Instant>,
    /// The replicas that Sentinels which name [`Self::current`] listed last, dead ones included.
    members: BTreeSet<NodeAddr>,
    /// The switch refused last, so that it is told once.
    refused: Option<(NodeAddr, u64)>,
    published: Topology,
    /// Since when commands are held.
    held_since: Option<Instant>,
    /// Why the master is what it is.
    reason: String,
}

impl Follower {
    pub(crate) fn new(now: Instant, sentinels: &[NodeAddr], master_name: &str) -> Self {
        Self {
            master_name: master_name.to_owned(),
            started: now,
            sentinels: Sentinels::new(sentinels),
            nodes: Nodes::default(),
            notices: Notices::new(now),
            down: DownReports::default(),
            agreed_down: DownReports::default(),
            current: None,
            promotion: None,
            promoted: None,
            members: BTreeSet::new(),
            refused: None,
            published: Topology::default(),
            held_since: None,
            reason: String::new(),
        }
    }

    /// Takes in what happened and says what follows.
    pub(crate) fn handle(&mut self, now: Instant, input: Input) -> Outcome {
        let ask_now = self.take_in(now, input);
        self.end_promotion(now);
        self.elect(now);
        self.learn_members(now);
        let topology = self.publish(now);
        let wanted = self.wanted_nodes(now);
        self.nodes.keep(&wanted);
        Outcome {
            topology,
            notices: self.notices.take(),
            ask_now,
        }
    }

    /// Whom to poll and listen to.
    pub(crate) fn wanted_sentinels(&self) -> BTreeSet<NodeAddr> {
        self.sentinels.wanted()
    }

    /// Whom to ask for ROLE: those that decide first, then replicas, within the bound.
    pub(crate) fn wanted_nodes(&self, now: Instant) -> BTreeSet<NodeAddr> {
        let current = self.current.iter().map(|current| &current.addr);
        // Also the one to return to when nothing comes of a promotion: what it says of itself meanwhile must not be lost.
        let promoted = self
            .promotion
            .iter()
            .flat_map(|promotion| [&promotion.target, &promotion.from.addr]);
        let named = self.sentinels.views(now).map(|(_, view)| &view.named);
        let listed = self
            .sentinels
            .views(now)
            .flat_map(|(_, view)| view.replicas.iter().map(|replica| &replica.addr));
        let mut wanted = BTreeSet::new();
        for addr in current
            .chain(promoted)
            .chain(named)
            .chain(&self.members)
            .chain(listed)
        {
            if wanted.len() == NODES_MAX {
                break;
            }
            wanted.insert(addr.clone());
        }
        wanted
    }

    /// Commands are held, and not for hours: every answer counts.
    pub(crate) fn is_urgent(&self, now: Instant) -> bool {
        self.held_since
            .is_some_and(|since| now.saturating_duration_since(since) < FOLLOW_URGENT_MAX)
    }

    /// Returns whether everyone is to be asked now.
    fn take_in(&mut self, now: Instant, input: Input) -> bool {
        match input {
            Input::Announced { sentinel, message } => return self.announced(now, &sentinel, &message),
            Input::Answered { sentinel, view } => {
                self.sentinels.heard(now, &sentinel, view, &mut self.notices);
            }
            Input::Failed {
                sentinel,
                fault,
                text,
            } => {
                self.sentinels
                    .failed(now, &sentinel, fault, &text, &mut self.notices);
                self.down.forget(&sentinel);
                self.agreed_down.forget(&sentinel);
            }
            Input::Role { node, answer } => self.nodes.heard(now, &node, answer, &mut self.notices),
            Input::Deaf { sentinel, text } => {
                let text = format!("Sentinel {sentinel}: {text}");
                self.notices.tell(now, "sentinel_events_refused", &text);
            }
            Input::Tick => {}
        }
        false
    }

    fn announced(&mut self, now: Instant, sentinel: &NodeAddr, message: &Message) -> bool {
        let foreign = message.master_name().is_some_and(|name| name != self.master_name);
        match message {
            _ if foreign => return false,
            Message::Other => return false,
            Message::Tilt { entered } => {
                let kind = if *entered { "tilt" } else { "tilt_over" };
                self.notices.tell(now, kind, &format!("Sentinel {sentinel}"));
            }
            Message::SwitchMaster { .. } => {}
            Message::Instance { news, instance } => self.news(now, sentinel, *news, instance),
        }
        true
    }

    fn news(&mut self, now: Instant, sentinel: &NodeAddr, news: News, instance: &Instance) {
        let addr = &instance.addr;
        let kind = match news {
            News::Down if self.down.down(addr, sentinel) => "sdown",
            News::Up if self.down.up(addr, sentinel) => "sdown_over",
            News::AgreedDown if self.agreed_down.down(addr, sentinel) => "odown",
            News::NotAgreedDown if self.agreed_down.up(addr, sentinel) => "odown_over",
            News::Rebooted => "reboot",
            News::FailoverStarted => "failover_started",
            News::FailoverEnded => "failover_ended",
            News::Converted => "converted",
            News::Reset => "sentinel_reset",
            News::FailoverAborted => {
                self.abort_promotion(sentinel);
                "failover_aborted"
            }
            News::Promoting => return self.promoting(now, sentinel, instance),
            News::Down | News::Up | News::AgreedDown | News::NotAgreedDown => return,
            News::Promoted | News::ReplicaFound | News::ReplicaReconfigured => return,
            News::SentinelFound | News::RoleChanged => return,
        };
        let who = match instance.kind {
            InstanceKind::Master => "master",
            InstanceKind::Replica => "replica",
            InstanceKind::Sentinel => "sentinel",
        };
        self.notices
            .tell(now, kind, &format!("{who} {addr}, says Sentinel {sentinel}"));
    }

    /// While no Sentinel names the present master, what was known before holds on.
    fn learn_members(&mut self, now: Instant) {
        let listed: BTreeSet<NodeAddr> = self
            .trusted_views(now)
            .flat_map(|view| view.replicas.iter().map(|replica| replica.addr.clone()))
            .collect();
        if self.trusted_views(now).next().is_some() {
            self.members = listed;
        }
    }

    /// The views of Sentinels that name the present master.
    fn trusted_views(&self, now: Instant) -> impl Iterator<Item = &View> {
        self.sentinels.views(now).map(|(_, view)| view).filter(|view| {
            self.current
                .as_ref()
                .is_some_and(|current| current.addr == view.named)
        })
    }

    fn publish(&mut self, now: Instant) -> Option<(Topology, String)> {
        let current = self.current.as_ref()?.addr.clone();
        let replicas: Vec<NodeAddr> = self
            .members
            .iter()
            .filter(|addr| **addr != current && self.is_live(now, addr))
            .cloned()
            .collect();
        let first = self.published == Topology::default();
        let unasked = |addr: &NodeAddr| self.nodes.standing(now, addr) == Standing::Unknown;
        if first
            && now.saturating_duration_since(self.started) < DISCOVERY_WAIT
            && self.members.iter().any(unasked)
        {
            return None;
        }
        let held = self.hold_reason(now, &current);
        let master = held.is_none().then(|| current.clone());
        self.held_since = held.as_ref().map(|_| self.held_since.unwrap_or(now));
        let heir = held.is_some().then(|| self.heir(now, &current)).flatten();
        let topology = Topology {
            master,
            replicas,
            heir,
        };
        if topology == self.published {
            return None;
        }
        let reason = self.change_reason(&topology, held, &current);
        self.published = topology.clone();
        Some((topology, reason))
    }

    /// Whom Sentinel is making the master.
    fn heir(&self, now: Instant, current: &NodeAddr) -> Option<NodeAddr> {
        if self.is_new(now) {
            return Some(current.clone());
        }
        let promotion = self.promotion.as_ref();
        promotion
            .filter(|promotion| promotion.target != *current)
            .map(|promotion| promotion.target.clone())
    }

    /// Whether the present master is one for so short a time that subscribers may not be there.
    fn is_new(&self, now: Instant) -> bool {
        self.promoted
            .is_some_and(|since| now.saturating_duration_since(since) < HEIR_WAIT)
    }

    /// Why commands to the master are to be held; `None`: they are not.
    fn hold_reason(&self, now: Instant, current: &NodeAddr) -> Option<String> {
        if let Some(promotion) = &self.promotion
            && promotion.target != *current
        {
            return Some(format!(
                "Sentinel {} is promoting {}",
                promotion.by, promotion.target
            ));
        }
        if self.nodes.last_said_replica(current) {
            return Some(format!("{current} says it is no master any more"));
        }
        if self.is_new(now) {
            return Some(format!("{current} has just been promoted"));
        }
        let silent = matches!(self.nodes.standing(now, current), Standing::Silent(_));
        let failing = silent && self.is_failing_over(now);
        failing.then(|| format!("{current} is silent and a failover is under way"))
    }

    /// Whether any Sentinel finds the present master down, together with others, or has a newer one.
    fn is_failing_over(&self, now: Instant) -> bool {
        let Some(current) = &self.current else {
            return false;
        };
        self.sentinels.views(now).any(|(_, view)| {
            if view.named == current.addr {
                view.sees_failover()
            } else {
                view.epoch > current.epoch
            }
        })
    }

    /// Whether a replica is in use: it answers, and most Sentinels that list it find nothing wrong with it.
    fn is_live(&self, now: Instant, addr: &NodeAddr) -> bool {
        let (mut listing, mut against) = (0, 0);
        for view in self.trusted_views(now) {
            if let Some(replica) = view.replicas.iter().find(|replica| replica.addr == *addr) {
                listing += 1;
                against += usize::from(is_unfit(replica));
            }
        }
        self.nodes.is_live_replica(addr) && (listing == 0 || against * 2 < listing)
    }

    fn change_reason(&self, next: &Topology, held: Option<String>, current: &NodeAddr) -> String {
        if next.master != self.published.master {
            let moved = self.published.master.as_ref() != Some(current);
            return match held {
                Some(reason) => reason,
                None if moved && !self.reason.is_empty() => self.reason.clone(),
                None => format!("{current} is master"),
            };
        }
        let (before, after) = (&self.published.replicas, &next.replicas);
        let gone = before
            .iter()
            .filter(|addr| !after.contains(addr))
            .map(|addr| format!("-{addr}"));
        let come = after
            .iter()
            .filter(|addr| !before.contains(addr))
            .map(|addr| format!("+{addr}"));
        format!("replicas {}", gone.chain(come).collect::<Vec<_>>().join(" "))
    }
}

fn is_unfit(replica: &ReplicaState) -> bool {
    let flags = replica.flags;
    flags.s_down
        || flags.o_down
        || flags.disconnected
        || replica.link_down.is_some_and(|time| time > REPLICA_LINK_DOWN_MAX)
}
