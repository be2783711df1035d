//! What became of every command of the load?
//!
//! Pure: sums.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::lab::Reply;

/// An app's patience in the incident: later than this, a message was as good as lost.
pub const LATE_AFTER: Duration = Duration::from_millis(900);

/// Kinds of failures told apart; a proxy that made up a new one for each command would fill memory.
const KINDS_MAX: usize = 32;

/// How a command ended, as its app saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A reply, whatever it says.
    Reply(Reply),
    /// The connection was closed before the reply: it may or may not have been executed.
    Closed,
    /// No reply within the app's patience: the same.
    TimedOut,
}

impl Outcome {
    /// `None` for a reply that is no error; otherwise the word failures are counted by.
    pub(super) fn failure(&self) -> Option<&str> {
        match self {
            Self::Reply(Reply::Error(line)) => line.split(' ').next(),
            Self::Reply(_) => None,
            Self::Closed => Some("closed"),
            Self::TimedOut => Some("timeout"),
        }
    }

    /// Whether a command that failed so may have been executed all the same.
    pub(super) fn is_uncertain(&self) -> bool {
        matches!(self.failure(), Some("closed" | "timeout" | "UNCERTAIN"))
    }
}

/// What became of a number of commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Commands sent, or that would have been, had there been a connection.
    pub sent: u64,
    /// Answered, and not by an error.
    pub acknowledged: u64,
    /// Not answered, or by an error: counts by its first word, `closed`, `timeout` or `connect`.
    pub failed: BTreeMap<String, u64>,
    /// Ended more than [`LATE_AFTER`] after they were due.
    pub late: u64,
    /// The longest time from due to ended.
    pub slowest: Duration,
    /// Acknowledged with a reply that cannot be right.
    pub wrong: u64,
    /// Acknowledged, and afterwards on neither master.
    pub lost: u64,
    /// When those of them were acknowledged, since the load began, of which that is known: values and elements of lists. Of
    /// increments only the number is.
    pub lost_at: Vec<Duration>,
    /// Executed more often than sent.
    pub doubled: u64,
    /// Refused with an error that says it was not executed, and executed.
    pub ghosts: u64,
}

impl Ledger {
    /// All failures together.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Whether no app would have noticed anything.
    pub fn is_clean(&self) -> bool {
        let faults = [self.late, self.wrong, self.lost, self.doubled, self.ghosts];
        self.failures() == 0 && faults.iter().all(|fault| *fault == 0)
    }

    pub(super) fn fail(&mut self, kind: &str) {
        let known = self.failed.contains_key(kind) || self.failed.len() < KINDS_MAX;
        let kind = if known { kind } else { "other" };
        *self.failed.entry(kind.to_owned()).or_default() += 1;
    }

    pub(super) fn lose(&mut self, acknowledged_at: Duration) {
        self.lost += 1;
        self.lost_at.push(acknowledged_at);
    }

    pub(super) fn took(&mut self, time: Duration) {
        self.slowest = self.slowest.max(time);
        if time > LATE_AFTER {
            self.late += 1;
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.acknowledged += other.acknowledged;
        for (kind, count) in &other.failed {
            *self.failed.entry(kind.clone()).or_default() += count;
        }
        self.late += other.late;
        self.slowest = self.slowest.max(other.slowest);
        self.wrong += other.wrong;
        self.lost += other.lost;
        self.lost_at.extend(&other.lost_at);
        self.doubled += other.doubled;
        self.ghosts += other.ghosts;
    }
}
