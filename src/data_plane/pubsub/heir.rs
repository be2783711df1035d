//! How is a new master subscribed to before anything is published there?
//!
//! Shell; whether that has succeeded is decided in [`super::proof`]. Sentinel announces whom it is about to make master some
//! 100 ms before it does, and ends all other connections to that node with it (`CLIENT KILL TYPE normal` and `pubsub` in one
//! transaction with `REPLICAOF NO ONE`). So each hub connects to the heir at once, and when that connection ends, subscribes
//! there to all it listens to: not before, as a replica tells what its master does, which the present link tells already.
//! What is published there meanwhile, by those who follow it sooner than this process does, is delivered at once.
//!
//! Once all is confirmed the heir is asked whether anything was published before: it is then that nothing can have been
//! missed there. What the former master had to tell is the former link's matter (see [`super::links`]).
//!
//! A topic that comes after that question is confirmed to clients only when the heir has confirmed it, too.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::{sleep, timeout};

use super::feed::Target;
use super::hub::Hub;
use super::large::{answer, ask};
use super::links::live;
use super::proof::Replication;
use super::subscriber_link::{NodeRole, SubscriberLink};
use super::topic::{Stage, Topic};
use crate::cluster::{NodeAddr, Side};
use crate::data_plane::local_route::LocalRoute;
use crate::data_plane::upstream::{Dial, HandshakeError, Wanted, open};
use crate::limits::{CONNECT_TIMEOUT, HEIR_ASKED};
use crate::net::Stream;

/// Whether a link to an heir has missed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Not everything is subscribed to.
    Unasked,
    /// The heir has been asked.
    Asked,
    /// It has missed nothing.
    Given,
    /// It may have.
    Refused,
}

impl Hub {
    /// Sentinel is making `heir` the side's master; or nobody, any more.
    pub(super) fn expect(&self, route: &Rc<LocalRoute>, side: Side, heir: Option<&Arc<NodeAddr>>) {
        let feed = self.feed(side);
        if feed.heir.borrow().as_ref() == heir {
            return;
        }
        *feed.heir.borrow_mut() = heir.map(Arc::clone);
        feed.followed.take();
        if let Some(link) = feed.prepared.take() {
            link.close();
            self.unprepare(side);
        }
        self.learn_stream(route, side);
        self.prepare(route, side, Duration::ZERO);
    }

    /// Asks the node that is heard now whose stream the heir must have followed.
    fn learn_stream(&self, route: &Rc<LocalRoute>, side: Side) {
        let feed = self.feed(side);
        let (Some(heir), Some(present)) = (feed.heir.borrow().clone(), feed.ready()) else {
            return;
        };
        if present.role == NodeRole::Replica {
            return;
        }
        let Some(hub) = self.rc() else { return };
        let route = Rc::clone(route);
        tokio::task::spawn_local(async move {
            let told = hub.replication(&route, &present).await;
            let feed = hub.feed(side);
            if feed.heir.borrow().as_ref() == Some(&heir) {
                *feed.followed.borrow_mut() = told.and_then(Replication::into_stream);
            }
        });
    }

    fn unprepare(&self, side: Side) {
        for topic in self.all() {
            topic.take_over(side, false);
        }
    }

    fn prepare(&self, route: &Rc<LocalRoute>, side: Side, after: Duration) {
        let feed = self.feed(side);
        let Some(heir) = feed.heir.borrow().clone() else {
            return;
        };
        // A worker that hears a replica stays there.
        if self.uses_marks(route) || !self.is_needed() {
            return;
        }
        let link = SubscriberLink::new(side, heir, NodeRole::Master, self.last_number.get());
        link.is_prepared.set(true);
        *feed.prepared.borrow_mut() = Some(Rc::clone(&link));
        let Some(hub) = self.rc() else { return };
        let route = Rc::clone(route);
        tokio::task::spawn_local(async move {
            sleep(after).await;
            if hub.is_promoted(&link, &route).await {
                live(link, hub, route).await;
            }
        });
    }

    /// A link to an heir is over before it was the present one.
    pub(super) fn heir_ended(&self, route: &Rc<LocalRoute>, link: &Rc<SubscriberLink>) {
        let feed = self.feed(link.side);
        let is_it = |other: &mut Rc<SubscriberLink>| Rc::ptr_eq(other, link);
        let taken = feed.prepared.borrow_mut().take_if(is_it);
        if taken.is_some() {
            self.unprepare(link.side);
            self.prepare(route, link.side, HEIR_ASKED);
        }
    }

