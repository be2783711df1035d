//! Messages that are heard at replicas which lag behind their masters.

use std::time::Duration;

use switchback::demo::{MessageLedger, Messages, Target};

use crate::breaking::{go_on, line};
use crate::lagging::Lagging;
use crate::running::Running;
use crate::{assert_exact, some};

/// Replicas that lag are what the guard is for; here the weight is the test's to change.
fn without_guard() -> String {
    let rules = [
        "heartbeat_delay",
        "link_down",
        "resync_loop",
        "replica_flap",
        "offset_lag",
        "output_buffer",
    ];
    let off = |rule| format!("[route.guard.{rule}]\naction = \"off\"\n");
    format!("subscribe_to = \"replica\"\n{}", rules.map(off).concat())
}

struct Both {
    old: Lagging,
    new: Lagging,
    running: Running,
}

fn both(replicas: usize) -> Both {
    let [old, new] = [(); 2].map(|()| Lagging::start(replicas));
    let running = Running::start(&old.url(), Some(&new.url()), &without_guard());
    Both { old, new, running }
}

impl Both {
    fn weight(&self, percent: &str) {
        let said = self.running.say(&["WEIGHT", "r", percent, "FORCE", "a test's"]);
        assert_eq!(said, "OK");
    }

    fn back(&self) {
        assert_eq!(self.running.say(&["BACK", "r", "REASON", "a test's"]), "OK");
        self.running.wait_until("the route to be armed", |_| {
            self.running.say(&["ARM", "r"]) == "OK"
        });
    }

    fn messages(&self) -> Messages {
        Messages::start(&[Target::from(&self.running.listen)], &some()).unwrap()
    }
}

#[test]
fn order_is_kept_by_changes_of_weight_and_routes_back_while_replicas_lag() {
    let both = both(1);
    both.weight("50");
    let messages = both.messages();
    go_on(&messages);
    // Longer than a change takes otherwise, shorter than what a replica is given up for.
    let lag = Duration::from_millis(800);
    for lagging in [&both.new, &both.old, &both.new] {
        lagging.lag(lag);
        for change in ["0", "100", "20", "back", "60"] {
            match change {
                "back" => both.back(),
                percent => both.weight(percent),
            }
            go_on(&messages);
        }
        lagging.lag(Duration::ZERO);
    }
    let ledger = messages.stop();
    assert_exact(&ledger);
    assert_eq!(ledger.gaps, [], "nothing can have been missed");
}

/// What nothing excuses, where something may be missing.
fn assert_told(ledger: &MessageLedger) {
    println!("{}", line(ledger));
    for fault in &ledger.faults {
        println!("{fault}");
    }
    let faults = [
        ledger.lost_silently(),
        ledger.doubled,
        ledger.reordered,
        ledger.damaged,
        ledger.failures(),
        ledger.reconnects,
    ];
    assert_eq!(faults, [0; 6], "{}", line(ledger));
}

#[test]
fn links_lost_while_replicas_lag_double_and_reorder_nothing_and_are_told() {
    let both = both(2);
    both.weight("50");
    let messages = both.messages();
    go_on(&messages);
    for lagging in [&both.new, &both.old] {
        lagging.lag(Duration::from_millis(800));
        for percent in ["0", "100", "50"] {
            both.weight(percent);
            for replica in &lagging.replicas {
                replica.call(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap();
            }
            go_on(&messages);
        }
        lagging.lag(Duration::ZERO);
    }
    assert_told(&messages.stop());
}

#[test]
fn replicas_that_lag_for_longer_than_is_waited_hold_no_publisher_and_are_left() {
    let both = both(2);
    both.weight("50");
    let messages = both.messages();
    go_on(&messages);
    both.new.begin_to_lag(Duration::from_secs(4));
    for change in ["back", "100", "0"] {
        match change {
            "back" => both.back(),
            percent => both.weight(percent),
        }
        go_on(&messages);
    }
    both.new.lag(Duration::ZERO);
    go_on(&messages);
    let ledger = messages.stop();
    assert_told(&ledger);
    assert!(!ledger.gaps.is_empty());
    let bound = Duration::from_millis(2_500);
    assert!(ledger.slowest_publish < bound, "{}", line(&ledger));
}
