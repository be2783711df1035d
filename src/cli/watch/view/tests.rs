//! Whole screens, as they are.

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;

use super::super::screen::{Key, Now};
use super::*;
use crate::glance::Seen;

fn seen(delay: f64) -> Seen {
    let status = json!([
        {"route": "pubsub-1", "state": "ramping", "weight": 5.0, "target": 100.0, "next_step": 25.0, "epoch": 17,
         "latched": false, "clients": 12, "held": 0, "reason": "ramp step 1 of 3", "paused": null,
         "estimated_end": "2026-01-02T05:00:00.000Z",
         "ramp": {"step": 1, "steps": [5, 25, 100], "next": 25.0, "hold_left_seconds": 61.2},
         "old": {"verdict": "ok", "commands_total": 1000}, "new": {"verdict": "bad", "commands_total": 10}},
        {"route": "cache", "state": "tripped", "weight": 0.0, "target": 0.0, "next_step": 1.0, "epoch": 4, "latched": true,
         "reason": "operator: a drill", "advice": "switchback arm cache once both sides are well",
         "old": {"verdict": "ok", "master": "10.0.9.1:6379", "replicas": []}, "new": null},
    ]);
    let rule =
        |side: &str, rule: &str, verdict: &str, action: &str, measured: f64, limit: f64, unit: &str| {
            json!({"route": "pubsub-1", "side": side, "rule": rule, "verdict": verdict, "action": action,
               "node": "10.0.1.2:6379", "measured": measured, "limit": limit, "unit": unit,
               "since": "2026-01-02T03:04:05.678Z", "note": null})
        };
    let health = json!([
        rule("old", "heartbeat_delay", "ok", "freeze", 0.002, 0.5, "seconds"),
        rule("new", "heartbeat_delay", "bad", "trip", 0.75, 0.5, "seconds"),
        rule("new", "link_down", "unknown", "trip", 0.0, 1.0, "replicas"),
    ]);
    let master = |node: &str| json!({"node": node, "role": "master", "up": true});
    let replica = |node: &str, up: bool, delay: f64, lag: u64| json!({"node": node, "role": "replica", "up": up, "replication_delay_seconds": delay, "replication_lag_bytes": lag});
    let topology = json!([
        {"route": "pubsub-1", "side": "old", "nodes": [master("10.0.0.1:6379"), replica("10.0.0.2:6379", true, 0.002, 0)]},
        {"route": "pubsub-1", "side": "new", "nodes": [master("10.0.1.1:6379"), replica("10.0.1.2:6379", false, delay, 1_500_000)]},
    ]);
    let event = |time: &str, side: Option<&str>, kind: &str, reason: &str| json!({"time": format!("2026-01-02T{time}.000Z"), "route": "pubsub-1", "side": side, "kind": kind, "reason": reason});
    let events = json!([
        event("03:04:06", Some("new"), "rule_bad", "rule=heartbeat_delay"),
        event("03:00:00", None, "ramp_step", "0.00 -> 5.00"),
        {"time": "2026-01-02T02:00:00Z", "route": "cache", "kind": "trip", "reason": "another route's"},
    ]);
    Seen::of(&status, &health, &topology, &events)
}

fn at(instant: Instant) -> Now {
    Now {
        instant,
        wall: "2026-01-02T03:04:07Z".parse::<Timestamp>().unwrap(),
    }
}

/// After three looks, a second apart.
fn screen(start: Instant) -> Screen {
    let mut screen = Screen::new(
        "/run/switchback/admin.sock".to_owned(),
        None,
        seen(0.1),
        at(start),
    );
    for (second, delay) in [(1, 0.3), (2, 0.75)] {
        screen.heard(seen(delay), at(start + Duration::from_secs(second)));
    }
    screen
}

fn drawn(screen: &Screen, width: u16, height: u16, now: Instant, theme: Theme) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, screen, theme, now)).unwrap();
    terminal.backend().clone()
}

/// The rows, without what is empty behind them.
fn shown(screen: &Screen, width: u16, height: u16, now: Instant) -> String {
    let backend = drawn(screen, width, height, now, Theme::Plain);
    let cells: Vec<&str> = backend
        .buffer()
        .content()
        .iter()
        .map(ratatui::buffer::Cell::symbol)
        .collect();
    let rows = cells
        .chunks(usize::from(width))
        .map(|row| row.concat().trim_end().to_owned());
    rows.collect::<Vec<_>>().join("\n")
}

fn press(screen: &mut Screen, keys: &str, now: Instant) {
    for char in keys.chars() {
        screen.press(Key::Char(char), now);
    }
}

