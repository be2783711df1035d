//! How is the proxy under test run?
//!
//! Shell: the data plane in a process of its own, its snapshot published by hand, one worker a core as by default.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;

use switchback::cluster::{Discovery, Endpoint, NodeAddr};
use switchback::config::{GuardConfig, OnUncertain, RouteConfig, RouteLimits, SubscribeTo};
use switchback::data_plane::{RouteShared, Seat, bind, start};
use switchback::routing::{Epoch, Publisher, SideView, Snapshot, Weight};
use switchback::stats::RouteStats;
use tokio::sync::watch;

/// First argument of a process that is to be a proxy; its port, those of the two servers and the weight follow.
pub(crate) const WORD: &str = "serve";

/// Serves until the benchmark closes our standard input, which its end does in any case.
pub(crate) fn serve(words: &[String]) {
    let numbers: Vec<u16> = words.iter().map(|word| word.parse().unwrap()).collect();
    let [port, old, new, weight] = *numbers else {
        panic!("{WORD} PORT OLD NEW WEIGHT");
    };
    let workers = std::thread::available_parallelism().unwrap().get();
    let config = config(port, old, new);
    let listeners = bind(&config.name, config.listen[0], workers).unwrap();
    let shared = Arc::new(RouteShared {
        limits: arc_swap::ArcSwap::from_pointee(config.limits.clone()),
        config,
        stats: Arc::new(RouteStats::default()),
    });
    let publisher = Publisher::new(
        Snapshot {
            epoch: Epoch(1),
            weight: Weight::from_steps(weight * 100).unwrap(),
            old: view(old),
            new: Some(view(new)),
        },
        workers,
    );
    let (_shutdown, watching) = watch::channel(None);
    for (number, listener) in listeners.into_iter().enumerate() {
        let seat = Seat {
            shared: Arc::clone(&shared),
            subscription: publisher.subscribe(number),
            listeners: vec![listener],
        };
        start(number, workers, vec![seat], watching.clone()).unwrap();
    }
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn config(port: u16, old: u16, new: u16) -> RouteConfig {
    RouteConfig {
        name: "bench".to_owned(),
        listen: vec![SocketAddr::from(([127, 0, 0, 1], port))],
        old: endpoint(old),
        new: Some(endpoint(new)),
        weight: Weight::ZERO,
        subscribe_to: SubscribeTo::Master,
        uncertain: OnUncertain::Error,
        uncertain_publish: OnUncertain::Retry,
        guard: GuardConfig::default(),
        limits: RouteLimits::default(),
    }
}

fn endpoint(port: u16) -> Endpoint {
    Endpoint {
        discovery: Discovery::Fixed(NodeAddr::new("127.0.0.1", port)),
        tls: false,
        node_auth: None,
        sentinel_auth: None,
    }
}

fn view(port: u16) -> SideView {
    SideView {
        master: Some(Arc::new(NodeAddr::new("127.0.0.1", port))),
        ..SideView::default()
    }
}
