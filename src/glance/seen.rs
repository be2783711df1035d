//! What has the proxy said?
//!
//! Pure: the admin socket's JSON to what the screen shows. Lenient, as [`crate::cli`]'s tables are: what is missing is
//! nothing, because the proxy may be of another version. All text is made plain here, once: nothing moves the cursor.

use serde_json::Value;

use super::words::plain;

/// `STATUS`, `HEALTH`, `TOPOLOGY` and `EVENTS` of one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) routes: Vec<Route>,
    /// Newest first, of all routes.
    pub(crate) events: Vec<Event>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Route {
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) weight: f64,
    pub(crate) target: f64,
    pub(crate) next_step: Option<f64>,
    pub(crate) epoch: u64,
    pub(crate) is_latched: bool,
    pub(crate) paused: Option<String>,
    pub(crate) estimated_end: Option<String>,
    pub(crate) ramp: Option<Ramp>,
    pub(crate) reason: Option<String>,
    pub(crate) advice: Option<String>,
    pub(crate) clients: u64,
    pub(crate) held: u64,
    /// `old`, `new`.
    pub(crate) sides: [Option<Side>; 2],
    /// Worst first.
    pub(crate) rules: Vec<Rule>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ramp {
    pub(crate) step: u64,
    pub(crate) steps: usize,
    pub(crate) next: Option<f64>,
    pub(crate) hold_left: f64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Side {
    pub(crate) verdict: String,
    pub(crate) commands: Option<u64>,
    pub(crate) nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Node {
    pub(crate) addr: String,
    pub(crate) role: Option<String>,
    pub(crate) is_up: Option<bool>,
    pub(crate) delay: Option<f64>,
    pub(crate) lag_bytes: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rule {
    pub(crate) side: String,
    pub(crate) rule: String,
    pub(crate) verdict: String,
    pub(crate) action: String,
    pub(crate) node: Option<String>,
    pub(crate) measured: Option<f64>,
    pub(crate) limit: Option<f64>,
    pub(crate) unit: String,
    pub(crate) since: Option<String>,
    pub(crate) note: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) time: String,
    pub(crate) route: String,
    pub(crate) side: Option<String>,
    pub(crate) kind: String,
    pub(crate) reason: String,
}

/// The sides' names, in the order in which a route has them.
pub(crate) const SIDES: [&str; 2] = ["old", "new"];

impl Seen {
    /// Of the four documents.
    pub(crate) fn of(status: &Value, health: &Value, topology: &Value, events: &Value) -> Self {
        let route = |status: &Value| {
            let name = word(status, "route");
            let is_its = |entry: &&Value| word(entry, "route") == name;
            let mut rules: Vec<Rule> = list(health).iter().filter(is_its).map(rule).collect();
            // Within a verdict the proxy's own order stays.
            rules.sort_by_key(Rule::rank);
            let nodes = |side: &str| {
                let mut entries = list(topology).iter().filter(is_its);
                let entry = entries.find(|entry| word(entry, "side") == side);
                entry.map(|entry| list(&entry["nodes"]).iter().map(node).collect())
            };
            Route {
                sides: SIDES.map(|side| seen_side(&status[side], nodes(side).unwrap_or_default())),
                rules,
                ..route_alone(status, name)
            }
        };
        Self {
            routes: list(status).iter().map(route).collect(),
            events: list(events).iter().map(event).collect(),
        }
    }

    pub(crate) fn route(&self, name: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.name == name)
    }
}

impl Route {
    /// Whether somebody should look here first.
    pub(crate) fn is_in_trouble(&self) -> bool {
        let is_bad = |side: &Side| side.verdict == "bad";
        self.is_latched || self.sides.iter().flatten().any(is_bad)
    }

    /// The highest limit of a side's heartbeat delay, in seconds.
    pub(crate) fn delay_limit(&self, side: &str) -> Option<f64> {
        let is_it = |rule: &&Rule| rule.side == side && rule.rule == "heartbeat_delay";
        self.rules.iter().find(is_it)?.limit.filter(|limit| *limit > 0.0)
    }
}

impl Rule {
    /// Bad before unknown before ok; among the bad, what trips before what warns.
    fn rank(&self) -> (u8, u8) {
        let verdict = match self.verdict.as_str() {
            "bad" => 0,
            "ok" => 2,
            _ => 1,
        };
        let action = match self.action.as_str() {
            "trip" => 0,
            "freeze" => 1,
            _ => 2,
        };
        (verdict, action)
    }
}

fn route_alone(status: &Value, name: String) -> Route {
    Route {
        name,
        state: word(status, "state"),
        weight: number(status, "weight").unwrap_or_default(),
        target: number(status, "target").unwrap_or_default(),
        next_step: number(status, "next_step"),
        epoch: count(status, "epoch").unwrap_or_default(),
        is_latched: status["latched"].as_bool().unwrap_or_default(),
        paused: text(status, "paused"),
        estimated_end: text(status, "estimated_end"),
        ramp: status.get("ramp").filter(|ramp| !ramp.is_null()).map(ramp),
        reason: text(status, "reason"),
        advice: text(status, "advice"),
        clients: count(status, "clients").unwrap_or_default(),
        held: count(status, "held").unwrap_or_default(),
        ..Route::default()
    }
}

fn ramp(ramp: &Value) -> Ramp {
    Ramp {
        step: count(ramp, "step").unwrap_or_default(),
        steps: list(&ramp["steps"]).len(),
        next: number(ramp, "next"),
        hold_left: number(ramp, "hold_left_seconds").unwrap_or_default(),
    }
}

/// A proxy that does not list nodes names them at least.
fn seen_side(side: &Value, mut nodes: Vec<Node>) -> Option<Side> {
    if side.is_null() {
        return None;
    }
    if nodes.is_empty() {
        let master = text(side, "master").map(|addr| (addr, "master"));
        let replica = |addr: &Value| Some((plain(addr.as_str()?), "replica"));
        let named = master
            .into_iter()
            .chain(list(&side["replicas"]).iter().filter_map(replica));
        nodes = named
            .map(|(addr, role)| Node {
                addr,
                role: Some(role.to_owned()),
                ..Node::default()
            })
            .collect();
    }
    Some(Side {
        verdict: word(side, "verdict"),
        commands: count(side, "commands_total"),
        nodes,
    })
}

fn node(node: &Value) -> Node {
    Node {
        addr: word(node, "node"),
        role: text(node, "role"),
        is_up: node["up"].as_bool(),
        delay: number(node, "replication_delay_seconds"),
        lag_bytes: count(node, "replication_lag_bytes"),
    }
}

fn rule(rule: &Value) -> Rule {
    Rule {
        side: word(rule, "side"),
        rule: word(rule, "rule"),
        verdict: word(rule, "verdict"),
        action: word(rule, "action"),
        node: text(rule, "node"),
        measured: number(rule, "measured"),
        limit: number(rule, "limit"),
        unit: word(rule, "unit"),
        since: text(rule, "since"),
        note: text(rule, "note"),
    }
}

fn event(event: &Value) -> Event {
    Event {
        time: word(event, "time"),
        route: word(event, "route"),
        side: text(event, "side"),
        kind: word(event, "kind"),
        reason: word(event, "reason"),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value, name: &str) -> Option<String> {
    value[name].as_str().filter(|text| !text.is_empty()).map(plain)
}

fn word(value: &Value, name: &str) -> String {
    text(value, name).unwrap_or_default()
}

fn number(value: &Value, name: &str) -> Option<f64> {
    value[name].as_f64()
}

fn count(value: &Value, name: &str) -> Option<u64> {
    value[name].as_u64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_belongs_to_a_route_is_put_together_with_the_worst_rules_first() {
        let status = json!([
            {"route": "a", "old": {"verdict": "ok", "master": "h:1", "replicas": ["h:2"]}, "new": null},
            {"route": "b", "old": {"verdict": "bad"}, "new": {"verdict": "unknown"}},
        ]);
        let rule = |route: &str, rule: &str, verdict: &str, action: &str| json!({"route": route, "side": "old", "rule": rule, "verdict": verdict, "action": action});
        let health = json!([
            rule("b", "memory_gap", "bad", "warn"),
            rule("b", "heartbeat_delay", "ok", "trip"),
            rule("b", "offset_lag", "unknown", "freeze"),
            rule("a", "link_down", "ok", "freeze"),
            rule("b", "link_down", "bad", "freeze"),
        ]);
        let topology = json!([{"route": "b", "side": "old", "nodes": [{"node": "h:9", "up": true}]}]);
        let seen = Seen::of(&status, &health, &topology, &json!([]));
        let b = seen.route("b").unwrap();
        let rules: Vec<&str> = b.rules.iter().map(|rule| rule.rule.as_str()).collect();
        assert_eq!(
            rules,
            ["link_down", "memory_gap", "offset_lag", "heartbeat_delay"]
        );
        assert_eq!(b.sides[0].as_ref().unwrap().nodes[0].addr, "h:9");
        assert!(b.is_in_trouble());
        let a = seen.route("a").unwrap();
        assert!(a.sides[1].is_none() && !a.is_in_trouble());
        let named: Vec<_> = a.sides[0]
            .as_ref()
            .unwrap()
            .nodes
            .iter()
            .map(|node| node.addr.as_str())
            .collect();
        assert_eq!(named, ["h:1", "h:2"], "of a proxy that lists no nodes");
    }

    #[test]
    fn what_is_missing_or_of_another_kind_is_nothing() {
        let odd = json!([{}, 7, {"route": 7, "weight": "x", "ramp": [], "old": 3, "new": {"replicas": 5}}]);
        let seen = Seen::of(&odd, &odd, &odd, &odd);
        assert_eq!((seen.routes.len(), seen.events.len()), (3, 3));
        assert_eq!(
            Seen::of(&json!({}), &json!(null), &json!(1), &json!("x")),
            Seen::default()
        );
    }

    #[test]
    fn no_text_keeps_what_could_move_the_cursor() {
        let status = json!([{"route": "r\u{1b}[2J", "reason": "a\nb", "old": {"master": "h\u{9b}:1", "replicas": ["\u{7}"]}}]);
        let events = json!([{"kind": "\r", "reason": "\u{1b}]0;x\u{7}"}]);
        let told = format!("{:?}", Seen::of(&status, &json!([]), &json!([]), &events));
        assert!(
            !told.contains("\\u{") && !told.contains("\\r") && !told.contains("\\n"),
            "{told}"
        );
    }
}
