//! How long was the machine itself away?
//!
//! Shell: a thread that sleeps for a moment, again and again. What it oversleeps, any program here may have waited for, so a
//! message that is late beside it is no proof of harm.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::messages::Messages;
use crate::lab::LabError;

const SLEEP: Duration = Duration::from_millis(10);
/// Less is every machine's way of taking turns.
const NOTED: Duration = Duration::from_millis(20);
/// Some minutes of nothing else.
const STALLS_MAX: usize = 10_000;

/// The machine ran nothing of ours for this long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// When it was over, since the messages began.
    pub at: Duration,
    /// How much longer a sleep took than it should have.
    pub took: Duration,
}

/// All of a run, in order; of 20 ms or more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stalls(Vec<Stall>);

impl Stalls {
    /// The longest.
    pub fn longest(&self) -> Option<Stall> {
        self.longest_within(Duration::ZERO, Duration::MAX)
    }

    /// The longest that ended between two moments.
    pub fn longest_within(&self, from: Duration, to: Duration) -> Option<Stall> {
        let within = self.0.iter().filter(|one| one.at >= from && one.at <= to);
        within.copied().max_by_key(|one| one.took)
    }
}

/// Whoever looks. Ends on drop.
#[derive(Debug)]
pub struct StallWatch {
    stalls: Arc<Mutex<Stalls>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl StallWatch {
    /// From now on, by the clock of these messages.
    ///
    /// # Errors
    /// [`LabError::Io`] when there is no thread to be had.
    pub fn start(messages: &Messages) -> Result<Self, LabError> {
        let (stalls, is_over) = (Arc::<Mutex<Stalls>>::default(), Arc::<AtomicBool>::default());
        let (noted, ends) = (Arc::clone(&stalls), Arc::clone(&is_over));
        let (began, start) = (messages.elapsed(), Instant::now());
        let watch = move || {
            while !ends.load(Ordering::Relaxed) {
                let asleep = Instant::now();
                std::thread::sleep(SLEEP);
                let took = asleep.elapsed().saturating_sub(SLEEP);
                let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                if took >= NOTED && noted.0.len() < STALLS_MAX {
                    let at = began + start.elapsed();
                    noted.0.push(Stall { at, took });
                }
            }
        };
        let thread = std::thread::Builder::new().name("stalls".to_owned());
        let thread = thread.spawn(watch).map_err(LabError::io("starting a thread"))?;
        Ok(Self {
            stalls,
            is_over,
            thread: Some(thread),
        })
    }

    /// What there was so far.
    pub fn stalls(&self) -> Stalls {
        self.stalls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for StallWatch {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // It cannot have panicked but for want of memory.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_is_looked_for_where_it_matters() {
        let millis = Duration::from_millis;
        let stall = |at, took| Stall {
            at: millis(at),
            took: millis(took),
        };
        let stalls = Stalls(vec![stall(10, 30), stall(20, 90), stall(30, 50)]);
        assert_eq!(stalls.longest(), Some(stall(20, 90)));
        assert_eq!(stalls.longest_within(millis(21), millis(30)), Some(stall(30, 50)));
        assert_eq!(stalls.longest_within(millis(31), millis(40)), None);
    }
}
