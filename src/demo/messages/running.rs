//! How are publishers and subscribers run together, and when has everything come that will?
//!
//! Shell: threads with tasks on them. The subscribers have all their confirmations before the first message, so that
//! each is owed every one.

use std::rc::Rc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinSet, LocalSet};

use super::MessageOptions;
use super::book::Book;
use super::clock::Clock;
use super::follow::follow;
use super::gap::Gap;
use super::ledger::{MessageLedger, audit, outstanding};
use super::plan::Plan;
use super::publish::Publisher;
use super::reception::Reception;
use super::subscribe::{CONNECTING_MAX, Subscriber, listen_for_gaps};
use super::target::Target;
use crate::lab::{LabError, wait_for};

/// Ten thousand subscribers take a few seconds.
const READY_PATIENCE: Duration = Duration::from_secs(60);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// What it is the time for. Only ever moves on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Subscribing.
    Subscribing,
    /// Publishing, and listening.
    Publishing,
    /// Listening only: what was published may still come.
    Listening,
    /// Nothing.
    Over,
}

/// Waits for a phase, or a later one.
pub(super) async fn until(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    // An error is the end of whoever tells: it is over.
    let _ = phase.wait_for(|present| *present >= wanted).await;
}

/// Publishers and subscribers. End on drop.
#[derive(Debug)]
pub struct Messages {
    phase: watch::Sender<Phase>,
    books: Vec<Arc<Mutex<Book>>>,
    receptions: Vec<Arc<Mutex<Reception>>>,
    gaps: Arc<Mutex<Vec<Gap>>>,
    publishing: Option<JoinHandle<()>>,
    listening: Vec<JoinHandle<()>>,
    quiet: Duration,
    per_second: Arc<AtomicU32>,
    clock: Clock,
}

impl Messages {
    /// Subscribes everyone, at the targets in turn, then publishes.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when not all get their confirmations, [`LabError::Io`] when there is no thread to be had.
    pub fn start(targets: &[Target], options: &MessageOptions) -> Result<Self, LabError> {
        let messages = Self::subscribe(targets, options)?;
        messages.publish();
        Ok(messages)
    }

