//! What does the control plane do, from one event to the next?
//!
//! Shell: one loop over one event enum, on one thread. It never waits for anything but the next event: what takes time
//! (a worker's acknowledgement, the disk) is waited for by a task of its own, which comes back as an event or a reply.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::admin::{Command, Reply, Request};
use super::clock;
use super::guard::RuleVerdict;
use super::journal::{Entry, Journal};
use super::raise::Look;
use super::report;
use super::route::{RouteControl, Saved};
use super::shift::{Change, ChangeKind, Input};
use super::store::{Progress, Tray};
use super::trace::Place;
use super::{Event, RoutedBack};
use crate::cluster::{Side, Topology};
use crate::config::{self, Config, GuardConfig, RouteConfig};
use crate::limits::{ACKNOWLEDGE_TIMEOUT, SHUTDOWN_GRACE};
use crate::metrics::Gauges;
use crate::routing::{Epoch, RouteTable};

/// How often the loop looks even when nothing happens: shifts make their steps, silence becomes evidence.
const TICK: Duration = Duration::from_millis(50);

/// The control loop and all it owns.
pub(super) struct Control {
    pub(super) routes: Vec<RouteControl>,
    /// Where the state is left to be written.
    pub(super) tray: Arc<Tray>,
    pub(super) journal: Journal,
    pub(super) gauges: Rc<Gauges>,
    /// By route: what its guard's shells go by.
    pub(super) guards: Vec<watch::Sender<GuardConfig>>,
    /// Before a weight leaves 0.
    pub(super) look_at: Look,
    /// For the tasks that come back.
    pub(super) events: mpsc::Sender<Event>,
    pub(super) config: Config,
    /// Who has another process take over.
    pub(super) upgrades: Upgrades,
    pub(super) hands_over: bool,
    /// Where the configuration came from; `None`: from flags.
    pub(super) config_file: Option<PathBuf>,
}

const UNDER_WAY: &str = "another process is being prepared to take over already";

/// Orders to have another process take over, and whom to answer.
pub(crate) type Upgrades = mpsc::Sender<Option<oneshot::Sender<Reply>>>;

