//! How do a route's inputs get from the control loop to its trace?
//!
//! Shell: hands each over to a thread of its own and waits for nothing; a full or hung disk costs entries of the trace, which are
//! counted, and never the guard a moment. The log has such a thread too (tracing-appender's), but that one cannot be
//! ended without waiting for it, and knows nothing of headers: where entries were lost, a new stretch must begin.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Instant;

use super::line::{Header, What};
use super::writer::{Message, News, Writer};
use crate::config::ProxyConfig;
use crate::limits::TRACE_ENTRIES_QUEUED_MAX;

/// Where traces are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::control_plane) struct Place {
    /// The directory.
    pub(in crate::control_plane) directory: PathBuf,
    /// Bytes of one route's files together.
    pub(in crate::control_plane) bytes_max: u64,
}

impl Place {
    /// As configured; `None`: nothing is recorded.
    pub(in crate::control_plane) fn of(config: &ProxyConfig) -> Option<Self> {
        Some(Self {
            directory: config.trace_dir.clone()?,
            bytes_max: config.trace_bytes as u64,
        })
    }
}

/// The control loop's end of one route's trace. The thread ends with it, once it has written what it was given.
#[derive(Debug)]
pub(in crate::control_plane) struct Tape {
    /// How things stand: what a header must say.
    state: Header,
    has_begun: bool,
    lost: u64,
    is_loss_told: bool,
    /// The time of the last entry after which verdicts are looked at.
    looked: Option<Instant>,
    writer: SyncSender<Message>,
    news: Arc<News>,
}

impl Tape {
    /// Starts a trace of the route `state` tells of, in the file that is named after it. What cannot be opened is told later.
    pub(in crate::control_plane) fn start(place: &Place, state: Header) -> Self {
        let (sender, messages) = sync_channel(TRACE_ENTRIES_QUEUED_MAX);
        let news = Arc::new(News::default());
        // Route names are file names: `[A-Za-z0-9._-]`, and the ending keeps `.` and `..` harmless.
        let path = place.directory.join(format!("{}.trace", state.route));
        let writer = Writer::new(path, place.bytes_max, Arc::clone(&news));
        let thread = std::thread::Builder::new().name("trace".to_owned());
        if let Err(error) = thread.spawn(move || writer.write_all(&messages)) {
            news.tell(
                "trace_failed",
                format!("no thread can be had to write it: {error}"),
            );
        }
        Self {
            state,
            has_begun: false,
            lost: 0,
            is_loss_told: false,
            looked: None,
            writer: sender,
            news,
        }
    }

    /// Enters one input.
    pub(in crate::control_plane) fn add(&mut self, now: Instant, what: What) {
        self.state.apply(&what);
        if !matches!(what, What::Moved(_)) {
            self.looked = Some(now);
        }
        if !self.has_begun || self.lost > 0 {
            let header = Header {
                lost: self.lost,
                ..self.state.clone()
            };
            if !self.send(Message::Header(Box::new(header))) {
                return;
            }
            (self.has_begun, self.lost, self.is_loss_told) = (true, 0, false);
        }
        self.send(Message::Entry { now, what });
    }

    /// The verdicts are looked at: an entry of its own, unless an input of the same moment says so.
    pub(in crate::control_plane) fn look(&mut self, now: Instant) {
        if self.looked != Some(now) {
            self.add(now, What::Look);
        }
    }

    /// An event's kind and reason, when there is something to tell.
    pub(in crate::control_plane) fn news(&mut self) -> Option<(&'static str, String)> {
        if self.lost > 0 && !self.is_loss_told {
            self.is_loss_told = true;
            let text = "entries of the trace are lost: its disk does not keep up; it says where and how many";
            return Some(("trace_lost", text.to_owned()));
        }
        self.news.take()
    }

    fn send(&mut self, message: Message) -> bool {
        match self.writer.try_send(message) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.lost += 1;
                false
            }
            // Nobody writes any more, which has been told.
            Err(TrySendError::Disconnected(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;
    use std::time::Duration;

    use super::*;

    /// A tape whose disk hangs: nobody takes what it sends.
    fn hung() -> (Tape, Receiver<Message>) {
        let (writer, messages) = sync_channel(4);
        let text = r#"{"switchback_trace":1,"route":"r","began":"2021-11-11T18:00:00Z"}"#;
        let tape = Tape {
            state: serde_json::from_str(text).unwrap(),
            has_begun: false,
            lost: 0,
            is_loss_told: false,
            looked: None,
            writer,
            news: Arc::new(News::default()),
        };
        (tape, messages)
    }

    #[test]
    fn a_hung_disk_costs_entries_that_are_counted_and_is_told_once() {
        let (mut tape, messages) = hung();
        let start = Instant::now();
        let mut told = 0;
        for step in 0..1_000 {
            tape.look(start + Duration::from_millis(step));
            told += usize::from(tape.news().is_some());
        }
        assert_eq!(told, 1);
        assert!(matches!(messages.recv().unwrap(), Message::Header(header) if header.lost == 0));
        assert_eq!(messages.try_iter().count(), 3);
        tape.look(start + Duration::from_secs(2));
        assert!(matches!(messages.recv().unwrap(), Message::Header(header) if header.lost == 997));
        assert!(matches!(messages.recv().unwrap(), Message::Entry { .. }));
    }

    #[test]
    fn a_look_at_the_moment_of_an_input_is_no_entry_of_its_own() {
        let (mut tape, messages) = hung();
        let now = Instant::now();
        tape.look(now);
        tape.look(now);
        assert_eq!(messages.try_iter().count(), 2, "the header and one look");
    }
}
