//! How does a person read what the proxy says?
//!
//! Pure: the admin socket's JSON to tables. Lenient: a missing field is a dash and an unknown one is not shown, because
//! the proxy may be of another version than this program.

use std::time::Duration;

use serde_json::Value;

use super::table::Table;
pub(super) use crate::glance::words::plain;

/// `STATUS`: the routes, what is under way on them, then their sides.
pub(super) fn status(document: &Value) -> String {
    let mut routes = Table::new(&[
        "ROUTE", "STATE", "WEIGHT", "TARGET", "EPOCH", "LATCHED", "CLIENTS", "REASON",
    ]);
    let mut sides = Table::new(&[
        "ROUTE", "SIDE", "VERDICT", "MASTER", "REPLICAS", "COMMANDS", "P99_MS",
    ]);
    for route in list(document) {
        let mut cells = cells(route, &["route", "state"]);
        cells.extend(["weight", "target"].map(|name| percent(route.get(name))));
        cells.extend(self::cells(route, &["epoch", "latched", "clients", "reason"]));
        routes.row(cells);
        for side in ["old", "new"] {
            let Some(seen) = route.get(side).filter(|seen| !seen.is_null()) else {
                continue;
            };
            let mut cells = vec![cell(route.get("route")), side.to_owned()];
            cells.extend(self::cells(
                seen,
                &["verdict", "master", "replicas", "commands_total", "p99_ms"],
            ));
            sides.row(cells);
        }
    }
    let under_way = match ramps(document) {
        text if text.is_empty() => text,
        text => format!("\n{text}"),
    };
    let advice = list(document)
        .iter()
        .filter_map(|route| advice(route, &["route"]));
    let (routes, sides) = (routes.text(), sides.text());
    format!("{routes}{under_way}\n{sides}{}", advice.collect::<String>())
}

/// What is to be done, below the tables: it has commands in it, and is too long for a column.
fn advice(entry: &Value, names: &[&str]) -> Option<String> {
    let advice = entry.get("advice").and_then(Value::as_str)?;
    let name = cells(entry, names).join(" ");
    Some(format!("\n{name}: {}\n", plain(advice)))
}

/// Of `STATUS`: the ramps and shifts under way. Nothing where there are none.
pub(super) fn ramps(document: &Value) -> String {
    let mut table = Table::new(&[
        "ROUTE",
        "STATE",
        "WEIGHT",
        "NEXT",
        "HOLD_LEFT",
        "STEP",
        "STEPS",
        "ESTIMATED_END",
        "PAUSED",
    ]);
    let is_under_way = |route: &&Value| {
        let state = route.get("state").and_then(Value::as_str);
        matches!(state, Some("ramping" | "shifting"))
    };
    let mut routes = list(document).iter().filter(is_under_way).peekable();
    if routes.peek().is_none() {
        return String::new();
    }
    for route in routes {
        let ramp = |name: &str| route.get("ramp").and_then(|ramp| ramp.get(name));
        let steps = ramp("steps").and_then(Value::as_array);
        let of_all = steps.map_or(String::new(), |steps| format!("/{}", steps.len()));
        let mut cells = cells(route, &["route", "state"]);
        cells.push(percent(route.get("weight")));
        cells.push(percent(ramp("next").or_else(|| route.get("target"))));
        cells.push(hold(ramp("hold_left_seconds")));
        cells.push(format!("{}{of_all}", cell(ramp("step"))));
        cells.push(steps.map_or_else(
            || cell(None),
            |steps| {
                let steps: Vec<String> = steps.iter().map(|step| percent(Some(step))).collect();
                steps.join(",")
            },
        ));
        cells.extend(self::cells(route, &["estimated_end", "paused"]));
        table.row(cells);
    }
    table.text()
}

/// Seconds as they would be written in the configuration.
fn hold(value: Option<&Value>) -> String {
    let seconds = value.and_then(Value::as_f64).map(f64::ceil);
    match seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        Some(left) => humantime::format_duration(left).to_string(),
        None => cell(value),
    }
}

/// `HEALTH`.
pub(super) fn health(document: &Value) -> String {
    let table = simple(
        document,
        &[
            "route", "side", "rule", "verdict", "action", "node", "measured", "limit", "unit", "since",
            "note",
        ],
    );
    let advice = list(document)
        .iter()
        .filter_map(|rule| advice(rule, &["route", "side", "rule"]));
    table + &advice.collect::<String>()
}

/// `TOPOLOGY`.
pub(super) fn topology(document: &Value) -> String {
    simple(
        document,
        &["route", "side", "discovery", "master", "replicas", "sentinels"],
    )
}

/// `EVENTS`.
pub(super) fn events(document: &Value) -> String {
    simple(document, &["time", "epoch", "route", "side", "kind", "reason"])
}

/// `check --preflight`.
pub(super) fn preflight(document: &Value) -> String {
    simple(
        document,
        &[
            "route", "check", "side", "node", "measured", "limit", "verdict", "advice",
        ],
    )
}

/// One event of a stream. Widths are fixed, since what comes next is not known.
pub(super) fn event(event: &Value) -> String {
    let text = |name: &str| cell(event.get(name));
    let line = format!(
        "{:<30}  {:>6}  {:<16}  {:<4}  {:<20}  {}",
        text("time"),
        text("epoch"),
        text("route"),
        text("side"),
        text("kind"),
        text("reason")
    );
    format!("{}\n", line.trim_end())
}

