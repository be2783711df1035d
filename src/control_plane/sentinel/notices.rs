//! What is worth telling an operator, and how often?
//!
//! Pure: notices pass on a bounded budget, so that a peer that lies fast cannot flood the events; what was held back is
//! counted and said.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::cluster::NodeAddr;
use crate::limits::{NODES_MAX, NOTICE_CHARS_MAX, NOTICES_BURST, SENTINELS_MAX};

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) kind: &'static str,
    pub(crate) text: String,
}

/// Notices on their way out.
#[derive(Debug)]
pub(crate) struct Notices {
    waiting: Vec<Notice>,
    budget: f64,
    refilled: Instant,
    held_back: u32,
}

impl Notices {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            waiting: Vec::new(),
            budget: f64::from(NOTICES_BURST),
            refilled: now,
            held_back: 0,
        }
    }

    /// Tells it, if the budget allows.
    pub(crate) fn tell(&mut self, now: Instant, kind: &'static str, text: &str) {
        let earned = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.budget = (self.budget + earned).min(f64::from(NOTICES_BURST));
        self.refilled = now;
        if self.budget < 1.0 {
            self.held_back += 1;
            return;
        }
        self.budget -= 1.0;
        let mut text = one_line(text);
        if self.held_back > 0 {
            text.push_str(&format!(" (after {} notices held back)", self.held_back));
            self.held_back = 0;
        }
        self.waiting.push(Notice { kind, text });
    }

    /// What is to be sent now.
    pub(crate) fn take(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.waiting)
    }
}

/// Peers choose part of a notice's text: no line breaks, no terminal codes, no end of it.
fn one_line(text: &str) -> String {
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    printable.take(NOTICE_CHARS_MAX).collect()
}

/// Which Sentinels find which node down. Each says so, an operator reads it once.
#[derive(Debug, Default)]
pub(crate) struct DownReports(BTreeSet<(NodeAddr, NodeAddr)>);

impl DownReports {
    /// Whether this is the first report of the node.
    pub(crate) fn down(&mut self, node: &NodeAddr, sentinel: &NodeAddr) -> bool {
        let first = !self.any(node);
        if self.0.len() < NODES_MAX * SENTINELS_MAX {
            self.0.insert((node.clone(), sentinel.clone()));
        }
        first
    }

    /// Whether this was the last report of the node.
    pub(crate) fn up(&mut self, node: &NodeAddr, sentinel: &NodeAddr) -> bool {
        self.0.remove(&(node.clone(), sentinel.clone())) && !self.any(node)
    }

    /// Of a Sentinel that is lost nothing is known.
    pub(crate) fn forget(&mut self, sentinel: &NodeAddr) {
        self.0.retain(|(_, reporter)| reporter != sentinel);
    }

    fn any(&self, node: &NodeAddr) -> bool {
        self.0.iter().any(|(reported, _)| reported == node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_flood_is_held_back_and_said() {
        let now = Instant::now();
        let mut notices = Notices::new(now);
        for _ in 0..NOTICES_BURST + 5 {
            notices.tell(now, "sdown", "x");
        }
        assert_eq!(notices.take().len(), NOTICES_BURST as usize);
        notices.tell(now + Duration::from_secs(1), "sdown", "y");
        let later = notices.take();
        assert_eq!(later[0].text, "y (after 5 notices held back)");
    }

    #[test]
    fn a_peers_text_is_one_bounded_line() {
        let now = Instant::now();
        let mut notices = Notices::new(now);
        notices.tell(now, "sentinel_refused", &"a\r\n\u{1b}[2J".repeat(1000));
        let text = &notices.take()[0].text;
        assert_eq!(text.chars().count(), NOTICE_CHARS_MAX);
        assert!(!text.contains(char::is_control));
    }

    #[test]
    fn three_sentinels_reports_of_a_node_are_one_notice_each_way() {
        let node = NodeAddr::new("node", 1);
        let reporters: Vec<_> = (1..=3).map(|port| NodeAddr::new("sentinel", port)).collect();
        let mut reports = DownReports::default();
        let downs: Vec<_> = reporters.iter().map(|one| reports.down(&node, one)).collect();
        assert_eq!(downs, [true, false, false]);
        let ups: Vec<_> = reporters.iter().map(|one| reports.up(&node, one)).collect();
        assert_eq!(ups, [false, false, true]);
        assert!(!reports.up(&node, &reporters[0]));
    }
}
