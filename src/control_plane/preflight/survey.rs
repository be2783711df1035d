//! What does `check --preflight` see of one route, without a proxy that runs?
//!
//! Shell: follows both sides as the proxy would, has the guard's rules look for some seconds, asks everyone what the checks
//! want to know, and ends. It serves nobody, writes nothing, and publishes heartbeats as the proxy does.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::checks::{findings, of_rules};
use super::collect::{Known, collect};
use super::{Finding, Stated, Traffic};
use crate::cluster::{Side, Topology};
use crate::config::RouteConfig;
use crate::control_plane::Event;
use crate::control_plane::guard::{self, RuleVerdict, Rules, Verdict};
use crate::control_plane::start::watch_route;
use crate::limits::CONTROL_QUEUE_MAX;

/// How often the rules judge, as in the control loop.
const TICK: Duration = Duration::from_millis(50);
/// How long they look at least: rates need a second or two.
const LOOK_MIN: Duration = Duration::from_secs(2);
/// How long beyond `healthy_before` they look at most, where something stays unknown.
const LOOK_BEYOND: Duration = Duration::from_secs(3);

/// All rows of one route. Must be called on a `LocalSet`.
pub async fn survey(route: &RouteConfig) -> Vec<Finding> {
    let (events, inbox) = mpsc::channel(CONTROL_QUEUE_MAX);
    // They end with the inbox; dropped, this would end some of them now.
    let _guard = watch_route(0, route, &events);
    let mut look = Look::new(route);
    look.for_some_seconds(route, inbox).await;
    let verdicts = look.verdicts();
    let now = Instant::now();
    let facts = collect(look.known(route, now)).await;
    let mut rows = of_rules(&verdicts, now);
    rows.extend(findings(&facts, &Stated::from(&route.guard)));
    rows
}

/// What the control loop would have learnt by now.
struct Look {
    rules: [Option<Rules>; 2],
    topology: [Topology; 2],
    traffic: [Traffic; 2],
}

impl Look {
    fn new(route: &RouteConfig) -> Self {
        Self {
            rules: Side::BOTH.map(|side| {
                let has_side = side == Side::Old || route.new.is_some();
                has_side.then(|| Rules::new(route.guard.clone(), side))
            }),
            topology: Default::default(),
            traffic: Default::default(),
        }
    }

    async fn for_some_seconds(&mut self, route: &RouteConfig, mut inbox: mpsc::Receiver<Event>) {
        let began = Instant::now();
        let longest = LOOK_MIN.max(route.guard.healthy_before + LOOK_BEYOND);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(event) = inbox.recv() => self.handle(event),
                _ = ticks.tick() => {
                    let is_known = !self.verdicts().iter().any(|one| one.verdict == Verdict::Unknown);
                    let looked = began.elapsed();
                    // A replica's trouble counts only once it was healthy for a while.
                    let least = LOOK_MIN.max(route.guard.healthy_before + TICK * 10);
                    if looked >= longest || (looked >= least && is_known) {
                        return;
                    }
                }
            }
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Topology { side, topology, .. } => {
                if let Some(rules) = &mut self.rules[side.index()] {
                    rules.topology(&topology, Instant::now());
                }
                self.topology[side.index()] = topology;
            }
            Event::Observation {
                side, observation, ..
            } => {
                if let Some(rules) = &mut self.rules[side.index()] {
                    rules.observe(&observation);
                }
                self.traffic[side.index()].observe(&observation);
            }
            _ => {}
        }
    }

    fn verdicts(&mut self) -> Vec<RuleVerdict> {
        guard::verdicts(&mut self.rules, Instant::now())
    }

    fn known(&mut self, route: &RouteConfig, now: Instant) -> [Option<Known>; 2] {
        Known::of(route, &self.topology, &mut self.traffic, now)
    }
}
