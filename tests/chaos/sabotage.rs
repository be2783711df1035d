//! Would it be seen? With no fault at all, each promise is broken behind the proxy's back, and each must be told.
//!
//! Shell.

use std::cell::RefCell;
use std::time::Duration;

use switchback::lab::{Client, Reply, wait_for};

use crate::judge;
use crate::schedule::Schedule;
use crate::stage::Stage;

const SOON: Duration = Duration::from_secs(20);

#[test]
fn whatever_is_lost_doubled_torn_misrouted_or_kept_is_told() {
    let mut stage = Stage::set();
    let calm = Schedule {
        seed: 0,
        faults: Vec::new(),
    };
    let kept = RefCell::new(None);
    let (_, summary, wrong) = judge(&calm, &mut stage, |stage| {
        let group = &stage.sides[0].group;
        let server = group.server(&group.master().unwrap()).unwrap();
        break_promises(&mut server.client().unwrap());
        say_again(&mut server.client().unwrap(), &mut server.client().unwrap());
        kept.replace(Some(stage.proxy.running.client()));
    });
    println!("{summary}\n{}", wrong.join("\n"));
    for told in [
        "keys: lost, and acknowledged at",
        "keys: 1 ran twice",
        "transactions: pair 0 is torn",
        "queues: nobody has pushed queue:0:stray",
        "names: ",
        "came twice",
        "not at rest: Rest { clients: Some(1)",
    ] {
        assert!(wrong.iter().any(|one| one.contains(told)), "{told}: {wrong:#?}");
    }
}

fn break_promises(master: &mut Client) {
    let mut ask = |words: &[&str]| master.ask(words).unwrap();
    let mut wait_for_key = |key: &str| {
        let exists = || ask(&["EXISTS", key]).text().as_deref() == Some("1");
        wait_for(key, SOON, exists).unwrap();
    };
    let names: Vec<String> = (0..8).map(|key| format!("name:0:{key}")).collect();
    for key in ["load:0:3:list", "load:1:2:count"] {
        wait_for_key(key);
    }
    names.iter().for_each(|key| wait_for_key(key));
    // An element that was acknowledged, an increment that nobody sent, one half of a transaction, an element of nobody's.
    ask(&["LPOP", "load:0:3:list"]);
    ask(&["INCR", "load:1:2:count"]);
    ask(&["INCR", "{pair:0}:a"]);
    ask(&["RPUSH", "queue:0", "queue:0:stray"]);
    // As a reply that belongs to somebody else would read.
    for key in &names {
        ask(&["SET", key, "name:1:1#"]);
    }
}

/// Publishes what somebody else has published.
fn say_again(spy: &mut Client, publisher: &mut Client) {
    spy.send(&["SUBSCRIBE", "messages:0:0"]).unwrap();
    spy.receive().unwrap();
    let overheard = spy.receive().unwrap();
    let [_, Reply::Bulk(channel), Reply::Bulk(payload)] = overheard.elements() else {
        panic!("{overheard:?}");
    };
    publisher.ask(&[b"PUBLISH", &channel[..], payload]).unwrap();
}
