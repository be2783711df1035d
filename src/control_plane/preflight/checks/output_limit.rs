//! How much may a replica's output buffer hold?
//!
//! Pure: the setting, as it is in force.

use super::shown::bytes;
use crate::cluster::NodeAddr;
use crate::control_plane::preflight::facts::{NodeAnswer, SideFacts};

/// Below this, bytes a second, nothing is written: what is left are pings.
pub(super) const IDLE: f64 = 1.0;

/// `client-output-buffer-limit replica`, as it is in force.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct OutputLimit {
    /// 0: none.
    hard: f64,
    /// 0: none.
    soft: f64,
    soft_seconds: f64,
}

impl OutputLimit {
    /// `normal 0 0 0 slave 268435456 67108864 60 pubsub …`; the hard one is never below the backlog's size.
    fn read(setting: &str, backlog: f64) -> Option<Self> {
        let mut words = setting.split_ascii_whitespace();
        words.find(|word| *word == "slave" || *word == "replica")?;
        let mut number = || words.next()?.parse::<u64>().ok();
        // Sizes of memory: far below 2^53.
        #[allow(clippy::cast_precision_loss)]
        let (hard, soft, soft_seconds) = (number()? as f64, number()? as f64, number()? as f64);
        let hard = if hard > 0.0 { hard.max(backlog) } else { 0.0 };
        Some(Self {
            hard,
            soft,
            soft_seconds,
        })
    }

    /// When a buffer that grows by `stream` and is not read is too full; `None`: never.
    pub(super) fn seconds_until_full(&self, stream: f64) -> Option<f64> {
        if stream < IDLE {
            return None;
        }
        let hard = (self.hard > 0.0).then(|| self.hard / stream);
        let soft = (self.soft > 0.0).then(|| self.soft / stream + self.soft_seconds);
        match (hard, soft) {
            (Some(hard), Some(soft)) => Some(hard.min(soft)),
            (hard, soft) => hard.or(soft),
        }
    }

    pub(super) fn text(&self) -> String {
        format!(
            "{}, {} for {} s",
            bytes(self.hard),
            bytes(self.soft),
            self.soft_seconds
        )
    }
}

/// The node whose limit is reached first, whatever is written.
pub(super) fn least_limit(side: &SideFacts) -> Result<(&NodeAddr, OutputLimit), String> {
    let mut least: Option<(&NodeAddr, OutputLimit)> = None;
    let mut why = "the master must answer first".to_owned();
    for (addr, node) in side.members() {
        match limit_of(node) {
            Ok(limit) if least.is_none_or(|(_, least)| tighter(limit, least)) => least = Some((addr, limit)),
            Ok(_) => {}
            Err(text) => why = text,
        }
    }
    least.ok_or(why)
}

fn tighter(one: OutputLimit, other: OutputLimit) -> bool {
    // At some pace; which of hard and soft comes first may depend on it, and equal settings are the rule.
    let pace = 1_000_000.0;
    let full = |limit: OutputLimit| limit.seconds_until_full(pace).unwrap_or(f64::INFINITY);
    full(one) < full(other)
}

fn limit_of(node: &NodeAnswer) -> Result<OutputLimit, String> {
    let setting = node.setting("client-output-buffer-limit")?;
    let backlog = node.fields.number("repl_backlog_size").unwrap_or(0.0);
    OutputLimit::read(setting, backlog).ok_or_else(|| "its setting has an unknown form".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: f64 = 1_048_576.0;

    #[test]
    fn redis_raises_the_hard_limit_to_the_backlog() {
        let setting = "normal 0 0 0 slave 4194304 0 0 pubsub 1 1 1";
        assert_eq!(OutputLimit::read(setting, MB).unwrap().hard, 4.0 * MB);
        assert_eq!(OutputLimit::read(setting, 16.0 * MB).unwrap().hard, 16.0 * MB);
        let unlimited = OutputLimit::read("slave 0 0 0", 16.0 * MB).unwrap();
        assert_eq!(unlimited.seconds_until_full(1e9), None);
        assert_eq!(OutputLimit::read("slave 1 x", MB), None);
        assert_eq!(OutputLimit::read("normal 0 0 0", MB), None);
    }
}
