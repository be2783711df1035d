//! What does the simulated disk keep?
//!
//! Pure: takes records from the tray as the writer's thread does, one batch at a time, and has them as text when they are through.

use std::sync::Arc;

use fastrand::Rng;

use super::schedule::Disk;
use crate::control_plane::record::Record;
use crate::control_plane::store::{Job, Tray};
use crate::routing::Epoch;

/// How long a write takes. Unit: milliseconds.
const WRITE: u64 = 5;
/// How long the last state may take at the end of a process. Unit: milliseconds.
const LAST_WAIT: u64 = 2_000;

/// The disk, and what is on its way to it.
#[derive(Default)]
pub(super) struct Kept {
    mode: Option<Disk>,
    /// The route's file.
    text: Option<String>,
    /// The epoch of the last state, if it was refused.
    pub(super) refused: Option<Epoch>,
    /// What is being written, since when.
    writing: Option<(u64, Job)>,
}

impl Kept {
    /// With what a proxy has left there.
    pub(super) fn mode(&mut self, mode: Disk) {
        self.mode = Some(mode);
    }

    /// What a start finds.
    pub(super) fn record(&self, route: &str) -> Option<Record> {
        let text = self.text.as_ref()?;
        Some(Record::from_text(route, text).unwrap())
    }

    /// Writes what is due. Returns what is on disk now if that is another record than before.
    pub(super) fn step(&mut self, tray: &Arc<Tray>, now: u64) -> Option<Record> {
        let mode = self.mode.unwrap_or(Disk::Fine);
        if self.writing.is_none() {
            // One route: at most one job waits.
            self.writing = tray.take_now().pop().map(|job| (now, job));
        }
        let (since, job) = self.writing.as_ref()?;
        let takes = match mode {
            Disk::Fine | Disk::Full => WRITE,
            Disk::Slow(takes) => takes,
            Disk::Hanging => return None,
        };
        if now < since + takes && mode != Disk::Fine {
            return None;
        }
        let written = match mode {
            Disk::Full => {
                self.refused = Some(job.record.epoch);
                job.failed("no space left on device");
                None
            }
            Disk::Fine | Disk::Slow(_) | Disk::Hanging => {
                self.text = Some(job.record.to_text(&job.route));
                job.written();
                self.refused = None;
                Some(job.record.clone())
            }
        };
        self.writing = None;
        written
    }

    /// The process ends in order: everything is written, if that can be within seconds. Whether it was.
    pub(super) fn close(&mut self, tray: &Arc<Tray>, rng: &mut Rng) -> (Option<Record>, bool) {
        let is_quick = match self.mode.unwrap_or(Disk::Fine) {
            Disk::Fine => true,
            Disk::Slow(takes) => takes < LAST_WAIT / 2,
            Disk::Full | Disk::Hanging => false,
        };
        let jobs: Vec<Job> = self
            .writing
            .take()
            .map(|(_, job)| job)
            .into_iter()
            .chain(tray.take_now())
            .collect();
        if !is_quick {
            self.writing = jobs.into_iter().next().map(|job| (0, job));
            return (self.crash(rng), false);
        }
        let last = jobs.into_iter().next_back();
        self.text = last
            .as_ref()
            .map(|job| job.record.to_text(&job.route))
            .or(self.text.take());
        (last.map(|job| job.record), true)
    }

    /// The process is gone. What was being written is there, or it is not.
    pub(super) fn crash(&mut self, rng: &mut Rng) -> Option<Record> {
        // Of the next process nothing has been refused, though it may begin at the same epoch.
        self.refused = None;
        let (_, job) = self.writing.take()?;
        let is_full = self.mode == Some(Disk::Full);
        if is_full || rng.bool() {
            return None;
        }
        self.text = Some(job.record.to_text(&job.route));
        Some(job.record)
    }
}
