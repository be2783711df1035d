//! How does what was seen become a page?
//!
//! Pure: the same tables that the script makes of the same JSON. Every text is escaped where it is put in.

use crate::glance::words::{bytes, delay, number, percent, time_of_day};
use crate::glance::{Event, Node, Route, Rule, SIDES, Seen, under_way};

/// Events shown of each route.
const EVENTS: usize = 12;

/// A text as text.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            char => out.push(char),
        }
    }
    out
}

/// A section for each route.
pub(super) fn routes(seen: &Seen) -> String {
    if seen.routes.is_empty() {
        return "<p>There are no routes.</p>".to_owned();
    }
    seen.routes
        .iter()
        .map(|route| section(route, &seen.events))
        .collect()
}

fn section(route: &Route, events: &[Event]) -> String {
    let name = escaped(&route.name);
    let state = tag(&route.state);
    let weight = format!("{:.2}", route.weight);
    let events: Vec<&Event> = events
        .iter()
        .filter(|event| event.route == route.name)
        .take(EVENTS)
        .collect();
    let facts: String = facts(route)
        .into_iter()
        .map(|(label, text)| format!("<dt>{label}</dt><dd>{}</dd>", escaped(&text)))
        .collect();
    format!(
        "<section data-route=\"{name}\" data-state=\"{}\" data-latched=\"{}\" data-weight=\"{weight}\">\
         <h2>{name} {state}</h2>\
         <p class=\"weight\"><meter min=\"0\" max=\"100\" value=\"{weight}\" aria-label=\"weight\"></meter> \
         <strong>{}</strong> on new{}</p><dl>{facts}</dl>{}{}{}{}</section>\n",
        escaped(&route.state),
        route.is_latched,
        percent(route.weight),
        target(route),
        nodes(route),
        rules(&route.rules),
        happened(&events),
        well(&route.rules),
    )
}

fn target(route: &Route) -> String {
    match (route.weight - route.target).abs() < 0.005 {
        true => String::new(),
        false => format!(", on the way to {}", percent(route.target)),
    }
}

/// What is worth a line, in the order in which it is.
fn facts(route: &Route) -> Vec<(&'static str, String)> {
    let reason = if route.is_latched { "LATCHED" } else { "reason" };
    let some = [
        (reason, route.reason.clone()),
        ("advice", route.advice.clone()),
        ("paused", route.paused.clone()),
    ];
    let mut facts: Vec<(&str, String)> = some
        .into_iter()
        .filter_map(|(label, text)| Some((label, text?)))
        .collect();
    facts.extend(under_way(route));
    let counts = format!(
        "{}, {} clients, {} commands held",
        route.epoch, route.clients, route.held
    );
    facts.push(("epoch", counts));
    facts
}

fn nodes(route: &Route) -> String {
    let dash = || "-".to_owned();
    let row = |side: &str, verdict: &str, node: &Node| {
        let up = match node.is_up {
            Some(true) => "up",
            Some(false) => "down",
            None => "-",
        };
        [
            escaped(side),
            tag(verdict),
            escaped(node.role.as_deref().unwrap_or("-")),
            escaped(&node.addr),
            tag(up),
            node.delay.map_or_else(dash, delay),
            node.lag_bytes.map_or_else(dash, bytes),
        ]
    };
    let sides = SIDES.into_iter().zip(&route.sides);
    let rows: Vec<[String; 7]> = sides
        .filter_map(|(name, side)| Some((name, side.as_ref()?)))
        .flat_map(|(name, side)| side.nodes.iter().map(move |node| row(name, &side.verdict, node)))
        .collect();
    let headings = [
        "side",
        "verdict",
        "role",
        "node",
        "up",
        "replication delay",
        "behind",
    ];
    table("nodes", "Nodes", &headings, &rows)
}

/// Those that want to be looked at, with how many there are of each.
fn rules(rules: &[Rule]) -> String {
    let count = |verdict: &str| rules.iter().filter(|rule| rule.verdict == verdict).count();
    let counts = format!(
        "{} bad, {} unknown, {} ok",
        count("bad"),
        count("unknown"),
        count("ok")
    );
    let worse: Vec<&Rule> = rules.iter().filter(|rule| rule.verdict != "ok").collect();
    format!(
        "<p>Rules: {counts}</p>{}",
        rule_table("Rules that are not ok", &worse)
    )
}

/// The rest of them, below what has happened.
fn well(rules: &[Rule]) -> String {
    let well: Vec<&Rule> = rules.iter().filter(|rule| rule.verdict == "ok").collect();
    rule_table("Rules that are ok", &well)
}

fn rule_table(caption: &str, rules: &[&Rule]) -> String {
    if rules.is_empty() {
        return String::new();
    }
    let dash = || "-".to_owned();
    let row = |rule: &&Rule| {
        let text = |text: &Option<String>| escaped(text.as_deref().unwrap_or("-"));
        [
            tag(&rule.verdict),
            escaped(&rule.side),
            escaped(&rule.rule),
            escaped(&rule.action),
            text(&rule.node),
            rule.measured.map_or_else(dash, number),
            rule.limit.map_or_else(dash, number),
            escaped(&rule.unit),
            escaped(rule.since.as_deref().map_or("-", time_of_day)),
            text(&rule.note),
        ]
    };
    let rows: Vec<[String; 10]> = rules.iter().map(row).collect();
    let headings = [
        "verdict", "side", "rule", "action", "node", "measured", "limit", "unit", "since", "note",
    ];
    table("rules", caption, &headings, &rows)
}

fn happened(events: &[&Event]) -> String {
    let row = |event: &&Event| {
        [
            escaped(time_of_day(&event.time)),
            escaped(event.side.as_deref().unwrap_or("-")),
            escaped(&event.kind),
            escaped(&event.reason),
        ]
    };
    let rows: Vec<[String; 4]> = events.iter().map(row).collect();
    table(
        "events",
        "Last events",
        &["time (UTC)", "side", "kind", "reason"],
        &rows,
    )
}

/// A word with its looks. The word says it; the colour only has it found sooner.
fn tag(word: &str) -> String {
    let class = match word {
        "ok" | "up" => "good",
        "bad" | "down" | "tripped" => "bad",
        "unknown" => "doubtful",
        _ => "plain",
    };
    format!("<span class=\"tag {class}\">{}</span>", escaped(word))
}

/// Cells are HTML already.
fn table<const N: usize>(class: &str, caption: &str, headings: &[&str; N], rows: &[[String; N]]) -> String {
    let headings: String = headings
        .iter()
        .map(|heading| format!("<th scope=\"col\">{heading}</th>"))
        .collect();
    let row = |cells: &[String; N]| {
        let cells: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        format!("<tr>{cells}</tr>")
    };
    let rows: String = rows.iter().map(row).collect();
    format!(
        "<table class=\"{class}\"><caption>{caption}</caption><thead><tr>{headings}</tr></thead><tbody>{rows}</tbody></table>"
    )
}
