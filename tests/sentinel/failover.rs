//! Is a failover followed, clean or not, and never back to the old master?

use std::time::{Duration, Instant};

use switchback::lab::{Group, GroupOptions, Reply, wait_for};

use crate::watched::Watched;

/// A busy machine's scheduling, not a failover's time.
const SLACK: Duration = Duration::from_millis(250);

#[test]
fn a_clean_failover_holds_then_follows_and_never_looks_back() {
    let group = Group::start(GroupOptions::named("clean")).unwrap();
    let before = group.master().unwrap();
    let mut watched = Watched::start(group.endpoint());
    watched.wait_for(&before, &group.replicas_of(&before));

    let after = group.failover().unwrap();
    let agreed = Instant::now();
    watched.wait_for_master(&after);
    let (at, _) = watched.topologies.last().unwrap();
    assert!(
        at.saturating_duration_since(agreed) < SLACK,
        "long after all Sentinels agreed"
    );

    group.settle().unwrap();
    watched.wait_for(&after, &group.replicas_of(&after));
    assert_eq!(watched.masters(), [Some(before), None, Some(after)]);
}

#[test]
fn what_the_published_master_acknowledged_survives_a_clean_failover() {
    let group = Group::start(GroupOptions::named("kept")).unwrap();
    let before = group.master().unwrap();
    let mut watched = Watched::start(group.endpoint());
    watched.wait_for(&before, &group.replicas_of(&before));
    // A replica is listed as online a moment before commands flow to it, after a diskless sync.
    let mut client = group.server(&before).unwrap().client().unwrap();
    client.ask(&["SET", "first", "v"]).unwrap();
    wait_for("replication to flow", Duration::from_secs(30), || {
        client.ask(&["WAIT", "2", "100"]).unwrap() == Reply::Integer(2)
    })
    .unwrap();
    let (acknowledged, after) = std::thread::scope(|scope| {
        let failing_over = scope.spawn(|| group.failover().unwrap());
        let mut acknowledged = Vec::new();
        let mut sequence = 0;
        while watched.master() == Some(&before) {
            sequence += 1;
            client.ask(&["SET", &format!("k{sequence}"), "v"]).unwrap();
            acknowledged.push(format!("k{sequence}"));
            watched.catch_up();
        }
        (acknowledged, failing_over.join().unwrap())
    });
    watched.wait_for_master(&after);
    let mut client = group.server(&after).unwrap().client().unwrap();
    for key in &acknowledged {
        let kept = client.ask(&["GET", key]).unwrap();
        assert_eq!(
            kept.text().as_deref(),
            Some("v"),
            "{key} of {}",
            acknowledged.len()
        );
    }
}

#[test]
fn a_killed_master_stays_until_a_failover_begins_and_returns_as_a_replica() {
    let mut group = Group::start(GroupOptions::named("killed")).unwrap();
    let before = group.master().unwrap();
    let mut watched = Watched::start(group.endpoint());
    watched.wait_for(&before, &group.replicas_of(&before));
    group.kill(&before).unwrap();
    watched.wait_for_notice("odown");
    let after = group.wait_for_master_other_than(&before).unwrap();
    let agreed = Instant::now();
    watched.wait_for_master(&after);
    let (at, _) = watched.topologies.last().unwrap();
    assert!(
        at.saturating_duration_since(agreed) < SLACK,
        "long after all Sentinels agreed"
    );

    group.server_mut(&before).unwrap().restart().unwrap();
    watched.wait_for(&after, &group.replicas_of(&after));
    assert_eq!(watched.masters(), [Some(before), None, Some(after)]);
}

#[test]
fn a_frozen_master_is_left_for_the_new_one_and_not_taken_back_when_it_thaws() {
    let group = Group::start(GroupOptions::named("frozen")).unwrap();
    let before = group.master().unwrap();
    let mut watched = Watched::start(group.endpoint());
    watched.wait_for(&before, &group.replicas_of(&before));
    group.freeze(&before).unwrap();
    watched.wait_until("a hold", |watched| watched.master().is_none());
    watched.wait_until("another master", |watched| {
        watched.master().is_some_and(|one| *one != before)
    });
    let after = watched.master().unwrap().clone();
    group.thaw(&before).unwrap();
    watched.wait_for(&after, &group.replicas_of(&after));
    assert_eq!(watched.masters(), [Some(before), None, Some(after)]);
}
