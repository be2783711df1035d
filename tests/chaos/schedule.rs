//! What happens when, in the play of one seed?
//!
//! Pure: the same seed is the same schedule. Each lane is played by itself, one fault after the other; lanes overlap, which
//! is the point.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use switchback::cluster::Side;

use crate::fault::{Fault, Link, Means, NodeFault, Order, ProxyFault, SentinelFault};

/// How long a schedule is, but for what takes longer to end than was planned.
const LENGTH_MILLIS: u64 = 15_000;

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timed {
    pub(crate) at: Duration,
    pub(crate) lasts: Duration,
    pub(crate) fault: Fault,
}

/// All of one seed, in the order in which they begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) seed: u64,
    pub(crate) faults: Vec<Timed>,
}

impl Schedule {
    /// Of a seed; without what is not possible here.
    pub(crate) fn of(seed: u64, means: Means) -> Self {
        let mut random = Rng::with_seed(seed);
        let mut faults = Vec::new();
        for side in [Side::Old, Side::New] {
            lane(&mut faults, &mut random, 5_000, 500..=4_000, |random| {
                Fault::Node(side, node(random))
            });
            lane(&mut faults, &mut random, 6_000, 1_000..=5_000, |random| {
                Fault::Sentinel(side, sentinel(random))
            });
        }
        lane(&mut faults, &mut random, 5_000, 100..=2_500, |random| {
            Fault::Proxy(proxy(random))
        });
        lane(&mut faults, &mut random, 1_200, 0..=0, |random| {
            Fault::Operator(order(random))
        });
        // From the beginning, so that there is traffic on both sides to be hit.
        faults.push(Timed {
            at: Duration::from_millis(100),
            lasts: Duration::ZERO,
            fault: Fault::Operator(Order::Force(50)),
        });
        faults.retain(|one| one.fault.is_possible(means));
        faults.sort_by_key(|one| one.at);
        Self { seed, faults }
    }

    /// Those of one lane.
    pub(crate) fn lane(&self, is_of: impl Fn(Fault) -> bool) -> Vec<Timed> {
        let chosen = self.faults.iter().filter(|one| is_of(one.fault));
        chosen.copied().collect()
    }

    pub(crate) fn has(&self, is_it: impl Fn(Fault) -> bool) -> bool {
        self.faults.iter().any(|one| is_it(one.fault))
    }
}

/// Faults one after the other, `pause` milliseconds apart at most.
fn lane(
    faults: &mut Vec<Timed>,
    random: &mut Rng,
    pause: u64,
    lasts: std::ops::RangeInclusive<u64>,
    choose: impl Fn(&mut Rng) -> Fault,
) {
    let mut at = random.u64(200..=pause);
    while at < LENGTH_MILLIS {
        let lasting = random.u64(lasts.clone());
        faults.push(Timed {
            at: Duration::from_millis(at),
            lasts: Duration::from_millis(lasting),
            fault: choose(random),
        });
        at += lasting + random.u64(200..=pause);
    }
}

fn node(random: &mut Rng) -> NodeFault {
    let link = |random: &mut Rng| Link::ALL[random.usize(..Link::ALL.len())];
    match random.u32(..10) {
        0 => NodeFault::MasterKilled,
        1 => NodeFault::MasterFrozen,
        2 => NodeFault::MasterUnplugged,
        3 => NodeFault::MasterSplit,
        4 => NodeFault::MasterNarrow(link(random)),
        5 => NodeFault::ReplicaKilled,
        6 => NodeFault::ReplicaFrozen,
        7 => NodeFault::ReplicaUnplugged,
        8 => NodeFault::ReplicaNarrow(link(random)),
        _ => NodeFault::FailedOver,
    }
}

fn sentinel(random: &mut Rng) -> SentinelFault {
    let which = random.usize(..3);
    match random.u32(..6) {
        0 => SentinelFault::Killed(which),
        1 => SentinelFault::Frozen(which),
        2 => SentinelFault::Unplugged(which),
        3 => SentinelFault::NamesReplica,
        4 => SentinelFault::NamesStranger,
        _ => SentinelFault::NamesNobody,
    }
}

fn proxy(random: &mut Rng) -> ProxyFault {
    match random.u32(..8) {
        0 => ProxyFault::Killed,
        1 => ProxyFault::Frozen,
        2 => ProxyFault::Upgraded,
        3 => ProxyFault::Reloaded,
        4 => ProxyFault::ReloadedWrong,
        5 => ProxyFault::DiskFull,
        6 => ProxyFault::OutOfDescriptors,
        _ => ProxyFault::ClockJumps([-3_600, -5, 5, 3_600][random.usize(..4)]),
    }
}

fn order(random: &mut Rng) -> Order {
    match random.u32(..10) {
        0 | 1 => Order::Raise(random.u32(1..=100)),
        2 => Order::RaiseOver(random.u32(1..=100)),
        3..=5 => Order::Force(random.u32(1..=100)),
        6 => Order::Back,
        _ => Order::Arm,
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}:", self.seed)?;
        for one in &self.faults {
            let (at, lasts) = (one.at.as_secs_f64(), one.lasts.as_secs_f64());
            writeln!(f, "  {at:6.2} s, for {lasts:4.2} s: {:?}", one.fault)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ALL: Means = Means {
        has_hosts: true,
        has_disk: true,
        has_clock: true,
    };

    const NONE: Means = Means {
        has_hosts: false,
        has_disk: false,
        has_clock: false,
    };

    #[test]
    fn the_same_seed_is_the_same_schedule_and_another_is_another() {
        for seed in 0..100 {
            assert_eq!(Schedule::of(seed, ALL), Schedule::of(seed, ALL));
            let next = Schedule::of(seed + 1, ALL);
            assert_ne!(Schedule::of(seed, ALL).faults, next.faults);
        }
    }

    #[test]
    fn no_two_faults_of_one_sides_nodes_overlap() {
        for seed in 0..1_000 {
            let is_of = |fault| matches!(fault, Fault::Node(Side::New, _));
            let lane = Schedule::of(seed, ALL).lane(is_of);
            let apart = lane.windows(2).all(|two| two[0].at + two[0].lasts < two[1].at);
            assert!(apart, "{lane:?}");
        }
    }

    #[test]
    fn every_kind_of_fault_is_in_some_schedule_and_none_that_is_not_possible() {
        let name =
            |fault: Fault| format!("{fault:?}").replace(|one: char| one.is_ascii_digit() || one == '-', "");
        let kinds = |means: Means| {
            let all = (0..300).flat_map(|seed| Schedule::of(seed, means).faults);
            all.map(|one| name(one.fault)).collect::<BTreeSet<_>>()
        };
        // 14 of nodes and 6 of Sentinels by side, 8 of the proxy, 5 orders.
        assert_eq!(kinds(ALL).len(), 2 * (14 + 6) + 8 + 5, "{:?}", kinds(ALL));
        assert_eq!(kinds(NONE).len(), 2 * (5 + 5) + 6 + 5, "{:?}", kinds(NONE));
    }
}
