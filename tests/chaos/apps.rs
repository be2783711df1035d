//! How do apps go on talking, whatever becomes of their connections?
//!
//! Shell: threads that connect, talk until something breaks, and connect again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use switchback::cluster::NodeAddr;
use switchback::lab::{Client, Reply};

/// Longer than anything the proxy holds a command for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between attempts to connect, and between rounds.
const PAUSE: Duration = Duration::from_millis(20);

/// Where they talk to, and since when.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) address: NodeAddr,
    pub(crate) began: Instant,
}

impl Place {
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

/// Some that do the same. They end with this.
pub(crate) struct Apps {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Apps {
    /// So many, each of which does rounds: what it is given is its number, the round's, and its connection.
    pub(crate) fn start<F>(place: &Place, count: usize, round: F) -> Self
    where
        F: Fn(usize, u64, &mut Client) -> io::Result<()> + Send + Sync + 'static,
    {
        let (stop, round) = (Arc::<AtomicBool>::default(), Arc::new(round));
        let threads = (0..count).map(|number| {
            let (stop, round, address) = (Arc::clone(&stop), Arc::clone(&round), place.address.clone());
            std::thread::spawn(move || {
                let mut client = None;
                let mut rounds = 0;
                while !stop.load(Ordering::Relaxed) {
                    let mut talking = match client.take() {
                        Some(talking) => talking,
                        None => match Client::connect_within(&address, PATIENCE) {
                            Ok(fresh) => fresh,
                            Err(_) => {
                                std::thread::sleep(PAUSE);
                                continue;
                            }
                        },
                    };
                    rounds += 1;
                    // After an error a reply may still come, which would be taken for the next one's.
                    if round(number, rounds, &mut talking).is_ok() {
                        client = Some(talking);
                    }
                    std::thread::sleep(PAUSE);
                }
            })
        });
        Self {
            threads: threads.collect(),
            stop,
        }
    }

    /// Lets each end its round.
    pub(crate) fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

impl Drop for Apps {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

/// What a command came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    /// A reply that is no error.
    Done(Reply),
    /// It did not run.
    Refused(String),
    /// It may have run.
    Uncertain,
}

impl Told {
    pub(crate) fn of(reply: Reply) -> Self {
        match reply {
            Reply::Error(line) if line.starts_with("UNCERTAIN") => Self::Uncertain,
            Reply::Error(line) => Self::Refused(line),
            reply => Self::Done(reply),
        }
    }
}

/// One command and what it came to; with the connection's error where that is broken, and the command uncertain.
pub(crate) fn tell(client: &mut Client, words: &[&str]) -> (Told, io::Result<()>) {
    match client.send(words).and_then(|()| client.receive()) {
        Ok(reply) => (Told::of(reply), Ok(())),
        Err(error) => (Told::Uncertain, Err(error)),
    }
}
