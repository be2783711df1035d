//! What is to be done about a route that went back, in one line?
//!
//! Pure: from what is known now, so that the line changes as the operator does what it says.

use super::Fed;
use super::command::{quoted, redis_cli};
use super::next_step::NextStep;
use crate::cluster::{Discovery, Endpoint, NodeAddr, Side, Topology};
use crate::config::GuardConfig;
use crate::control_plane::guard::{Rule, RuleVerdict};

/// Commands in one line; how many more there are is said.
const COMMANDS_MAX: usize = 8;

/// How things stand.
#[derive(Clone, Copy, Debug)]
pub(in crate::control_plane) struct Situation<'a> {
    pub(in crate::control_plane) route: &'a str,
    /// What tripped, on which side and node; `None`: an operator took the traffic back.
    pub(in crate::control_plane) cause: Option<(Rule, Side, Option<&'a NodeAddr>)>,
    /// By side.
    pub(in crate::control_plane) topology: &'a [Topology; 2],
    pub(in crate::control_plane) old: &'a Endpoint,
    pub(in crate::control_plane) new: Option<&'a Endpoint>,
    pub(in crate::control_plane) guard: &'a GuardConfig,
    pub(in crate::control_plane) fed: &'a Fed,
}

impl Situation<'_> {
    /// What to do, in order. `None`: nothing is known that would have to be.
    pub(in crate::control_plane) fn advice(&self) -> Option<String> {
        let detaching = self.detaching();
        let cause = self
            .cause
            .map(|(rule, side, node)| format!("{rule} on {side}: {}", self.step(rule, side, node)));
        let steps: Vec<String> = detaching.into_iter().chain(cause).collect();
        if steps.is_empty() {
            return None;
        }
        let arm = format!("when that is mended: switchback arm {}", self.route);
        Some(format!("{}; {arm}", steps.join("; then ")))
    }

    /// Whom to detach from the old master.
    fn detaching(&self) -> Option<String> {
        let master = self.topology[Side::Old.index()].master.as_ref()?;
        let new = &self.topology[Side::New.index()];
        let usual = self.guard.replicas_usual[Side::Old.index()];
        let strangers = self.fed.strangers(usual, new, &self.guard.detach);
        if !strangers.is_empty() {
            let commands = self.detach_commands(&strangers);
            let sentinel = self
                .forgetting()
                .map_or(String::new(), |words| format!("; {words}"));
            return Some(format!(
                "detach {} that are not the old master's own from {master}: {commands}{sentinel}",
                replicas(strangers.len()),
            ));
        }
        let fed = self.fed.replicas();
        let usual = usual.filter(|usual| fed.len() > *usual)?;
        Some(format!(
            "the old master {master} feeds {} where {usual} are usual; detach those that are not its own: {}",
            replicas(fed.len()),
            self.detach_commands(fed)
        ))
    }

    fn detach_commands(&self, nodes: &[NodeAddr]) -> String {
        let new = &self.topology[Side::New.index()];
        let command = |node: &NodeAddr| {
            let endpoint = if new.has(node) { self.new } else { None };
            let access = endpoint.unwrap_or(self.old).node_access();
            redis_cli(node, Some(&access), "REPLICAOF NO ONE")
        };
        listed(nodes.iter().map(command))
    }

    /// Sentinel attaches a replica it knows again after some seconds, unless it is made to forget it.
    fn forgetting(&self) -> Option<String> {
        let Discovery::Sentinel {
            sentinels,
            master_name,
        } = &self.old.discovery
        else {
            return None;
        };
        let words = format!("SENTINEL RESET {}", quoted(master_name));
        let access = self.old.sentinel_access();
        let commands = sentinels
            .iter()
            .map(|sentinel| redis_cli(sentinel, Some(&access), &words));
        Some(format!(
            "at once after that, on every old Sentinel, or they attach them again: {}",
            listed(commands)
        ))
    }

    /// What one bad rule asks for.
    pub(in crate::control_plane) fn next_step(&self, verdict: &RuleVerdict) -> String {
        self.step(verdict.rule, verdict.side, verdict.evidence.node.as_ref())
    }

    fn step(&self, rule: Rule, side: Side, node: Option<&NodeAddr>) -> String {
        let endpoint = match side {
            Side::Old => Some(self.old),
            Side::New => self.new,
        };
        let access = endpoint.map(Endpoint::node_access);
        let node = node.or(self.topology[side.index()].master.as_ref());
        NextStep::of(rule).line(node, access.as_ref())
    }
}

fn replicas(count: usize) -> String {
    match count {
        1 => "1 replica".to_owned(),
        count => format!("{count} replicas"),
    }
}

fn listed(commands: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = commands.collect();
    let more = all.len().saturating_sub(COMMANDS_MAX);
    let shown = all[..all.len() - more].join("; ");
    match more {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

#[cfg(test)]
#[path = "situation_tests.rs"]
mod tests;
