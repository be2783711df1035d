//! Which place does an event come from, and who tells what was left out of it?
//!
//! Shell: a layer that every event passes, under one lock. Nothing on a request's path logs. Who asks for `debug` or
//! `trace` wants all of it: these are not paced.

use std::fmt::{Debug, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::pace::{LeftOut, Pace};
use crate::limits::{LOG_LEFT_OUT_BYTES_MAX, LOG_LEFT_OUT_INTERVAL};

/// The target of what tells of lines that were left out: never left out itself. There is at most one for each place.
const TARGET: &str = "switchback::log::left_out";
/// What is a place of its own beyond the line of the source: changes of state of all routes are logged by one line, and one
/// route that cannot make up its mind must not hide another's trip. All come from the configuration or the code.
const TELLING: [&str; 3] = ["route", "side", "kind"];

/// A line of the source, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    callsite: Identifier,
    source: String,
    about: String,
}

type Shared = Arc<Mutex<Pace<Place>>>;

/// The layer.
pub(super) struct Pacing {
    pace: Shared,
    /// Rung when something was left out.
    bell: SyncSender<()>,
}

/// Tells what the layer has left out.
pub(super) struct Telling(Shared);

/// The layer, and who tells what it leaves out: every while in a thread of its own, as long as the process lives.
///
/// # Errors
/// When there is no thread to be had.
pub(super) fn pacing() -> std::io::Result<(Pacing, Telling)> {
    let pace = Shared::new(Mutex::new(Pace::new()));
    let (bell, rung) = sync_channel(1);
    let telling = Telling(Arc::clone(&pace));
    std::thread::Builder::new()
        .name("log-pace".to_owned())
        .spawn(move || telling.keep_telling(&rung))?;
    Ok((
        Pacing {
            pace: Arc::clone(&pace),
            bell,
        },
        Telling(pace),
    ))
}

impl<S: Subscriber> Layer<S> for Pacing {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO || metadata.target() == TARGET {
            return true;
        }
        let mut said = Said::default();
        event.record(&mut said);
        let (callsite, source) = (metadata.callsite(), source(metadata));
        let of_many = Place {
            callsite: callsite.clone(),
            source: source.clone(),
            about: String::new(),
        };
        let place = Place {
            callsite,
            source,
            about: said.about,
        };
        let allowed = locked(&self.pace).allows(place, of_many, || said.message, Instant::now());
        if !allowed {
            // Full: it rings already. Closed: the process ends.
            let (Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(()))) =
                self.bell.try_send(());
        }
        allowed
    }
}

impl Telling {
    fn keep_telling(&self, rung: &Receiver<()>) {
        while rung.recv().is_ok() {
            std::thread::sleep(LOG_LEFT_OUT_INTERVAL);
            self.tell();
        }
    }

    /// Logs what was left out since this was last asked.
    pub(super) fn tell(&self) {
        let left_out = locked(&self.0).take_left_out();
        for LeftOut { place, count, last } in left_out {
            tracing::warn!(
                target: TARGET,
                count,
                source = place.source,
                about = place.about,
                last,
                "lines like this were left out"
            );
        }
    }
}

/// Where in the source; the name of an event says the same, with a word before it.
fn source(metadata: &Metadata<'_>) -> String {
    match (metadata.file(), metadata.line()) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        _ => metadata.name().to_owned(),
    }
}

/// What holds a place's counts is whole at any time: a thread that has panicked leaves nothing half done.
fn locked(pace: &Shared) -> MutexGuard<'_, Pace<Place>> {
    pace.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an event says, as far as it matters here.
#[derive(Default)]
struct Said {
    about: String,
    message: String,
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = cut(format!("{value:?}"));
        } else if TELLING.contains(&field.name()) {
            let space = if self.about.is_empty() { "" } else { " " };
            // Writing to a string does not fail.
            let _ = write!(self.about, "{space}{}={value:?}", field.name());
        }
    }
}

fn cut(mut text: String) -> String {
    if text.len() > LOG_LEFT_OUT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(LOG_LEFT_OUT_BYTES_MAX));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::limits::LOG_BURST;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written while `work` runs, and what is told after it.
    fn written(work: impl FnOnce()) -> Vec<String> {
        let lines = Lines::default();
        let writer = lines.clone();
        let (pacing, telling) = pacing().unwrap();
        let written = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(pacing).with(written);
        tracing::subscriber::with_default(subscriber, || {
            work();
            telling.tell();
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_place_that_repeats_itself_is_cut_short_and_what_is_missing_is_counted() {
        let lines = written(|| (0..1_000).for_each(|number| tracing::warn!("no more descriptors: {number}")));
        assert_eq!(lines.len(), LOG_BURST as usize + 1);
        let told = lines.last().unwrap();
        let count = format!("lines like this were left out count={}", 1_000 - LOG_BURST);
        assert!(
            told.contains(&count) && told.contains("no more descriptors: 999"),
            "{told}"
        );
        assert!(told.contains("pacing.rs:"), "{told}");
    }

    #[test]
    fn a_route_that_says_much_hides_neither_another_nor_another_kind_of_event() {
        let event = |route: &str, kind: &str| tracing::info!(route, kind, epoch = 1, "what happened");
        let lines = written(|| {
            (0..100).for_each(|_| event("a", "gap"));
            event("a", "trip");
            event("b", "gap");
        });
        let count = |words: &str| lines.iter().filter(|line| line.contains(words)).count();
        assert_eq!(
            count("what happened route=\"a\" kind=\"gap\""),
            LOG_BURST as usize
        );
        assert_eq!(count("kind=\"trip\""), 1);
        assert_eq!(count("route=\"b\""), 1);
        assert_eq!(count("left out count=90"), 1, "{lines:?}");
        assert_eq!(count("about=\"route=a kind=gap\""), 1, "{lines:?}");
    }

    #[test]
    fn who_asks_for_debug_gets_all_of_it() {
        let lines = written(|| (0..100).for_each(|number| tracing::debug!(number, "a link ended")));
        assert_eq!(lines.len(), 100);
    }

    #[test]
    fn a_long_line_that_is_left_out_is_told_by_its_beginning() {
        let long = "ö".repeat(LOG_LEFT_OUT_BYTES_MAX);
        let lines = written(|| (0..100).for_each(|_| tracing::info!("{long}")));
        let told = lines.last().unwrap();
        assert!(
            told.len() < 2 * LOG_LEFT_OUT_BYTES_MAX && told.contains('…'),
            "{told}"
        );
    }
}
