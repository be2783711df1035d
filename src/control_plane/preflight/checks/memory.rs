//! Is there room in memory, for the data and for a fork?
//!
//! Pure. `new` is measured with as much data as `old` has: the sides share none, so it will grow to that.

use super::nodes::unknown_master;
use super::shown::bytes;
use crate::cluster::{NodeAddr, Side};
use crate::control_plane::preflight::facts::{NodeAnswer, SideFacts};
use crate::control_plane::preflight::{Check, Facts, Finding, Grade};

/// Of `maxmemory`: a node this close to it evicts, or refuses, with the next rise of traffic.
const CAP_LIMIT: f64 = 0.95;
/// Of the machine's memory: beyond it the kernel looks for somebody to kill.
const MACHINE_LIMIT: f64 = 0.9;
/// While a node forks it answers nobody. Half a second without a heartbeat is what the guard trips by, by default.
const FORK_LIMIT_MICROS: f64 = 500_000.0;

/// A cap and what is done at it.
struct Cap<'a> {
    /// 0: none.
    bytes: f64,
    policy: &'a str,
}

impl<'a> Cap<'a> {
    fn of(node: &'a NodeAnswer) -> Option<Self> {
        Some(Self {
            bytes: node.fields.number("maxmemory")?,
            policy: node.fields.text("maxmemory_policy")?,
        })
    }

    fn has_one(&self) -> bool {
        self.bytes > 0.0
    }

    fn evicts(&self) -> bool {
        self.policy != "noeviction"
    }
}

/// The data against `maxmemory` and the machine.
pub(super) fn headroom(facts: &Facts, side: Side) -> Option<Finding> {
    let check = Check::MemoryHeadroom;
    let seen = facts.side(side)?;
    let old = facts.side(Side::Old).and_then(SideFacts::master);
    let taken_over = old
        .and_then(|(_, old)| old.fields.number("used_memory"))
        .unwrap_or(0.0);
    let rows = seen.members().filter_map(|(addr, node)| {
        let used = node.fields.number("used_memory")?.max(match side {
            Side::Old => 0.0,
            Side::New => taken_over,
        });
        let machine = node.fields.number("total_system_memory")?;
        Some(fits(side, addr, used, &Cap::of(node)?, machine))
    });
    let worst = rows.max_by_key(|row| row.grade);
    Some(worst.unwrap_or_else(|| unknown_master(check, side)))
}

fn fits(side: Side, addr: &NodeAddr, used: f64, cap: &Cap<'_>, machine: f64) -> Finding {
    let row = |grade| {
        Finding::new(Check::MemoryHeadroom, side, grade)
            .on(Some(addr))
            .measured(bytes(used))
    };
    let of_cap = format!("{:.0} % of maxmemory {}", CAP_LIMIT * 100.0, bytes(cap.bytes));
    let of_machine = format!(
        "{:.0} % of the machine's {}",
        MACHINE_LIMIT * 100.0,
        bytes(machine)
    );
    if used >= machine * MACHINE_LIMIT {
        return row(Grade::Bad)
            .limit(of_machine)
            .advice("the machine is too small for the data");
    }
    if cap.has_one() && used >= cap.bytes * CAP_LIMIT {
        return match cap.evicts() {
            true => row(Grade::Warn)
                .limit(of_cap)
                .advice("at its cap it evicts: raise maxmemory if that is not meant"),
            false => row(Grade::Bad)
                .limit(of_cap)
                .advice("at its cap it refuses writes: raise maxmemory first"),
        };
    }
    if used * 2.0 > machine {
        return row(Grade::Warn).limit(format!("half of the machine's {}", bytes(machine))).advice(
            "a fork (BGSAVE, AOF rewrite, full sync) may need as much again while writes go on; vm.overcommit_memory must be 1",
        );
    }
    row(Grade::Ok).limit(match cap.has_one() {
        true => of_cap,
        false => of_machine,
    })
}

