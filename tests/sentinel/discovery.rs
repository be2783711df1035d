//! Whom does the watcher find, whatever Sentinels are dead, mad, lying or locked?

use std::time::Duration;

use nix::sys::signal::Signal;
use switchback::cluster::{Credentials, Discovery, Endpoint, NodeAddr, Secret};
use switchback::lab::{Group, GroupOptions, wait_for};

use crate::fake;
use crate::watched::Watched;

/// The group's endpoint with these Sentinels instead of its own.
fn asking(group: &Group, asked: Vec<NodeAddr>) -> Endpoint {
    let mut endpoint = group.endpoint();
    let Discovery::Sentinel { sentinels, .. } = &mut endpoint.discovery else {
        panic!("{endpoint:?}")
    };
    *sentinels = asked;
    endpoint
}

fn sentinels(group: &Group) -> Vec<NodeAddr> {
    group.sentinels().iter().map(|one| one.addr()).collect()
}

#[test]
fn a_group_is_found_through_the_sentinels_that_live_and_its_events_go_on_when_all_die() {
    let mut group = Group::start(GroupOptions::named("found")).unwrap();
    let master = group.master().unwrap();
    let replicas = group.replicas_of(&master);
    group.sentinel_mut(0).unwrap().kill().unwrap();
    let mut watched = Watched::start(group.endpoint());
    watched.wait_for(&master, &replicas);
    let dead = group.sentinels()[0].addr().to_string();
    assert!(watched.wait_for_notice("sentinel_lost").starts_with(&dead));

    group.sentinel_mut(1).unwrap().kill().unwrap();
    group.sentinel_mut(2).unwrap().kill().unwrap();
    let lost = |watched: &Watched| {
        watched
            .notices
            .iter()
            .filter(|(kind, _)| *kind == "sentinel_lost")
            .count()
    };
    watched.wait_until("the loss of all Sentinels", |watched| lost(watched) == 3);
    (0..3).for_each(|index| group.sentinel_mut(index).unwrap().restart().unwrap());
    let back = |watched: &Watched| {
        watched
            .notices
            .iter()
            .filter(|(kind, _)| *kind == "sentinel_back")
            .count()
    };
    watched.wait_until("their return", |watched| back(watched) == 3);
    assert_eq!(watched.masters(), [Some(master.clone())]);

    // They are listened to again.
    group.settle().unwrap();
    let next = group.failover().unwrap();
    watched.wait_for_master(&next);
}

#[test]
fn nodes_that_sentinels_announce_by_name_are_followed_by_name() {
    let group = Group::start(GroupOptions {
        sentinels: 1,
        replicas: 1,
        ..GroupOptions::named("by-name")
    })
    .unwrap();
    let master = group.master().unwrap();
    let sentinel = &group.sentinels()[0];
    let (name, port) = (group.name(), master.port.to_string());
    for setting in ["resolve-hostnames", "announce-hostnames"] {
        sentinel
            .call(&["SENTINEL", "CONFIG", "SET", setting, "yes"])
            .unwrap();
    }
    sentinel.call(&["SENTINEL", "REMOVE", name]).unwrap();
    sentinel
        .call(&["SENTINEL", "MONITOR", name, "localhost", &port, "1"])
        .unwrap();
    let mut watched = Watched::start(group.endpoint());
    let named = NodeAddr::new("localhost", master.port);
    watched.wait_for(&named, &group.replicas_of(&master));
}

#[test]
fn other_sentinels_are_learnt_from_one() {
    let mut group = Group::start(GroupOptions::named("learnt")).unwrap();
    let master = group.master().unwrap();
    let first = sentinels(&group)[0].clone();
    let mut watched = Watched::start(asking(&group, vec![first]));
    watched.wait_for(&master, &group.replicas_of(&master));
    group.sentinel_mut(0).unwrap().kill().unwrap();
    watched.wait_for_notice("sentinel_lost");
    group.kill(&master).unwrap();
    watched.wait_until("the next master", |watched| {
        watched.master().is_some_and(|one| *one != master)
    });
    let found = watched.master().unwrap();
    wait_for("the others to agree", Duration::from_secs(30), || {
        group.sentinels()[1].master().is_ok_and(|named| named == *found)
    })
    .unwrap();
}

