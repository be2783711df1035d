//! What becomes of messages at full size: shaken weights, two proxies, masters that go away, ten thousand subscribers?
//!
//! Shell: `cargo bench --bench pubsub [-- weights|proxies|failures|fan-out ...] [--quick]`. The tests in `tests/pubsub` do
//! the same in small and judge it; this prints the figures. Real groups, the program itself, and beside it the same
//! without it.

// A benchmark that cannot start its servers has nothing to report but that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../tests/support/breaking.rs"]
mod breaking;
#[path = "../support/fan.rs"]
mod fan;
mod fan_out;
#[path = "../support/footprint.rs"]
mod footprint;
#[path = "../support/listeners.rs"]
mod listeners;
#[path = "../../tests/support/running.rs"]
#[allow(dead_code, reason = "made for the proxy's tests, of which this needs a part")]
mod running;
#[path = "../../tests/support/shaking.rs"]
mod shaking;

use std::time::Duration;

use switchback::demo::{MessageLedger, MessageOptions, Messages, Target};
use switchback::lab::{Group, GroupOptions};

use breaking::{Breaking, break_master, go_on, line};
use running::Running;
use shaking::Shaking;

/// Rules that clear soon: the route is armed and raised again and again.
const GUARD: &str = "[route.guard]\nhealthy_before = \"500ms\"\n";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let quick = words.iter().any(|word| word == "--quick");
    let named: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let wanted = |name: &str| named.is_empty() || named.contains(&name);
    let shaking = if quick {
        Shaking {
            changes: 20,
            route_backs: 2,
            within: Duration::from_secs(6),
            seed: 1,
        }
    } else {
        Shaking {
            changes: 200,
            route_backs: 20,
            within: Duration::from_secs(60),
            seed: 1,
        }
    };
    if wanted("weights") {
        weights(shaking);
    }
    if wanted("proxies") {
        proxies(shaking);
    }
    if wanted("failures") {
        failures();
    }
    if wanted("fan-out") {
        fan_out::measure_all(if quick { 1_000 } else { 10_000 });
    }
}

fn groups() -> [Group; 2] {
    ["old-main", "new-main"].map(|name| Group::start(GroupOptions::named(name)).unwrap())
}

fn proxy(groups: &[Group; 2]) -> Running {
    let [old, new] = groups;
    Running::start(&old.sentinel_url(), Some(&new.sentinel_url()), GUARD)
}

fn report(what: &str, ledger: &MessageLedger) {
    println!("{what}\n  {}", line(ledger));
    for fault in &ledger.faults {
        println!("  {fault}");
    }
}

fn weights(shaking: Shaking) {
    let groups = groups();
    let running = proxy(&groups);
    running.raise("50");
    let messages = Messages::start(&[Target::from(&running.listen)], &MessageOptions::default()).unwrap();
    go_on(&messages);
    let shaken = shaking.shake(&running);
    go_on(&messages);
    report(
        &format!("weights: {shaken:?} within {:?}", shaking.within),
        &messages.stop(),
    );
}

fn proxies(shaking: Shaking) {
    let groups = groups();
    let proxies = [1, 2].map(|_| proxy(&groups));
    for (proxy, percent) in proxies.iter().zip(["10", "90"]) {
        proxy.raise(percent);
    }
    // The other way round than publishers are numbered: every publisher is heard through both proxies.
    let targets = [1, 0].map(|index: usize| Target::from(&proxies[index].listen));
    let messages = Messages::start(&targets, &MessageOptions::default()).unwrap();
    go_on(&messages);
    let shaken = std::thread::scope(|scope| {
        let shake = |(proxy, seed)| scope.spawn(move || Shaking { seed, ..shaking }.shake(proxy));
        let threads: Vec<_> = proxies.iter().zip(7..).map(shake).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    go_on(&messages);
    report(
        &format!("two proxies: {shaken:?} within {:?}", shaking.within),
        &messages.stop(),
    );
}

fn failures() {
    let options = MessageOptions {
        subscribers: 100,
        per_second: 200,
        ..MessageOptions::default()
    };
    for breaking in [Breaking::Failover, Breaking::Kill, Breaking::Freeze] {
        for (index, side) in [(1, "new"), (0, "old")] {
            let mut groups = groups();
            let running = proxy(&groups);
            running.raise("50");
            let both = break_master(breaking, side, &mut groups[index], &running, &options);
            both.print(&format!("{breaking:?} of the master of {side}, at half weight"));
        }
    }
}
