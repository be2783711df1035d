//! Does new know old's users, libraries and modules?
//!
//! Pure. ACLs are not replicated: every node of new has its own and is asked, since it may be the master tomorrow.
//! Functions are, so its master is.

use std::collections::BTreeMap;

use super::compare::{pair, unknown};
use super::shown::names;
use crate::cluster::{NodeAddr, Side};
use crate::control_plane::preflight::{Check, Facts, Finding, Grade};

/// What of old's is missing on a node, and what is there and different.
struct Difference<'a> {
    node: &'a NodeAddr,
    missing: Vec<&'a str>,
    other: Vec<&'a str>,
}

impl<'a> Difference<'a> {
    fn of<T>(
        node: &'a NodeAddr,
        old: &'a BTreeMap<String, T>,
        new: &BTreeMap<String, T>,
        is_as_good: impl Fn(&T, &T) -> bool,
    ) -> Self {
        let (mut missing, mut other) = (Vec::new(), Vec::new());
        for (name, wanted) in old {
            match new.get(name) {
                None => missing.push(name.as_str()),
                Some(found) if !is_as_good(wanted, found) => other.push(name.as_str()),
                Some(_) => {}
            }
        }
        Self { node, missing, other }
    }

    fn grade(&self) -> Grade {
        match (self.missing.is_empty(), self.other.is_empty()) {
            (false, _) => Grade::Bad,
            (true, false) => Grade::Warn,
            (true, true) => Grade::Ok,
        }
    }

    fn row(&self, check: Check, count: usize) -> Finding {
        let measured = match self.grade() {
            Grade::Bad => format!("missing: {}", names(self.missing.iter().copied())),
            Grade::Warn => format!("different: {}", names(self.other.iter().copied())),
            _ => format!("{count} of {count}"),
        };
        Finding::new(check, Side::New, self.grade())
            .on(Some(self.node))
            .measured(measured)
            .limit(format!("{count}, as on old"))
    }
}

/// Old's ACL users.
pub(super) fn users(facts: &Facts) -> Option<Finding> {
    let check = Check::AclUsers;
    let (old, new) = match pair(facts, check)? {
        Ok(pair) => pair,
        Err(row) => return Some(row),
    };
    let old = match &old.users {
        Ok(users) => users,
        Err(why) => return Some(unknown(check, None, why.clone())),
    };
    let mut differences = Vec::new();
    for (addr, node) in new {
        match &node.users {
            Ok(users) => differences.push(Difference::of(addr, old, users, |one, other| one == other)),
            Err(why) => return Some(unknown(check, Some(addr), why.clone())),
        }
    }
    let worst = differences.iter().max_by_key(|difference| difference.grade())?;
    let row = worst.row(check, old.len());
    Some(match row.grade {
        Grade::Bad => {
            row.advice("ACL SETUSER them on every node of 'new': whoever logs in as one would be refused")
        }
        Grade::Warn => row.advice("their passwords or their permissions differ: see ACL LIST on both"),
        _ => row,
    })
}

/// Old's libraries of functions.
pub(super) fn functions(facts: &Facts) -> Option<Finding> {
    let check = Check::Functions;
    let old = match pair(facts, check)? {
        Ok((old, _)) => &old.functions,
        Err(row) => return Some(row),
    };
    let new = facts.side(Side::New)?.master();
    let (old, (addr, new)) = match (old, new) {
        (Ok(old), Some(new)) => (old, new),
        (Err(why), _) => return Some(unknown(check, None, why.clone())),
        (_, None) => return Some(unknown(check, None, "the master must answer first".to_owned())),
    };
    let new = match &new.functions {
        Ok(new) => new,
        Err(why) => return Some(unknown(check, Some(addr), why.clone())),
    };
    let difference = Difference::of(addr, old, new, |one, other| one == other);
    let row = difference.row(check, old.len());
    Some(match row.grade {
        Grade::Bad => row.advice("FUNCTION LOAD them on 'new': FCALL would fail there"),
        Grade::Warn => row.advice("their code differs: see FUNCTION LIST WITHCODE on both"),
        _ => row,
    })
}

