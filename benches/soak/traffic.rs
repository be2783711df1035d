//! What do clients do all that time?
//!
//! Shell: threads that last as long as the soak. Each reply is compared with what it must be.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use switchback::cluster::NodeAddr;
use switchback::lab::{Client, LabError, Reply};

use super::crowd::{Clients, Command, Crowd, Pace};
use super::listeners::Listeners;
use super::values::SMALL;

const CHANNELS: usize = 50;
const MESSAGE: &str = "a message of some length, that everybody has to be given once";
/// Threads of clients that come and go.
const PASSERS_BY: usize = 4;
/// A busy machine is no fault of the proxy's.
const PATIENCE: Duration = Duration::from_secs(60);
const WEIGHTS: [&str; 5] = ["0", "25", "50", "75", "100"];

/// What has been done so far.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) commands: AtomicU64,
    pub(crate) messages: AtomicU64,
    /// Clients that have come and gone.
    passed: AtomicU64,
    /// The same, who were told that something could not be said for certain, or that its keys were apart.
    told: AtomicU64,
    moves: AtomicU64,
}

impl Done {
    pub(crate) fn print(&self) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        println!(
            "{} commands, {} messages, {} clients came and went ({} were told something), {} changes of weight",
            load(&self.commands),
            load(&self.messages),
            load(&self.passed),
            load(&self.told),
            load(&self.moves)
        );
    }
}

/// All of it.
pub(crate) struct Traffic<'a> {
    pub(crate) address: NodeAddr,
    pub(crate) socket: PathBuf,
    pub(crate) clients: usize,
    pub(crate) length: Duration,
    pub(crate) done: &'a Done,
}

impl<'a> Traffic<'a> {
    pub(crate) fn begin<'scope>(self, scope: &'scope Scope<'scope, '_>)
    where
        'a: 'scope,
    {
        let Self {
            address,
            socket,
            clients,
            length,
            done,
        } = self;
        let end = Instant::now() + length;
        let port = address.port;
        let crowds = [
            (clients * 85 / 100, Command::Get(SMALL), Duration::from_secs(8)),
            (clients / 10, Command::Set(SMALL), Duration::from_millis(200)),
        ];
        for (seed, (count, command, every)) in (1..).zip(crowds) {
            let alike = Clients {
                count,
                pipeline: 1,
                command,
                pace: Pace::Every(every),
            };
            scope.spawn(move || {
                let mut crowd = Crowd::connect(port, alike, seed);
                while Instant::now() < end {
                    let served = crowd.ask_for(Duration::from_secs(1));
                    done.commands.fetch_add(served.commands, Ordering::Relaxed);
                }
            });
        }
        let at = address.clone();
        scope.spawn(move || talk(&at, clients / 20, end, done));
        for number in 0..PASSERS_BY {
            let at = address.clone();
            scope.spawn(move || pass_by(&at, number, end, done));
        }
        scope.spawn(move || move_weight(&socket, end, done));
    }
}

fn channel(number: usize, channels: usize) -> String {
    format!("channel:{}", number % channels)
}

fn talk(address: &NodeAddr, listeners: usize, end: Instant, done: &Done) {
    let listeners = Listeners::subscribe(address, listeners, channel, CHANNELS);
    let mut publisher = Client::connect_within(address, PATIENCE).unwrap();
    let mut number = 0;
    while Instant::now() < end {
        publisher
            .call(&["PUBLISH", &channel(number, CHANNELS), MESSAGE])
            .unwrap();
        number += 1;
        let bytes = listeners.received();
        done.messages
            .store(bytes / MESSAGE.len() as u64, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(2));
    }
}

/// Comes, does a transaction, waits in a blocking command, listens for a moment, and goes: politely or not.
fn pass_by(address: &NodeAddr, number: usize, end: Instant, done: &Done) {
    let mut round = 0u64;
    while Instant::now() < end {
        round += 1;
        match visit(address, number, round) {
            Ok(()) => {}
            Err(error) => {
                let text = error.to_string();
                let is_told = ["CROSSSIDE", "EXECABORT", "UNCERTAIN", "UNBLOCKED"];
                assert!(is_told.iter().any(|word| text.contains(word)), "{text}");
                done.told.fetch_add(1, Ordering::Relaxed);
            }
        }
        done.passed.fetch_add(1, Ordering::Relaxed);
    }
}

fn visit(address: &NodeAddr, number: usize, round: u64) -> Result<(), LabError> {
    let mut client = Client::connect_within(address, PATIENCE).map_err(|source| LabError::Io {
        what: "coming".to_owned(),
        source,
    })?;
    let (key, list, text) = (
        format!("{{{number}}}:n"),
        format!("{{{number}}}:l"),
        format!("{number}:{round}"),
    );
    client.ask(&["SET", &key, &text])?;
    client.ask(&["MULTI"])?;
    client.ask(&["GET", &key])?;
    client.ask(&["RPUSH", &list, &text])?;
    let executed = client.ask(&["EXEC"])?;
    if let Some(got) = executed.elements().first().and_then(Reply::text) {
        // After a move it may be one of earlier: the sides share no data.
        assert!(got.starts_with(&format!("{number}:")), "another's reply: {got}");
    }
    client.ask(&["BLPOP", &list, "1"])?;
    client
        .ask(&["ECHO", &text])
        .map(|echo| assert_eq!(echo.text(), Some(text)))?;
    if round.is_multiple_of(3) {
        client.ask(&["SUBSCRIBE", &format!("passing:{number}")])?;
    }
    if round.is_multiple_of(2) {
        let _ = client.send(&["QUIT"]);
    }
    Ok(())
}

/// Another one every few seconds; what the guard has against it is overruled, as nothing is replicated here.
fn move_weight(socket: &std::path::Path, end: Instant, done: &Done) {
    let mut at = 2;
    while Instant::now() < end {
        thread::sleep(Duration::from_secs(5));
        at = (at + 1) % WEIGHTS.len();
        let mut operator = Client::connect_unix(socket).unwrap();
        let order = ["WEIGHT", "bench", WEIGHTS[at], "FORCE", "soak"];
        if matches!(operator.call(&order), Ok(Reply::Status(_))) {
            done.moves.fetch_add(1, Ordering::Relaxed);
        }
    }
}
