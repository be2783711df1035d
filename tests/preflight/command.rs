//! `switchback check --preflight`, as an operator types it.

use serde_json::Value;
use switchback::cluster::Secret;
use switchback::lab::{Directory, Group, GroupOptions};

use crate::groups::{group, groups};
use crate::running::{program, stderr};

/// A configuration file of one route, gone with this.
struct File(Directory);

impl File {
    fn new(old: &str, new: Option<&str>, more: &str) -> Self {
        let directory = Directory::create("preflight-test").unwrap();
        let new = new.map_or(String::new(), |url| format!("new = \"{url}\"\n"));
        let text = format!(
            "[[route]]\nname = \"r\"\nlisten = [\"127.0.0.1:6400\"]\nold = \"{old}\"\n{new}{more}\n[route.guard]\nhealthy_before = \"1s\"\n"
        );
        directory.write("switchback.toml", &text).unwrap();
        Self(directory)
    }

    fn check(&self, more: &[&str]) -> std::process::Output {
        let path = self.0.path().join("switchback.toml").display().to_string();
        program(&[&["check", "--config", &path, "--preflight"], more].concat())
    }
}

#[test]
fn two_healthy_groups_pass_and_every_check_and_rule_has_its_row() {
    let groups = groups();
    let [old, new] = [0, 1].map(|side| groups[side].sentinel_url());
    let file = File::new(&old, Some(&new), "");
    let output = file.check(&["--json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}\n{}", stderr(&output));
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    let has = |check: &str, side: &str| {
        rows.iter()
            .any(|row| row["check"] == check && row["side"] == side && row["route"] == "r")
    };
    for side in ["old", "new"] {
        for check in [
            "unreachable",
            "heartbeat_delay",
            "offset_lag",
            "nodes",
            "sentinels",
            "backlog",
            "clock",
        ] {
            assert!(has(check, side), "{check} {side}: {text}");
        }
    }
    assert!(has("acl_users", "new") && has("functions", "new") && has("version", "new"));
    assert!(
        rows.iter()
            .all(|row| row["verdict"] != "bad" && row["refuses"] == false)
    );
}

#[test]
fn what_is_wrong_is_in_the_table_in_one_line_on_stderr_and_in_the_exit_code() {
    let groups = groups();
    let old = groups[0].server(&groups[0].master().unwrap()).unwrap();
    old.call(&["ACL", "SETUSER", "app", "on", ">topsecret", "~*", "+@all"])
        .unwrap();
    let [old, new] = [0, 1].map(|side| groups[side].sentinel_url());
    let output = File::new(&old, Some(&new), "").check(&[]);
    let (table, reason) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr(&output),
    );
    assert_eq!(output.status.code(), Some(1), "{table}\n{reason}");
    assert_eq!(reason.lines().count(), 1, "{reason}");
    assert!(reason.contains("rule=acl_users node=127.0.0.1:"), "{reason}");
    let headings: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(
        headings,
        [
            "ROUTE", "CHECK", "SIDE", "NODE", "MEASURED", "LIMIT", "VERDICT", "ADVICE"
        ]
    );
    let line = table.lines().find(|line| line.contains("acl_users")).unwrap();
    assert!(
        line.contains("missing: app") && line.contains("bad") && line.contains("ACL SETUSER"),
        "{line}"
    );
}

#[test]
fn a_wrong_password_of_the_nodes_is_said_and_not_shown() {
    let mut options = GroupOptions::named("old");
    (options.replicas, options.sentinels) = (0, 1);
    options.password = Some(Secret::new("right-word"));
    let group = Group::start(options).unwrap();
    let auth = "[route.old_auth]\npassword = \"wrong-word\"\n";
    let output = File::new(&group.sentinel_url(), None, auth).check(&[]);
    let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
    assert_eq!(output.status.code(), Some(1), "{all}");
    assert!(all.contains("WRONGPASS"), "{all}");
    assert!(
        !all.contains("wrong-word") && !all.contains("right-word"),
        "{all}"
    );
}

#[test]
fn one_side_is_checked_for_what_makes_sense_with_one() {
    let group = group("old");
    let output = File::new(&group.sentinel_url(), None, "").check(&["--json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}{}", stderr(&output));
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(rows.iter().all(|row| row["side"] == "old"), "{text}");
    assert!(!rows.iter().any(|row| row["check"] == "acl_users"));
}

#[test]
fn a_bad_file_is_a_bad_file_with_or_without_preflight() {
    let output = File::new("nonsense", None, "").check(&[]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}