/// Old's modules.
pub(super) fn modules(facts: &Facts) -> Option<Finding> {
    let check = Check::Modules;
    let (old, new) = match pair(facts, check)? {
        Ok(pair) => pair,
        Err(row) => return Some(row),
    };
    let old = &old.fields.modules;
    let differences: Vec<_> = new
        .into_iter()
        .map(|(addr, node)| Difference::of(addr, old, &node.fields.modules, |old, new| new >= old))
        .collect();
    let worst = differences.iter().max_by_key(|difference| difference.grade())?;
    let row = worst.row(check, old.len());
    Some(match row.grade {
        Grade::Bad => row.advice("load them on every node of 'new': their commands would be unknown there"),
        Grade::Warn => row.advice("older than on 'old'"),
        _ => row,
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{addr, facts, master_of, node_of};
    use super::*;
    use crate::control_plane::preflight::UserDigest;

    const USER: UserDigest = UserDigest {
        passwords: 1,
        rules: 2,
    };

    #[test]
    fn a_user_that_is_missing_on_any_node_refuses_and_one_that_differs_is_told() {
        let with = |there: &[usize], digest: UserDigest| {
            let mut facts = facts();
            let users = |node: &mut crate::control_plane::preflight::NodeAnswer, digest| {
                node.users.as_mut().unwrap().insert("app".to_owned(), digest);
            };
            users(master_of(&mut facts, Side::Old), USER);
            for index in there {
                users(node_of(&mut facts, Side::New, *index), digest);
            }
            super::users(&facts).unwrap()
        };
        assert_eq!(with(&[0, 1, 2], USER).grade, Grade::Ok);
        let missing = with(&[0, 1], USER);
        assert_eq!(
            (missing.grade, missing.node, missing.measured.as_str()),
            (Grade::Bad, Some(addr(2, 2)), "missing: app")
        );
        for other in [
            UserDigest { passwords: 9, ..USER },
            UserDigest { rules: 9, ..USER },
        ] {
            assert_eq!(with(&[0, 1, 2], other).grade, Grade::Warn);
        }
    }

    #[test]
    fn a_list_that_may_not_be_read_is_unknown_and_refuses_nothing() {
        let mut facts = facts();
        node_of(&mut facts, Side::New, 1).users = Err("not permitted: give the user +acl|list".to_owned());
        let row = users(&facts).unwrap();
        assert_eq!((row.grade, row.refuses), (Grade::Unknown, false));
        assert!(row.advice.contains("+acl|list"));
    }

    #[test]
    fn a_missing_library_refuses_and_other_code_is_told() {
        let row = |code: Option<u64>| {
            let mut facts = facts();
            let library = |code| BTreeMap::from([("lib".to_owned(), code)]);
            master_of(&mut facts, Side::Old).functions = Ok(library(1));
            master_of(&mut facts, Side::New).functions = Ok(code.map(library).unwrap_or_default());
            functions(&facts).unwrap()
        };
        assert_eq!(row(Some(1)).grade, Grade::Ok);
        assert_eq!(row(Some(2)).grade, Grade::Warn);
        assert_eq!(row(None).grade, Grade::Bad);
    }

    #[test]
    fn modules_must_be_there_and_should_not_be_older() {
        let row = |version: Option<u64>| {
            let mut facts = facts();
            let set = |node: &mut crate::control_plane::preflight::NodeAnswer, version| {
                node.fields.modules.insert("search".to_owned(), version);
            };
            set(master_of(&mut facts, Side::Old), 2);
            for (index, version) in (0..3).zip(std::iter::repeat(version)) {
                if let Some(version) = version {
                    set(node_of(&mut facts, Side::New, index), version);
                }
            }
            modules(&facts).unwrap().grade
        };
        assert_eq!(row(Some(2)), Grade::Ok);
        assert_eq!(row(Some(3)), Grade::Ok);
        assert_eq!(row(Some(1)), Grade::Warn);
        assert_eq!(row(None), Grade::Bad);
    }
}
