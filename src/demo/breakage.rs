//! How is replication broken, really?
//!
//! Shell: as in the incident, by a resync loop. The master is allowed next to no output buffer for its replicas, and
//! writes larger than that go on. Each write then costs it every replica; each comes back a moment later, cannot continue
//! from a backlog as small, gets a full copy, and is dropped again while it loads. The master itself stays well and
//! answers apps: only who looks at replication sees that the next failover loses data.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::lab::{LabError, Server};

/// The smallest backlog Redis takes; its replica buffer limit is never below its backlog.
const BUFFER_LIMITS: [(&str, &str); 2] = [
    ("repl-backlog-size", "16384"),
    ("client-output-buffer-limit", "replica 16kb 16kb 1"),
];
/// Sixteen times the limit: one write is enough.
const WRITE_BYTES: usize = 256 * 1024;
const WRITE_INTERVAL: Duration = Duration::from_millis(20);
/// Keys written to, over and over: memory does not grow.
const KEYS: usize = 4;

/// A broken master. The writes end with it; the limits stay.
#[derive(Debug)]
pub(super) struct Breakage {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Breakage {
    /// Breaks this master's replication from now on.
    pub(super) fn start(master: &Server) -> Result<Self, LabError> {
        for (name, value) in BUFFER_LIMITS {
            master.call(&["CONFIG", "SET", name, value])?;
        }
        let mut client = master.client()?;
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let payload = vec![b'x'; WRITE_BYTES];
        let write = move || {
            for number in (0..KEYS).cycle() {
                let key = format!("breakage:{number}");
                let written = client.ask(&[b"SETRANGE", key.as_bytes(), b"0", &payload]);
                if stopped.load(Ordering::Relaxed) || written.is_err() {
                    return;
                }
                std::thread::sleep(WRITE_INTERVAL);
            }
        };
        let thread = std::thread::Builder::new().name("demo-breakage".to_owned());
        let thread = thread.spawn(write).map_err(LabError::io("starting a thread"))?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Breakage {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::{Group, GroupOptions, wait_for};

    #[test]
    fn replicas_are_dropped_and_copied_in_full_again_and_again_while_the_master_answers() {
        let mut options = GroupOptions::named("broken");
        options.sentinels = 0;
        let group = Group::start(options).unwrap();
        let master = &group.servers()[0];
        let resyncs = || master.info("stats", "sync_full").unwrap().parse::<u32>().unwrap();
        let before = resyncs();
        let breakage = Breakage::start(master).unwrap();
        wait_for("a resync loop", Duration::from_secs(30), || {
            resyncs() >= before + 6
        })
        .unwrap();
        master.call(&["SET", "app", "well"]).unwrap();
        drop(breakage);
    }
}
