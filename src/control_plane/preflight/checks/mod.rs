//! What do the facts come to?
//!
//! Pure: facts and what the operator has stated in, rows out, a row for each check and side, with the worst node.
//! A check that has nothing to look at (no second side, no Sentinels) has no row.

mod compare;
mod load;
mod memory;
mod nodes;
mod output_limit;
mod rules;
mod sentinels;
mod setup;
mod shown;

pub use rules::of_rules;

use super::{Facts, Finding, Stated};
use crate::cluster::Side;

/// All checks, in report order.
pub fn findings(facts: &Facts, stated: &Stated) -> Vec<Finding> {
    let mut findings = Vec::new();
    for side in Side::BOTH {
        findings.extend(nodes::nodes(facts, side));
        findings.extend(sentinels::sentinels(facts, side));
        findings.extend(sentinels::priority(facts, side));
        findings.extend(sentinels::claims(facts, side));
        findings.extend(nodes::replica_sync(facts, side));
        findings.extend(nodes::replicas(facts, side, stated));
        findings.extend(load::stream_bandwidth(facts, side, stated));
        findings.extend(load::full_sync(facts, side, stated));
        findings.extend(load::backlog(facts, side));
        findings.extend(load::output_buffer_limit(facts, side, stated));
        findings.extend(memory::headroom(facts, side));
        findings.extend(memory::fork(facts, side));
        findings.extend(nodes::clock(facts, side));
    }
    findings.extend(nodes::overlap(facts));
    findings.extend(compare::version(facts));
    findings.extend(memory::maxmemory(facts));
    findings.extend(memory::policy(facts));
    findings.extend(compare::databases(facts));
    findings.extend(setup::users(facts));
    findings.extend(setup::functions(facts));
    findings.extend(setup::modules(facts));
    findings.extend(compare::persistence(facts));
    findings.sort_by_key(|finding| (place(finding.check), finding.side));
    findings
}

fn place(name: &str) -> usize {
    let all = super::Check::ALL;
    all.iter()
        .position(|check| check.name() == name)
        .unwrap_or(all.len())
}

#[cfg(test)]
pub(super) mod samples;
