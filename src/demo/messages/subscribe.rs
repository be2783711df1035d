//! What does an app do that is subscribed?
//!
//! Shell: one connection, and another at once when it ends, as client libraries do it; and one that listens for gaps.

use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

use super::clock::Clock;
use super::connection::Connection;
use super::gap::{GAP_CHANNEL, Gap};
use super::plan::Plan;
use super::push::Push;
use super::reception::Reception;
use super::target::Target;
use crate::resp::write_command;

/// Between attempts to connect again that fail.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(50);
/// A Redis accepts 511 at once, and whoever comes then waits a second.
pub(super) const CONNECTING_MAX: usize = 64;

/// One subscriber.
pub(super) struct Subscriber {
    pub(super) number: usize,
    pub(super) target: Target,
    pub(super) patience: Duration,
    pub(super) to_replicas: bool,
    pub(super) plan: Arc<Plan>,
    pub(super) clock: Clock,
    pub(super) reception: Arc<Mutex<Reception>>,
    /// Subscribers that have had all their confirmations once.
    pub(super) ready: Arc<AtomicUsize>,
    pub(super) connecting: Rc<Semaphore>,
    pub(super) moved: watch::Receiver<u64>,
}

impl Subscriber {
    /// Listens for ever.
    pub(super) async fn run(mut self) {
        let mut has_been_ready = false;
        loop {
            self.moved.mark_unchanged();
            let mut moved = self.moved.clone();
            let ended = tokio::select! {
                ended = self.listen(&mut has_been_ready) => ended,
                // A replica goes on being one.
                Ok(()) = moved.changed(), if !self.to_replicas => Err(io::ErrorKind::ConnectionReset.into()),
            };
            if has_been_ready {
                self.with(|reception| reception.reconnects += 1);
            }
            if ended.is_err_and(|error| is_nobody_there(&error)) {
                sleep(RECONNECT_INTERVAL).await;
            }
        }
    }

    async fn listen(&self, has_been_ready: &mut bool) -> io::Result<()> {
        let mut connection = {
            // Never closed.
            let _permit = self.connecting.acquire().await;
            self.connect().await?
        };
        let (request, mut owed) = self.request();
        connection.write(&request).await?;
        loop {
            let mut confirmed = 0;
            let each = |value: &[u8]| {
                let now = self.clock.now_micros();
                confirmed += usize::from(self.with(|one| one.take(self.number, Push::read(value), now)));
            };
            connection.read(each).await?;
            owed = owed.saturating_sub(confirmed);
            if owed == 0 && !*has_been_ready {
                *has_been_ready = true;
                self.ready.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn connect(&self) -> io::Result<Connection> {
        match self.to_replicas {
            true => self.target.connect_to_replica(self.number, self.patience).await,
            false => self.target.connect(self.patience).await,
        }
    }

    /// The commands, and how many confirmations they have.
    fn request(&self) -> (Vec<u8>, usize) {
        let mut bytes = Vec::new();
        let own = self.plan.channels_of(self.number);
        let mut words: Vec<&[u8]> = vec![b"SUBSCRIBE"];
        words.extend(own.iter().map(|channel| self.plan.channel(*channel).as_bytes()));
        if !own.is_empty() {
            write_command(&mut bytes, &words);
        }
        let pattern = self.plan.pattern_of(self.number);
        if let Some(pattern) = pattern {
            write_command(
                &mut bytes,
                &[b"PSUBSCRIBE", self.plan.pattern(pattern).as_bytes()],
            );
        }
        (bytes, own.len() + usize::from(pattern.is_some()))
    }

    fn with<T>(&self, f: impl FnOnce(&mut Reception) -> T) -> T {
        f(&mut self.reception.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn is_nobody_there(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
    )
}

/// Notes every gap that is told at `target`, for ever.
pub(super) async fn listen_for_gaps(
    target: Target,
    patience: Duration,
    clock: Clock,
    gaps: Arc<Mutex<Vec<Gap>>>,
) {
    loop {
        // Whatever ends it, it is done again.
        let _ = note_gaps(&target, patience, &clock, &gaps).await;
        sleep(RECONNECT_INTERVAL).await;
    }
}

async fn note_gaps(
    target: &Target,
    patience: Duration,
    clock: &Clock,
    gaps: &Mutex<Vec<Gap>>,
) -> io::Result<()> {
    let mut connection: Connection = target.connect(patience).await?;
    let mut request = Vec::new();
    write_command(&mut request, &[b"SUBSCRIBE", GAP_CHANNEL.as_bytes()]);
    connection.write(&request).await?;
    loop {
        connection
            .read(|value| {
                if let Push::Message { payload, .. } = Push::read(value)
                    && let Some(gap) = Gap::read(payload, clock.wall_start())
                {
                    gaps.lock().unwrap_or_else(PoisonError::into_inner).push(gap);
                }
            })
            .await?;
    }
}
