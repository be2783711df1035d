//! What does a delivery cost, next to direct Redis in the same run?
//!
//! Shell.

use std::time::{Duration, Instant};

use switchback::cluster::NodeAddr;
use switchback::lab::{Server, ServerOptions};

use super::fan::{Fan, Publisher, channel};
use super::footprint::Footprint;
use super::listeners::Listeners;
use super::running::Running;

/// How long deliveries are measured.
const LENGTH: Duration = Duration::from_secs(5);

#[derive(Clone, Copy)]
struct Case {
    title: &'static str,
    fan: Fan,
}

/// Every case for every contestant, printed as it comes.
pub(crate) fn measure_all(count: usize) {
    let cases = [
        Case {
            title: "one channel",
            fan: Fan {
                subscribers: count,
                channels: 1,
                pipeline: 1,
            },
        },
        Case {
            title: "a channel each",
            fan: Fan {
                subscribers: count,
                channels: count,
                pipeline: 50,
            },
        },
    ];
    println!(
        "{:<16} {:<14} {:>10} {:>12} {:>12} {:>12} {:>12} {:>12} {:>14}",
        "subscribers",
        "through",
        "deliv./s",
        "proxy us",
        "redis us",
        "proxy B/cl.",
        "redis B/cl.",
        "links/chan.",
        "weight"
    );
    for case in cases {
        let direct = server(count);
        let row = measure(case.fan, &direct.addr(), &[], &[direct.pid()]);
        print(case, "direct", row, &[&direct], "");
        drop(direct);
        for percent in ["0", "50"] {
            let (old, new) = (server(count), server(count));
            let more = format!("[route.limits]\nclients = {}\n", count + 100);
            let url = |server: &Server| format!("redis://{}", server.addr());
            let running = Running::start(&url(&old), Some(&url(&new)), &more);
            running.raise(percent);
            let row = measure(
                case.fan,
                &running.listen,
                &[running.pid()],
                &[old.pid(), new.pid()],
            );
            print(case, "switchback", row, &[&old, &new], percent);
        }
    }
}

fn server(clients: usize) -> Server {
    let options = ServerOptions {
        config: vec![format!("maxclients {}", clients + 500)],
        ..ServerOptions::default()
    };
    Server::start(&options).unwrap()
}

struct Row {
    deliveries_per_second: f64,
    /// Microseconds of processor time a delivery.
    proxy_micros: f64,
    redis_micros: f64,
    /// Bytes of memory a subscriber.
    proxy_bytes: f64,
    redis_bytes: f64,
    /// Kept while the servers are asked who listens.
    _listeners: Listeners,
}

fn measure(fan: Fan, address: &NodeAddr, proxy: &[u32], servers: &[u32]) -> Row {
    let footprints = || (Footprint::of(proxy), Footprint::of(servers));
    let before = footprints();
    let listeners = Listeners::subscribe(address, fan.subscribers, channel, fan.channels);
    let idle = footprints();
    // Once round before anything is measured: buffers exist then.
    let mut publisher = Publisher::new(fan, address);
    publisher.publish_for(Duration::from_millis(500), &listeners);
    let (start, begun, earlier) = (Instant::now(), footprints(), publisher.deliveries);
    publisher.publish_for(LENGTH, &listeners);
    let (seconds, busy) = (start.elapsed().as_secs_f64(), footprints());
    let deliveries = (publisher.deliveries - earlier) as f64;
    let micros = |from: Footprint, to: Footprint| (to.cpu_seconds - from.cpu_seconds) * 1e6 / deliveries;
    let bytes = |from: Footprint, to: Footprint| (to.bytes - from.bytes) / fan.subscribers as f64;
    Row {
        deliveries_per_second: deliveries / seconds,
        proxy_micros: micros(begun.0, busy.0),
        redis_micros: micros(begun.1, busy.1),
        proxy_bytes: bytes(before.0, idle.0),
        redis_bytes: bytes(before.1, idle.1),
        _listeners: listeners,
    }
}

/// How many of a server's own deliveries one message to a channel takes.
fn links(server: &Server) -> String {
    let name = channel(0, 1);
    server
        .call(&["PUBSUB", "NUMSUB", &name])
        .unwrap()
        .field_text(&name)
}

fn print(case: Case, through: &str, row: Row, servers: &[&Server], percent: &str) {
    let links: Vec<String> = servers.iter().map(|server| links(server)).collect();
    println!(
        "{:<16} {:<14} {:>10.0} {:>12.3} {:>12.3} {:>12.0} {:>12.0} {:>12} {:>14}",
        case.title,
        through,
        row.deliveries_per_second,
        row.proxy_micros,
        row.redis_micros,
        row.proxy_bytes,
        row.redis_bytes,
        links.join("+"),
        percent
    );
}
