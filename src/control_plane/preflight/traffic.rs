//! How fast does a side's replication stream grow?
//!
//! Pure: the master's offsets of the last seconds, from the guard's observations, so that a raise need not wait to
//! measure a rate. Another master, or the same one restarted, is another stream.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::cluster::NodeAddr;
use crate::control_plane::guard::{Observation, ObservationKind};

/// Over how long the rate is taken.
const WINDOW: Duration = Duration::from_secs(5);
/// Below this, the moments at which the offsets were read are not known well enough.
const SPAN_MIN: Duration = Duration::from_millis(200);
/// At the fastest probe, 10 ms, the window is shorter: long enough still.
const SAMPLES_MAX: usize = 128;

/// One side's stream.
#[derive(Debug, Default)]
pub struct Traffic {
    master: Option<(NodeAddr, Option<String>)>,
    offsets: VecDeque<(Instant, u64)>,
}

impl Traffic {
    /// Takes an observation in; only what masters say counts.
    pub fn observe(&mut self, observation: &Observation) {
        let ObservationKind::Info(info) = &observation.kind else {
            return;
        };
        let (true, Some(offset)) = (info.is_master, info.repl_offset) else {
            return;
        };
        let master = (observation.node.clone(), info.run_id.clone());
        let last = self.offsets.back().map_or(0, |(_, last)| *last);
        if self.master.as_ref() != Some(&master) || offset < last {
            self.offsets.clear();
            self.master = Some(master);
        }
        if self.offsets.len() == SAMPLES_MAX {
            self.offsets.pop_front();
        }
        self.offsets.push_back((observation.at, offset));
    }

    /// Bytes a second; `None` without two samples far enough apart.
    pub fn bytes_per_second(&mut self, now: Instant) -> Option<f64> {
        while let Some((at, _)) = self.offsets.front()
            && now.saturating_duration_since(*at) > WINDOW
        {
            self.offsets.pop_front();
        }
        let (first, last) = (self.offsets.front()?, self.offsets.back()?);
        let span = last.0.saturating_duration_since(first.0);
        // Far below 2^53: what a network carries in five seconds.
        #[allow(clippy::cast_precision_loss)]
        let grown = last.1.saturating_sub(first.1) as f64;
        (span >= SPAN_MIN).then(|| grown / span.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control_plane::guard::NodeInfo;

    fn said(port: u16, at: Instant, run_id: &str, offset: u64, is_master: bool) -> Observation {
        Observation {
            node: NodeAddr::new("h", port),
            at,
            kind: ObservationKind::Info(Box::new(NodeInfo {
                is_master,
                run_id: Some(run_id.to_owned()),
                repl_offset: Some(offset),
                ..NodeInfo::default()
            })),
        }
    }

    #[test]
    fn a_rate_needs_two_samples_far_enough_apart_and_forgets_old_ones() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut traffic = Traffic::default();
        assert_eq!(traffic.bytes_per_second(start), None);
        traffic.observe(&said(1, at(0), "a", 1_000, true));
        traffic.observe(&said(2, at(100), "b", 9_000_000, false));
        traffic.observe(&said(1, at(199), "a", 1_100, true));
        assert_eq!(traffic.bytes_per_second(at(199)), None);
        traffic.observe(&said(1, at(500), "a", 2_000, true));
        assert_eq!(traffic.bytes_per_second(at(500)), Some(2_000.0));
        assert_eq!(traffic.bytes_per_second(at(60_000)), None);
    }

    #[test]
    fn another_master_or_a_restart_is_another_stream() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        for (port, run_id, offset) in [(2, "a", 5_000), (1, "b", 5_000), (1, "a", 10)] {
            let mut traffic = Traffic::default();
            traffic.observe(&said(1, at(0), "a", 1_000, true));
            traffic.observe(&said(port, at(1_000), run_id, offset, true));
            assert_eq!(
                traffic.bytes_per_second(at(1_000)),
                None,
                "{port} {run_id} {offset}"
            );
        }
    }
}
