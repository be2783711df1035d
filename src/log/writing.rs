//! How does the log get out of the process?
//!
//! Shell: lines on stderr, where a service manager picks them up. A thread of its own writes them: a pipe nobody reads
//! would otherwise stop the control loop, and with it the guard, at its next event.

use std::io::IsTerminal;

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::pacing::{Telling, pacing};
use crate::limits::LOG_LINES_MAX;

/// The environment variable that says what is logged, in tracing's syntax: `debug`, `switchback=trace`.
const LEVEL_VARIABLE: &str = "SWITCHBACK_LOG";
/// Where it is set, to anything but nothing, no terminal gets colours: <https://no-color.org>.
const NO_COLOR_VARIABLE: &str = "NO_COLOR";

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// An object a line, for whatever collects logs.
    Json,
}

/// The log, while it is open. What has not been written yet is when this is dropped.
pub(crate) struct Log {
    /// Before the writer, which ends with its guard.
    telling: Option<Telling>,
    _written: WorkerGuard,
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(telling) = &self.telling {
            telling.tell();
        }
    }
}

/// Has everything logged from now on. Once a process.
pub(crate) fn start(format: Format) -> Log {
    let (lines, written) = NonBlockingBuilder::default()
        .buffered_lines_limit(LOG_LINES_MAX)
        .lossy(true)
        .finish(std::io::stderr());
    let wanted = std::env::var(LEVEL_VARIABLE).unwrap_or_default();
    let (level, fault) = match wanted.as_str() {
        "" => (EnvFilter::new("info"), None),
        wanted => match EnvFilter::try_new(wanted) {
            Ok(level) => (level, None),
            Err(error) => (EnvFilter::new("info"), Some(error)),
        },
    };
    let (pacing, telling) = pacing().ok().unzip();
    // A second subscriber can only be a test's: it may stay.
    let _ = tracing_subscriber::registry()
        .with(layer(format, lines))
        .with(pacing)
        .with(level)
        .try_init();
    if let Some(error) = fault {
        tracing::warn!(%error, "{LEVEL_VARIABLE} is not understood: what is logged is 'info'");
    }
    if format == Format::Json {
        log_panics();
    }
    Log {
        telling,
        _written: written,
    }
}

fn layer(format: Format, lines: NonBlocking) -> Box<dyn Layer<Registry> + Send + Sync> {
    let layer = tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_writer(lines);
    match format {
        Format::Text => {
            let is_plain = std::env::var_os(NO_COLOR_VARIABLE).is_some_and(|value| !value.is_empty());
            let is_coloured = std::io::stderr().is_terminal() && !is_plain;
            layer.with_ansi(is_coloured).boxed()
        }
        // Fields stand beside `message`: none is called `timestamp`, `level` or `message`.
        Format::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    }
}

/// What the standard library writes about a panic is no object.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let thread = std::thread::current().name().map(str::to_owned);
        let said = panic.payload_as_str().unwrap_or_default();
        tracing::error!(place, thread, "panicked: {said}");
    }));
}
