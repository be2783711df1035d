//! Do the alerts in `deploy/prometheus` hold, and does the runbook know each of them?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

use switchback::cluster::Side;
use switchback::control_plane::guard::{Action, Rule, RuleTable};

const NAMES: &str = include_str!("../src/metrics/names.rs");
const RUNBOOK: &str = include_str!("../docs/runbook.md");
const RULES: &str = include_str!("../deploy/prometheus/switchback.rules.yml");
const TESTS: &str = include_str!("../deploy/prometheus/switchback.test.yml");

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus")
}

/// What stands behind this on a line of its own.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let value = |line: &'a str| line.trim().trim_start_matches("- ").strip_prefix(key);
    text.lines().filter_map(value).map(str::trim).collect()
}

/// Headings of this level.
fn headings(level: &str) -> Vec<String> {
    let named = RUNBOOK.lines().filter_map(|line| line.strip_prefix(level));
    named
        .map(|name| name.trim().trim_matches('`').to_owned())
        .collect()
}

#[test]
fn prometheus_accepts_the_rules_and_their_tests_pass() {
    for words in [
        ["check", "rules", "switchback.rules.yml"],
        ["test", "rules", "switchback.test.yml"],
    ] {
        let output = Command::new("promtool")
            .args(words)
            .current_dir(folder())
            .output();
        let output =
            output.expect("promtool (Debian package prometheus) is needed; ./.ci/install-tools installs it");
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn every_alert_is_tested_and_has_its_place_in_the_runbook() {
    let (alerts, headings) = (values(RULES, "alert:"), headings("### "));
    assert!(alerts.len() > 10, "{alerts:?}");
    for alert in &alerts {
        assert!(
            headings.iter().any(|heading| heading == alert),
            "{alert}: no heading"
        );
        let link = format!("runbook_url: docs/runbook.md#{}", alert.to_lowercase());
        assert!(RULES.contains(&link), "{alert}: not linked");
        let is_expected = TESTS.split("alertname:").any(|case| {
            case.trim_start().starts_with(&format!("{alert}\n")) && !case.contains("exp_alerts: []")
        });
        assert!(is_expected, "{alert}: no test has it fire");
    }
    assert_eq!(values(RULES, "runbook_url:").len(), alerts.len());
    for heading in headings {
        let is_known =
            alerts.contains(&heading.as_str()) || Rule::ALL.iter().any(|rule| rule.name() == heading);
        assert!(is_known, "{heading}: neither an alert nor a rule");
    }
}

#[test]
fn every_rule_of_the_guard_has_its_place_in_the_runbook_and_pages_if_it_trips() {
    let headings = headings("### ");
    let tripping: Vec<&str> = RULES
        .lines()
        .filter_map(|line| line.split_once("rule=~\"")?.1.split_once('"'))
        .flat_map(|(rules, _)| rules.split('|'))
        .collect();
    let defaults = RuleTable::default();
    for rule in Rule::ALL {
        assert!(headings.iter().any(|heading| heading == rule.name()), "{rule}");
        let trips = defaults.get(rule).action[Side::New.index()] == Action::Trip;
        assert_eq!(tripping.contains(&rule.name()), trips, "{rule}");
    }
}

#[test]
fn the_rules_ask_for_metrics_that_there_are() {
    let mut asked = 0;
    for part in RULES.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_') {
        let name = part.strip_suffix("_bucket").unwrap_or(part);
        if name.starts_with("switchback_") && name != "switchback_share" {
            assert!(NAMES.contains(&format!("\"{name}\"")), "{name}");
            asked += 1;
        }
    }
    assert!(asked > 20, "{asked}");
}