/// A table with a column for each of `names`.
fn simple(document: &Value, names: &[&str]) -> String {
    let headings: Vec<String> = names.iter().map(|name| name.to_uppercase()).collect();
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    let mut table = Table::new(&headings);
    for entry in list(document) {
        table.row(cells(entry, names));
    }
    table.text()
}

/// The entries of an array, or the one entry that came without one.
fn list(document: &Value) -> &[Value] {
    match document {
        Value::Array(entries) => entries,
        one => std::slice::from_ref(one),
    }
}

fn cells(entry: &Value, names: &[&str]) -> Vec<String> {
    names.iter().map(|name| cell(entry.get(*name))).collect()
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::Bool(yes)) => if *yes { "yes" } else { "no" }.to_owned(),
        Some(Value::Number(number)) => match number.as_f64() {
            Some(float) if float.fract() != 0.0 => format!("{float:.3}"),
            Some(float) if number.is_f64() => format!("{float:.0}"),
            _ => number.to_string(),
        },
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => plain(text),
        Some(Value::Array(items)) if items.is_empty() => "-".to_owned(),
        Some(Value::Array(items)) => {
            let items: Vec<String> = items.iter().map(|item| cell(Some(item))).collect();
            items.join(",")
        }
        Some(object @ Value::Object(_)) => plain(&object.to_string()),
    }
}

/// A weight as the proxy itself writes it.
fn percent(value: Option<&Value>) -> String {
    match value.and_then(Value::as_f64) {
        Some(percent) => format!("{percent:.2}"),
        None => cell(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn status_shows_routes_and_the_sides_they_have() {
        let document = json!([{
            "route": "pubsub-1", "state": "tripped", "weight": 0, "target": 25.5, "epoch": 17, "latched": true,
            "reason": "rule=link_down", "clients": 3, "surprise": 1,
            "old": {"master": "10.0.0.1:6379", "replicas": ["10.0.0.2:6379", "10.0.0.3:6379"], "verdict": "ok",
                    "commands_total": 1234, "p99_ms": 0.51234},
            "new": null
        }]);
        assert_eq!(
            status(&document),
            "ROUTE     STATE    WEIGHT  TARGET  EPOCH  LATCHED  CLIENTS  REASON\n\
             pubsub-1  tripped    0.00   25.50     17  yes            3  rule=link_down\n\
             \n\
             ROUTE     SIDE  VERDICT  MASTER         REPLICAS                     COMMANDS  P99_MS\n\
             pubsub-1  old   ok       10.0.0.1:6379  10.0.0.2:6379,10.0.0.3:6379      1234   0.512\n"
        );
        assert_eq!(
            status(&document[0]),
            status(&document),
            "one route comes without an array"
        );
    }

    #[test]
    fn what_is_under_way_is_shown_and_only_that() {
        let ramp = json!({"step": 2, "steps": [1.0, 2.5, 100.0], "next": 100.0, "hold_left_seconds": 61.2});
        let document = json!([
            {"route": "a", "state": "ramping", "weight": 2.5, "target": 100.0, "ramp": ramp, "paused": null,
             "estimated_end": "2026-01-02T03:04:05.678Z"},
            {"route": "b", "state": "shifting", "weight": 1.0, "target": 50.0, "ramp": null,
             "paused": "rule=link_down node=none", "estimated_end": null},
            {"route": "c", "state": "steady", "weight": 1.0, "target": 1.0},
        ]);
        assert_eq!(
            ramps(&document),
            "ROUTE  STATE     WEIGHT    NEXT  HOLD_LEFT  STEP  STEPS             ESTIMATED_END             PAUSED\n\
             a      ramping     2.50  100.00  1m 2s      2/3   1.00,2.50,100.00  2026-01-02T03:04:05.678Z  -\n\
             b      shifting    1.00   50.00  -          -     -                 -                         rule=link_down node=none\n"
        );
        assert!(status(&document).contains(&ramps(&document)));
        assert_eq!(ramps(&document[2]), "");
    }

    #[test]
    fn what_is_to_be_done_stands_below_the_tables() {
        let document =
            json!([{"route": "r", "advice": "detach h:1: redis-cli -h h"}, {"route": "s", "advice": null}]);
        assert!(status(&document).ends_with("\n\nr: detach h:1: redis-cli -h h\n"));
        let document = json!([{"route": "r", "side": "new", "rule": "link_down", "advice": "look"}]);
        assert!(health(&document).ends_with("\n\nr new link_down: look\n"));
    }

    #[test]
    fn what_is_missing_is_a_dash() {
        assert_eq!(
            events(&json!([{"kind": "trip"}, {}, 7])).lines().nth(1).unwrap(),
            "-     -      -      -     trip  -"
        );
        let measured = health(&json!({"measured": null}));
        assert!(
            measured
                .lines()
                .nth(1)
                .unwrap()
                .split_whitespace()
                .all(|cell| cell == "-")
        );
        assert_eq!(topology(&json!([])).lines().count(), 1);
        assert!(event(&json!({})).starts_with("- "));
    }

    #[test]
    fn nothing_the_proxy_passes_on_moves_the_cursor() {
        let document = json!([{"reason": "\u{1b}[2Jgone\nline", "kind": "\u{9b}x"}]);
        for text in [events(&document), event(&document[0])] {
            assert!(
                !text
                    .trim_end()
                    .split('\n')
                    .next_back()
                    .unwrap()
                    .contains(char::is_control),
                "{text:?}"
            );
        }
        assert_eq!(events(&document).lines().count(), 2);
    }
}