impl Control {
    /// Runs until somebody asks for the end, and says how long clients may take. `early` is what has come in before there was a
    /// loop.
    pub(super) async fn run(&mut self, early: Vec<Event>, mut inbox: mpsc::Receiver<Event>) -> Duration {
        self.record();
        for route in 0..self.routes.len() {
            self.start(route);
        }
        for event in early {
            if let Some(grace) = self.handle(event) {
                return grace;
            }
        }
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = inbox.recv() => {
                    // This loop holds a sender itself: the inbox is never closed, and if it were nothing would be left to do.
                    let Some(event) = event else { return Duration::ZERO };
                    if let Some(grace) = self.handle(event) {
                        return grace;
                    }
                }
                _ = ticks.tick() => self.tick(),
            }
        }
    }

    /// Time has passed, whether anything else has happened or not.
    pub(super) fn tick(&mut self) {
        let now = clock::now();
        for route in 0..self.routes.len() {
            self.routes[route].tick(now);
            if let Some(entry) = self.routes[route].ledger_entry(now) {
                self.note(route, None, "ledger", entry);
            }
            if let Some((kind, text)) = self.routes[route].record_news() {
                self.note(route, None, kind, text);
            }
            self.look(route, now);
            self.keep_looking(route, now);
            self.routes[route].save_again(now, &self.tray);
        }
    }

    /// Takes a route up; once, before anything happens to it.
    pub(super) fn start(&mut self, at: usize) {
        // Before the first save, or its outcome could be there before anyone looks.
        let progress = self.routes[at].progress();
        tokio::task::spawn_local(forward_progress(at, progress, self.events.clone()));
        let route = &mut self.routes[at];
        let epoch = route.epoch();
        route.save(epoch, &self.tray);
        let reason = format!(
            "weight {}, {}",
            route.controller.weight(),
            route.controller.state_name()
        );
        let taken_up = route.controller.taken_up();
        self.note(at, None, "started", reason);
        if let Some(change) = taken_up {
            self.note(at, None, change.kind.name(), change.reason);
        }
    }

    /// A grace period when somebody wants the end.
    pub(super) fn handle(&mut self, event: Event) -> Option<Duration> {
        let now = clock::now();
        match event {
            Event::Topology {
                route,
                side,
                topology,
                reason,
            } => self.learn(route, side, topology, reason, now),
            Event::Notice {
                route,
                side,
                kind,
                text,
            } => {
                if route < self.routes.len() {
                    self.note(route, Some(side), kind, text);
                }
            }
            Event::Observation {
                route,
                side,
                observation,
            } => {
                let control = self.routes.get_mut(route)?;
                // A probe's last word may come when its node has left already.
                if control.watches(side, &observation.node) {
                    self.gauges.observed(route, side, &observation);
                }
                control.observe(side, observation, now);
                self.look(route, now);
            }
            Event::Looked { route, number, facts } => self.looked(route, number, &facts),
            Event::Gap { route, gap } => {
                if route < self.routes.len() {
                    self.note(route, Some(gap.side), "gap", gap.json());
                }
            }
            Event::GapsMissed { route, count } => {
                if route < self.routes.len() {
                    self.note(route, None, "gap", format!("{count} more, not listed"));
                }
            }
            Event::Saved { route } => self.saved(route),
            Event::RoutedBack(back) => self.routed_back(back),
            Event::Reload => {
                let outcome = self.reload();
                if let Err(faults) = outcome {
                    tracing::error!("configuration not reloaded: {faults}");
                }
            }
            Event::Upgrade => {
                if self.upgrades.try_send(None).is_err() {
                    tracing::warn!("{UNDER_WAY}");
                }
            }
            Event::HandOver => {
                self.hands_over = true;
                return Some(self.ends(SHUTDOWN_GRACE));
            }
            Event::Admin(request) => {
                let grace = self.answer(request)?;
                return Some(self.ends(grace));
            }
            Event::Shutdown { grace } => return Some(self.ends(grace)),
        }
        None
    }

    /// What the disk has refused may have room now, and is not tried again later.
    fn ends(&mut self, grace: Duration) -> Duration {
        for route in &mut self.routes {
            route.save_at_last(&self.tray);
        }
        grace
    }

    fn learn(&mut self, at: usize, side: Side, topology: Topology, reason: String, now: Instant) {
        let Some(route) = self.routes.get_mut(at) else {
            return;
        };
        let before = &route.topology[side.index()];
        if *before == topology {
            return;
        }
        let has_moved = before.master != topology.master;
        let has_replicas_changed = before.replicas != topology.replicas;
        let master = topology
            .master
            .as_ref()
            .map_or("none".to_owned(), ToString::to_string);
        if has_moved {
            route.open_ledger("failover");
            if topology.master.is_some() {
                route.ledger.end(now);
            }
        }
        if route.learn(side, topology, now) {
            self.gauges.master_changed(at, side);
        }
        self.gauges.keep_nodes(at, side, |node| route.watches(side, node));
        route.publish(&self.tray);
        if has_moved {
            self.note(at, Some(side), "master_changed", format!("{master}: {reason}"));
        } else if has_replicas_changed {
            self.note(at, Some(side), "replicas_changed", reason);
        }
        self.look(at, now);
    }

    /// Judges a route, tells what has changed, and carries out what the controller makes of it.
    fn look(&mut self, at: usize, now: Instant) {
        let changed = self.routes[at].judge(now);
        if !changed.is_empty() {
            self.gauges.judged(at, &self.routes[at].verdicts);
        }
        for item in self.routes[at].news(now) {
            self.note(at, Some(item.side), item.kind, item.text);
        }
        // A look asks for nothing, so nothing is refused.
        if let Ok(Some(change)) = self.routes[at].decide(Input::Look, now) {
            self.carry_out(at, &change, now);
        }
        if self.routes[at].abandon_new() {
            self.routes[at].publish(&self.tray);
            let why = "its master does not answer: what it still owes is not waited for";
            self.note(at, Some(Side::New), "abandoned", why.to_owned());
        }
    }

    /// Puts a change in force; returns the epoch from which on it is.
    fn carry_out(&mut self, at: usize, change: &Change, decided: Instant) -> Epoch {
        let route = &mut self.routes[at];
        match change.kind {
            ChangeKind::ShiftStarted => route.open_ledger("shift"),
            ChangeKind::Trip | ChangeKind::RouteBack => route.open_ledger("route_back"),
            ChangeKind::Weight => {
                route.open_ledger("weight");
                route.ledger.end(decided);
            }
            // A step is a transition; the hold before the next one is not.
            ChangeKind::RampStep => {
                route.open_ledger("ramp_step");
                route.ledger.end(decided);
            }
            ChangeKind::ShiftDone => route.ledger.end(decided),
            ChangeKind::ShiftStep
            | ChangeKind::Armed
            | ChangeKind::ShiftPaused
            | ChangeKind::ShiftResumed
            | ChangeKind::RampStarted
            | ChangeKind::RampDone
            | ChangeKind::RampPaused { .. }
            | ChangeKind::RampResumed { .. }
            | ChangeKind::RampAborted
            | ChangeKind::TripWithheld => {}
        }
        let epoch = match change.kind.is_published() {
            true => route.publish(&self.tray),
            false => route.epoch(),
        };
        if matches!(change.kind, ChangeKind::Trip | ChangeKind::RouteBack) {
            let measure = measure_route_back(at, &self.routes[at], change, epoch, decided);
            let events = self.events.clone();
            tokio::task::spawn_local(async move {
                let back = measure.await;
                let _ = events.send(Event::RoutedBack(back)).await;
            });
        }
        if let Some(ended) = &change.ended_ramp {
            self.note(at, None, ChangeKind::RampAborted.name(), ended.clone());
        }
        self.note(at, None, change.kind.name(), change.reason.clone());
        if change.kind == ChangeKind::Trip {
            self.follow_up(at);
        }
        epoch
    }

    /// The traffic is on its way back: says what else is to be done, and does what the configuration asks for.
    fn follow_up(&mut self, at: usize) {
        if let Some(advice) = self.routes[at].advice() {
            self.note(at, None, "trip_advice", advice);
        }
        for detach in self.routes[at].detaches() {
            let events = self.events.clone();
            tokio::task::spawn_local(async move {
                let (kind, text) = detach.run().await;
                let _ = events
                    .send(Event::Notice {
                        route: at,
                        side: Side::Old,
                        kind,
                        text,
                    })
                    .await;
            });
        }
    }

    fn routed_back(&mut self, back: RoutedBack) {
        if back.route >= self.routes.len() {
            return;
        }
        self.gauges
            .routed_back(back.route, &back.cause, back.evidence_to_last_command);
        self.routes[back.route].ledger.end(clock::now());
        let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let confirmed = match back.published_to_all {
            Some(time) => format!("every worker confirmed it within {:.3} ms", millis(time)),
            None => format!("not every worker has confirmed it within {ACKNOWLEDGE_TIMEOUT:?}"),
        };
        let reason = format!(
            "{}: {:.3} ms from first evidence to last command on new; decided after {:.3} ms; {confirmed}",
            back.cause,
            millis(back.evidence_to_last_command),
            millis(back.evidence_to_decision),
        );
        self.note(back.route, None, "routed_back", reason);
    }

    fn saved(&mut self, at: usize) {
        let Some(route) = self.routes.get_mut(at) else {
            return;
        };
        let before = route.controller.standing();
        let saved = route.saved(clock::now());
        if route.controller.standing() != before {
            route.publish(&self.tray);
        }
        match saved {
            Saved::Ok => {}
            Saved::Again => self.note(at, None, "state_saved", "the state is on disk again".to_owned()),
            Saved::Failed { why, ended_ramp } => {
                self.note(at, None, "state_not_saved", why);
                if let Some(ended) = ended_ramp {
                    self.note(at, None, ChangeKind::RampAborted.name(), ended);
                }
            }
        }
    }

    fn reload(&mut self) -> Result<(), String> {
        let Some(path) = &self.config_file else {
            return Err("this switchback was started without a configuration file".to_owned());
        };
        let mut next = config::load(path).map_err(|faults| faults.to_string())?;
        config::reloadable(&self.config, &next).map_err(|faults| faults.to_string())?;
        // The same routes, perhaps in another order: here, a route is known by its place.
        let place = |name: &str| self.routes.iter().position(|route| route.name() == name);
        next.routes.sort_by_key(|route| place(&route.name));
        if let (Some(was), Some(is)) = (&self.config.proxy.admin_remote, &mut next.proxy.admin_remote) {
            was.tls.becomes(&is.tls);
            is.tls = was.tls.clone();
        }
        let now = clock::now();
        for (at, (was, is)) in self.config.routes.iter().zip(&mut next.routes).enumerate() {
            take_on_certificates(was, is);
            if was.limits != is.limits {
                self.routes[at].shared.limits.store(Arc::new(is.limits.clone()));
            }
            if was.guard != is.guard {
                self.routes[at].reconfigure(&is.guard, now);
                self.guards[at].send_replace(is.guard.clone());
            }
            if was.ramp != is.ramp {
                self.routes[at].controller.reconfigure(is.ramp.clone());
            }
        }
        let recorded = Place::of(&self.config.proxy);
        self.config = next;
        if Place::of(&self.config.proxy) != recorded {
            self.record();
        }
        for at in 0..self.routes.len() {
            let goes_on = match self.routes[at].controller.state_name() {
                "ramping" => "; the ramp goes on with the steps above its weight",
                _ => "",
            };
            let reason = format!("the changed file is in force{goes_on}");
            self.note(at, None, "config_reloaded", reason);
            self.look(at, now);
            // A rule that is off now has no verdict, and is not bad any more.
            self.gauges.judged(at, &self.routes[at].verdicts);
        }
        Ok(())
    }

    /// Has what every guard sees recorded where the configuration says, from now on.
    fn record(&mut self) {
        let place = Place::of(&self.config.proxy);
        for route in &mut self.routes {
            route.record(place.as_ref());
        }
    }

    /// Answers an operator; a grace period when the operator wants the end.
    fn answer(&mut self, request: Request) -> Option<Duration> {
        let Request { command, reply } = request;
        let answer = match command {
            Command::Status { route, .. } => {
                let now = clock::both(clock::now());
                self.about(route, |route| vec![report::status(route, now)], true)
            }
            Command::Health { route, .. } => {
                let now = clock::now();
                self.about(route, |route| report::health(route, now), false)
            }
            Command::Topology { route, .. } => {
                self.about(route, |route| report::topology(route, &self.gauges), false)
            }
            Command::Events { count, .. } => self.journal.newest(count),
            Command::SubscribeEvents { sink } => match self.journal.stream_to(sink) {
                true => Reply::Ok,
                false => Reply::Error("ERR too many clients listen to events already".to_owned()),
            },
            Command::GetWeight { route } => match self.find(&route) {
                Ok(at) => Reply::Bulk(self.routes[at].controller.weight().to_string()),
                Err(error) => error,
            },
            Command::SetWeight {
                route,
                weight,
                over,
                force,
            } => {
                self.order(&route, Input::SetWeight { weight, over, force }, reply);
                return None;
            }
            Command::Back { route, reason } => {
                self.order(&route, Input::Back { reason }, reply);
                return None;
            }
            Command::Arm { route } => {
                self.order(&route, Input::Arm, reply);
                return None;
            }
            Command::Ramp { route, order } => {
                self.order(&route, Input::Ramp(order), reply);
                return None;
            }
            Command::ConfigReload => match self.reload() {
                Ok(()) => Reply::Ok,
                Err(faults) => Reply::Error(format!(
                    "ERR not reloaded, nothing has changed: {}",
                    one_line(&faults)
                )),
            },
            Command::Upgrade => {
                if let Err(back) = self.upgrades.try_send(Some(reply))
                    && let Some(reply) = back.into_inner()
                {
                    let _ = reply.send(Reply::Error(format!("ERR {UNDER_WAY}")));
                }
                return None;
            }
            Command::Shutdown { grace } => {
                let _ = reply.send(Reply::Ok);
                return Some(grace);
            }
        };
        let _ = reply.send(answer);
        None
    }

    /// Has an operator's order decided, after a look at both sides where it would have the weight leave 0.
    fn order(&mut self, name: &str, input: Input, reply: oneshot::Sender<Reply>) {
        let at = match self.find(name) {
            Ok(at) => at,
            Err(error) => {
                let _ = reply.send(error);
                return;
            }
        };
        self.overtake(at);
        match self.routes[at].needs_look(&input, clock::now()) {
            true => self.look_before(at, input, reply),
            false => self.decide_order(at, input, reply),
        }
    }

    /// Has an operator's order decided; `reply` is answered once it is in force and saved.
    pub(super) fn decide_order(&mut self, at: usize, input: Input, reply: oneshot::Sender<Reply>) {
        let now = clock::now();
        // The last look may be from before a stall of this process: an order is decided by what holds now.
        self.look(at, now);
        let epoch = match self.routes[at].decide(input, now) {
            Err(refused) => {
                let _ = reply.send(Reply::Error(refused.to_string()));
                return;
            }
            Ok(Some(change)) => self.carry_out(at, &change, now),
            Ok(None) => self.routes[at].epoch(),
        };
        let route = &self.routes[at];
        let settled = settled(route.table(), route.progress(), epoch);
        tokio::task::spawn_local(async move {
            let _ = reply.send(match settled.await {
                Ok(()) => Reply::Ok,
                Err(why) => Reply::Error(format!("ERR {}", one_line(&why))),
            });
        });
    }

    /// One reply about one route or all of them; the socket makes JSON of it where JSON is asked for.
    fn about(&self, route: Option<String>, say: impl Fn(&RouteControl) -> Vec<Reply>, single: bool) -> Reply {
        let Some(name) = route else {
            return Reply::Array(self.routes.iter().flat_map(say).collect());
        };
        match self.find(&name) {
            Err(error) => error,
            Ok(at) => {
                let mut replies = say(&self.routes[at]);
                match single {
                    true => replies.pop().unwrap_or(Reply::Null),
                    false => Reply::Array(replies),
                }
            }
        }
    }

    fn find(&self, name: &str) -> Result<usize, Reply> {
        let known = || {
            self.routes
                .iter()
                .map(RouteControl::name)
                .collect::<Vec<_>>()
                .join(", ")
        };
        self.routes
            .iter()
            .position(|route| route.name() == name)
            .ok_or_else(|| {
                Reply::Error(one_line(&format!(
                    "ERR no such route '{name}'; there are: {}",
                    known()
                )))
            })
    }

    pub(super) fn note(&mut self, at: usize, side: Option<Side>, kind: &'static str, reason: String) {
        let route = &self.routes[at];
        let is_latched = route.controller.latch().is_some();
        route
            .shared
            .stats
            .latched
            .store(is_latched, std::sync::atomic::Ordering::Relaxed);
        self.gauges
            .route(at, route.controller.weight(), route.epoch(), is_latched);
        self.journal.add(Entry {
            time: Timestamp::now(),
            epoch: route.epoch(),
            route: route.name().to_owned(),
            side,
            kind,
            reason: one_line(&reason),
        });
    }
}

