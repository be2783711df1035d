//! What does a delivery cost, next to direct Redis in the same run?
//!
//! Shell. The publisher keeps a fixed number of deliveries on their way, so that a contestant is as busy as it can be and
//! no buffer overflows; every one of them is waited for in the end.

use std::time::{Duration, Instant};

use switchback::cluster::NodeAddr;
use switchback::lab::{Client, Server, ServerOptions, wait_for};

use super::footprint::Footprint;
use super::listeners::Listeners;
use super::running::Running;

const PAYLOAD_BYTES: usize = 64;
/// How long deliveries are measured.
const LENGTH: Duration = Duration::from_secs(5);
/// Deliveries on their way: enough for nobody to wait, few enough for no buffer to matter.
const ON_THEIR_WAY: u64 = 40_000;

#[derive(Clone, Copy)]
struct Case {
    title: &'static str,
    subscribers: usize,
    channels: usize,
    /// PUBLISH commands in one write.
    pipeline: usize,
}

/// Names of one length: messages are then of one length.
fn channel(number: usize, channels: usize) -> String {
    format!("fan:{:06}", number % channels)
}

/// `*3\r\n$7\r\nmessage\r\n$10\r\nfan:000000\r\n$64\r\n…\r\n`
fn message_bytes() -> u64 {
    let name = channel(0, 1);
    let head = format!(
        "*3\r\n$7\r\nmessage\r\n${}\r\n{name}\r\n${PAYLOAD_BYTES}\r\n",
        name.len()
    );
    (head.len() + PAYLOAD_BYTES + 2) as u64
}

/// Every case for every contestant, printed as it comes.
pub(crate) fn measure_all(count: usize) {
    let cases = [
        Case {
            title: "one channel",
            subscribers: count,
            channels: 1,
            pipeline: 1,
        },
        Case {
            title: "a channel each",
            subscribers: count,
            channels: count,
            pipeline: 50,
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
        let row = measure(case, &direct.addr(), &[], &[direct.pid()]);
        print(case, "direct", row, &[&direct], "");
        drop(direct);
        for percent in ["0", "50"] {
            let (old, new) = (server(count), server(count));
            let more = format!("[route.limits]\nclients = {}\n", count + 100);
            let url = |server: &Server| format!("redis://{}", server.addr());
            let running = Running::start(&url(&old), Some(&url(&new)), &more);
            running.raise(percent);
            let row = measure(case, &running.listen, &[running.pid()], &[old.pid(), new.pid()]);
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

fn measure(case: Case, address: &NodeAddr, proxy: &[u32], servers: &[u32]) -> Row {
    let footprints = || (Footprint::of(proxy), Footprint::of(servers));
    let before = footprints();
    let listeners = Listeners::subscribe(address, case.subscribers, channel, case.channels);
    let idle = footprints();
    // Once round before anything is measured: buffers exist then.
    let mut publisher = Publisher::new(case, address);
    publisher.publish_for(Duration::from_millis(500), &listeners);
    let (start, begun, earlier) = (Instant::now(), footprints(), publisher.deliveries);
    publisher.publish_for(LENGTH, &listeners);
    let (seconds, busy) = (start.elapsed().as_secs_f64(), footprints());
    let deliveries = (publisher.deliveries - earlier) as f64;
    let micros = |from: Footprint, to: Footprint| (to.cpu_seconds - from.cpu_seconds) * 1e6 / deliveries;
    let bytes = |from: Footprint, to: Footprint| (to.bytes - from.bytes) / case.subscribers as f64;
    Row {
        deliveries_per_second: deliveries / seconds,
        proxy_micros: micros(begun.0, busy.0),
        redis_micros: micros(begun.1, busy.1),
        proxy_bytes: bytes(before.0, idle.0),
        redis_bytes: bytes(before.1, idle.1),
        _listeners: listeners,
    }
}

struct Publisher {
    case: Case,
    client: Client,
    messages: usize,
    /// Owed so far.
    deliveries: u64,
}

impl Publisher {
    fn new(case: Case, address: &NodeAddr) -> Self {
        Self {
            case,
            client: Client::connect(address).unwrap(),
            messages: 0,
            deliveries: 0,
        }
    }

    /// Publishes as fast as it is delivered, and waits for the last delivery.
    fn publish_for(&mut self, length: Duration, listeners: &Listeners) {
        let fan = (self.case.subscribers / self.case.channels) as u64;
        let bytes = message_bytes();
        let until = Instant::now() + length;
        let payload = [b'x'; PAYLOAD_BYTES];
        while Instant::now() < until {
            while self.deliveries.saturating_sub(listeners.received() / bytes) > ON_THEIR_WAY.max(fan) {
                std::thread::sleep(Duration::from_micros(50));
            }
            for _ in 0..self.case.pipeline {
                let name = channel(self.messages, self.case.channels);
                self.messages += 1;
                self.client
                    .send::<&[u8]>(&[b"PUBLISH", name.as_bytes(), &payload])
                    .unwrap();
            }
            for _ in 0..self.case.pipeline {
                self.client.receive().unwrap();
            }
            self.deliveries += fan * self.case.pipeline as u64;
        }
        let owed = self.deliveries * bytes;
        let waited = wait_for("the last delivery", Duration::from_secs(60), || {
            listeners.received() >= owed
        });
        waited.unwrap_or_else(|error| panic!("{error}: {} of {owed} bytes", listeners.received()));
        assert_eq!(listeners.received(), owed, "each once");
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
