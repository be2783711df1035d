//! What a killed proxy remembers.

use std::time::{Duration, Instant};

use serde_json::json;
use switchback::lab::Client;

use crate::operating::{server, url};
use crate::running::Running;

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