/// Resolves when `epoch` is what every worker routes by and what is on disk. Both are waited for at the same time: what could not be
/// saved is taken back, and what is saved later has another state, though the worker that is waited for does not know that yet.
async fn settled(
    table: RouteTable,
    mut progress: watch::Receiver<Progress>,
    epoch: Epoch,
) -> Result<(), String> {
    let is_decided = |progress: &Progress| {
        let failed = progress.failed.as_ref().map(|(failed, _)| *failed);
        progress.saved >= epoch || failed >= Some(epoch)
    };
    // A copy: the writer waits for whoever holds the original.
    let decided = async {
        progress
            .wait_for(is_decided)
            .await
            .map(|progress| progress.clone())
    };
    let (routed, decided) = tokio::join!(
        timeout(ACKNOWLEDGE_TIMEOUT, table.acknowledged_by_all(epoch)),
        timeout(ACKNOWLEDGE_TIMEOUT, decided)
    );
    if routed.is_err() {
        return Err(format!(
            "in force, but not every worker has confirmed it within {ACKNOWLEDGE_TIMEOUT:?}"
        ));
    }
    match decided {
        Err(_) => Err(format!(
            "the state could not be saved within {ACKNOWLEDGE_TIMEOUT:?}"
        )),
        Ok(Err(_)) => Err("the proxy is ending".to_owned()),
        Ok(Ok(progress)) if progress.saved >= epoch => Ok(()),
        Ok(Ok(progress)) => {
            let why = progress.failed.as_ref().map(|(_, why)| why.to_string());
            Err(format!(
                "the state could not be saved: {}",
                why.unwrap_or_default()
            ))
        }
    }
}