    /// Subscribes everyone, at the targets in turn, and publishes nothing yet.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn subscribe(targets: &[Target], options: &MessageOptions) -> Result<Self, LabError> {
        let (phase, watching) = watch::channel(Phase::Subscribing);
        let plan = Arc::new(Plan::new(options));
        let clock = Clock::start();
        let (sides, followers): (Vec<_>, Vec<_>) = targets
            .iter()
            .map(|target| {
                let (changes, moved) = watch::channel(0);
                ((target.clone(), moved), (target.clone(), changes))
            })
            .unzip();
        let mut messages = Self {
            phase,
            books: Vec::new(),
            receptions: Vec::new(),
            gaps: Arc::default(),
            publishing: None,
            listening: Vec::new(),
            quiet: options.quiet,
            per_second: Arc::new(AtomicU32::new(options.per_second)),
            clock,
        };
        let crew = Crew {
            sides,
            options: options.clone(),
            plan,
            clock,
            phase: watching,
        };
        messages.listen_aside(&crew, followers)?;
        let ready = Arc::<AtomicUsize>::default();
        for thread in 0..options.threads.max(1) {
            messages.add_subscribers(&crew, thread, &ready)?;
        }
        messages.add_publishers(&crew)?;
        wait_for("every subscriber's confirmations", READY_PATIENCE, || {
            ready.load(Ordering::Relaxed) >= options.subscribers
        })?;
        Ok(messages)
    }

    /// Begins to publish.
    pub fn publish(&self) {
        self.enter(Phase::Publishing);
    }

    /// Publishes so many a second from now on, all publishers together.
    pub fn set_rate(&self, per_second: u32) {
        self.per_second.store(per_second, Ordering::Relaxed);
    }

    /// Since the messages began: what all moments of a [`MessageLedger`] count from.
    pub fn elapsed(&self) -> Duration {
        Duration::from_micros(self.clock.now_micros())
    }

    fn enter(&self, phase: Phase) {
        self.phase.send_modify(|present| *present = phase.max(*present));
    }

    /// What is told aside: changes of masters and gaps.
    fn listen_aside(
        &mut self,
        crew: &Crew,
        followers: Vec<(Target, watch::Sender<u64>)>,
    ) -> Result<(), LabError> {
        let gaps = Arc::clone(&self.gaps);
        let (patience, clock) = (crew.options.patience, crew.clock);
        let listen = move |tasks: &mut JoinSet<()>| {
            for (target, changes) in followers {
                tasks.spawn_local(listen_for_gaps(
                    target.clone(),
                    patience,
                    clock,
                    Arc::clone(&gaps),
                ));
                tasks.spawn_local(follow(target, changes));
            }
        };
        self.listening.push(run("aside", crew.phase.clone(), listen)?);
        Ok(())
    }

    fn add_subscribers(
        &mut self,
        crew: &Crew,
        thread: usize,
        ready: &Arc<AtomicUsize>,
    ) -> Result<(), LabError> {
        let threads = crew.options.threads.max(1);
        let numbers = (thread..crew.options.subscribers).step_by(threads);
        let reception = Reception::new(&crew.plan, crew.options.publishers, numbers.clone());
        let reception = Arc::new(Mutex::new(reception));
        self.receptions.push(Arc::clone(&reception));
        let (crew_of, ready) = (crew.clone(), Arc::clone(ready));
        let subscribe = move |tasks: &mut JoinSet<()>| {
            let connecting = Rc::new(Semaphore::new(CONNECTING_MAX));
            for number in numbers {
                let Some((target, moved)) = crew_of.side(number) else {
                    return;
                };
                let subscriber = Subscriber {
                    number,
                    target,
                    patience: crew_of.options.patience,
                    to_replicas: crew_of.options.subscribe_to_replicas,
                    plan: Arc::clone(&crew_of.plan),
                    clock: crew_of.clock,
                    reception: Arc::clone(&reception),
                    ready: Arc::clone(&ready),
                    connecting: Rc::clone(&connecting),
                    moved,
                };
                tasks.spawn_local(subscriber.run());
            }
        };
        self.listening
            .push(run("subscribers", crew.phase.clone(), subscribe)?);
        Ok(())
    }

    fn add_publishers(&mut self, crew: &Crew) -> Result<(), LabError> {
        let mut publishers = Vec::new();
        for number in 0..crew.options.publishers {
            let Some((target, moved)) = crew.side(number) else {
                break;
            };
            let book = Arc::new(Mutex::new(Book::new(crew.plan.channels().len())));
            self.books.push(Arc::clone(&book));
            publishers.push(Publisher {
                number: number as u16,
                target,
                options: crew.options.clone(),
                plan: Arc::clone(&crew.plan),
                clock: crew.clock,
                book,
                per_second: Arc::clone(&self.per_second),
                moved,
                phase: crew.phase.clone(),
            });
        }
        let publish = move |tasks: &mut JoinSet<()>| {
            for publisher in publishers {
                tasks.spawn_local(publisher.run());
            }
        };
        self.publishing = Some(run("publishers", crew.phase.clone(), publish)?);
        Ok(())
    }

    /// What has become of the messages so far.
    pub fn snapshot(&self) -> MessageLedger {
        self.sum(|books, receptions, gaps| audit(books, receptions, gaps, false))
    }

    /// Stops publishing, waits until everything has come or nothing comes any more, and sums up.
    pub fn stop(mut self) -> MessageLedger {
        self.enter(Phase::Listening);
        join(self.publishing.take());
        self.wait_until_quiet();
        self.sum(|books, receptions, gaps| audit(books, receptions, gaps, true))
    }

    fn wait_until_quiet(&self) {
        let mut last = (0, Instant::now());
        loop {
            let (owed, delivered) = self.sum(|books, receptions, _| {
                let delivered: u64 = receptions.iter().map(|one| one.delivered).sum();
                (outstanding(books, receptions), delivered)
            });
            if delivered != last.0 {
                last = (delivered, Instant::now());
            }
            if owed == 0 || last.1.elapsed() >= self.quiet {
                return;
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    fn sum<T>(&self, f: impl FnOnce(&[&Book], &[&Reception], &[Gap]) -> T) -> T {
        let books: Vec<_> = self.books.iter().map(|book| lock(book)).collect();
        let receptions: Vec<_> = self.receptions.iter().map(|one| lock(one)).collect();
        let books: Vec<&Book> = books.iter().map(|book| &**book).collect();
        let receptions: Vec<&Reception> = receptions.iter().map(|one| &**one).collect();
        f(&books, &receptions, &lock(&self.gaps))
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        self.enter(Phase::Over);
        join(self.publishing.take());
        self.listening.drain(..).for_each(|thread| join(Some(thread)));
    }
}

/// What everyone is given.
#[derive(Clone)]
struct Crew {
    /// Where to connect to, and whether that has changed.
    sides: Vec<(Target, watch::Receiver<u64>)>,
    options: MessageOptions,
    plan: Arc<Plan>,
    clock: Clock,
    phase: watch::Receiver<Phase>,
}

impl Crew {
    fn side(&self, number: usize) -> Option<(Target, watch::Receiver<u64>)> {
        self.sides.get(number % self.sides.len().max(1)).cloned()
    }
}

/// Runs tasks on a thread until all have ended or it is over.
fn run(
    name: &str,
    mut phase: watch::Receiver<Phase>,
    spawn: impl FnOnce(&mut JoinSet<()>) + Send + 'static,
) -> Result<JoinHandle<()>, LabError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(LabError::io("starting a runtime"))?;
    let serve = move || {
        LocalSet::new().block_on(&runtime, async {
            let mut tasks = JoinSet::new();
            spawn(&mut tasks);
            tokio::select! {
                () = async { while tasks.join_next().await.is_some() {} } => {}
                () = until(&mut phase, Phase::Over) => {}
            }
        });
    };
    let thread = std::thread::Builder::new().name(format!("messages-{name}"));
    thread.spawn(serve).map_err(LabError::io("starting a thread"))
}

fn join(thread: Option<JoinHandle<()>>) {
    // A task that panicked has left its account behind, and that is true so far.
    let _ = thread.map(JoinHandle::join);
}

/// What a panic left behind is true so far.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