/// Forks of the master work, are quick, and none is under way.
pub(super) fn fork(facts: &Facts, side: Side) -> Option<Finding> {
    let seen = facts.side(side)?;
    let Some((addr, master)) = seen.master() else {
        return Some(unknown_master(Check::Fork, side));
    };
    let is = |name, value| master.fields.text(name) == Some(value);
    let row = |grade| Finding::new(Check::Fork, side, grade).on(Some(addr));
    let Some(took) = master.fields.number("latest_fork_usec") else {
        return Some(
            row(Grade::Unknown)
                .measured("unknown")
                .limit("-")
                .advice("INFO has no latest_fork_usec"),
        );
    };
    let limit = format!("{} ms", FORK_LIMIT_MICROS / 1000.0);
    let row = if is("rdb_last_bgsave_status", "err") {
        row(Grade::Bad)
            .measured("the last BGSAVE failed")
            .advice("a full sync will fail as well: look into its log; often vm.overcommit_memory is not 1, or the disk is full")
    } else if is("rdb_bgsave_in_progress", "1") || is("aof_rewrite_in_progress", "1") {
        row(Grade::Warn)
            .measured("a fork is under way")
            .advice("wait until BGSAVE or the AOF rewrite is over")
    } else if took >= FORK_LIMIT_MICROS {
        row(Grade::Warn)
            .measured(format!("{:.0} ms", took / 1000.0))
            .advice("the next fork stops it for as long, which the guard takes for an outage: disable transparent huge pages, or BGSAVE at another time")
    } else {
        row(Grade::Ok).measured(format!("{:.1} ms", took / 1000.0))
    };
    Some(row.limit(limit))
}

/// `maxmemory` of new is not smaller.
pub(super) fn maxmemory(facts: &Facts) -> Option<Finding> {
    let (_, old) = facts.side(Side::Old)?.master()?;
    let new = facts.side(Side::New)?;
    let (old_cap, used) = (Cap::of(old)?, old.fields.number("used_memory")?);
    let room = |cap: &Cap<'_>| if cap.has_one() { cap.bytes } else { f64::INFINITY };
    let caps = new
        .members()
        .filter_map(|(addr, node)| Some((addr, Cap::of(node)?)));
    let (addr, least) = caps.min_by(|one, other| room(&one.1).total_cmp(&room(&other.1)))?;
    let grade = match room(&least) {
        least if least >= room(&old_cap) => Grade::Ok,
        least if least < used => Grade::Bad,
        _ => Grade::Warn,
    };
    let shown = |cap: &Cap<'_>| match cap.has_one() {
        true => bytes(cap.bytes),
        false => "none".to_owned(),
    };
    let row = Finding::new(Check::Maxmemory, Side::New, grade)
        .on(Some(addr))
        .measured(shown(&least))
        .limit(shown(&old_cap));
    Some(match grade {
        Grade::Ok => row,
        _ => row.advice(format!(
            "'old' has {} in use: give 'new' as much maxmemory, or FORCE with the reason why less will do",
            bytes(used)
        )),
    })
}

