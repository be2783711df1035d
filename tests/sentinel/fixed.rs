//! What is followed of an address without Sentinels?

use switchback::cluster::{Discovery, Endpoint, NodeAddr};
use switchback::lab::{Group, GroupOptions};

use crate::watched::Watched;

fn endpoint(addr: NodeAddr) -> Endpoint {
    Endpoint {
        discovery: Discovery::Fixed(addr),
        tls: None,
        node_auth: None,
        sentinel_auth: None,
    }
}

#[test]
fn a_fixed_address_has_the_replicas_its_role_lists_and_is_none_when_it_becomes_one() {
    let mut group = Group::start(GroupOptions {
        sentinels: 0,
        ..GroupOptions::named("fixed")
    })
    .unwrap();
    let master = group.servers()[0].addr();
    let replicas = group.replicas_of(&master);
    let mut watched = Watched::start(endpoint(master.clone()));
    watched.wait_for(&master, &replicas);
    group.kill(&replicas[0]).unwrap();
    watched.wait_for(&master, &replicas[1..]);

    let port = replicas[1].port.to_string();
    group
        .server(&replicas[1])
        .unwrap()
        .call(&["REPLICAOF", "NO", "ONE"])
        .unwrap();
    group
        .server(&master)
        .unwrap()
        .call(&["REPLICAOF", "127.0.0.1", &port])
        .unwrap();
    watched.wait_until("no master", |watched| watched.now().unwrap().master.is_none());
    watched.wait_for_notice("not_master");
    group
        .server(&master)
        .unwrap()
        .call(&["REPLICAOF", "NO", "ONE"])
        .unwrap();
    watched.wait_for_master(&master);
}

#[test]
fn a_fixed_address_that_dies_stays_the_master() {
    let mut group = Group::start(GroupOptions {
        sentinels: 0,
        replicas: 0,
        ..GroupOptions::named("alone")
    })
    .unwrap();
    let master = group.servers()[0].addr();
    let mut watched = Watched::start(endpoint(master.clone()));
    watched.wait_for(&master, &[]);
    group.kill(&master).unwrap();
    watched.wait_for_notice("node_lost");
    group.server_mut(&master).unwrap().restart().unwrap();
    watched.wait_for_notice("node_back");
    assert_eq!(watched.topologies.len(), 1);
}
