//! What do the control plane's decisions and the guard's measurements look like as metrics?
//!
//! Shell: remembers the present value of every gauge and sets them all at each scrape, so that what is not true any
//! more (a node that is gone) drops off the page by itself.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge, histogram};

use super::names;
use super::traffic::Traffic;
use crate::cluster::{NodeAddr, Side};
use crate::config::RouteConfig;
use crate::control_plane::guard::{Observation, ObservationKind, ReplicaLine, Rule, RuleVerdict, Verdict};
use crate::routing::{Epoch, Weight};
use crate::stats::RouteStats;

/// Every metric of the process, one entry a route.
pub(crate) struct Gauges {
    routes: Vec<Route>,
    process: metrics_process::Collector,
}

struct Route {
    name: String,
    traffic: Traffic,
    now: RefCell<Now>,
}

#[derive(Default)]
struct Now {
    weight: Weight,
    epoch: Epoch,
    is_latched: bool,
    bad: BTreeMap<(Side, Rule), bool>,
    nodes: BTreeMap<(Side, NodeAddr), Node>,
}

/// What was last measured of a node.
#[derive(Clone, Default)]
pub(crate) struct Node {
    /// `None`: it was not asked yet.
    pub(crate) is_up: Option<bool>,
    pub(crate) is_master: Option<bool>,
    /// Of a replica: how long what its master writes takes to reach it.
    pub(crate) delay: Option<Duration>,
    /// Of a replica that its master lists.
    pub(crate) lag_bytes: Option<u64>,
}

impl Gauges {
    /// Metrics of these routes, in the order of the configuration.
    pub(crate) fn new(routes: &[(&RouteConfig, Arc<RouteStats>)]) -> Self {
        let route = |(config, stats): &(&RouteConfig, Arc<RouteStats>)| Route {
            name: config.name.clone(),
            traffic: Traffic::new(config, Arc::clone(stats)),
            now: RefCell::default(),
        };
        let process = metrics_process::Collector::default();
        process.describe();
        Self {
            routes: routes.iter().map(route).collect(),
            process,
        }
    }

    /// A route's decided state.
    pub(crate) fn route(&self, at: usize, weight: Weight, epoch: Epoch, is_latched: bool) {
        let mut now = self.routes[at].now.borrow_mut();
        (now.weight, now.epoch, now.is_latched) = (weight, epoch, is_latched);
    }

    /// The verdicts of all rules; one that is not among them has been turned off.
    pub(crate) fn judged(&self, at: usize, verdicts: &[RuleVerdict]) {
        let is_bad = |verdict: &RuleVerdict| {
            let bad = verdict.verdict == Verdict::Bad;
            ((verdict.side, verdict.rule), bad)
        };
        self.routes[at].now.borrow_mut().bad = verdicts.iter().map(is_bad).collect();
    }

    /// A measurement of a node.
    pub(crate) fn observed(&self, at: usize, side: Side, observation: &Observation) {
        let mut now = self.routes[at].now.borrow_mut();
        let nodes = &mut now.nodes;
        match &observation.kind {
            ObservationKind::NoAnswer { .. } => node(nodes, side, &observation.node).is_up = Some(false),
            ObservationKind::Heartbeat { delay } | ObservationKind::HeartbeatOutstanding { age: delay } => {
                let replica = node(nodes, side, &observation.node);
                // Of a master it says only that it has acknowledged one.
                if replica.is_master != Some(true) {
                    replica.delay = Some(*delay);
                }
            }
            ObservationKind::Info(info) => {
                let answering = node(nodes, side, &observation.node);
                (answering.is_up, answering.is_master) = (Some(true), Some(info.is_master));
                if !info.is_master {
                    return;
                }
                // A master is behind nobody, and a replica it does not list is behind by what nobody knows.
                (answering.delay, answering.lag_bytes) = (None, None);
                for ((of, addr), replica) in nodes.iter_mut() {
                    if *of == side && *addr != observation.node {
                        let line = info.replicas.iter().find(|line| line.addr == *addr);
                        let lag = |line: &ReplicaLine| Some(info.repl_offset?.saturating_sub(line.offset));
                        replica.lag_bytes = line.and_then(lag);
                    }
                }
            }
        }
    }

