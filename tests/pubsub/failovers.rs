//! Clean failovers, one after the other, behind two proxies.

use switchback::demo::{Messages, Target};
use switchback::lab::{Client, Group, GroupOptions};

use crate::breaking::{go_on, line};
use crate::running::Running;
use crate::some;

/// A Sentinel greets its nodes every two seconds, by a message; and tells a former master to follow after four times that.
const GREETINGS_MS: [&str; 2] = ["100000", "500"];

fn behind_two() -> (Group, [Running; 2]) {
    let group = Group::start(GroupOptions::named("mine")).unwrap();
    let url = group.sentinel_url();
    let proxies = [0, 1].map(|_| Running::start(&url, None, ""));
    (group, proxies)
}

/// Everyone alive, and nobody greeted meanwhile: a greeting in the very moment is a message that nobody has heard.
fn fail_over(group: &Group, proxies: &[Running]) {
    let greet_every = |ms: &str| {
        for sentinel in group.sentinels() {
            let period = ["SENTINEL", "DEBUG", "publish-period", ms];
            assert_eq!(sentinel.call(&period).unwrap().text().unwrap(), "OK");
        }
    };
    greet_every(GREETINGS_MS[0]);
    let master = group.failover().unwrap();
    for proxy in proxies {
        proxy.wait_until("the new master to be followed", |status| {
            status["old"]["master"] == master.to_string()
        });
    }
    greet_every(GREETINGS_MS[1]);
    group.settle().unwrap();
}

#[test]
fn clean_failovers_tell_no_gap_while_nothing_is_published() {
    let (group, proxies) = behind_two();
    // Enough for all workers to have some.
    let mut apps: Vec<Client> = Vec::new();
    for number in 0..32 {
        let mut app = proxies[number % 2].client();
        app.ask(&["SUBSCRIBE", "news"]).unwrap();
        app.ask(&["PSUBSCRIBE", "p*"]).unwrap();
        apps.push(app);
    }
    for _ in 0..4 {
        fail_over(&group, &proxies);
        // Through either, to all.
        for proxy in &proxies {
            proxy.client().ask(&["PUBLISH", "news", "hello"]).unwrap();
            for app in &mut apps {
                assert_eq!(app.receive().unwrap().elements()[2].text().unwrap(), "hello");
            }
        }
    }
    for proxy in &proxies {
        assert!(!proxy.has_event("gap"), "{:#?}", proxy.events());
    }
}

#[test]
fn clean_failovers_lose_nothing_silently_under_messages_through_two_proxies() {
    let (group, proxies) = behind_two();
    let targets = proxies.each_ref().map(|proxy| Target::from(&proxy.listen));
    let messages = Messages::start(&targets, &some()).unwrap();
    for _ in 0..3 {
        go_on(&messages);
        fail_over(&group, &proxies);
    }
    go_on(&messages);
    let ledger = messages.stop();
    println!("{}", line(&ledger));
    assert_eq!(
        ledger.lost_silently() + ledger.doubled + ledger.damaged,
        0,
        "{}",
        line(&ledger)
    );
    assert_eq!(ledger.failures() + ledger.reconnects, 0, "{}", line(&ledger));
}
