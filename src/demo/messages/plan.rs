//! Who listens to what, and what is published next?
//!
//! Pure: the same options give the same plan.

use super::MessageOptions;

/// Odd, and coprime to the usual numbers of channels: neighbours share some of their channels, not all.
const STRIDE: usize = 7;

/// Names, and who is subscribed to which.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    channels: Vec<String>,
    patterns: Vec<String>,
    channels_each: usize,
    pattern_subscribers: usize,
}

impl Plan {
    pub(super) fn new(options: &MessageOptions) -> Self {
        let count = options.channels.clamp(1, 1 << 16);
        let groups = options.patterns.clamp(1, count);
        let prefix = &options.prefix;
        let name = |number| format!("{prefix}:{}:{number}", number % groups);
        let patterns = 0..options.patterns.min(count);
        Self {
            channels: (0..count).map(name).collect(),
            patterns: patterns.map(|group| format!("{prefix}:{group}:*")).collect(),
            channels_each: options.channels_each.min(count),
            pattern_subscribers: options.pattern_subscribers,
        }
    }

    /// All names, by index.
    pub(super) fn channels(&self) -> &[String] {
        &self.channels
    }

    pub(super) fn channel(&self, index: usize) -> &str {
        self.channels.get(index).map_or("", String::as_str)
    }

    pub(super) fn pattern(&self, index: usize) -> &str {
        self.patterns.get(index).map_or("", String::as_str)
    }

    /// Indices of the channels a subscriber is subscribed to; each once.
    pub(super) fn channels_of(&self, subscriber: usize) -> Vec<usize> {
        let count = self.channels.len();
        // A stride that is no divisor's multiple of the count visits them all; otherwise the next ones do.
        let stride = if count.is_multiple_of(STRIDE) { 1 } else { STRIDE };
        (0..self.channels_each)
            .map(|turn| (subscriber + turn * stride) % count)
            .collect()
    }

    /// Index of the pattern a subscriber is subscribed to.
    pub(super) fn pattern_of(&self, subscriber: usize) -> Option<usize> {
        let is_one = subscriber < self.pattern_subscribers && !self.patterns.is_empty();
        is_one.then(|| subscriber % self.patterns.len())
    }

    /// Indices of the channels a pattern is over.
    pub(super) fn channels_under(&self, pattern: usize) -> impl Iterator<Item = usize> {
        (pattern..self.channels.len()).step_by(self.patterns.len().max(1))
    }
}

/// What one publisher publishes.
#[derive(Clone, Debug)]
pub(super) struct Course {
    random: fastrand::Rng,
    channels: usize,
    present: usize,
    /// Natural logarithms of the smallest and of the largest payload.
    magnitudes: (f64, f64),
}

impl Course {
    pub(super) fn new(options: &MessageOptions, publisher: usize, channels: usize) -> Self {
        let magnitude = |bytes: &usize| (*bytes as f64).max(1.0).ln();
        Self {
            random: fastrand::Rng::with_seed(options.seed.wrapping_add(publisher as u64)),
            channels,
            present: publisher % channels.max(1),
            magnitudes: (magnitude(options.bytes.start()), magnitude(options.bytes.end())),
        }
    }

    /// Channel and bytes of the next message. Every second one stays on the channel: order shows there.
    pub(super) fn next(&mut self) -> (usize, usize) {
        if self.random.bool() {
            self.present = self.random.usize(..self.channels.max(1));
        }
        let (least, most) = self.magnitudes;
        let bytes = (least + (most - least) * self.random.f64()).exp();
        (self.present, bytes.round() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_channel_has_listeners_and_each_listener_its_channels_once() {
        for channels in [1, 3, 7, 50] {
            let options = MessageOptions {
                channels,
                channels_each: 3,
                ..MessageOptions::default()
            };
            let plan = Plan::new(&options);
            let mut heard = HashSet::new();
            for subscriber in 0..options.subscribers {
                let own = plan.channels_of(subscriber);
                let different: HashSet<_> = own.iter().copied().collect();
                assert_eq!((own.len(), different.len()), (3.min(channels), 3.min(channels)));
                heard.extend(different);
            }
            assert_eq!(heard.len(), channels);
        }
    }

    #[test]
    fn a_pattern_is_over_the_channels_whose_names_it_matches() {
        let plan = Plan::new(&MessageOptions::default());
        let matching = |pattern: &str| {
            let stem = pattern.strip_suffix('*').unwrap();
            let names = plan.channels().iter().enumerate();
            names
                .filter(|(_, name)| name.starts_with(stem))
                .map(|(index, _)| index)
                .collect::<Vec<_>>()
        };
        for pattern in 0..5 {
            let under: Vec<usize> = plan.channels_under(pattern).collect();
            assert_eq!(under, matching(plan.pattern(pattern)));
            assert_eq!(under.len(), 10);
        }
        assert_eq!((plan.pattern_of(19), plan.pattern_of(20)), (Some(4), None));
        let without = MessageOptions {
            patterns: 0,
            ..MessageOptions::default()
        };
        assert_eq!(Plan::new(&without).pattern_of(0), None);
    }

    #[test]
    fn sizes_are_of_every_magnitude_within_the_bounds() {
        let options = MessageOptions::default();
        let mut course = Course::new(&options, 0, 50);
        let sizes: Vec<usize> = (0..2_000).map(|_| course.next().1).collect();
        assert!(sizes.iter().all(|bytes| options.bytes.contains(bytes)));
        for magnitude in [16..64, 256..1_024, 16_384..65_537] {
            assert!(sizes.iter().filter(|bytes| magnitude.contains(*bytes)).count() > 200);
        }
    }
}
