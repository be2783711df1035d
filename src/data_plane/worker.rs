//! What does one thread of the data plane do?
//!
//! Shell: a [`Reactor`] with its own listeners, sessions and links. It follows each route's snapshot and acknowledges it; nothing
//! else comes in from other threads.

use std::cell::Cell;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio::sync::{broadcast, oneshot, watch};
use tracing::warn;

use super::clients;
use super::listener::accept;
use super::local_route::{LocalRoute, RouteShared};
use super::lot;
use super::pubsub::{Gap, Hub};
use super::reactor::{Parts, Reactor, Watched};
use super::session::Scratch;
use super::ticker::Ticker;
use crate::limits::LAST_WORDS;
use crate::routing::Subscription;

/// How often counters are flushed, and blocked clients and links in reserve looked after.
const TICK: Duration = Duration::from_millis(50);
/// How often idle clients give their memory back, in ticks.
const RELEASE_TICKS: u32 = 20;

/// A route, as one worker gets it.
pub struct Seat {
    /// What all workers share.
    pub shared: Arc<RouteShared>,
    /// This worker's end of the route's snapshot.
    pub subscription: Subscription,
    /// This worker's sockets, one for each of the route's addresses.
    pub listeners: Vec<TcpListener>,
}

/// Starts worker number `number`. It ends when `shutdown` holds a grace period: at once when its clients
/// are idle, and after that period in any case.
///
/// # Errors
/// When the thread or what it waits by cannot be made.
pub fn start(
    number: usize,
    seats: Vec<Seat>,
    shutdown: watch::Receiver<Option<Duration>>,
) -> io::Result<JoinHandle<()>> {
    let parts = Parts::new()?;
    let (runtime, ended) = runtime(number)?;
    let work = move || {
        let _entered = runtime.enter();
        let reactor = Reactor::new(parts);
        reactor.run(serve(number, seats, shutdown, Rc::clone(&reactor)));
        drop(ended);
    };
    std::thread::Builder::new()
        .name(format!("worker-{number}"))
        .spawn(work)
}

/// A runtime for what is none of the [`Reactor`]'s: timers, and connections that are being made. It lasts as long as what is returned
/// with it.
fn runtime(number: usize) -> io::Result<(Handle, oneshot::Sender<()>)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (ended, ending) = oneshot::channel();
    std::thread::Builder::new()
        .name(format!("timers-{number}"))
        .spawn(move || runtime.block_on(ending))?;
    Ok((handle, ended))
}

async fn serve(
    number: usize,
    seats: Vec<Seat>,
    mut shutdown: watch::Receiver<Option<Duration>>,
    reactor: Rc<Reactor>,
) {
    let scratch = Rc::new(Scratch::new());
    let mut routes = Vec::new();
    let mut listening = Vec::new();
    for seat in seats {
        let asked = seat.shared.clients.enter();
        let route = LocalRoute::new(seat.shared, seat.subscription.load(), number, &scratch, &reactor);
        routes.push(Rc::clone(&route));
        tokio::task::spawn_local(tell_gaps(Rc::clone(&route), route.pubsub().gaps()));
        tokio::task::spawn_local(follow(Rc::clone(&route), seat.subscription));
        tokio::task::spawn_local(clients::serve(Rc::clone(&route), asked));
        tokio::task::spawn_local(lot::serve(Rc::clone(&route)));
        for listener in seat.listeners {
            match Watched::new(&reactor, listener) {
                Ok(listener) => {
                    let accepting = accept(Rc::clone(&route), listener);
                    listening.push(tokio::task::spawn_local(accepting));
                }
                Err(error) => tracing::error!(route = route.name, %error, "a listener could not be used"),
            }
        }
    }
    let ticking = tokio::task::spawn_local(tick(routes.clone(), Ticker::every(TICK, &reactor)));
    let grace = match shutdown.wait_for(Option::is_some).await {
        Ok(grace) => grace.unwrap_or_default(),
        Err(_) => Duration::ZERO,
    };
    listening.iter().for_each(tokio::task::JoinHandle::abort);
    last_words(&routes, grace.min(LAST_WORDS)).await;
    routes.iter().for_each(|route| route.drain());
    let _ = tokio::time::timeout(grace, emptied(&routes)).await;
    ticking.abort();
    for route in &routes {
        route.flush_counts();
        route.each_hub(|hub| hub.end());
    }
}

/// Applies each change of a route's snapshot, then says so.
async fn follow(route: Rc<LocalRoute>, mut subscription: Subscription) {
    subscription.acknowledge(route.snapshot().epoch);
    while subscription.changed().await {
        let snapshot = subscription.load();
        let epoch = snapshot.epoch;
        route.apply(snapshot);
        subscription.acknowledge(epoch);
    }
}

/// Passes gaps on to the clients that want to know of them.
async fn tell_gaps(route: Rc<LocalRoute>, mut gaps: broadcast::Receiver<Arc<Gap>>) {
    loop {
        match gaps.recv().await {
            Ok(gap) => route.each_hub(|hub| hub.tell_gap(&route, &gap)),
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                warn!(
                    route = route.name,
                    missed, "gaps came faster than they could be told"
                );
            }
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

async fn tick(routes: Vec<Rc<LocalRoute>>, ticker: Ticker) {
    let mut ticks = 0u32;
    loop {
        ticker.tick().await;
        ticks = ticks.wrapping_add(1);
        for route in &routes {
            route.flush_counts();
            route.move_blocked();
            route.look_after_users();
            route.keep_reserves();
            route.each_hub(|hub| hub.tick(route));
            if ticks.is_multiple_of(RELEASE_TICKS) {
                route.release_idle();
            }
            route.park_idle();
        }
    }
}

/// Tells clients which messages they may have missed, before they are closed.
async fn last_words(routes: &[Rc<LocalRoute>], patience: Duration) {
    let asked = Instant::now();
    let is_true_of_any = |of: &dyn Fn(&Rc<LocalRoute>, &Hub) -> bool| {
        let is_true = Cell::new(false);
        for route in routes {
            route.each_hub(|hub| is_true.set(of(route, hub) || is_true.get()));
        }
        is_true.get()
    };
    for route in routes {
        route.each_hub(|hub| hub.ask_at_last(route));
    }
    while is_true_of_any(&|_, hub| !hub.has_heard_all(asked)) && asked.elapsed() < patience {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    if is_true_of_any(&|route, hub| hub.tell_at_last(route, asked)) {
        // Gaps reach clients by a task of their own.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Ends clients as they become idle; resolves when none is left.
async fn emptied(routes: &[Rc<LocalRoute>]) {
    let mut looks = 0u32;
    while routes.iter().any(|route| route.client_count() > 0) {
        if looks.is_multiple_of(DRAIN_LOOKS) {
            routes.iter().for_each(|route| route.drain());
        }
        looks += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// How seldom clients are told that they are to end: some are given a moment first.
const DRAIN_LOOKS: u32 = 20;
