//! What does the simulated disk keep?
//!
//! Pure: takes records from the tray as the writer's thread does, one batch at a time, and has them as text when they are through.

use std::sync::Arc;

use fastrand::Rng;

use super::schedule::Disk;
use crate::control_plane::record::Record;
use crate::control_plane::store::{Job, Tray};

/// How long a write takes. Unit: milliseconds.
const WRITE: u64 = 5;

/// The disk, and what is on its way to it.
#[derive(Default)]
pub(super) struct Kept {
    mode: Option<Disk>,
    /// The route's file.
    text: Option<String>,
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
                job.failed("no space left on device");
                None
            }
            Disk::Fine | Disk::Slow(_) | Disk::Hanging => {
                self.text = Some(job.record.to_text(&job.route));
                job.written();
                Some(job.record.clone())
            }
        };
        self.writing = None;
        written
    }

    /// The process is gone. What was being written is there, or it is not.
    pub(super) fn crash(&mut self, rng: &mut Rng) -> Option<Record> {
        let (_, job) = self.writing.take()?;
        let is_full = self.mode == Some(Disk::Full);
        if is_full || rng.bool() {
            return None;
        }
        self.text = Some(job.record.to_text(&job.route));
        Some(job.record)
    }
}
