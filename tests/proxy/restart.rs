//! What a killed proxy remembers.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;
use switchback::lab::{Client, wait_for};

use crate::operating::{server, url};
use crate::running::{Running, SOON};

#[test]
fn weight_epoch_and_latch_survive_kill_9() {
    let (old, new) = (server(), server());
    let mut running = Running::start(&url(&old), Some(&url(&new)), "weight = 10.0\n");
    assert_eq!(
        running.say(&["WEIGHT", "r"]),
        "10.00",
        "nothing is known of the route: the file's weight"
    );
    running.raise("33.33");
    let before = running.status();
    running.kill_and_restart();
    let after = running.status();
    assert_eq!(
        (&after["weight"], &after["epoch"]),
        (&before["weight"], &before["epoch"])
    );
    assert_eq!(after["latched"], json!(false));
    assert_eq!(running.say(&["BACK", "r", "REASON", "drill"]), "OK");
    let before = running.status();
    running.kill_and_restart();
    let after = running.status();
    for key in ["weight", "epoch", "latched", "state"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    assert!(after["reason"].as_str().unwrap().contains("drill"), "{after}");
    assert!(running.say(&["WEIGHT", "r", "1"]).starts_with("-TRIPPED"));
}

/// Kills the proxy at arbitrary moments while the weight is being moved: it comes back with the weight that was
/// acknowledged last or the one that was asked for when it died.
#[test]
fn killed_at_any_moment_it_never_comes_back_with_more_than_was_acknowledged_or_asked_for() {
    let (old, new) = (server(), server());
    let mut running = Running::start(&url(&old), Some(&url(&new)), "");
    running.raise("1");
    let mut acknowledged = 1.0f64;
    for round in 0..12u64 {
        let socket = running.socket();
        let mover = std::thread::spawn(move || {
            let mut client = Client::connect_unix(&socket).unwrap();
            let (mut acknowledged, mut asked) = (None, None);
            for step in 0u32.. {
                let percent = f64::from((step * 37 + 11) % 100);
                asked = Some(percent);
                match client.call(&["WEIGHT", "r", &percent.to_string(), "FORCE", "test"]) {
                    Ok(reply) if reply.text().as_deref() == Some("OK") => acknowledged = Some(percent),
                    Ok(_) => asked = acknowledged,
                    Err(_) => break,
                }
            }
            (acknowledged, asked)
        });
        let until = Instant::now() + Duration::from_millis(15 + round * 17);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        running.kill();
        let (last, asked) = mover.join().unwrap();
        acknowledged = last.unwrap_or(acknowledged);
        running.restart();
        let weight = running.status()["weight"].as_f64().unwrap();
        let asked = asked.unwrap_or(acknowledged);
        assert!(
            weight == acknowledged || weight == asked,
            "round {round}: {weight} after {acknowledged} was acknowledged and {asked} asked for"
        );
        acknowledged = weight;
    }
}

#[test]
fn a_raise_that_cannot_be_saved_is_taken_back_and_a_route_back_is_saved_as_soon_as_it_can_be() {
    let (old, new) = (server(), server());
    let mut running = Running::start(&url(&old), Some(&url(&new)), "");
    running.raise("10");
    // Keeps root from writing too, unlike permissions.
    let obstacle = running.path("state/route-r.json.new");
    std::fs::create_dir(&obstacle).unwrap();
    let refused = running.say(&["WEIGHT", "r", "50"]);
    assert!(
        refused.starts_with("-ERR the state could not be saved"),
        "{refused}"
    );
    running.wait_until("the weight to be taken back", |status| status["weight"] == 10.0);
    let refused = running.say(&["BACK", "r", "REASON", "drill"]);
    assert!(
        refused.starts_with("-ERR the state could not be saved"),
        "{refused}"
    );
    assert_eq!(
        running.status()["state"],
        "tripped",
        "it is in force all the same"
    );
    std::fs::remove_dir(&obstacle).unwrap();
    wait_for("the state to be saved", SOON, || running.has_event("state_saved")).unwrap();
    let told = running
        .events()
        .into_iter()
        .filter(|event| event["kind"] == "state_not_saved");
    assert!(told.count() <= 2, "{:#?}", running.events());
    running.kill_and_restart();
    assert_eq!(running.status()["state"], "tripped");
}

#[test]
fn what_could_not_be_saved_is_tried_once_more_at_the_end_whoever_asks_for_it() {
    let (old, new) = (server(), server());
    for by_signal in [false, true] {
        let mut running = Running::start(&url(&old), Some(&url(&new)), "");
        running.raise("10");
        let obstacle = running.path("state/route-r.json.new");
        std::fs::create_dir(&obstacle).unwrap();
        let refused = running.say(&["BACK", "r", "REASON", "drill"]);
        assert!(
            refused.starts_with("-ERR the state could not be saved"),
            "{refused}"
        );
        std::fs::remove_dir(&obstacle).unwrap();
        match by_signal {
            true => running.signal(Signal::SIGTERM),
            false => assert_eq!(running.say(&["SHUTDOWN"]), "OK"),
        }
        wait_for("the end", SOON, || running.has_ended()).unwrap();
        running.restart();
        assert_eq!(running.status()["state"], "tripped", "by signal: {by_signal}");
    }
}
