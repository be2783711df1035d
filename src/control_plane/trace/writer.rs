//! Is a route's trace on disk?
//!
//! Shell: one thread a route; what takes long here holds up nobody. A file that has grown to half of what is allowed is
//! renamed, and replaces the one before; each begins with a header and can be read alone. What cannot be written is
//! counted, and the next header says how many are missing.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use nix::fcntl::{Flock, FlockArg};

use super::line::{Entry, Header, What, nanos};
use crate::limits::TRACE_LINE_BYTES_MAX;

/// How long nothing is tried after a failure.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// A disk that is full now and then is told of once in this time.
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// How long another holder of the file is waited for: the writer before this one, at a reload, has a few entries left.
const LOCK_WAIT: Duration = Duration::from_secs(1);
const LOCK_STEP: Duration = Duration::from_millis(10);
/// Untold news; there is a pair a minute at most.
const NEWS_MAX: usize = 8;

/// What the control loop hands over.
#[derive(Debug)]
pub(super) enum Message {
    /// How things stand: the next entry begins a stretch.
    Header(Box<Header>),
    /// An input.
    Entry {
        /// When it was taken in.
        now: Instant,
        /// What it was.
        what: What,
    },
}

/// What an operator should hear of a trace. The lock is held for a look, never for a write.
#[derive(Debug, Default)]
pub(super) struct News(Mutex<VecDeque<(&'static str, String)>>);

impl News {
    pub(super) fn tell(&self, kind: &'static str, text: String) {
        let mut news = self.lock();
        if news.len() < NEWS_MAX {
            news.push_back((kind, text));
        }
    }

    pub(super) fn take(&self) -> Option<(&'static str, String)> {
        self.lock().pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(&'static str, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writing end.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    file_bytes_max: u64,
    news: Arc<News>,
    open: Option<Open>,
    /// How things stand after the last entry; `None` before the first header.
    state: Option<Header>,
    /// Nanosecond 0 of the present stretch; `None`: the next entry begins one.
    base: Option<Instant>,
    lost: u64,
    failing: Option<Failing>,
    told: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    /// Locked: two processes with one directory would tear each other's lines.
    file: Flock<File>,
    bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Failing {
    again: Instant,
    is_told: bool,
}

impl Writer {
    /// `bytes_max`: of both files together.
    pub(super) fn new(path: PathBuf, bytes_max: u64, news: Arc<News>) -> Self {
        Self {
            path,
            file_bytes_max: bytes_max / 2,
            news,
            open: None,
            state: None,
            base: None,
            lost: 0,
            failing: None,
            told: None,
        }
    }

    /// Writes until the tape has ended and everything is written.
    pub(super) fn write_all(mut self, messages: &Receiver<Message>) {
        while let Ok(message) = messages.recv() {
            self.take(message);
        }
    }

    fn take(&mut self, message: Message) {
        let (now, what) = match message {
            Message::Header(header) => {
                self.lost += header.lost;
                self.state = Some(*header);
                self.base = None;
                return;
            }
            Message::Entry { now, what } => (now, what),
        };
        if let Some(state) = &mut self.state {
            state.apply(&what);
        }
        if self.failing.is_some_and(|failing| Instant::now() < failing.again) {
            self.lost += 1;
            return;
        }
        match self.write(now, what) {
            Ok(()) => self.works(),
            Err(error) => self.fails(&error),
        }
    }

    fn works(&mut self) {
        if let Some(Failing { is_told: true, .. }) = self.failing.take() {
            let text = format!("'{}' is written again", self.path.display());
            self.news.tell("trace_resumed", text);
        }
    }

    fn fails(&mut self, error: &io::Error) {
        self.lost += 1;
        (self.open, self.base) = (None, None);
        let now = Instant::now();
        let was_told = self.failing.is_some_and(|failing| failing.is_told);
        let tells = !was_told
            && self
                .told
                .is_none_or(|told| now.duration_since(told) >= TELL_AGAIN);
        if tells {
            self.told = Some(now);
            let text = format!("'{}': {error}; the guard goes on without it", self.path.display());
            self.news.tell("trace_failed", text);
        }
        self.failing = Some(Failing {
            again: now + TRY_AGAIN,
            is_told: was_told || tells,
        });
    }

    fn write(&mut self, now: Instant, what: What) -> io::Result<()> {
        if self.open.is_none() {
            self.open = Some(Open::at(&self.path)?);
            self.base = None;
        }
        let entry = |base| Entry {
            now: nanos(now.saturating_duration_since(base)),
            what: what.clone(),
        };
        let mut text = match self.base {
            Some(base) => entry(base).text(),
            None => String::new(),
        };
        if self.base.is_none() || !self.has_room(text.len()) {
            text = self.header(now) + &entry(now).text();
            if !self.has_room(text.len()) {
                self.rotate()?;
            }
            self.base = Some(now);
        }
        if text.len() > TRACE_LINE_BYTES_MAX || !self.has_room(text.len()) {
            // No node that means well is behind it.
            self.lost += 1;
            self.base = None;
            return Ok(());
        }
        if let Some(open) = &mut self.open {
            open.add(text.as_bytes())?;
        }
        if self.base == Some(now) {
            self.lost = 0;
        }
        Ok(())
    }

    fn has_room(&self, bytes: usize) -> bool {
        let taken = self.open.as_ref().map_or(0, |open| open.bytes);
        taken + bytes as u64 <= self.file_bytes_max
    }

    /// The header of a stretch that begins now.
    fn header(&self, now: Instant) -> String {
        let Some(state) = &self.state else {
            return String::new();
        };
        let ago = SignedDuration::try_from(now.elapsed()).unwrap_or(SignedDuration::ZERO);
        let header = Header {
            began: Timestamp::now().checked_sub(ago).unwrap_or(state.began),
            lost: self.lost,
            ..state.clone()
        };
        header.text()
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.open = None;
        let mut before = self.path.clone().into_os_string();
        before.push(".1");
        match fs::rename(&self.path, before) {
            // Somebody has tidied up.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.open = Some(Open::at(&self.path)?);
        Ok(())
    }
}

impl Open {
    /// Opens the file, or makes it, and goes on at its end; a line that was torn by a kill -9 is cut off.
    fn at(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .mode(0o600)
            .open(path)?;
        let mut file = lock(file)?;
        let bytes = whole_lines(&mut file)?;
        file.set_len(bytes)?;
        Ok(Self { file, bytes })
    }

    fn add(&mut self, text: &[u8]) -> io::Result<()> {
        let added = self.file.write_all(text);
        match added {
            Ok(()) => self.bytes += text.len() as u64,
            // Half a line is worse than none. If this fails too, the next opening does it.
            Err(_) => drop(self.file.set_len(self.bytes)),
        }
        added
    }
}

fn lock(mut file: File) -> io::Result<Flock<File>> {
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => return Ok(locked),
            Err((_, error)) if error != nix::Error::EWOULDBLOCK => return Err(error.into()),
            Err((file, _)) => file,
        };
        if Instant::now() >= deadline {
            return Err(io::Error::other("another switchback writes it"));
        }
        std::thread::sleep(LOCK_STEP);
    }
}

/// Bytes of the file up to its last line's end.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let bytes = file.metadata()?.len();
    let tail = bytes.min(2 * TRACE_LINE_BYTES_MAX as u64);
    file.seek(SeekFrom::Start(bytes - tail))?;
    let mut end = Vec::new();
    file.take(tail).read_to_end(&mut end)?;
    match end.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => Ok(bytes - tail + at as u64 + 1),
        None if bytes == 0 => Ok(0),
        None => Err(io::Error::other("what is in it already is no trace")),
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
