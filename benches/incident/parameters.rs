//! What is one replay made of?
//!
//! Pure: a seed in, an incident on the new side out: its master feeds more replicas than its link can carry at the
//! height of the load.

use std::time::Duration;

use serde::Serialize;
use switchback::demo::MessageOptions;

use crate::scene::Setting;

/// Beside a payload, what a PUBLISH is in the replication stream and on a link.
const OVERHEAD_BYTES: f64 = 250.0;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Parameters {
    pub(crate) seed: u64,
    /// Of new's master; usual are two.
    pub(crate) replicas: usize,
    pub(crate) weight: u32,
    pub(crate) link_bits: u64,
    pub(crate) message_bytes: usize,
    pub(crate) dataset_bytes: usize,
    pub(crate) output_buffer_bytes: u64,
    pub(crate) backlog_bytes: u64,
    /// What the replicas want of the link before and at the height: 1 is all of it.
    calm: f64,
    peak: f64,
    pub(crate) rise_seconds: f64,
}

impl Parameters {
    pub(crate) fn of(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let between =
            |least: f64, most: f64, random: &mut fastrand::Rng| least + (most - least) * random.f64();
        let megabytes = |least: f64, most: f64, random: &mut fastrand::Rng| {
            ((least + (most - least) * random.f64()) * 1_048_576.0) as u64
        };
        Self {
            seed,
            replicas: 2 + random.usize(2..=4),
            weight: [50, 60, 75, 100][random.usize(..4)],
            link_bits: random.u64(30..=50) * 1_000_000,
            message_bytes: random.usize(2_000..=8_000),
            dataset_bytes: megabytes(2.0, 16.0, &mut random) as usize,
            output_buffer_bytes: megabytes(2.0, 8.0, &mut random),
            backlog_bytes: megabytes(0.5, 1.5, &mut random),
            calm: between(0.3, 0.5, &mut random),
            peak: between(1.4, 2.0, &mut random),
            rise_seconds: between(5.0, 20.0, &mut random),
        }
    }

    /// Messages a second at a time since the rise began.
    pub(crate) fn rate(&self, risen: Duration) -> u32 {
        let share = (risen.as_secs_f64() / self.rise_seconds).min(1.0);
        self.rate_of(self.calm + (self.peak - self.calm) * share)
    }

    /// Those of which the replicas want this much of the link.
    fn rate_of(&self, demand: f64) -> u32 {
        let bits_each = (self.message_bytes as f64 + OVERHEAD_BYTES) * 8.0 * self.replicas as f64;
        (demand * self.link_bits as f64 / bits_each * 100.0 / f64::from(self.weight)) as u32
    }

    /// When the replicas want all of the link, in seconds since the rise began.
    pub(crate) fn full_at(&self) -> f64 {
        self.rise_seconds * (1.0 - self.calm) / (self.peak - self.calm)
    }

    pub(crate) fn setting(&self) -> Setting {
        let quiet = Setting::quiet();
        Setting {
            on_hosts: true,
            replicas: [2, self.replicas],
            // It is new that is in trouble: old has room for all of it.
            link_bits: [None, Some(self.link_bits)],
            node_config: vec![
                format!(
                    "client-output-buffer-limit replica {0} {0} 60",
                    self.output_buffer_bytes
                ),
                format!("repl-backlog-size {}", self.backlog_bytes),
            ],
            dataset_bytes: self.dataset_bytes,
            messages: MessageOptions {
                // Many, with little each: rising lateness does not slow them down.
                publishers: 24,
                pipeline: 2,
                per_second: self.rate(Duration::ZERO),
                bytes: self.message_bytes..=self.message_bytes,
                patience: Duration::from_secs(5),
                seed: self.seed,
                ..quiet.messages.clone()
            },
            ..quiet
        }
    }
}
