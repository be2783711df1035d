//! How much does a node let wait for a subscriber, and how is that learnt?
//!
//! Shell: each link asks before its first subscription, so that it is known before anything is confirmed. Later there is
//! nobody to ask on it; when messages are refused because of it, as an operator may have raised it since, the node is asked on
//! a connection that is opened for it.

use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::ceiling::{Overload, hard_limit};
use super::hub::Hub;
use super::subscriber_link::{NodeRole, SubscriberLink};
use crate::cluster::{NodeAddr, Side};
use crate::data_plane::local_route::LocalRoute;
use crate::data_plane::upstream::{self, Dial, Setting, Wanted};
use crate::limits::CONNECT_TIMEOUT;
use crate::net::Stream;
use crate::resp::{ReplyScanner, write_command};

/// What a node is asked.
pub(super) const ASK_ALLOWANCE: [&[u8]; 3] = [b"CONFIG", b"GET", b"client-output-buffer-limit"];

/// Bytes of an answer that is read: a line for this one, and for INFO a line for each replica.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

impl Hub {
    /// A link's node has told, or has refused to.
    pub(super) fn learn(&self, route: &LocalRoute, link: &SubscriberLink, reply: &[u8]) {
        link.allowance.set(hard_limit(reply));
        if !link.is_prepared.get() {
            self.allow(route, link);
        }
    }

    /// What the link's node has told is what holds.
    pub(super) fn allow(&self, route: &LocalRoute, link: &SubscriberLink) {
        // A user may not be allowed to ask, and another hub of the worker's have been told.
        if self.user.has_logged_in() && (link.allowance.get().is_none() || route.hub.is_needed()) {
            return;
        }
        let ceiling = &route.pubsub().ceiling;
        ceiling.set(
            self.worker,
            link.side,
            &link.node,
            link.role,
            link.allowance.get(),
        );
    }

    /// A message was refused because of a node's limit: the next one may not have to be.
    pub(crate) fn ask_again(&self, route: &Rc<LocalRoute>, overload: &Overload) {
        if route.pubsub().ceiling.is_to_be_asked(overload)
            && let Some(hub) = self.rc()
        {
            let (route, overload) = (Rc::clone(route), overload.clone());
            tokio::task::spawn_local(async move {
                let Some(dial) = hub.dial_as(&route, overload.side, &overload.node, overload.role) else {
                    return;
                };
                if let Ok(Some(reply)) = timeout(CONNECT_TIMEOUT, ask(&dial, &ASK_ALLOWANCE)).await {
                    route.pubsub().ceiling.change(&overload, hard_limit(&reply));
                }
            });
        }
    }
}

impl Hub {
    /// A connection that listens, or asks for one that does; `None`: nobody is the hub's user any more.
    pub(super) fn dial_as<'a>(
        &self,
        route: &LocalRoute,
        side: Side,
        node: &'a NodeAddr,
        role: NodeRole,
    ) -> Option<Dial<'a>> {
        Some(Dial {
            node,
            auth: route.login(side, self.user)?,
            tls: route.tls(side),
            setting: Setting::default(),
            name: "switchback-subscriber",
            wanted: match role {
                NodeRole::Master => Wanted::Master,
                NodeRole::Replica => Wanted::Replica,
            },
            asks_room: false,
        })
    }
}

/// A node's answer to one question, on a connection opened for it.
pub(super) async fn ask(dial: &Dial<'_>, question: &[&[u8]]) -> Option<Vec<u8>> {
    let (mut stream, _) = upstream::open(dial).await.ok()?;
    answer(&mut stream, question).await
}

/// The answer to a question, on a connection that nothing else is asked on.
pub(super) async fn answer(stream: &mut Stream, question: &[&[u8]]) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    write_command(&mut request, question);
    stream.write_all(&request).await.ok()?;
    let (mut answer, mut scanner) = (Vec::new(), ReplyScanner::new());
    while answer.len() < ANSWER_BYTES_MAX && stream.read_buf(&mut answer).await.ok()? > 0 {
        if scanner.scan(&answer).ok()?.is_some() {
            return Some(answer);
        }
    }
    None
}
