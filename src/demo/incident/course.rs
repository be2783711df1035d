//! What happens when, in all three runs?
//!
//! Pure: a seed in, sizes, rates and moments out.

use std::time::Duration;

use crate::demo::MessageOptions;

/// One host's data link in the incident's replay.
pub(super) const LINK_BITS: u64 = 40_000_000;
/// What every node is configured with.
pub(super) const NODE_CONFIG: [&str; 2] = [
    "client-output-buffer-limit replica 4mb 4mb 60",
    "repl-backlog-size 1mb",
];
/// Replicas that join: five instead of two.
pub(super) const JOINING: usize = 3;
/// Replicas of a group before.
pub(super) const USUAL: usize = 2;
/// Two looks and the advice take some seconds; a rule of the guard that was bad takes ten to be good again.
const PREFLIGHT_BEFORE: Duration = Duration::from_secs(16);
/// Beside a payload, what a PUBLISH is in the replication stream and on a link: its words, its channel and TCP's headers.
const OVERHEAD_BYTES: u64 = 250;

/// The course of a run. Moments count from the first message.
#[derive(Clone, Debug)]
pub(super) struct Course {
    pub(super) seed: u64,
    /// Messages a second at night, and at the height of the day.
    calm: u32,
    peak: u32,
    message_bytes: usize,
    /// What every full sync copies: of five at once, with the load of the day, none comes to its end; two do.
    pub(super) dataset_bytes: usize,
    /// Three replicas are attached.
    pub(super) attach_at: Duration,
    /// The day's traffic begins to rise, and has risen.
    rise: [Duration; 2],
    /// Operators give up and go back, where nothing went back by itself. In the incident that took them 41 minutes.
    pub(super) give_up_at: Duration,
    pub(super) end_at: Duration,
}

impl Course {
    pub(super) fn of(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let seconds = |least: f64, most: f64, random: &mut fastrand::Rng| {
            Duration::from_secs_f64(least + (most - least) * random.f64())
        };
        let rise_from = seconds(16.0, 17.0, &mut random);
        Self {
            seed,
            calm: random.u32(50..=70),
            peak: random.u32(390..=410),
            message_bytes: random.usize(4_000..=4_200),
            dataset_bytes: random.usize(3_200_000..=3_600_000),
            attach_at: Duration::from_secs(2),
            rise: [rise_from, rise_from + seconds(15.0, 17.0, &mut random)],
            give_up_at: Duration::from_secs(44),
            end_at: Duration::from_secs(60),
        }
    }

    /// Messages a second.
    pub(super) fn rate(&self, at: Duration) -> u32 {
        let [from, to] = self.rise;
        let risen = at.saturating_sub(from).as_secs_f64() / (to - from).as_secs_f64();
        self.calm + (f64::from(self.peak - self.calm) * risen.min(1.0)) as u32
    }

    /// The wrong moment: the old master has a tenth of its link left, and traffic rises.
    pub(super) fn shift_at(&self) -> Duration {
        let bits_each = (self.message_bytes as u64 + OVERHEAD_BYTES) * 8 * (USUAL + JOINING) as u64;
        let rate = 0.9 * LINK_BITS as f64 / bits_each as f64;
        let [from, to] = self.rise;
        from + (to - from).mul_f64((rate - f64::from(self.calm)) / f64::from(self.peak - self.calm))
    }

    /// When an operator who has a pre-flight begins it.
    pub(super) fn preflight_at(&self) -> Duration {
        self.shift_at().saturating_sub(PREFLIGHT_BEFORE)
    }

    pub(super) fn messages(&self) -> MessageOptions {
        MessageOptions {
            // Many, with little each: rising lateness does not slow them down, as it would not slow down a fleet of apps.
            publishers: 16,
            pipeline: 4,
            // Odd: the two subscribers of a channel are at different replicas.
            channels: 19,
            subscribers: 38,
            channels_each: 1,
            patterns: 0,
            pattern_subscribers: 0,
            per_second: self.calm,
            bytes: self.message_bytes..=self.message_bytes,
            quiet: Duration::from_secs(2),
            patience: Duration::from_secs(5),
            subscribe_to_replicas: true,
            seed: self.seed,
            ..MessageOptions::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_course_and_every_one_overfeeds_five_replicas_and_not_two() {
        for seed in 0..200 {
            let course = Course::of(seed);
            assert_eq!(format!("{course:?}"), format!("{:?}", Course::of(seed)));
            let bits = |replicas: usize| {
                let each = (course.message_bytes as u64 + OVERHEAD_BYTES) * 8;
                u64::from(course.rate(course.end_at)) * each * replicas as u64
            };
            assert!(bits(USUAL) < LINK_BITS * 8 / 10 && bits(USUAL + JOINING) > LINK_BITS * 3 / 2);
            assert_eq!(course.rate(Duration::ZERO), course.calm);
            assert!(course.rate(course.shift_at()) < course.rate(course.give_up_at));
            assert!(course.attach_at + Duration::from_secs(4) < course.preflight_at());
            assert!(course.shift_at() + Duration::from_secs(15) < course.give_up_at);
        }
    }
}
