//! How does a script go on?
//!
//! Shell: it waits for moments of the course and for things to happen, tells what it does and marks it; Ctrl-C ends every
//! wait.

use std::path::Path;
use std::time::Duration;

use super::course::Course;
use super::watch::{Mark, MarkKind, Watch};
use crate::demo::Messages;
use crate::demo::error::DemoError;
use crate::demo::interrupt::Interrupt;
use crate::demo::narrator::Narrator;
use crate::lab::LabError;

const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Where all scripts are played.
#[derive(Debug)]
pub(super) struct Theatre<'a> {
    pub(super) narrator: &'a Narrator,
    pub(super) interrupt: &'a Interrupt,
    pub(super) course: &'a Course,
    /// Hosts with narrow links can be had.
    pub(super) has_network: bool,
    /// This program.
    pub(super) program: &'a Path,
    /// Where what the guard sees is kept, if it is to be.
    pub(super) trace: Option<&'a Path>,
}

impl Theatre<'_> {
    /// Lines of `[proxy]` that keep a trace of the run that is called so.
    pub(super) fn proxy_config(&self, run: &str) -> Result<String, LabError> {
        let Some(folder) = self.trace else {
            return Ok(String::new());
        };
        let folder = std::path::absolute(folder.join(run.replace(' ', "-")));
        let folder = folder.map_err(LabError::io("finding the traces' directory"))?;
        Ok(format!("trace_dir = {folder:?}\n"))
    }
}

/// What a script has at hand.
#[derive(Debug)]
pub(super) struct Play<'a> {
    theatre: &'a Theatre<'a>,
    messages: &'a Messages,
    watch: &'a Watch,
}

impl<'a> Play<'a> {
    pub(super) fn new(theatre: &'a Theatre<'a>, messages: &'a Messages, watch: &'a Watch) -> Self {
        Self {
            theatre,
            messages,
            watch,
        }
    }

    /// Since the first message.
    pub(super) fn elapsed(&self) -> Duration {
        self.messages.elapsed()
    }

    pub(super) fn messages(&self) -> &'a Messages {
        self.messages
    }

    /// Waits for a moment of the course.
    pub(super) fn until(&self, at: Duration) -> Result<(), DemoError> {
        self.theatre.interrupt.pass(at.saturating_sub(self.elapsed()))
    }

    /// Waits until something is so, or a moment has come; says which.
    pub(super) fn until_or(
        &self,
        at: Duration,
        mut is_so: impl FnMut() -> Result<bool, DemoError>,
    ) -> Result<bool, DemoError> {
        while self.elapsed() < at {
            if is_so()? {
                return Ok(true);
            }
            self.theatre.interrupt.pass(LOOK_INTERVAL)?;
        }
        is_so()
    }

    /// Tells and marks something that has just been done or seen.
    pub(super) fn mark(&self, kind: MarkKind, text: String) {
        self.mark_at(self.elapsed(), kind, text);
    }

    /// The same of something that was a little earlier.
    pub(super) fn mark_at(&self, at: Duration, kind: MarkKind, text: String) {
        let rate = self.theatre.course.rate(at);
        self.theatre.narrator.say(&format!(
            "  {:4.1} s, {rate:>3} messages/s: {text}",
            at.as_secs_f64()
        ));
        self.watch.mark(Mark { at, kind, text });
    }
}
