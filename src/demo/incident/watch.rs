//! What was seen while a run was played?
//!
//! Shell: a look at the proxy every tenth of a second, and what the script marks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::course::Course;
use crate::demo::Messages;
use crate::demo::proxy::Proxy;

const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// What the script did, or what happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum MarkKind {
    /// Replicas were attached.
    Attach,
    /// Replicas were detached.
    Detach,
    /// Traffic was moved to new.
    Shift,
    /// It was refused.
    Refused,
    /// Advice was followed.
    Heeded,
    /// Nothing refuses it.
    Passed,
    /// The guard routed back.
    Trip,
    /// Operators went back.
    Back,
}

/// A moment worth a mark.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) at: Duration,
    pub(super) kind: MarkKind,
    pub(super) text: String,
}

/// What the proxy said of itself.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) at: Duration,
    pub(super) weight: f64,
    /// Verdicts of old and of new.
    pub(super) verdicts: [String; 2],
}

/// One run's spectator.
#[derive(Debug, Default)]
pub(super) struct Watch {
    marks: Mutex<Vec<Mark>>,
    looks: Mutex<Vec<Look>>,
    is_over: AtomicBool,
}

impl Watch {
    /// Has the rate follow the course, and looks at the proxy where there is one, until it is over.
    pub(super) fn run(&self, course: &Course, messages: &Messages, proxy: Option<&Proxy>) {
        while !self.is_over.load(Ordering::Relaxed) {
            let at = messages.elapsed();
            messages.set_rate(course.rate(at));
            if let Some(Ok(status)) = proxy.map(Proxy::status) {
                lock(&self.looks).push(Look {
                    at,
                    weight: status.weight,
                    verdicts: [status.old.verdict, status.new.verdict],
                });
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    pub(super) fn mark(&self, mark: Mark) {
        lock(&self.marks).push(mark);
    }

    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub(super) fn into_parts(self) -> (Vec<Mark>, Vec<Look>) {
        let take = PoisonError::into_inner;
        (
            self.marks.into_inner().unwrap_or_else(take),
            self.looks.into_inner().unwrap_or_else(PoisonError::into_inner),
        )
    }
}

/// Ends the watch when it goes, however the script ends.
#[derive(Debug)]
pub(super) struct Ending<'a>(pub(super) &'a Watch);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
