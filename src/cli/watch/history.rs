//! How has it been so far?
//!
//! Pure: of each node the replication delays that were seen, of each side how fast its commands grow.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::glance::{SIDES, Seen};

/// Delays that are kept of a node: two minutes' worth, and more than a terminal is wide.
pub(super) const KEPT: usize = 120;

/// Route, side and node.
type NodeKey = (String, &'static str, String);
/// Route and side.
type SideKey = (String, &'static str);

#[derive(Debug, Default)]
pub(super) struct History {
    delays: HashMap<NodeKey, VecDeque<Option<f64>>>,
    commands: HashMap<SideKey, Commands>,
}

#[derive(Debug)]
struct Commands {
    at: Instant,
    total: u64,
    per_second: Option<f64>,
}

impl History {
    /// Adds what was seen; nodes and routes that are not there any more are forgotten.
    pub(super) fn add(&mut self, seen: &Seen, now: Instant) {
        let mut delays = HashMap::new();
        let mut commands = HashMap::new();
        for route in &seen.routes {
            for (name, side) in SIDES.into_iter().zip(&route.sides) {
                let Some(side) = side else { continue };
                for node in &side.nodes {
                    let key = (route.name.clone(), name, node.addr.clone());
                    let mut values = self.delays.remove(&key).unwrap_or_default();
                    if values.len() == KEPT {
                        values.pop_front();
                    }
                    values.push_back(node.delay);
                    delays.insert(key, values);
                }
                if let Some(total) = side.commands {
                    let key = (route.name.clone(), name);
                    let per_second = self.commands.get(&key).and_then(|before| before.rate(total, now));
                    commands.insert(
                        key,
                        Commands {
                            at: now,
                            total,
                            per_second,
                        },
                    );
                }
            }
        }
        (self.delays, self.commands) = (delays, commands);
    }

    /// The last `count` delays of a node, oldest first.
    pub(super) fn delays(
        &self,
        route: &str,
        side: &'static str,
        node: &str,
        count: usize,
    ) -> impl Iterator<Item = Option<f64>> + '_ {
        let values = self.delays.get(&(route.to_owned(), side, node.to_owned()));
        let skipped = values.map_or(0, |values| values.len().saturating_sub(count));
        values.into_iter().flatten().skip(skipped).copied()
    }

    /// Commands of a side, a second.
    pub(super) fn per_second(&self, route: &str, side: &'static str) -> Option<f64> {
        self.commands.get(&(route.to_owned(), side))?.per_second
    }
}

impl Commands {
    /// `None` when the count starts again: another process counts now.
    fn rate(&self, total: u64, now: Instant) -> Option<f64> {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        let more = total.checked_sub(self.total)?;
        (seconds > 0.0).then(|| more as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::glance::{Node, Route, Side};

    fn seen(delay: Option<f64>, commands: u64) -> Seen {
        let node = Node {
            addr: "h:1".to_owned(),
            delay,
            ..Node::default()
        };
        let side = Side {
            commands: Some(commands),
            nodes: vec![node],
            ..Side::default()
        };
        let route = Route {
            name: "r".to_owned(),
            sides: [Some(side), None],
            ..Route::default()
        };
        Seen {
            routes: vec![route],
            ..Seen::default()
        }
    }

    #[test]
    fn delays_are_kept_in_order_up_to_a_bound_and_forgotten_with_their_node() {
        let (mut history, now) = (History::default(), Instant::now());
        for number in 0..KEPT + 5 {
            history.add(&seen(Some(number as f64), 0), now);
        }
        history.add(&seen(None, 0), now);
        let last: Vec<_> = history.delays("r", "old", "h:1", 3).collect();
        assert_eq!(last, [Some(123.0), Some(124.0), None]);
        assert_eq!(history.delays("r", "old", "h:1", usize::MAX).count(), KEPT);
        history.add(&Seen::default(), now);
        assert_eq!(history.delays("r", "old", "h:1", 3).count(), 0);
    }

    #[test]
    fn commands_a_second_are_told_between_two_looks_at_one_process() {
        let (mut history, now) = (History::default(), Instant::now());
        history.add(&seen(None, 1_000), now);
        assert_eq!(history.per_second("r", "old"), None);
        history.add(&seen(None, 1_500), now + Duration::from_secs(2));
        assert_eq!(history.per_second("r", "old"), Some(250.0));
        history.add(&seen(None, 3), now + Duration::from_secs(3));
        assert_eq!(history.per_second("r", "old"), None, "another process");
    }
}
