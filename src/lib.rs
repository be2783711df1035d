//! Switchback: a replication-aware Redis proxy.
//!
//! # A request's journey
//!
//! 1. A worker's own listener accepts the client ([`data_plane::listener`]); the client is a
//!    [`Session`](data_plane::session::Session) of that worker until it leaves, and [parked](data_plane::lot) while it has nothing to say.
//! 2. The worker's [`Reactor`](data_plane::reactor::Reactor) tells the session that there are bytes, which it reads; the
//!    [`RequestParser`](resp::RequestParser) finds where each request and each argument ends.
//! 3. [`classify()`](data_plane::command::classify()) looks the name up: what it is, where its keys are, how it is treated.
//! 4. [`owner()`](routing::owner) of the keys' [`Slot`](routing::Slot)s at the present [`Weight`](routing::Weight) says
//!    which side; the [`Snapshot`](routing::Snapshot) says where that side's master is.
//! 5. [`dispatch`](data_plane::session) takes the session's [`Link`](data_plane::upstream::Link) to it, shared or its own, and
//!    enqueues the bytes as they came. No usable master: the request is held, and nothing more is read. For a request about which
//!    nothing is out of the ordinary [`express`](data_plane::session) does 3 to 5 by a few comparisons.
//! 6. At the end of the turn the link writes everything that was enqueued in it at once; it hands each reply to the session that
//!    is at the front of the [pipeline](data_plane::upstream).
//! 7. Replies leave in request order, whichever side answered first: the link then has each of these sessions
//!    [write once](data_plane::session), and wakes the [session's task](data_plane::session::serve()) only where there is more to do.
//!
//! # A message's journey
//!
//! 1. `SUBSCRIBE` stops at the worker's [`Hub`](data_plane::pubsub::Hub): a [`Topic`](data_plane::pubsub::Topic) lists who listens, and each side's link subscribes
//!    to it once. The client is confirmed when every side that could carry a message has confirmed.
//! 2. `PUBLISH` is a request like any other and goes to the channel's owner; right after a channel has moved it waits until
//!    [all hubs have heard](data_plane::pubsub::settling) what was published before.
//! 3. The node tells each worker once, over its [subscriber link](data_plane::pubsub::subscriber_link). The hub looks the topic up and adds the bytes to
//!    each listener's output, after its confirmation and never within a reply; each session writes once per turn.
//! 4. A link that was lost is replaced at once; in what stretch of time messages [may have been missed](data_plane::pubsub::Gap) is told.
//!
//! # A decision's journey
//!
//! 1. Watchers ([`control_plane::sentinel`]), probes and heartbeats ([`control_plane::guard`]) and operators
//!    ([`control_plane::admin`]) send an [`Event`](control_plane::Event) each to the one control loop.
//! 2. Rules turn observations into [verdicts](control_plane::guard::RuleVerdict); the
//!    [`Controller`](control_plane::shift::Controller) turns verdicts and orders into changes.
//!    What the rules are given can be [recorded](control_plane::trace), and replayed under other settings.
//!    An order that leaves 0 waits for [a look at both sides](control_plane::preflight) first.
//! 3. The route's one [`Publisher`](routing::Publisher) puts a new snapshot in force and has it saved; an order is acknowledged once
//!    every worker routes by it and it is on disk.

pub mod cli;
pub mod cluster;
pub mod config;
pub mod control_plane;
pub mod data_plane;
pub mod demo;
mod glance;
pub mod lab;
pub mod limits;
mod log;
mod metrics;
mod net;
pub mod proxy;
pub mod resp;
pub mod routing;
mod shutdown;
pub mod stats;
pub mod tls;
mod upgrade;