#[test]
fn garbage_beside_good_sentinels_is_told_and_disturbs_nobody() {
    let group = Group::start(GroupOptions::named("beside")).unwrap();
    let master = group.master().unwrap();
    let http = fake::listen(|_| "HTTP/1.1 400 Bad Request\r\n\r\n".to_owned());
    let nested = fake::listen(|_| "*1\r\n".repeat(100_000));
    let huge = fake::listen(|_| "*2147483647\r\n$-2\r\n".to_owned());
    let other = fake::listen(|_| "*1\r\n$1\r\nx\r\n".to_owned());
    let mut asked = vec![http, nested, huge, other];
    let fakes = asked.clone();
    asked.extend(sentinels(&group));
    let mut watched = Watched::start(asking(&group, asked));
    watched.wait_for(&master, &group.replicas_of(&master));
    watched.wait_until("a notice of each", |watched| {
        fakes.iter().all(|fake| {
            let about = |(kind, text): &(&str, String)| {
                kind.starts_with("sentinel_") && text.starts_with(&fake.to_string())
            };
            watched.notices.iter().any(about)
        })
    });
    let next = group.failover().unwrap();
    watched.wait_for_master(&next);
}

#[test]
fn a_sentinel_that_names_a_replica_or_a_stranger_is_not_followed() {
    let group = Group::start(GroupOptions::named("true")).unwrap();
    let stranger = Group::start(GroupOptions {
        sentinels: 0,
        replicas: 0,
        ..GroupOptions::named("false")
    })
    .unwrap();
    let master = group.master().unwrap();
    let replicas = group.replicas_of(&master);
    let mut asked = vec![
        fake::liar(replicas[0].clone(), 900),
        fake::liar(stranger.servers()[0].addr(), 800),
    ];
    asked.extend(sentinels(&group));
    let mut watched = Watched::start(asking(&group, asked));
    watched.wait_for(&master, &replicas);
    let text = watched.wait_for_notice("switch_refused");
    assert!(text.contains(&replicas[0].to_string()), "{text}");
    let next = group.failover().unwrap();
    watched.wait_for_master(&next);
    assert!(
        watched
            .masters()
            .iter()
            .flatten()
            .all(|one| *one == master || *one == next)
    );
}

#[test]
fn passwords_are_used_and_a_wrong_one_is_told_but_never_shown() {
    let secret = |text: &str| Some(Secret::new(text));
    let group = Group::start(GroupOptions {
        password: secret("node-pass"),
        sentinel_password: secret("sentinel-pass"),
        ..GroupOptions::named("locked")
    })
    .unwrap();
    let master = group.master().unwrap();
    let mut watched = Watched::start(group.endpoint());
    watched.wait_for(&master, &group.replicas_of(&master));
    drop(watched);

    let wrong = Some(Credentials {
        user: None,
        password: Secret::new("guessed-wrong"),
    });
    let mut endpoint = group.endpoint();
    endpoint.sentinel_auth = wrong.clone();
    let mut watched = Watched::start(endpoint);
    let text = watched.wait_for_notice("sentinel_refused");
    assert!(text.contains("WRONGPASS") && !text.contains("guessed"), "{text}");
    assert!(watched.topologies.is_empty());
    drop(watched);

    let mut endpoint = group.endpoint();
    endpoint.node_auth = wrong;
    let mut watched = Watched::start(endpoint);
    let text = watched.wait_for_notice("node_refused");
    assert!(text.contains("WRONGPASS") && !text.contains("guessed"), "{text}");
    assert!(watched.topologies.is_empty());
}

#[test]
fn a_server_that_quotes_the_password_does_not_have_it_told() {
    let echo = fake::listen(|words| format!("-ERR no such thing as {words:?}\r\n"));
    let mut watched = Watched::start(Endpoint {
        discovery: Discovery::Sentinel {
            sentinels: vec![echo],
            master_name: "any".to_owned(),
        },
        tls: None,
        node_auth: None,
        sentinel_auth: Some(Credentials {
            user: None,
            password: Secret::new("hunter2"),
        }),
    });
    let text = watched.wait_for_notice("sentinel_refused");
    assert!(text.contains("***") && !text.contains("hunter2"), "{text}");
}

#[test]
fn a_replica_leaves_when_it_is_killed_or_frozen_and_returns() {
    let mut group = Group::start(GroupOptions::named("replicas")).unwrap();
    let master = group.master().unwrap();
    let replicas = group.replicas_of(&master);
    let mut watched = Watched::start(group.endpoint());
    watched.wait_for(&master, &replicas);
    group.kill(&replicas[0]).unwrap();
    watched.wait_for(&master, &replicas[1..]);
    group.server_mut(&replicas[0]).unwrap().restart().unwrap();
    watched.wait_for(&master, &replicas);
    group
        .server(&replicas[1])
        .unwrap()
        .signal(Signal::SIGSTOP)
        .unwrap();
    watched.wait_for(&master, &replicas[..1]);
    watched.wait_for_notice("sdown");
    group
        .server(&replicas[1])
        .unwrap()
        .signal(Signal::SIGCONT)
        .unwrap();
    watched.wait_for(&master, &replicas);
    assert_eq!(watched.masters(), [Some(master)]);
    watched.wait_for_notice("sdown_over");
}