/// What is done at the cap is the same.
pub(super) fn policy(facts: &Facts) -> Option<Finding> {
    let (_, old) = facts.side(Side::Old)?.master()?;
    let new = facts.side(Side::New)?;
    let old_cap = Cap::of(old)?;
    let caps = || {
        new.members()
            .filter_map(|(addr, node)| Some((addr, Cap::of(node)?)))
    };
    let differs = caps().find(|(_, cap)| cap.policy != old_cap.policy);
    let (addr, cap) = differs.or_else(|| caps().next())?;
    let is_capped = cap.has_one() || old_cap.has_one();
    let grade = match cap.policy == old_cap.policy {
        true => Grade::Ok,
        false if is_capped => Grade::Bad,
        false => Grade::Warn,
    };
    let row = Finding::new(Check::MaxmemoryPolicy, Side::New, grade)
        .on(Some(addr))
        .measured(cap.policy)
        .limit(old_cap.policy);
    Some(match grade {
        Grade::Ok => row,
        _ => row.advice("apps would see errors instead of evictions, or lose keys instead of errors: set the same, or FORCE with the reason"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{facts, node_of};
    use super::*;

    const GB: f64 = 1_073_741_824.0;

    fn with(side: Side, values: &[(&'static str, &str)]) -> Facts {
        let mut facts = facts();
        for index in 0..3 {
            for (name, value) in values {
                let fields = &mut node_of(&mut facts, side, index).fields;
                fields.values.insert(name, (*value).to_owned());
            }
        }
        facts
    }

    fn size(gigabytes: f64) -> String {
        format!("{:.0}", gigabytes * GB)
    }

    #[test]
    fn a_full_cap_refuses_where_it_refuses_writes_and_is_told_where_it_evicts() {
        let grade = |used: f64, policy| {
            let used = size(used);
            let values = [
                ("used_memory", used.as_str()),
                ("maxmemory", &size(2.0)),
                ("maxmemory_policy", policy),
            ];
            headroom(&with(Side::Old, &values), Side::Old).unwrap().grade
        };
        assert_eq!(grade(1.89, "noeviction"), Grade::Ok);
        assert_eq!(grade(1.91, "noeviction"), Grade::Bad);
        assert_eq!(grade(1.91, "allkeys-lru"), Grade::Warn);
    }

    #[test]
    fn new_must_have_room_for_what_old_holds() {
        let mut facts = with(Side::Old, &[("used_memory", &size(3.0))]);
        for index in 0..3 {
            let values = &mut node_of(&mut facts, Side::New, index).fields.values;
            values.insert("maxmemory", size(3.1));
        }
        assert_eq!(headroom(&facts, Side::New).unwrap().grade, Grade::Bad);
        assert_eq!(headroom(&facts, Side::Old).unwrap().grade, Grade::Ok);
    }

    #[test]
    fn the_machine_must_hold_the_data_and_should_hold_a_fork() {
        let grade = |used: f64| {
            headroom(&with(Side::Old, &[("used_memory", &size(used))]), Side::Old)
                .unwrap()
                .grade
        };
        // Of 16 GB.
        assert_eq!(grade(8.0), Grade::Ok);
        assert_eq!(grade(8.1), Grade::Warn);
        assert_eq!(grade(14.3), Grade::Warn);
        assert_eq!(grade(14.5), Grade::Bad);
    }

    #[test]
    fn forks_that_fail_refuse_and_slow_or_running_ones_are_told() {
        let grade = |name, value| fork(&with(Side::New, &[(name, value)]), Side::New).unwrap().grade;
        assert_eq!(grade("latest_fork_usec", "499999"), Grade::Ok);
        assert_eq!(grade("latest_fork_usec", "500000"), Grade::Warn);
        assert_eq!(grade("rdb_bgsave_in_progress", "1"), Grade::Warn);
        assert_eq!(grade("aof_rewrite_in_progress", "1"), Grade::Warn);
        assert_eq!(grade("rdb_last_bgsave_status", "err"), Grade::Bad);
    }

    #[test]
    fn a_smaller_cap_is_told_and_one_below_what_is_in_use_refuses() {
        let grade = |old: f64, new: f64| {
            let mut facts = with(
                Side::Old,
                &[("used_memory", &size(2.0)), ("maxmemory", &size(old))],
            );
            let values = &mut node_of(&mut facts, Side::New, 2).fields.values;
            values.insert("maxmemory", size(new));
            maxmemory(&facts).unwrap().grade
        };
        assert_eq!(grade(4.0, 4.0), Grade::Ok);
        assert_eq!(grade(4.0, 0.0), Grade::Ok, "no cap is no smaller");
        assert_eq!(grade(4.0, 3.9), Grade::Warn);
        assert_eq!(grade(0.0, 3.9), Grade::Warn);
        assert_eq!(grade(4.0, 1.9), Grade::Bad);
    }

    #[test]
    fn another_policy_refuses_only_where_there_is_a_cap() {
        let grade = |cap: f64| {
            let facts = with(
                Side::New,
                &[("maxmemory_policy", "allkeys-lru"), ("maxmemory", &size(cap))],
            );
            policy(&facts).unwrap().grade
        };
        assert_eq!(grade(0.0), Grade::Warn);
        assert_eq!(grade(1.0), Grade::Bad);
        assert_eq!(policy(&facts()).unwrap().grade, Grade::Ok);
    }
}