    /// There is a new topic.
    pub(super) fn ask_heir(&self, route: &Rc<LocalRoute>, side: Side, topic: &Rc<Topic>, of: usize) {
        let Some(link) = self.feed(side).prepared() else {
            return;
        };
        // What is asked for before the proof is part of it.
        let is_first = link.proof.get() == Proof::Unasked;
        link.behind.set(link.behind.get() + usize::from(is_first));
        self.ask(&link, topic, is_first, of);
        self.ask_for_patterns(route, &link);
    }

    /// Whether the proof does not hold for the topic until the heir has confirmed it.
    pub(super) fn awaits_heir(&self, side: Side, topic: &Topic) -> bool {
        let is_late = |link: Rc<SubscriberLink>| {
            link.proof.get() != Proof::Unasked && topic.stage_on(&link) == Stage::Asked
        };
        self.feed(side).prepared().is_some_and(is_late)
    }

    /// Everything is subscribed to at the heir: was anything published there before?
    pub(super) fn prove(&self, route: &Rc<LocalRoute>, link: &Rc<SubscriberLink>) {
        if link.proof.get() != Proof::Unasked {
            return;
        }
        link.proof.set(Proof::Asked);
        let Some(hub) = self.rc() else { return };
        let (route, link) = (Rc::clone(route), Rc::clone(link));
        tokio::task::spawn_local(async move {
            let told = hub.replication(&route, &link).await;
            let followed = hub.feed(link.side).followed.borrow();
            let is_untouched = match (told, followed.as_ref()) {
                (Some(told), Some(followed)) => told.is_untouched(followed),
                _ => false,
            };
            if link.proof.get() == Proof::Asked {
                let proof = if is_untouched {
                    Proof::Given
                } else {
                    Proof::Refused
                };
                link.proof.set(proof);
            }
        });
    }

    /// The link that was prepared for this target, if it can be used.
    pub(super) fn take_heir(&self, target: &Target, side: Side) -> Option<Rc<SubscriberLink>> {
        let leads_there = |link: &mut Rc<SubscriberLink>| {
            link.node == target.node && link.role == target.role && link.is_ready()
        };
        self.feed(side).prepared.borrow_mut().take_if(leads_there)
    }

    /// The heir is master: its link is the present one, as far as it is.
    pub(super) fn adopt(&self, route: &Rc<LocalRoute>, link: Rc<SubscriberLink>) {
        for topic in self.all() {
            topic.take_over(link.side, true);
            if matches!(topic.stage(link.side), Stage::Muted | Stage::Confirmed) {
                link.count(&topic);
            }
        }
        link.is_prepared.set(false);
        // What it refuses is told to those who listen.
        let refused = self.all().into_iter();
        for topic in refused.filter(|topic| topic.stage(link.side) == Stage::Absent) {
            self.ask(&link, &topic, false, usize::MAX);
        }
        *self.feed(link.side).present.borrow_mut() = Some(Rc::clone(&link));
        self.allow(route, &link);
        if link.behind.get() == 0 {
            self.complete(route, &link);
        }
    }
}

impl Hub {
    /// What a link's node says of its replication.
    async fn replication(&self, route: &LocalRoute, link: &SubscriberLink) -> Option<Replication> {
        let dial = self.dial_as(route, link.side, &link.node, link.role)?;
        let asked = timeout(CONNECT_TIMEOUT, ask(&dial, &[b"INFO", b"replication"])).await;
        Replication::read(&asked.ok()??)
    }

    /// Waits until a node is a master, by its own word or because it has ended the connection; `false`: it is not waited for
    /// any more, or will not say.
    async fn is_promoted(&self, link: &SubscriberLink, route: &LocalRoute) -> bool {
        while !link.is_closed() {
            let Some(dial) = self.dial_as(route, link.side, &link.node, link.role) else {
                return false;
            };
            let dial = Dial {
                wanted: Wanted::Any,
                name: "switchback-heir",
                ..dial
            };
            match timeout(CONNECT_TIMEOUT, open(&dial)).await {
                Ok(Ok((stream, _))) => return watch(link, stream).await,
                Ok(Err(HandshakeError::User(_))) => return false,
                Ok(Err(_)) | Err(_) => sleep(HEIR_ASKED).await,
            }
        }
        false
    }
}

async fn watch(link: &SubscriberLink, mut stream: Stream) -> bool {
    let mut byte = [0];
    while !link.is_closed() {
        match timeout(CONNECT_TIMEOUT, answer(&mut stream, &[b"ROLE"])).await {
            Ok(Some(role)) if role.starts_with(b"*3\r\n$6\r\nmaster\r\n") => return true,
            Ok(Some(role)) if role.starts_with(b"-") => return false,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return true,
        }
        // It says nothing unasked: it is only the end that can come.
        if timeout(HEIR_ASKED, stream.read(&mut byte)).await.is_ok() {
            return true;
        }
    }
    false
}
