//! Is replication healthy on this side? The verdict of every rule, from observations and topologies.
//!
//! Pure: `now` comes in, verdicts come out. Three steps: [`SideEvidence`] collects, [`Measure`] reads a number off it,
//! [`Hysteresis`] makes it a verdict. Call order: [`Rules::topology`] and [`Rules::observe`] as they come, then
//! [`Rules::verdicts`], at least every 50 ms: a pause longer than `tilt_after` is taken for this process's own stall.

use std::time::{Duration, Instant};

use super::evidence::SideEvidence;
use super::evidence::reports::COMMANDS_OVER;
use super::hysteresis::{Hysteresis, Level};
use super::measure::{Measure, Reading};
use super::tilt::Tilt;
use super::{Action, Evidence, Observation, ObservationKind, Rule, RuleVerdict, Verdict};
use crate::cluster::{NodeAddr, Side, Topology};
use crate::config::GuardConfig;

/// How far ahead [`Rule::TrafficRising`] looks while nobody says: what a look at both sides before a shift is good for.
const HORIZON: Duration = Duration::from_secs(600);

/// Commands in one question of a probe to a master.
const OWN_COMMANDS: f64 = 3.0;

/// What metrics and reports show of one node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeHealth {
    /// The node.
    pub node: NodeAddr,
    /// ROLE says master; `None`: no fresh answer, the node counts as not up.
    pub is_master: Option<bool>,
    /// The last heartbeat's delay, or the age of the missing one; `None` on a master and without fresh evidence.
    pub delay: Option<Duration>,
    /// Bytes behind its master; `None` on a master and without fresh evidence.
    pub lag_bytes: Option<u64>,
    /// It has been in sync and keeping up, with heartbeats in time, for `healthy_before`: all its trouble is evidence.
    pub counts: bool,
}

/// The rules of one side of one route.
#[derive(Debug)]
pub struct Rules {
    side: Side,
    evidence: SideEvidence,
    tilt: Tilt,
    states: [Hysteresis; Rule::ALL.len()],
    horizon: Duration,
    /// Commands a second of the other side, where there is one.
    beside: Option<Option<f64>>,
}

impl Rules {
    /// Rules without any evidence yet: all unknown.
    pub fn new(config: GuardConfig, side: Side) -> Self {
        Self {
            side,
            tilt: Tilt::new(config.tilt_after, config.tilt_for),
            evidence: SideEvidence::new(config),
            states: [const { Hysteresis::new() }; Rule::ALL.len()],
            horizon: HORIZON,
            beside: None,
        }
    }

    /// How far ahead [`Rule::TrafficRising`] looks from now on: the time a ramp has left; `None` while there is none.
    pub fn horizon(&mut self, ahead: Option<Duration>) {
        self.horizon = ahead.unwrap_or(HORIZON);
    }

    /// Other settings from now on; the evidence stays.
    pub fn reconfigure(&mut self, config: GuardConfig) {
        self.tilt.reconfigure(config.tilt_after, config.tilt_for);
        self.evidence.config = config;
    }

    /// What the other side's [`Self::commands_per_second`] are, to be told before each look: traffic that moves between the
    /// sides does not rise. Never told: there is no other side.
    pub(super) fn beside(&mut self, commands_per_second: Option<f64>) {
        self.beside = Some(commands_per_second);
    }

    /// Commands the side's master executes a second, without the guard's own; `None` without fresh evidence.
    pub(super) fn commands_per_second(&self, now: Instant) -> Option<f64> {
        let config = &self.evidence.config;
        let (rate, at) = self.evidence.commands.per_second(COMMANDS_OVER)?;
        let is_fresh = now.saturating_duration_since(at) <= config.stale_after;
        let every = |interval: Duration| 1.0 / interval.as_secs_f64();
        let own = OWN_COMMANDS * every(config.probe_interval) + every(config.heartbeat_interval);
        is_fresh.then_some((rate - own).max(0.0))
    }

    fn add_up_traffic(&mut self, now: Instant) {
        let own = self.commands_per_second(now);
        let both = match self.beside {
            None => own,
            Some(other) => own.zip(other).map(|(own, other)| own + other),
        };
        if let Some(both) = both.filter(|_| !self.tilt.is_tilted(now)) {
            let window = self.evidence.config.rules.get(Rule::TrafficRising).window;
            self.evidence.traffic.push(now, both, window);
            self.evidence.traffic_at = Some(now);
        }
    }

    /// The side's master and replicas are these from `now` on.
    pub fn topology(&mut self, topology: &Topology, now: Instant) {
        self.tilt.tick(now);
        self.evidence.topology(topology, now);
    }

