//! Is new as new as old, with as many databases, and kept on disk alike?
//!
//! Pure: old's master against every node of new that answers.

use super::nodes::unknown_master;
use crate::cluster::{NodeAddr, Side};
use crate::control_plane::preflight::facts::{Learnt, NodeAnswer};
use crate::control_plane::preflight::{Check, Facts, Finding, Grade};

/// Old's master, and the nodes of new.
pub(super) type Pair<'a> = (&'a NodeAnswer, Vec<(&'a NodeAddr, &'a NodeAnswer)>);

/// `Err`: a row, where there are two sides and one cannot be asked.
pub(super) fn pair(facts: &Facts, check: Check) -> Option<Result<Pair<'_>, Finding>> {
    let (old, new) = (facts.side(Side::Old)?, facts.side(Side::New)?);
    let members: Vec<_> = new.members().collect();
    match old.master() {
        Some((_, master)) if !members.is_empty() => Some(Ok((master, members))),
        _ => Some(Err(unknown_master(check, Side::New))),
    }
}

/// No node of new runs an older Redis.
pub(super) fn version(facts: &Facts) -> Option<Finding> {
    let check = Check::Version;
    let (old, new) = match pair(facts, check)? {
        Ok(pair) => pair,
        Err(row) => return Some(row),
    };
    let read = |node: &NodeAnswer| numbers(node.fields.text("redis_version")?);
    let oldest = new
        .iter()
        .filter_map(|(addr, node)| Some((*addr, read(node)?)))
        .min_by(|one, other| one.1.cmp(&other.1));
    let (Some((addr, oldest)), Some(old)) = (oldest, read(old)) else {
        return Some(unknown(
            check,
            None,
            "INFO has no redis_version of numbers".to_owned(),
        ));
    };
    let grade = if oldest < old { Grade::Bad } else { Grade::Ok };
    let row = Finding::new(check, Side::New, grade)
        .on(Some(addr))
        .measured(dotted(&oldest))
        .limit(dotted(&old));
    Some(match grade {
        Grade::Ok => row,
        _ => row.advice("commands apps use may be missing there: upgrade 'new' first"),
    })
}

fn numbers(version: &str) -> Option<Vec<u64>> {
    version.split('.').map(|part| part.parse().ok()).collect()
}

fn dotted(version: &[u64]) -> String {
    version
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(".")
}

/// SELECT works as before.
pub(super) fn databases(facts: &Facts) -> Option<Finding> {
    let check = Check::Databases;
    let (old, new) = match pair(facts, check)? {
        Ok(pair) => pair,
        Err(row) => return Some(row),
    };
    let read = |node: &NodeAnswer| -> Learnt<u64> {
        node.setting("databases")?
            .parse()
            .map_err(|_| "its setting has an unknown form".to_owned())
    };
    let old = match read(old) {
        Ok(old) => old,
        Err(why) => return Some(unknown(check, None, why)),
    };
    let mut least: Option<(&NodeAddr, u64)> = None;
    for (addr, node) in new {
        match read(node) {
            Ok(count) if least.is_none_or(|(_, least)| count < least) => least = Some((addr, count)),
            Ok(_) => {}
            Err(why) => return Some(unknown(check, Some(addr), why)),
        }
    }
    let (addr, count) = least?;
    let grade = if count < old { Grade::Bad } else { Grade::Ok };
    let row = Finding::new(check, Side::New, grade)
        .on(Some(addr))
        .measured(count.to_string())
        .limit(old.to_string());
    Some(match grade {
        Grade::Ok => row,
        _ => row.advice("set `databases` as on 'old' and restart: SELECT of the others would fail"),
    })
}

/// What a restart of the whole side brings back.
pub(super) fn persistence(facts: &Facts) -> Option<Finding> {
    let check = Check::Persistence;
    let (old, new) = match pair(facts, check)? {
        Ok(pair) => pair,
        Err(row) => return Some(row),
    };
    let read = |node: &NodeAnswer| -> Learnt<String> {
        let aof = node.fields.text("aof_enabled").unwrap_or("?");
        let save = match node.setting("save")? {
            "" => "no",
            times => times,
        };
        Ok(format!(
            "save {save}, appendonly {}",
            if aof == "1" { "yes" } else { "no" }
        ))
    };
    let old = match read(old) {
        Ok(old) => old,
        Err(why) => return Some(unknown(check, None, why)),
    };
    let mut shown = None;
    for (addr, node) in new {
        match read(node) {
            Ok(kept) if kept == old => {
                shown.get_or_insert((addr, kept));
            }
            Ok(kept) => {
                let row = Finding::new(check, Side::New, Grade::Warn)
                    .on(Some(addr))
                    .measured(kept)
                    .limit(old);
                return Some(row.advice("decide whether that is meant: it says what a restart brings back"));
            }
            Err(why) => return Some(unknown(check, Some(addr), why)),
        }
    }
    let (addr, kept) = shown?;
    Some(
        Finding::new(check, Side::New, Grade::Ok)
            .on(Some(addr))
            .measured(kept)
            .limit(old),
    )
}

pub(super) fn unknown(check: Check, node: Option<&NodeAddr>, why: String) -> Finding {
    Finding::new(check, Side::New, Grade::Unknown)
        .on(node)
        .measured("unknown")
        .limit("as on old")
        .advice(why)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{addr, facts, node_of};
    use super::*;

    #[test]
    fn an_older_server_refuses_on_whichever_node_of_new_it_runs() {
        let row = |running: &str| {
            let mut facts = facts();
            let values = &mut node_of(&mut facts, Side::New, 2).fields.values;
            values.insert("redis_version", running.to_owned());
            version(&facts).unwrap()
        };
        // Old runs 7.0.15.
        assert_eq!(row("7.0.15").grade, Grade::Ok);
        assert_eq!(row("7.2.0").grade, Grade::Ok);
        let older = row("7.0.9");
        assert_eq!((older.grade, older.node), (Grade::Bad, Some(addr(2, 2))));
        // The other two of new are told from what can be read.
        assert_eq!(row("unstable").grade, Grade::Ok);
    }

    #[test]
    fn fewer_databases_refuse() {
        let row = |count: Learnt<&str>| {
            let mut facts = facts();
            let settings = &mut node_of(&mut facts, Side::New, 0).settings;
            settings.insert("databases", count.map(str::to_owned));
            databases(&facts).unwrap()
        };
        assert_eq!(row(Ok("16")).grade, Grade::Ok);
        assert_eq!(row(Ok("15")).grade, Grade::Bad);
        let unknown = row(Err("not permitted: give the user +config|get".to_owned()));
        assert_eq!((unknown.grade, unknown.refuses), (Grade::Unknown, false));
        assert!(unknown.advice.contains("+config|get"));
    }

    #[test]
    fn other_persistence_is_told() {
        let mut facts = facts();
        assert_eq!(persistence(&facts).unwrap().grade, Grade::Ok);
        node_of(&mut facts, Side::New, 1)
            .settings
            .insert("save", Ok("3600 1".to_owned()));
        let row = persistence(&facts).unwrap();
        assert_eq!((row.grade, row.node), (Grade::Warn, Some(addr(2, 1))));
    }

    #[test]
    fn nothing_is_compared_with_one_side_and_nothing_is_claimed_of_one_that_is_silent() {
        let mut one = facts();
        one.sides[1] = None;
        assert!(version(&one).is_none() && databases(&one).is_none() && persistence(&one).is_none());
        let mut silent = facts();
        silent.sides[0].as_mut().unwrap().topology.master = None;
        assert_eq!(version(&silent).unwrap().grade, Grade::Unknown);
    }
}
