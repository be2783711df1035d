//! What do apps do while traffic moves?
//!
//! Shell: writers, a thread and a connection each, that send numbered commands at a steady rate, look at every reply and
//! read everything back in the end. What it means is decided in `account`.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::account::Account;
use super::ledger::{Ledger, Outcome};
use crate::cluster::{NodeAddr, Secret};
use crate::lab::{Client, LabError, Reply};

/// Between attempts to connect again.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(50);

/// How much load.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Threads, and connections.
    pub writers: usize,
    /// Keys of each of the three kinds, by writer.
    pub keys: usize,
    /// Commands a second, all writers together.
    pub per_second: u32,
    /// How long a writer waits for a connection and for a reply.
    pub patience: Duration,
    /// What it authenticates with.
    pub password: Option<Secret>,
}

impl Default for LoadOptions {
    /// Enough to see every moment in, little enough to leave a small machine time for what is shown on it.
    fn default() -> Self {
        Self {
            writers: 8,
            keys: 16,
            per_second: 2_000,
            patience: Duration::from_secs(10),
            password: None,
        }
    }
}

/// A running load. Ends on drop.
#[derive(Debug)]
pub struct Load {
    began: Instant,
    stop: Arc<AtomicBool>,
    accounts: Vec<Arc<Mutex<Account>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Connects every writer and lets them go.
    ///
    /// # Errors
    /// [`LabError::Io`] when the first connection of a writer fails.
    pub fn start(address: &NodeAddr, options: &LoadOptions) -> Result<Self, LabError> {
        let mut load = Self {
            began: Instant::now(),
            stop: Arc::default(),
            accounts: Vec::new(),
            threads: Vec::new(),
        };
        for number in 0..options.writers {
            let client =
                connect(address, options).map_err(LabError::io(format!("connecting to {address}")))?;
            let account = Arc::new(Mutex::new(Account::new(number, options.keys)));
            let mut writer = Writer {
                began: load.began,
                address: address.clone(),
                options: options.clone(),
                account: Arc::clone(&account),
                stop: Arc::clone(&load.stop),
                client: Some(client),
            };
            let thread = std::thread::Builder::new().name(format!("load-{number}"));
            let thread = thread
                .spawn(move || writer.run())
                .map_err(LabError::io("starting a thread"))?;
            load.accounts.push(account);
            load.threads.push(thread);
        }
        Ok(load)
    }

    /// Since it began: what the times of a [`Ledger`] count from.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// What has become of the commands so far: all but what reading back will tell.
    pub fn snapshot(&self) -> Ledger {
        let mut sum = Ledger::default();
        for account in &self.accounts {
            sum.add(lock(account).ledger());
        }
        sum
    }

    /// Stops, and reads everything back from the masters of all sides, over direct connections.
    ///
    /// # Errors
    /// [`LabError::Io`], [`LabError::Refused`] from a master: nothing can be said of what is lost.
    pub fn stop(mut self, masters: &mut [Client]) -> Result<Ledger, LabError> {
        self.end();
        let mut sum = Ledger::default();
        for account in &self.accounts {
            let account = lock(account);
            let reads = account.reads();
            let mut read = |master: &mut Client| reads.iter().map(|command| master.ask(command)).collect();
            let replies: Result<Vec<Vec<Reply>>, LabError> = masters.iter_mut().map(&mut read).collect();
            sum.add(&account.audit(&replies?));
        }
        Ok(sum)
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A writer has nothing to panic about; if it does, its account still stands.
            let _ = thread.join();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

struct Writer {
    began: Instant,
    address: NodeAddr,
    options: LoadOptions,
    account: Arc<Mutex<Account>>,
    stop: Arc<AtomicBool>,
    client: Option<Client>,
}

impl Writer {
    /// Commands are due at a steady rate, answered or not, and their time counts from when they were due: a stall of
    /// two seconds is late for all the commands an app would have sent meanwhile, not for one.
    fn run(&mut self) {
        let rate = f64::from(self.options.per_second.max(1)) / self.options.writers as f64;
        let interval = Duration::from_secs_f64(1.0 / rate);
        let mut due = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            match self.client.take() {
                Some(client) => self.command(client, due),
                None => self.reconnect(due),
            }
            due += interval;
        }
    }

    fn command(&mut self, mut client: Client, due: Instant) {
        let (step, arguments) = {
            let mut account = lock(&self.account);
            let step = account.next();
            (step, account.arguments(step))
        };
        let outcome = match client.send(&arguments).and_then(|()| client.receive()) {
            Ok(reply) => Outcome::Reply(reply),
            Err(error) if is_timeout(&error) => Outcome::TimedOut,
            Err(_) => Outcome::Closed,
        };
        // After anything but a reply the connection is of no more use: a late reply would be the next one's.
        if matches!(outcome, Outcome::Reply(_)) {
            self.client = Some(client);
        }
        lock(&self.account).record(step, &outcome, self.began.elapsed(), due.elapsed());
    }

    fn reconnect(&mut self, due: Instant) {
        match connect(&self.address, &self.options) {
            Ok(client) => self.client = Some(client),
            Err(_) => {
                lock(&self.account).record_no_connection(due.elapsed());
                std::thread::sleep(RECONNECT_INTERVAL);
            }
        }
    }
}

fn connect(address: &NodeAddr, options: &LoadOptions) -> io::Result<Client> {
    let mut client = Client::connect_within(address, options.patience)?;
    if let Some(password) = &options.password {
        client.send(&["AUTH", password.expose()])?;
        client.receive()?;
    }
    Ok(client)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// A poisoned account is one whose writer panicked between two commands; what it holds is true.
fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}
