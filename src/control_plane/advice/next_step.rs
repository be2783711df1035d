//! What does a rule that is bad ask for?
//!
//! Pure: a table, for whoever stands before a route that went back and has not seen it before.

use super::command::redis_cli;
use crate::cluster::{Access, NodeAddr};
use crate::control_plane::guard::Rule;

/// What to look at, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NextStep {
    /// One sentence, without its stop.
    what: &'static str,
    /// The words of a command that shows it.
    command: &'static str,
}

impl NextStep {
    /// By rule.
    pub(super) const fn of(rule: Rule) -> Self {
        let (what, command) = match rule {
            Rule::Unreachable => (
                "see whether the node runs and can be reached from here, and what its Sentinels make of it",
                "PING",
            ),
            Rule::HeartbeatDelay => (
                "replication is late: see what waits in the replicas' output buffers (omem), and how full the master's link is",
                "CLIENT LIST TYPE replica",
            ),
            Rule::LinkDown => (
                "see which replica is missing or has master_link_status:down, and the reason in its log",
                "INFO replication",
            ),
            Rule::ResyncLoop => (
                "replicas lose the stream and start over: feed fewer at a time, and raise repl-backlog-size and \
                 client-output-buffer-limit replica before the next try",
                "INFO stats",
            ),
            Rule::ReplicaFlap => (
                "replicas come and go: see in the master's log why it drops them (output buffer, timeout) and whether they restart",
                "INFO replication",
            ),
            Rule::OffsetLag => (
                "a replica does not keep up: see whether it is short of processor or link, or the master writes in bursts",
                "INFO replication",
            ),
            Rule::OutputBuffer => (
                "a replica does not take what the master sends: see its omem, its link and its load; at the limit it is dropped \
                 and starts over",
                "CLIENT LIST TYPE replica",
            ),
            Rule::MemoryCap => (
                "the node is at maxmemory and evicts or refuses: raise maxmemory, or take data off it",
                "INFO memory",
            ),
            Rule::MemoryGap => (
                "master and replica do not hold the same: compare their keyspaces before trusting a failover",
                "INFO memory",
            ),
            Rule::SlowlogGrowth => ("see which commands are slow", "SLOWLOG GET 10"),
            Rule::CommandMismatch => (
                "one replica applies another number of commands than its siblings: see whether it is behind, or written to by others",
                "INFO stats",
            ),
            Rule::ReplicaExcess => (
                "the master feeds more replicas than usual: detach those that are not its own",
                "INFO replication",
            ),
            Rule::Bandwidth => (
                "the node's link is nearly full: take replicas or traffic off it",
                "INFO stats",
            ),
            Rule::TrafficRising => ("traffic rises: wait for a quieter hour", "INFO stats"),
        };
        Self { what, command }
    }

    /// The sentence, and the command for the node where there is one.
    pub(super) fn line(&self, node: Option<&NodeAddr>, access: Option<&Access>) -> String {
        match node {
            Some(node) => format!("{}: {}", self.what, redis_cli(node, access, self.command)),
            None => self.what.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_asks_for_something_that_a_look_can_begin_with() {
        for rule in Rule::ALL {
            let step = NextStep::of(rule);
            assert!(
                !step.what.contains('\n') && !step.what.contains("  "),
                "{rule}: {}",
                step.what
            );
            let looks = ["PING", "INFO", "CLIENT LIST", "SLOWLOG GET"];
            assert!(
                looks.iter().any(|look| step.command.starts_with(look)),
                "{rule}: {} might change something",
                step.command
            );
        }
    }
}
