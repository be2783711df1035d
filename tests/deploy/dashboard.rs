//! Is the dashboard whole, and does it ask for what there is?
//!
//! Metrics and their labels are those of `docs/metrics.md`, which `tests/docs` compares with a real scrape. What a real
//! Prometheus answers is asked in `prometheus.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::process::Command;

use serde_json::Value;
use switchback::lab::Directory;

use super::written;

const BOARD: &str = include_str!("../../deploy/grafana/switchback.json");
const METRICS: &str = include_str!("../../docs/metrics.md");
/// What Prometheus adds to each series.
const SCRAPED: [&str; 2] = ["instance", "job"];

pub(crate) fn board() -> Value {
    serde_json::from_str(BOARD).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// What the dashboard asks: where it says so, the expression, what is shown of each series.
pub(crate) struct Asked {
    pub(crate) place: String,
    pub(crate) expr: String,
    shown: String,
}

pub(crate) fn asked() -> Vec<Asked> {
    let board = board();
    let mut asked = Vec::new();
    for panel in list(&board["panels"]) {
        for target in panel["targets"].as_array().into_iter().flatten() {
            asked.push(Asked {
                place: text(panel, "title").to_owned(),
                expr: text(target, "expr").to_owned(),
                shown: text(target, "legendFormat").to_owned(),
            });
        }
    }
    for marked in list(&board["annotations"]["list"]) {
        asked.push(Asked {
            place: text(marked, "name").to_owned(),
            expr: text(marked, "expr").to_owned(),
            shown: text(marked, "titleFormat").to_owned() + text(marked, "textFormat"),
        });
    }
    asked
}

/// As Grafana asks it with everything chosen.
pub(crate) fn filled_in(expr: &str) -> String {
    let filled = [
        ("$__rate_interval", "1m"),
        ("$__range", "1h"),
        ("$route", ".*"),
        ("$side", ".*"),
        ("$job", ".*"),
    ];
    let expr = filled
        .iter()
        .fold(expr.to_owned(), |expr, (from, to)| expr.replace(from, to));
    assert!(!expr.contains('$'), "{expr}");
    expr
}

/// Labels by metric.
fn known() -> BTreeMap<&'static str, Vec<&'static str>> {
    let row = |line: &'static str| {
        let cells: Vec<&str> = line.strip_prefix("| `")?.split(" | ").collect();
        let labels = cells[2]
            .split(", ")
            .map(|label| label.trim_matches('`'))
            .filter(|label| !label.is_empty());
        Some((cells[0].trim_end_matches('`'), labels.chain(SCRAPED).collect()))
    };
    METRICS.lines().filter_map(row).collect()
}

/// Words of an expression that are names: of metrics, labels, functions.
fn names(expr: &str) -> impl Iterator<Item = &str> {
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    expr.split(move |char| !is_part(char))
        .filter(|name| !name.is_empty())
}

/// The metrics that an expression asks for, each with what stands in its braces.
fn selected(expr: &str) -> Vec<(&str, &str)> {
    let known = known();
    let mut found = Vec::new();
    for name in names(expr).collect::<BTreeSet<_>>() {
        let Some(metric) = known
            .keys()
            .copied()
            .find(|known| *known == name.strip_suffix("_bucket").unwrap_or(name))
        else {
            assert!(
                !name.starts_with("switchback_") && !name.starts_with("process_"),
                "{name} is no metric: {expr}"
            );
            continue;
        };
        for (at, _) in expr.match_indices(name) {
            let rest = &expr[at + name.len()..];
            let braces = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            found.push((metric, braces.map_or("", |(braces, _)| braces)));
        }
    }
    found
}

/// What stands in brackets behind each of these words.
fn grouped<'a>(expr: &'a str, word: &str) -> Vec<Vec<&'a str>> {
    let opens = format!("{word} (");
    let behind = expr.split(&opens).skip(1);
    behind
        .map(|rest| rest.split_once(')').unwrap().0.split(", ").collect())
        .collect()
}