    /// These are the nodes of a side now; others are forgotten.
    pub(crate) fn keep_nodes(&self, at: usize, side: Side, keep: impl Fn(&NodeAddr) -> bool) {
        let mut now = self.routes[at].now.borrow_mut();
        now.nodes.retain(|(of, node), _| *of != side || keep(node));
    }

    /// The nodes of a route's side that something was measured of.
    pub(crate) fn nodes(&self, route: &str, side: Side) -> BTreeMap<NodeAddr, Node> {
        let route = self.routes.iter().find(|known| known.name == route);
        let nodes = route.map(|route| route.now.borrow());
        let of_side = nodes
            .iter()
            .flat_map(|now| &now.nodes)
            .filter(|((of, _), _)| *of == side);
        of_side
            .map(|((_, addr), node)| (addr.clone(), node.clone()))
            .collect()
    }

    /// A side has another master.
    pub(crate) fn master_changed(&self, at: usize, side: Side) {
        let route = self.routes[at].name.clone();
        counter!(names::MASTER_CHANGES, "route" => route, "side" => side.name()).increment(1);
    }

    /// A route back is complete.
    pub(crate) fn routed_back(&self, at: usize, cause: &str, took: Duration) {
        let route = self.routes[at].name.clone();
        counter!(names::ROUTE_BACKS, "route" => route.clone(), "reason" => cause.to_owned()).increment(1);
        histogram!(names::ROUTE_BACK_SECONDS, "route" => route).record(took.as_secs_f64());
    }

    /// Brings the recorder up to date; called before each scrape.
    pub(crate) fn refresh(&self) {
        self.process.collect();
        gauge!(names::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        for route in &self.routes {
            route.traffic.refresh();
            route.refresh();
        }
    }
}

fn node<'a>(nodes: &'a mut BTreeMap<(Side, NodeAddr), Node>, side: Side, addr: &NodeAddr) -> &'a mut Node {
    nodes.entry((side, addr.clone())).or_default()
}

impl Route {
    fn refresh(&self) {
        let now = self.now.borrow();
        let route = || self.name.clone();
        gauge!(names::WEIGHT, "route" => route()).set(now.weight.ratio());
        gauge!(names::EPOCH, "route" => route()).set(now.epoch.0 as f64);
        gauge!(names::LATCHED, "route" => route()).set(f64::from(u8::from(now.is_latched)));
        for ((side, rule), is_bad) in &now.bad {
            gauge!(names::GUARD_BAD, "route" => route(), "side" => side.name(), "rule" => rule.name())
                .set(f64::from(u8::from(*is_bad)));
        }
        for ((side, addr), node) in &now.nodes {
            let labels = [
                ("route", self.name.clone()),
                ("side", side.name().to_owned()),
                ("node", addr.to_string()),
            ];
            let is_up = node.is_up.unwrap_or_default();
            gauge!(names::NODE_UP, &labels).set(f64::from(u8::from(is_up)));
            if let Some(delay) = node.delay {
                gauge!(names::DELAY, &labels).set(delay.as_secs_f64());
            }
            if let Some(lag) = node.lag_bytes {
                gauge!(names::LAG, &labels).set(lag as f64);
            }
            for (role, is_so) in [("master", true), ("replica", false)] {
                let Some(is_master) = node.is_master else { continue };
                let [route, side, node] = labels.clone();
                let value = f64::from(u8::from(is_master == is_so));
                gauge!(names::NODE_ROLE, &[route, side, node, ("role", role.to_owned())]).set(value);
            }
        }
    }
}