async fn forward_progress(
    route: usize,
    mut progress: watch::Receiver<Progress>,
    events: mpsc::Sender<Event>,
) {
    while progress.changed().await.is_ok() {
        if events.send(Event::Saved { route }).await.is_err() {
            return;
        }
    }
}

/// How long a route back took, from the first evidence to the last command on `new`.
fn measure_route_back(
    at: usize,
    route: &RouteControl,
    change: &Change,
    epoch: Epoch,
    decided: Instant,
) -> impl Future<Output = RoutedBack> + use<> {
    let since = change
        .evidence
        .as_ref()
        .map_or(decided, |verdict: &RuleVerdict| verdict.since);
    let cause = change.rule().map_or("operator", |rule| rule.name());
    let (table, stats) = (route.table(), Arc::clone(&route.shared.stats));
    async move {
        let confirmed = timeout(ACKNOWLEDGE_TIMEOUT, table.acknowledged_by_all(epoch)).await;
        let published_to_all = confirmed
            .is_ok()
            .then(|| clock::now().saturating_duration_since(decided));
        let nanos = stats.last_sent_nanos[Side::New.index()].load(std::sync::atomic::Ordering::Relaxed);
        let last_command = stats.origin + Duration::from_nanos(nanos);
        RoutedBack {
            route: at,
            cause: cause.to_owned(),
            evidence_to_decision: decided.saturating_duration_since(since),
            evidence_to_last_command: last_command.saturating_duration_since(since),
            published_to_all,
        }
    }
}

fn one_line(text: &str) -> String {
    text.trim().replace(['\r', '\n'], "; ")
}

/// Connections that are made from now on show and ask for what the changed files say. The handles stay those that everybody has.
fn take_on_certificates(was: &RouteConfig, is: &mut RouteConfig) {
    if let (Some(present), Some(next)) = (&was.tls, &mut is.tls) {
        present.becomes(next);
        *next = present.clone();
    }
    let sides = [
        (Some(&was.old), Some(&mut is.old)),
        (was.new.as_ref(), is.new.as_mut()),
    ];
    for (was, is) in sides {
        if let (Some(present), Some(next)) = (
            was.and_then(|was| was.tls.as_ref()),
            is.and_then(|is| is.tls.as_mut()),
        ) {
            present.becomes(next);
            *next = present.clone();
        }
    }
}