#[test]
fn every_expression_asks_for_metrics_and_labels_that_there_are() {
    let known = known();
    let mut count = 0;
    for Asked { place, expr, shown } in asked() {
        let selected = selected(&expr);
        assert!(!selected.is_empty(), "{place}: {expr}");
        let mut labels = BTreeSet::from(["le"]);
        for (metric, braces) in &selected {
            labels.extend(&known[metric]);
            for matcher in braces.split(',').filter(|matcher| !matcher.is_empty()) {
                let label = matcher.split(['=', '!']).next().unwrap();
                assert!(known[metric].contains(&label), "{place}: {metric} has no {label}");
            }
        }
        let by = grouped(&expr, "by");
        for label in by.iter().chain(&grouped(&expr, "ignoring")).flatten() {
            assert!(labels.contains(label), "{place}: {label}: {expr}");
        }
        // What an aggregate leaves is what can be shown.
        let left: BTreeSet<&str> = match by.first() {
            Some(first) => first.iter().copied().collect(),
            None if expr.starts_with("sum(") => BTreeSet::new(),
            None => labels,
        };
        for label in shown
            .split("{{")
            .skip(1)
            .map(|rest| rest.split_once("}}").unwrap().0)
        {
            assert!(left.contains(label), "{place}: {{{{{label}}}}} of {expr}");
        }
        count += 1;
    }
    assert!(count > 30, "{count}");
}

#[test]
fn promtool_takes_every_expression() {
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (number, asked) in asked().iter().enumerate() {
        let expr = serde_json::to_string(&filled_in(&asked.expr)).unwrap();
        writeln!(rules, "      - record: asked:{number}\n        expr: {expr}").unwrap();
    }
    let directory = Directory::create("dashboard").unwrap();
    let check = |rules: &str| {
        let file = directory.write("rules.yml", rules).unwrap();
        let output = Command::new("promtool")
            .args(["check", "rules"])
            .arg(file)
            .output();
        output.expect("promtool (Debian package prometheus) is needed; ./.ci/install-tools installs it")
    };
    let output = check(&rules);
    assert!(output.status.success(), "{}", written(&output));
    let broken = rules.replacen("sum by (", "sum by ((", 1);
    assert!(!check(&broken).status.success());
}

#[test]
fn every_panel_says_what_it_is_and_has_a_place_of_its_own() {
    let board = board();
    let panels = list(&board["panels"]);
    let mut taken: BTreeMap<(u64, u64), &str> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for panel in panels {
        let title = text(panel, "title");
        assert!(!title.is_empty(), "{panel}");
        assert!(
            ids.insert(panel["id"].as_u64().unwrap()),
            "{title}: its id is another's"
        );
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        let (left, width, top, height) = (place("x"), place("w"), place("y"), place("h"));
        assert!(width > 0 && height > 0 && left + width <= 24, "{title}");
        for x in left..left + width {
            for y in top..top + height {
                let other = taken.insert((x, y), title);
                assert_eq!(other, None, "{title} lies over another");
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(text(panel, "description").len() > 20, "{title}: no description");
        assert!(
            !text(&panel["fieldConfig"]["defaults"], "unit").is_empty(),
            "{title}: no unit"
        );
        assert!(!list(&panel["targets"]).is_empty(), "{title}: asks nothing");
        let refs: BTreeSet<&str> = list(&panel["targets"])
            .iter()
            .map(|target| text(target, "refId"))
            .collect();
        assert_eq!(refs.len(), list(&panel["targets"]).len(), "{title}");
    }
    assert!(panels.len() > 25);
}

#[test]
fn everything_is_asked_of_the_data_source_that_is_chosen() {
    let board = board();
    let variables: Vec<&str> = list(&board["templating"]["list"])
        .iter()
        .map(|one| text(one, "name"))
        .collect();
    assert_eq!(variables, ["datasource", "route", "side", "job"]);
    let sources = BOARD.matches("\"uid\": ").count();
    // The board's own is the other one.
    assert_eq!(BOARD.matches("\"uid\": \"${datasource}\"").count() + 1, sources);
    for variable in list(&board["templating"]["list"]).iter().skip(1) {
        let query = text(&variable["query"], "query");
        let (series, label) = query
            .strip_prefix("label_values(")
            .unwrap()
            .trim_end_matches(')')
            .rsplit_once(", ")
            .unwrap();
        let metric = series.split('{').next().unwrap();
        assert!(known()[metric].contains(&label), "{query}");
    }
    assert!(board["schemaVersion"].as_u64().unwrap() >= 39);
}
