//! Who publishes as fast as is delivered?
//!
//! Shell: keeps a fixed number of deliveries on their way, so that a contestant is as busy as it can be and no buffer overflows;
//! every one of them is waited for in the end.

use std::time::{Duration, Instant};

use switchback::cluster::NodeAddr;
use switchback::lab::{Client, wait_for};

use super::listeners::Listeners;

const PAYLOAD_BYTES: usize = 64;
/// Deliveries on their way: enough for nobody to wait, few enough for no buffer to matter.
const ON_THEIR_WAY: u64 = 40_000;

/// Subscribers, spread evenly over channels.
#[derive(Clone, Copy)]
pub(crate) struct Fan {
    pub(crate) subscribers: usize,
    pub(crate) channels: usize,
    /// PUBLISH commands in one write.
    pub(crate) pipeline: usize,
}

/// Names of one length: messages are then of one length.
pub(crate) fn channel(number: usize, channels: usize) -> String {
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

pub(crate) struct Publisher {
    fan: Fan,
    client: Client,
    messages: usize,
    /// Owed so far.
    pub(crate) deliveries: u64,
}

impl Publisher {
    pub(crate) fn new(fan: Fan, address: &NodeAddr) -> Self {
        Self {
            fan,
            client: Client::connect(address).unwrap(),
            messages: 0,
            deliveries: 0,
        }
    }

    /// Publishes as fast as it is delivered, and waits for the last delivery.
    pub(crate) fn publish_for(&mut self, length: Duration, listeners: &Listeners) {
        let each = (self.fan.subscribers / self.fan.channels) as u64;
        let bytes = message_bytes();
        let until = Instant::now() + length;
        let payload = [b'x'; PAYLOAD_BYTES];
        while Instant::now() < until {
            while self.deliveries.saturating_sub(listeners.received() / bytes) > ON_THEIR_WAY.max(each) {
                std::thread::sleep(Duration::from_micros(50));
            }
            for _ in 0..self.fan.pipeline {
                let name = channel(self.messages, self.fan.channels);
                self.messages += 1;
                self.client
                    .send::<&[u8]>(&[b"PUBLISH", name.as_bytes(), &payload])
                    .unwrap();
            }
            for _ in 0..self.fan.pipeline {
                self.client.receive().unwrap();
            }
            self.deliveries += each * self.fan.pipeline as u64;
        }
        let owed = self.deliveries * bytes;
        let waited = wait_for("the last delivery", Duration::from_secs(60), || {
            listeners.received() >= owed
        });
        waited.unwrap_or_else(|error| panic!("{error}: {} of {owed} bytes", listeners.received()));
        assert_eq!(listeners.received(), owed, "each once");
    }
}
