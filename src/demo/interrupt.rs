//! Has somebody pressed Ctrl-C?
//!
//! Shell: SIGINT, SIGTERM and SIGHUP set a flag, and every wait of the demo looks at it, so that the demo ends by
//! returning and whatever it started ends with its values. A second signal does not wait for that: the kernel then ends
//! the processes, and only their directories stay.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

use super::error::DemoError;

const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Set by the first signal. Clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on, on a thread of its own: tokio has the only signal handling that is safe code.
    pub(super) fn watch() -> std::io::Result<Self> {
        let interrupt = Self::default();
        let flag = interrupt.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new().name("demo-signals".to_owned());
        thread.spawn(move || {
            runtime.block_on(async {
                // Without handlers a signal ends the demo at once, which is the next best thing.
                let _ = flag.listen().await;
            });
        })?;
        Ok(interrupt)
    }

    async fn listen(&self) -> std::io::Result<()> {
        let mut interrupts = signal(SignalKind::interrupt())?;
        let mut terminations = signal(SignalKind::terminate())?;
        let mut hangups = signal(SignalKind::hangup())?;
        loop {
            tokio::select! {
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {}
                _ = hangups.recv() => {}
            }
            if self.0.swap(true, Ordering::Relaxed) {
                std::process::exit(1);
            }
        }
    }

    /// To be asked between steps.
    pub(super) fn check(&self) -> Result<(), DemoError> {
        if self.0.load(Ordering::Relaxed) {
            return Err(DemoError::Interrupted);
        }
        Ok(())
    }

    /// Lets time pass: the demo shows some moments for as long as a person needs to see them.
    pub(super) fn pass(&self, time: Duration) -> Result<(), DemoError> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.check()?;
            std::thread::sleep(LOOK_INTERVAL);
        }
        self.check()
    }

    /// Waits until `look` finds something. `look` says what there is instead, for the error.
    pub(super) fn wait_for<T>(
        &self,
        what: &'static str,
        within: Duration,
        mut look: impl FnMut() -> Result<Result<T, String>, DemoError>,
    ) -> Result<T, DemoError> {
        let deadline = Instant::now() + within;
        loop {
            self.check()?;
            let instead = match look()? {
                Ok(found) => return Ok(found),
                Err(instead) => instead,
            };
            if Instant::now() >= deadline {
                let seconds = within.as_secs();
                let detail = if instead.is_empty() {
                    instead
                } else {
                    format!(": {instead}")
                };
                return Err(DemoError::Timeout {
                    what,
                    seconds,
                    detail,
                });
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wait_ends_with_a_signal() {
        let interrupt = Interrupt::default();
        interrupt.0.store(true, Ordering::Relaxed);
        let long = Duration::from_secs(60);
        assert!(matches!(interrupt.pass(long), Err(DemoError::Interrupted)));
        let waited = interrupt.wait_for::<()>("nothing", long, || Ok(Err(String::new())));
        assert!(matches!(waited, Err(DemoError::Interrupted)));
    }

    #[test]
    fn a_wait_in_vain_says_what_there_was_instead() {
        let interrupt = Interrupt::default();
        let waited =
            interrupt.wait_for::<()>("a trip", Duration::ZERO, || Ok(Err("state is steady".to_owned())));
        assert_eq!(
            waited.unwrap_err().to_string(),
            "waited 0 s in vain for a trip: state is steady"
        );
    }
}
