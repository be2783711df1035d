//! How many messages, to how many?
//!
//! Pure: data.

use std::ops::RangeInclusive;
use std::time::Duration;

/// How much is published, and who listens.
#[derive(Clone, Debug)]
pub struct MessageOptions {
    /// Connections that publish.
    pub publishers: usize,
    /// Connections that subscribe.
    pub subscribers: usize,
    /// Channels, 65,536 at most: `PREFIX:GROUP:NUMBER`, the groups being the patterns'.
    pub channels: usize,
    /// Patterns, each over its share of the channels: `PREFIX:GROUP:*`.
    pub patterns: usize,
    /// Channels each subscriber is subscribed to.
    pub channels_each: usize,
    /// How many subscribers are subscribed to a pattern besides.
    pub pattern_subscribers: usize,
    /// Messages a second, all publishers together, to begin with.
    pub per_second: u32,
    /// Messages each publisher sends before it waits for the replies.
    pub pipeline: usize,
    /// Bytes of a payload, from 16: any magnitude is as likely as any other.
    pub bytes: RangeInclusive<usize>,
    /// How long a publisher waits for a connection and for a reply.
    pub patience: Duration,
    /// How long nothing must come, after the last was published, for what is missing to be lost.
    pub quiet: Duration,
    /// Threads that read for the subscribers.
    pub threads: usize,
    /// What the channels' names begin with.
    pub prefix: String,
    /// Subscribers of a [`Target::Sentinel`](super::Target::Sentinel) go to its replicas in turn, not to its master.
    pub subscribe_to_replicas: bool,
    /// Chooses channels and sizes.
    pub seed: u64,
}

impl Default for MessageOptions {
    /// Enough to see every moment in, little enough to leave a small machine time for what is shown on it.
    fn default() -> Self {
        Self {
            publishers: 4,
            subscribers: 200,
            channels: 50,
            patterns: 5,
            channels_each: 2,
            pattern_subscribers: 20,
            per_second: 400,
            pipeline: 4,
            bytes: 16..=64 * 1024,
            patience: Duration::from_secs(10),
            quiet: Duration::from_secs(2),
            threads: 2,
            prefix: "messages".to_owned(),
            subscribe_to_replicas: false,
            seed: 0,
        }
    }
}
