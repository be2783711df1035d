//! How does a worker come to look after things every so often?
//!
//! Shell: a timer of the kernel's own, which runs on while the worker sleeps, and of which no other thread has to tell it. Where the
//! kernel has none to give, the runtime's does.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tracing::warn;

use super::reactor::{Reactor, Watched};

/// Ticks. Those that were missed are one.
pub(super) struct Ticker {
    timer: Option<Watched<OwnedFd>>,
    interval: Duration,
}

impl Ticker {
    /// One every `interval`, from then on.
    pub(super) fn every(interval: Duration, reactor: &Rc<Reactor>) -> Self {
        let timer = timer(interval, reactor)
            .inspect_err(|error| warn!(%error, "a worker has no timer of the kernel's"))
            .ok();
        Self { timer, interval }
    }

    /// The next one.
    pub(super) async fn tick(&self) {
        // What is done at each may take longer than from one to the next: others have their turn between.
        tokio::task::yield_now().await;
        // How many have passed.
        let mut count = [0; 8];
        let read = |timer: &OwnedFd| Ok(nix::unistd::read(timer, &mut count)?);
        match &self.timer {
            Some(timer) if timer.readable(read).await.is_ok() => {}
            _ => tokio::time::sleep(self.interval).await,
        }
    }
}

#[allow(
    deprecated,
    reason = "its successor is unsafe, for the sake of types that do not own what they name; this one does"
)]
fn timer(interval: Duration, reactor: &Rc<Reactor>) -> io::Result<Watched<OwnedFd>> {
    let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
    let every = Expiration::Interval(TimeSpec::from_duration(interval));
    timer.set(every, TimerSetTimeFlags::empty())?;
    Watched::new(reactor, timer.into())
}
