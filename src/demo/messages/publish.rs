//! What does an app do that publishes?
//!
//! Shell: one connection; at each turn, due at a steady rate whatever became of the last one, a few messages in one
//! write, and then their replies. Nothing is ever sent again: what is missing is then the server's or the proxy's doing.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::MessageOptions;
use super::book::{Book, Fate};
use super::clock::Clock;
use super::connection::Connection;
use super::payload::Stamp;
use super::plan::{Course, Plan};
use super::running::{Phase, until};
use super::target::Target;
use crate::lab::Reply;
use crate::resp::write_command;

/// Between attempts to connect again.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(50);

/// One publisher.
pub(super) struct Publisher {
    pub(super) number: u16,
    pub(super) target: Target,
    pub(super) options: MessageOptions,
    pub(super) plan: Arc<Plan>,
    pub(super) clock: Clock,
    pub(super) book: Arc<Mutex<Book>>,
    /// Messages a second, all publishers together.
    pub(super) per_second: Arc<AtomicU32>,
    /// Counts changes of the master.
    pub(super) moved: watch::Receiver<u64>,
    pub(super) phase: watch::Receiver<Phase>,
}

/// A message that was sent: its channel and its number there.
type Sent = (usize, u32);

impl Publisher {
    /// Publishes for as long as it is the time to.
    pub(super) async fn run(mut self) {
        let mut connection = self.target.connect(self.options.patience).await.ok();
        until(&mut self.phase, Phase::Publishing).await;
        let mut course = Course::new(
            &self.options,
            usize::from(self.number),
            self.plan.channels().len(),
        );
        let mut over = self.phase.clone();
        // Not all at once, or a slow rate would be bursts.
        let share = f64::from(self.number) / self.options.publishers as f64;
        let mut due = Instant::now() + self.interval().mul_f64(share);
        loop {
            tokio::select! {
                biased;
                () = until(&mut over, Phase::Listening) => return,
                () = sleep_until(due) => {}
            }
            connection = match connection {
                Some(connection) => self.turn(connection, &mut course, due).await,
                None => self.reconnect().await,
            };
            due += self.interval();
        }
    }

    /// Between two turns, at the present rate.
    fn interval(&self) -> Duration {
        let per_second = self.per_second.load(Ordering::Relaxed).max(1);
        let rate = f64::from(per_second) / self.options.publishers as f64;
        Duration::from_secs_f64(self.options.pipeline as f64 / rate)
    }

    async fn reconnect(&mut self) -> Option<Connection> {
        self.moved.mark_unchanged();
        let connection = self.target.connect(self.options.patience).await.ok();
        if connection.is_none() {
            (0..self.options.pipeline).for_each(|_| self.book(|book| book.no_connection()));
            sleep(RECONNECT_INTERVAL).await;
        }
        connection
    }

    /// The connection, unless it is of no more use.
    async fn turn(
        &mut self,
        mut connection: Connection,
        course: &mut Course,
        due: Instant,
    ) -> Option<Connection> {
        let (sent, bytes) = self.compose(course, due);
        let mut answered = 0;
        let exchange = async {
            connection.write(&bytes).await?;
            for message in &sent {
                let reply = connection.reply().await?;
                answered += 1;
                note(&self.book, &self.clock, *message, outcome(&reply));
            }
            io::Result::Ok(())
        };
        let why = tokio::select! {
            exchanged = timeout(self.options.patience, exchange) => match exchanged {
                Ok(Ok(())) => return Some(connection),
                Ok(Err(_)) => "closed",
                Err(_) => "timeout",
            },
            Ok(()) = self.moved.changed() => "moved",
        };
        for message in sent.iter().skip(answered) {
            note(&self.book, &self.clock, *message, Err((Fate::Uncertain, why)));
        }
        None
    }

    /// The messages of one turn, and their PUBLISH commands.
    fn compose(&self, course: &mut Course, due: Instant) -> (Vec<Sent>, Vec<u8>) {
        let (mut sent, mut bytes, mut payload) = (Vec::new(), Vec::new(), Vec::new());
        let due_micros = self.clock.micros_at(due.into_std());
        for _ in 0..self.options.pipeline {
            let (channel, length) = course.next();
            let number = self.book(|book| book.begin(channel, self.clock.now_micros()));
            let stamp = Stamp {
                publisher: self.number,
                channel: channel as u16,
                number,
                due_micros,
            };
            payload.clear();
            stamp.write(length, &mut payload);
            let name = self.plan.channel(channel).as_bytes();
            write_command(&mut bytes, &[b"PUBLISH", name, &payload]);
            sent.push((channel, number));
        }
        (sent, bytes)
    }

    fn book<T>(&self, f: impl FnOnce(&mut Book) -> T) -> T {
        f(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn note(book: &Mutex<Book>, clock: &Clock, message: Sent, outcome: Result<(), (Fate, &str)>) {
    let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
    book.end(message, outcome, clock.now_micros());
}

fn outcome(reply: &Reply) -> Result<(), (Fate, &str)> {
    match reply {
        Reply::Integer(_) => Ok(()),
        Reply::Error(line) => {
            let word = line.split(' ').next().unwrap_or_default();
            let fate = if word == "UNCERTAIN" {
                Fate::Uncertain
            } else {
                Fate::Failed
            };
            Err((fate, word))
        }
        _ => Err((Fate::Uncertain, "wrong")),
    }
}
