//! Two real groups, and what pre-flight finds of them.

use switchback::cluster::{Credentials, Discovery, Endpoint, Secret, Side, Topology};
use switchback::control_plane::preflight::{Finding, Grade, Known, Stated, collect, findings};
use switchback::lab::{Group, GroupOptions, Server};
use tokio::task::LocalSet;

/// A master, a replica and three Sentinels.
pub(crate) fn group(name: &str) -> Group {
    let mut options = GroupOptions::named(name);
    options.replicas = 1;
    Group::start(options).unwrap()
}

/// Old and new.
pub(crate) fn groups() -> [Group; 2] {
    let old = std::thread::spawn(|| group("old"));
    let new = group("new");
    [old.join().unwrap(), new]
}

/// All rows, as if each master's stream grew by `stream` bytes a second.
pub(crate) fn found(groups: &[Group; 2], stated: &Stated, stream: f64) -> Vec<Finding> {
    let known = [0, 1].map(|side| Some(known(&groups[side], stream)));
    rows(known, stated)
}

fn rows(known: [Option<Known>; 2], stated: &Stated) -> Vec<Finding> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let facts = LocalSet::new().block_on(&runtime, collect(known));
    findings(&facts, stated)
}

fn known(group: &Group, stream: f64) -> Known {
    let master = group.master().unwrap();
    Known {
        endpoint: group.endpoint(),
        topology: Topology {
            replicas: group.replicas_of(&master),
            master: Some(master),
            heir: None,
        },
        stream: Some(stream),
    }
}

/// One row.
pub(crate) fn row<'a>(rows: &'a [Finding], check: &str, side: Side) -> &'a Finding {
    let found = rows.iter().find(|row| row.check == check && row.side == side);
    found.unwrap_or_else(|| panic!("no row of {check} on {side}"))
}

/// The names of the rows that refuse.
pub(crate) fn refusing(rows: &[Finding]) -> Vec<(&str, Side)> {
    let refusing = rows.iter().filter(|row| row.refuses);
    refusing.map(|row| (row.check, row.side)).collect()
}

/// The rows that are not ok, to be printed.
pub(crate) fn not_ok(rows: &[Finding]) -> Vec<String> {
    let not_ok = rows.iter().filter(|row| row.grade != Grade::Ok);
    not_ok.map(|row| format!("{} {row}", row.grade.name())).collect()
}

/// The rows of two lone servers, asked as this user.
pub(crate) fn found_as(servers: &[Server; 2], user: &str, password: &str) -> Vec<Finding> {
    let known = [0, 1].map(|side: usize| {
        let addr = servers[side].addr();
        Some(Known {
            endpoint: Endpoint {
                discovery: Discovery::Fixed(addr.clone()),
                tls: None,
                node_auth: Some(Credentials {
                    user: Some(user.to_owned()),
                    password: Secret::new(password),
                }),
                sentinel_auth: None,
            },
            topology: Topology {
                master: Some(addr),
                replicas: Vec::new(),
                heir: None,
            },
            stream: Some(0.0),
        })
    });
    rows(known, &Stated::default())
}
