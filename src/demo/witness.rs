//! When did the last command of the load reach a master, by that master's own count?
//!
//! Shell: asks Redis for its command statistics every few milliseconds. The proxy's word that nothing goes to `new` any
//! more is what the demo is to prove, so it must not rest on it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;

use crate::lab::{Client, LabError, Server};

const LOOK_INTERVAL: Duration = Duration::from_millis(2);
/// What the load sends and nobody else does, neither the proxy nor what breaks replication.
const COMMANDS: [&str; 4] = ["set", "get", "incr", "rpush"];

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Commands of the load, since the server started.
    pub(super) commands: u64,
    /// When that number was last seen to grow.
    pub(super) last: Option<Timestamp>,
}

/// Watches one master. Ends on drop.
#[derive(Debug)]
pub(super) struct Witness {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    thread: Option<JoinHandle<()>>,
}

impl Witness {
    pub(super) fn start(master: &Server) -> Result<Self, LabError> {
        let mut client = master.client()?;
        let first = Seen {
            commands: count(&mut client)?,
            last: None,
        };
        let (stop, seen) = (Arc::<AtomicBool>::default(), Arc::new(Mutex::new(first)));
        let (stopped, noted) = (Arc::clone(&stop), Arc::clone(&seen));
        let watch = move || {
            while !stopped.load(Ordering::Relaxed) {
                let Ok(commands) = count(&mut client) else { return };
                let mut seen = noted.lock().unwrap_or_else(PoisonError::into_inner);
                if commands > seen.commands {
                    *seen = Seen {
                        commands,
                        last: Some(Timestamp::now()),
                    };
                }
                drop(seen);
                std::thread::sleep(LOOK_INTERVAL);
            }
        };
        let thread = std::thread::Builder::new().name("demo-witness".to_owned());
        let thread = thread.spawn(watch).map_err(LabError::io("starting a thread"))?;
        Ok(Self {
            stop,
            seen,
            thread: Some(thread),
        })
    }

    pub(super) fn seen(&self) -> Seen {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn count(client: &mut Client) -> Result<u64, LabError> {
    let text = client.ask(&["INFO", "commandstats"])?.text().unwrap_or_default();
    Ok(calls(&text))
}

/// The calls of the load's commands in an INFO text: `cmdstat_set:calls=12,usec=…`.
fn calls(text: &str) -> u64 {
    let calls = |line: &str| -> Option<u64> {
        let (name, statistics) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let digits = statistics.split(',').next()?;
        COMMANDS.contains(&name).then(|| digits.parse().ok())?
    };
    text.lines().filter_map(calls).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_loads_commands_are_counted() {
        let text = "# Commandstats\r\ncmdstat_set:calls=12,usec=30,usec_per_call=2.50\r\ncmdstat_setrange:calls=5,usec=1\r\n\
                    cmdstat_config|set:calls=2,usec=9\r\ncmdstat_incr:calls=3,usec=1\r\ncmdstat_get:calls=x\r\n";
        assert_eq!(calls(text), 15);
    }
}
