//! What becomes of a request for subscriptions, and what may a client with subscriptions ask for?
//!
//! Shell: subscriptions are the hub's; the session counts its own. Whether a command is allowed is decided when its turn has
//! come, as in Redis, though a confirmation before it may still be on its way.

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::dispatch::{Sending, Stall, Stop};
use super::state::State;
use crate::cluster::Side;
use crate::data_plane::command::{Intent, LocalCommand, TopicKind, flags};
use crate::data_plane::pubsub::{Hearers, Pending, Topic, confirmation, pong};
use crate::data_plane::refusal::Refusal;
use crate::limits::{SUBSCRIBED_BYTES_MAX, TOPIC_BYTES_MAX};

/// Bytes of arguments that an error about an unknown command repeats.
const SHOWN_BYTES: usize = 128;

impl Sending<'_> {
    /// SUBSCRIBE and its like: confirmed once every side that could carry a message has confirmed.
    pub(super) fn subscribe(&self, state: &mut State, kind: TopicKind) -> Result<(), Stop> {
        let names = || self.request.args.iter().skip(1);
        if self.request.args.len() < 2 {
            return Err(Refusal::Redis(self.wrong_arity()).into());
        }
        self.has_room_for(state, names())?;
        let of = self.request.args.len() - 1;
        let (session, route) = (self.session, &self.session.route);
        let hub = session.hub(state);
        let protocol = state.setting.protocol;
        let number = state.replies.open_seen();
        let (mut reply, mut joined, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for name in names() {
            let (topic, is_new) = self.listen(state, kind, name, number, of);
            if is_new {
                joined.push(Rc::clone(&topic));
            }
            let count = state.subscriptions.count(kind);
            confirmation(&mut reply, protocol, kind, true, Some(name), count);
            if !hub.confirm_if_ready(route, &topic) {
                missing.push(topic);
            }
        }
        if missing.is_empty() {
            state.replies.finish(number, &reply);
        } else {
            let deadline = Instant::now() + self.turn.limits.hold.time;
            let pending = Pending::new(session, number, reply, joined, deadline);
            hub.wait(&pending, &missing);
        }
        Ok(())
    }

    /// The client listens to one topic more, of as many in the request, from the reply to request `number` on; `false`: it did already.
    pub(super) fn listen(
        &self,
        state: &mut State,
        kind: TopicKind,
        name: &[u8],
        number: u64,
        of: usize,
    ) -> (Rc<Topic>, bool) {
        let route = &self.session.route;
        let hub = self.session.hub(state);
        let topic = hub.topic(route, kind, name, of);
        let is_new = !state.subscriptions.contains(&topic);
        if is_new {
            let place = hub.join(&topic, self.session, number);
            state.subscriptions.add(&topic, place);
            route.stats.subscriptions.fetch_add(1, Ordering::Relaxed);
        }
        (topic, is_new)
    }

    /// All of them or none. What a transaction has queued counts as if it were there.
    pub(super) fn has_room_for<'n>(
        &self,
        state: &State,
        names: impl Iterator<Item = &'n [u8]>,
    ) -> Result<(), Refusal> {
        let subscriptions = &state.subscriptions;
        let queued = state.transaction.own.size();
        let (mut count, mut bytes) = (subscriptions.len() + queued.0, subscriptions.bytes() + queued.1);
        for name in names {
            if name.len() > TOPIC_BYTES_MAX {
                return Err(Refusal::TooBig {
                    what: "the name of a channel",
                    limit: TOPIC_BYTES_MAX,
                });
            }
            count += 1;
            bytes += name.len();
        }
        if bytes > SUBSCRIBED_BYTES_MAX {
            return Err(Refusal::TooBig {
                what: "what this client subscribes to",
                limit: SUBSCRIBED_BYTES_MAX,
            });
        }
        let limit = self.turn.limits.subscriptions;
        match count > limit {
            true => Err(Refusal::TooManySubscriptions { limit }),
            false => Ok(()),
        }
    }

    /// UNSUBSCRIBE and its like: at once. Without names, everything of that kind.
    pub(super) fn unsubscribe(&self, state: &mut State, kind: TopicKind) -> Result<(), Stop> {
        let (session, hub) = (self.session, self.session.hub(state));
        let protocol = state.setting.protocol;
        let mut reply = Vec::new();
        for name in self.request.args.iter().skip(1) {
            if let Some(topic) = hub.find(kind, name) {
                session.unsubscribe(state, &topic);
            }
            let count = state.subscriptions.count(kind);
            confirmation(&mut reply, protocol, kind, false, Some(name), count);
        }
        if self.request.args.len() < 2 {
            let topics: Vec<Rc<Topic>> = state.subscriptions.of(kind);
            for topic in &topics {
                session.unsubscribe(state, topic);
                let count = state.subscriptions.count(kind);
                confirmation(&mut reply, protocol, kind, false, Some(&topic.name), count);
            }
            if topics.is_empty() {
                confirmation(
                    &mut reply,
                    protocol,
                    kind,
                    false,
                    None,
                    state.subscriptions.count(kind),
                );
            }
        }
        let number = state.replies.open_seen();
        state.replies.finish(number, &reply);
        Ok(())
    }

    /// Whether a message can be held by a subscriber, and by the nodes for a worker's link. Those of a transaction are
    /// published at once, and count together. Cost: two comparisons when it is not large.
    #[inline]
    pub(super) fn has_bearers(&self, state: &State) -> Result<(), Refusal> {
        let bytes = self.request.bytes.len();
        let limit = self.turn.limits.pubsub_output.hard_bytes;
        if limit > 0 && bytes > limit {
            return Err(Refusal::MessageTooBig { bytes, limit });
        }
        let ceiling = &self.session.route.pubsub().ceiling;
        let mut together = bytes;
        if state.transaction.open && self.request.again.is_none() {
            together = together.saturating_add(state.transaction.published_bytes);
        }
        match ceiling.is_far(together) {
            true => Ok(()),
            false => self.has_bearers_if_large(together),
        }
    }

    /// Who of this process hears the PUBLISH.
    #[inline]
    pub(super) fn hearers(&self, side: Side) -> Hearers {
        let channel = self.request.args.get(1).unwrap_or_default();
        let kind = match self.is_shard() {
            true => TopicKind::Shard,
            false => TopicKind::Channel,
        };
        self.session
            .route
            .pubsub()
            .audience
            .of_message(side, kind, channel)
    }

    fn is_shard(&self) -> bool {
        self.class.spec.is_some_and(|spec| spec.name == "spublish")
    }

    fn has_bearers_if_large(&self, bytes: usize) -> Result<(), Refusal> {
        let route = &self.session.route;
        let channel = self.request.args.get(1).unwrap_or_default();
        let checked = route.pubsub().ceiling.check(channel, self.is_shard(), bytes);
        checked.map_err(|overload| {
            route.hub.ask_again(route, &overload);
            Refusal::MessageOverload(overload)
        })
    }

    /// A PUBLISH to a channel that has just moved waits until all hubs have heard what was published before.
    pub(super) fn wait_for_subscribers(&self, side: Side) -> Result<(), Stall> {
        let route = &self.session.route;
        let channel = self.request.args.get(1).unwrap_or_default();
        if route.hub.holds(side, channel) {
            route.wait(self.session);
            return Err(Stall::Settling);
        }
        Ok(())
    }

    /// What a client with subscriptions is answered at once; `None`: the request is treated as ever. In the words and in the
    /// order of checks of Redis 7.0.
    pub(super) fn in_subscribed_mode(&self) -> Option<Vec<u8>> {
        let args = self.request.args;
        if let Some(misfit) = self.misfit() {
            return Some(misfit);
        }
        let name = self.class.spec.map_or("", |spec| spec.name);
        match (self.class.intent, name) {
            (Intent::Subscribe(_) | Intent::Unsubscribe(_), _) => None,
            (Intent::Local(LocalCommand::Quit | LocalCommand::Reset), _) => None,
            (_, "ping") if args.len() > 2 => Some(error(&self.wrong_arity())),
            (_, "ping") => Some(pong(args.get(1).unwrap_or_default())),
            (intent, name) => {
                let abort = match intent {
                    Intent::Exec => "EXECABORT Transaction discarded because of: ",
                    _ => "ERR ",
                };
                Some(error(format!(
                    "{abort}Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
                ).as_bytes()))
            }
        }
    }

    /// What Redis says to a request that it would look no further at: it knows no such command, or not with so many arguments.
    pub(super) fn misfit(&self) -> Option<Vec<u8>> {
        let count = self.request.args.len();
        let text = match self.class.spec {
            None => self.unknown_command(),
            Some(spec) if spec.has(flags::CONTAINER) && count > 1 => self.unknown_subcommand(),
            Some(spec) if !spec.accepts(count) => self.wrong_arity(),
            Some(_) => return None,
        };
        Some(error(&text))
    }

    pub(super) fn wrong_arity(&self) -> Vec<u8> {
        let name = self.class.spec.map_or("", |spec| spec.name);
        format!("ERR wrong number of arguments for '{name}' command").into_bytes()
    }

    fn unknown_subcommand(&self) -> Vec<u8> {
        let args = self.request.args;
        let container = self.class.spec.map_or("", |spec| spec.name).to_ascii_uppercase();
        [
            b"ERR unknown subcommand '",
            cut(args.get(1).unwrap_or_default()),
            b"'. Try ",
            container.as_bytes(),
            b" HELP.",
        ]
        .concat()
    }

    fn unknown_command(&self) -> Vec<u8> {
        let args = self.request.args;
        let mut shown = Vec::new();
        for argument in args.iter().skip(1) {
            if shown.len() >= SHOWN_BYTES {
                break;
            }
            let most = argument.len().min(SHOWN_BYTES - shown.len());
            shown.push(b'\'');
            shown.extend_from_slice(argument.get(..most).unwrap_or_default());
            shown.extend_from_slice(b"' ");
        }
        let name = cut(args.get(0).unwrap_or_default());
        [
            b"ERR unknown command '",
            name,
            b"', with args beginning with: ",
            &shown,
        ]
        .concat()
    }
}

fn cut(bytes: &[u8]) -> &[u8] {
    bytes.get(..SHOWN_BYTES).unwrap_or(bytes)
}

fn error(text: &[u8]) -> Vec<u8> {
    Refusal::Redis(text.to_vec()).line()
}
