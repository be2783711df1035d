//! How does one worker ask the others about their clients?
//!
//! Shell: a mailbox a worker. The lock is taken when a worker starts and when something is asked, never on a request's path.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::pause::Pause;
use super::which::Which;
use crate::limits::ASKED_MAX;

/// What one worker asks all of them, itself too.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    /// The lines of CLIENT LIST.
    List(Which),
    /// Closes them; how many.
    Kill(Which),
    /// CLIENT UNBLOCK: whether it was blocked, and is not any more.
    Unblock { id: u64, with_error: bool },
    /// Whether there is such a client.
    IsThere { id: u64 },
    /// Tells a client, if it is there, that these keys are stale, for another that tracks them.
    Invalidate { id: u64, keys: Bytes },
    /// Looks whether there is a pause, and answers once what it holds and was sent before is answered.
    Pause,
}

/// What one worker answers.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) count: usize,
    /// By the client's number.
    pub(crate) lines: Vec<(u64, String)>,
}

/// A question, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(super) question: Question,
    pub(super) answer: mpsc::Sender<Answer>,
}

/// What the workers of a route share of their clients.
#[derive(Debug, Default)]
pub struct ClientsShared {
    last_id: AtomicU64,
    workers: Mutex<Vec<mpsc::Sender<Asked>>>,
    /// Which every worker keeps a copy of.
    pause: Mutex<Option<Pause>>,
}

impl ClientsShared {
    /// A number for a client that has come: no other of the route has had it, and later ones have larger ones.
    pub(crate) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A worker takes part: its mailbox.
    pub(crate) fn enter(&self) -> mpsc::Receiver<Asked> {
        let (sender, receiver) = mpsc::channel(ASKED_MAX);
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.push(sender);
        receiver
    }

    /// One more pause, beside the one there is. To be followed by a question, so that every worker looks.
    pub(crate) fn pause(&self, more: Pause) {
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        *pause = Some(more.with(*pause, Instant::now()));
    }

    /// Ends it. To be followed by a question, so that every worker looks.
    pub(crate) fn unpause(&self) {
        *self.pause.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn paused(&self) -> Option<Pause> {
        *self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks every worker, and adds up what they say. One that has ended says nothing.
    pub(crate) async fn ask(&self, question: Question) -> Answer {
        let workers = self
            .workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (answer, mut answers) = mpsc::channel(workers.len().max(1));
        for worker in workers {
            let (question, answer) = (question.clone(), answer.clone());
            // An error: it has ended.
            let _ = worker.send(Asked { question, answer }).await;
        }
        drop(answer);
        let mut all = Answer::default();
        while let Some(answer) = answers.recv().await {
            all.count += answer.count;
            all.lines.extend(answer.lines);
        }
        all
    }
}