#[test]
fn a_ramp_that_goes_bad_is_seen_at_a_glance() {
    let start = Instant::now();
    let expected = "switchback  /run/switchback/admin.sock
[pubsub-1!] cache!
pubsub-1  ramping  epoch 17  12 clients  0 held
weight    5.00 % on new  ███░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░┃  target 100.00 %
ramp    step 1 of 3 taken: 25.00 % next, in 1m 2s at the earliest; ends about 2026-01-02 05:00 UTC
reason  ramp step 1 of 3
old  ok  0 commands/s  replication delay: full bar 500 ms
  master   10.0.0.1:6379  up
  replica  10.0.0.2:6379  up     2.0 ms     0 B ▁▁▁
new  bad  0 commands/s  replication delay: full bar 500 ms
  master   10.0.1.1:6379  up
  replica  10.0.1.2:6379  down   750 ms  1.5 MB ▂▅█
rules  1 bad  1 unknown  1 ok
  VERDICT  SIDE  RULE             ACTION  NODE           MEASURED  LIMIT  UNIT      SINCE     NOTE
  bad      new   heartbeat_delay  trip    10.0.1.2:6379      0.75    0.5  seconds   03:04:05
  unknown  new   link_down        trip    10.0.1.2:6379         0      1  replicas  03:04:05
  ok       old   heartbeat_delay  freeze  10.0.1.2:6379     0.002    0.5  seconds   03:04:05
events  newest first
  TIME      SIDE  KIND       REASON
  03:04:06  new   rule_bad   rule=heartbeat_delay
  03:00:00  -     ramp_step  0.00 -> 5.00


b back  q quit  r raise to 25.00 %  w weight  p pause/resume  x abort ramp  Tab route";
    assert_eq!(shown(&screen(start), 100, 24, start), expected);
}

#[test]
fn on_a_wide_terminal_the_sides_stand_beside_each_other() {
    let start = Instant::now();
    let all = shown(&screen(start), 140, 24, start);
    let expected = "old  ok  0 commands/s  replication delay: full bar 500 ms              new  bad  0 commands/s  replication delay: full bar 500 ms
  master   10.0.0.1:6379  up                                             master   10.0.1.1:6379  up
  replica  10.0.0.2:6379  up     2.0 ms     0 B ▁▁▁                      replica  10.0.1.2:6379  down   750 ms  1.5 MB ▂▅█";
    assert_eq!(
        all.lines().skip(6).take(3).collect::<Vec<_>>().join("\n"),
        expected
    );
}

#[test]
fn a_small_terminal_shows_the_weight_and_what_is_worst_and_what_is_asked() {
    let start = Instant::now();
    let mut screen = screen(start);
    press(&mut screen, "b", start);
    let expected = "switchback  /run/switchback/admin.sock
[pubsub-1!] cache!
pubsub-1  ramping  epoch 17  12 clients  0 held
weight    5.00 % on new  █░░░░░░┃  target 100.00 %
ramp    step 1 of 3 taken: 25.00 % next, in 1m 2s
reason  ramp step 1 of 3
old  ok  0 commands/s  replication delay: full bar
new  bad  0 commands/s  replication delay: full ba
rules  1 bad  1 unknown  1 ok
  bad      new   heartbeat_delay  trip    10.0.1.2
  … 2 more, 0 of them bad
all of pubsub-1 BACK to old, at once, until it is
armed? y does it, any other key does not
b back  q quit  r raise to 25.00 %  w weight  p pa";
    assert_eq!(shown(&screen, 50, 14, start), expected);
}

#[test]
fn a_latched_route_says_why_and_what_is_to_be_done() {
    let start = Instant::now();
    let mut screen = screen(start);
    screen.press(Key::NextRoute, start);
    press(&mut screen, "a", start);
    let expected = "switchback  /run/switchback/admin.sock
 pubsub-1! [cache!]
cache  tripped  epoch 4  0 clients  0 held
weight    0.00 % on new  ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░
LATCHED operator: a drill
advice  switchback arm cache once both sides are well
old  ok
  master   10.0.9.1:6379  -
new  none is configured
rules  0 bad  0 unknown  0 ok
events  newest first
  TIME      SIDE  KIND  REASON
  02:00:00  -     trip  another route's
arm cache: allow weights above 0 again? The name of the route, then Enter, does
it: _
b back  q quit  a arm  Tab route";
    assert_eq!(shown(&screen, 80, 16, start), expected);
}

#[test]
fn a_proxy_that_is_gone_is_told_with_the_time_of_its_last_answer() {
    let start = Instant::now();
    let mut screen = screen(start);
    screen.missed("no proxy answers on /run/switchback/admin.sock: refused".to_owned());
    let first = "NOT REACHABLE since 03:04:07 UTC: no proxy answers on /run/switchback/admin.sock: refused";
    assert_eq!(shown(&screen, 100, 20, start).lines().next(), Some(first));
}

#[test]
fn without_colours_nothing_is_coloured_and_with_them_words_are_the_same() {
    let start = Instant::now();
    let screen = screen(start);
    let colours = |theme| {
        let backend = drawn(&screen, 100, 24, start, theme);
        let cells = backend.buffer().content().iter();
        cells
            .filter(|cell| cell.fg != ratatui::style::Color::Reset)
            .count()
    };
    assert_eq!(colours(Theme::Plain), 0);
    assert!(colours(Theme::Coloured) > 20);
}

proptest! {
    #[test]
    fn any_size_can_be_drawn(width in 1u16..200, height in 1u16..60, keys in "[brwasx1.y]{0,4}", is_silent: bool) {
        let start = Instant::now();
        let mut screen = screen(start);
        if is_silent {
            screen.missed("because".to_owned());
        }
        press(&mut screen, &keys, start);
        shown(&screen, width, height, start);
        screen.press(Key::NextRoute, start);
        shown(&screen, width, height, start);
        let rows = rows(&screen, usize::from(width), usize::from(height), start);
        prop_assert_eq!(rows.len(), usize::from(height));
    }
}
