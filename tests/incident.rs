//! Does the guard trip when the new side's master feeds more than its link carries, and not at what happens every day? In
//! small; `cargo bench --bench incident` plays all of it, and measures.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/controls.rs"]
#[allow(dead_code, reason = "made for the benchmark as well, which tells more")]
mod controls;
#[path = "../benches/incident/parameters.rs"]
#[allow(dead_code, reason = "made for the benchmark, of which this needs a part")]
mod parameters;
#[path = "support/running.rs"]
#[allow(dead_code, reason = "made for the proxy's tests, of which this needs a part")]
mod running;
#[path = "support/scene.rs"]
#[allow(dead_code, reason = "made for the benchmark as well, which tells more")]
mod scene;

use std::time::Duration;

use switchback::lab::{Network, wait_for};

use controls::{CONTROLS, play};
use parameters::Parameters;
use scene::{Scene, Setting};

const SOON: Duration = Duration::from_secs(60);

/// On loopback, where a machine that is busy with other tests is all that can be slow; with subscriptions where they are
/// by default.
fn is_quiet(name: &str) {
    let control = CONTROLS.iter().find(|(known, _)| *known == name).unwrap();
    let setting = Setting {
        route_config: String::new(),
        ..Setting::quiet()
    };
    let outcome = play(*control, setting);
    let messages = &outcome.messages;
    assert!(outcome.trips().is_empty(), "{:#?}", outcome.events);
    assert_eq!(messages.failures(), 0, "{messages:?}");
    assert_eq!(messages.lost_silently(), 0, "{messages:?}");
    let [doubled, reordered, damaged] = [messages.doubled, messages.reordered, messages.damaged];
    assert_eq!([doubled, reordered, damaged], [0; 3], "{messages:?}");
}

#[test]
fn a_clean_failover_of_new_trips_nothing() {
    is_quiet("failover-of-new");
}

#[test]
fn saving_in_the_background_trips_nothing() {
    is_quiet("bgsave");
}

#[test]
fn a_script_of_400_ms_trips_nothing() {
    is_quiet("slow-script-on-new");
}

#[test]
fn a_proxy_that_was_stalled_for_two_seconds_trips_nothing() {
    is_quiet("proxy-stalled");
}

#[test]
fn a_lost_quorum_of_new_trips_nothing() {
    is_quiet("quorum-lost-on-new");
}

#[test]
fn a_load_that_doubles_in_a_second_trips_nothing() {
    is_quiet("load-doubled");
}

#[test]
fn a_new_master_that_feeds_more_than_its_link_carries_is_left() {
    if let Err(error) = Network::create(1) {
        println!("no narrow links here: {error}");
        return;
    }
    // Of a short rise.
    let parameters = Parameters::of(3);
    let scene = Scene::set(parameters.setting());
    scene.raise(parameters.weight);
    scene.pass(Duration::from_secs(5));
    let begin = scene.messages.elapsed();
    wait_for("a trip", SOON, || {
        scene
            .messages
            .set_rate(parameters.rate(scene.messages.elapsed() - begin));
        scene.running.status()["latched"] == true
    })
    .unwrap();
    scene.pass(Duration::from_secs(2));
    let (messages, events, _) = scene.end();
    let trip = events.iter().find(|event| event.kind == "trip").unwrap();
    assert!(trip.reason.contains(" side=new"), "{}", trip.reason);
    assert_eq!(messages.failures(), 0, "{messages:?}");
    assert_eq!([messages.doubled, messages.damaged], [0; 2], "{messages:?}");
}