    /// Takes one observation in. Delays that contain a stall of this process are not believed.
    pub fn observe(&mut self, observation: &Observation) {
        let at = observation.at;
        self.tilt.tick(at);
        self.evidence.dates_badly = self.tilt.is_tilted(at);
        let began = |span: Duration| at.checked_sub(span).unwrap_or(at);
        let kind = match observation.kind {
            // It proves that the node is alive, and not how late it was.
            ObservationKind::Heartbeat { delay } if self.tilt.spans_stall(began(delay)) => {
                return self.evidence.answered(&observation.node, at);
            }
            ObservationKind::HeartbeatOutstanding { age } if self.tilt.spans_stall(began(age)) => {
                ObservationKind::HeartbeatOutstanding {
                    age: at.saturating_duration_since(self.tilt.clip(began(age))),
                }
            }
            _ => return self.evidence.observe(observation),
        };
        self.evidence.observe(&Observation {
            node: observation.node.clone(),
            at,
            kind,
        });
    }

    /// This process runs. Returns whether it began or ceased to distrust its own clock since the last call.
    pub fn tick(&mut self, now: Instant) -> bool {
        self.tilt.tick(now);
        self.tilt.changed(now)
    }

    /// Whether this process was stalled lately and distrusts its own clock.
    pub fn is_tilted(&self, now: Instant) -> bool {
        self.tilt.is_tilted(now)
    }

    /// The verdict of every rule that is evaluated and not off, in report order.
    pub fn verdicts(&mut self, now: Instant) -> Vec<RuleVerdict> {
        self.tilt.tick(now);
        self.evidence.drop_lost(now);
        self.add_up_traffic(now);
        let mut verdicts = Vec::with_capacity(Rule::ALL.len());
        for rule in Rule::ALL {
            if self.action(rule) != Action::Off {
                verdicts.extend(self.judge(rule, now));
            }
        }
        verdicts
    }

    /// Every node that is, or lately was, of this side, in address order.
    pub fn nodes(&self, now: Instant) -> Vec<NodeHealth> {
        let stale_after = self.evidence.config.stale_after;
        let health = |(addr, node): (&NodeAddr, &super::node::Node)| {
            let report = node.fresh(now, stale_after);
            let replica = report.filter(|report| !report.info.is_master);
            let offset = replica.and_then(|report| report.info.repl_offset);
            NodeHealth {
                node: addr.clone(),
                is_master: report.map(|report| report.info.is_master),
                delay: replica
                    .and_then(|_| node.fresh_beat(now, stale_after))
                    .map(|beat| beat.delay),
                lag_bytes: offset.and_then(|offset| self.evidence.offsets.bytes_ahead(offset)),
                counts: node.steady.done() && node.beating.done(),
            }
        };
        self.evidence.nodes.iter().map(health).collect()
    }

    fn action(&self, rule: Rule) -> Action {
        self.evidence.config.rules.get(rule).action[self.side.index()]
    }

    fn judge(&mut self, rule: Rule, now: Instant) -> Option<RuleVerdict> {
        let measure = Measure {
            side: self.side,
            tilt: &self.tilt,
            horizon: self.horizon,
            now,
        };
        let reading = measure.rule(rule, &mut self.evidence)?;
        let setting = self.evidence.config.rules.get(rule);
        let level = match reading.level(setting.limit, now) {
            Level::Reached(..) if is_timed(rule) && self.tilt.is_tilted(now) => Level::Unknown,
            level => level,
        };
        let state = &mut self.states[rule as usize];
        state.judge(level, setting, now);
        Some(RuleVerdict {
            side: self.side,
            rule,
            verdict: state.verdict(),
            action: setting.action[self.side.index()],
            evidence: evidence(reading, state.verdict(), setting.limit),
            since: state.since(now),
        })
    }
}

/// The verdicts of a route's sides, by [`Side::index`], each told how much the other has to do.
pub fn verdicts(sides: &mut [Option<Rules>; 2], now: Instant) -> Vec<RuleVerdict> {
    if let [Some(old), Some(new)] = sides {
        old.beside(new.commands_per_second(now));
        new.beside(old.commands_per_second(now));
    }
    let sides = sides.iter_mut().flatten();
    sides.flat_map(|rules| rules.verdicts(now)).collect()
}

/// Whether the rule measures by this process's clock. The others read what nodes say of themselves, stalled or not.
const fn is_timed(rule: Rule) -> bool {
    match rule {
        Rule::Unreachable
        | Rule::HeartbeatDelay
        | Rule::OffsetLag
        | Rule::CommandMismatch
        | Rule::Bandwidth
        | Rule::TrafficRising => true,
        Rule::LinkDown
        | Rule::ResyncLoop
        | Rule::ReplicaFlap
        | Rule::OutputBuffer
        | Rule::MemoryCap
        | Rule::MemoryGap
        | Rule::SlowlogGrowth
        | Rule::ReplicaExcess => false,
    }
}

fn evidence(reading: Reading, verdict: Verdict, limit: f64) -> Evidence {
    Evidence {
        node: reading.node,
        measured: match verdict {
            Verdict::Unknown => 0.0,
            Verdict::Ok | Verdict::Bad => reading.value.unwrap_or(0.0),
        },
        limit,
        note: reading.note,
    }
}
