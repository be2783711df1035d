//! Is a route's state on disk?
//!
//! Shell: one thread writes, so that a disk that hangs holds up an acknowledgement and never the control loop. A file is
//! replaced as a whole and synced with its directory: after kill -9 or a power cut it is the old one or the new one.
//! One record a route waits at most: only the last one matters, so a slow disk has no queue to fall behind on.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::record::{Record, RecordError};
use crate::routing::{Epoch, Weight};

/// The state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be made or written.
    #[error("state_dir '{path}': {source}", path = .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process uses it.
    #[error("state_dir '{path}' is in use by another switchback", path = .path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A route's file cannot be read. Starting at another weight than the last one would be worse than not starting.
    #[error("state of route '{route}' in '{path}': {why}; mend it or remove it to start at the configured weight", path = .path.display())]
    Unreadable {
        /// The route.
        route: String,
        /// Its file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// How far a route's records have got. Set by the writer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Progress {
    /// The last record that is on disk.
    pub(super) saved: Epoch,
    /// Its weight.
    pub(super) weight: Weight,
    /// The last record that could not be written, and why. Not newer than `saved`: it does not matter any more.
    pub(super) failed: Option<(Epoch, Arc<str>)>,
}

/// One record on its way to the disk.
pub(super) struct Job {
    pub(super) route: String,
    pub(super) record: Record,
    progress: watch::Sender<Progress>,
}

impl Job {
    /// It is on disk.
    pub(super) fn written(&self) {
        self.progress.send_modify(|progress| {
            (progress.saved, progress.weight) = (self.record.epoch, self.record.standing.weight);
        });
    }

    /// It is not, and will not be.
    pub(super) fn failed(&self, why: &str) {
        let failure = (self.record.epoch, Arc::from(why));
        self.progress
            .send_modify(|progress| progress.failed = Some(failure));
    }
}

/// What is to be written, by route; whether more may come, and whether anybody writes.
#[derive(Default)]
struct Waiting {
    jobs: BTreeMap<String, Job>,
    is_closed: bool,
    has_no_writer: bool,
}

/// Where the loop leaves records and the writer finds them. The lock is held for a look, never for a write.
#[derive(Default)]
pub(super) struct Tray {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Tray {
    /// Has the record written. Returns at once; `progress` tells what came of it.
    pub(super) fn save(&self, route: &str, record: Record, progress: &watch::Sender<Progress>) {
        let job = Job {
            route: route.to_owned(),
            record,
            progress: progress.clone(),
        };
        let mut waiting = self.lock();
        if waiting.has_no_writer {
            return job.failed("the writer has ended");
        }
        waiting.jobs.insert(job.route.clone(), job);
        self.changed.notify_one();
    }

    /// What waits, at once: for a disk that is simulated.
    #[cfg(test)]
    pub(super) fn take_now(&self) -> Vec<Job> {
        std::mem::take(&mut self.lock().jobs).into_values().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waits; `None` once nothing does and nothing will.
    fn take(&self) -> Option<BTreeMap<String, Job>> {
        let is_idle = |waiting: &mut Waiting| waiting.jobs.is_empty() && !waiting.is_closed;
        let mut waiting = self
            .changed
            .wait_while(self.lock(), is_idle)
            .unwrap_or_else(PoisonError::into_inner);
        let jobs = std::mem::take(&mut waiting.jobs);
        (!jobs.is_empty()).then_some(jobs)
    }
}

/// The writer's handle. Its lock on the directory lasts as long as this.
pub(crate) struct Store {
    directory: PathBuf,
    tray: Arc<Tray>,
    writer: JoinHandle<()>,
    _lock: nix::fcntl::Flock<File>,
}

impl Store {
    /// Makes the directory if need be, locks it, and starts the writer.
    pub(super) fn open(directory: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Directory {
            path: directory.to_owned(),
            source,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(directory.join("lock"))
            .map_err(failed)?;
        let lock =
            nix::fcntl::Flock::lock(lock, nix::fcntl::FlockArg::LockExclusiveNonblock).map_err(|_| {
                StoreError::InUse {
                    path: directory.to_owned(),
                }
            })?;
        let tray = Arc::new(Tray::default());
        let (into, queue) = (directory.to_owned(), Arc::clone(&tray));
        let writer = std::thread::Builder::new()
            .name("state".to_owned())
            .spawn(move || write_all(&into, queue))
            .map_err(failed)?;
        Ok(Self {
            directory: directory.to_owned(),
            tray,
            writer,
            _lock: lock,
        })
    }

    /// What is known of a route; `None` when it has never been here.
    pub(super) fn load(&self, route: &str) -> Result<Option<Record>, StoreError> {
        let path = file_of(&self.directory, route);
        let unreadable = |why: String| StoreError::Unreadable {
            route: route.to_owned(),
            path: path.clone(),
            why,
        };
        match fs::read_to_string(&path) {
            Ok(text) => match Record::from_text(route, &text) {
                Ok(record) => Ok(Some(record)),
                Err(error @ (RecordError::Json(_) | RecordError::Weight(_) | RecordError::Route(_))) => {
                    Err(unreadable(error.to_string()))
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    /// Where what is to be written is left.
    pub(super) fn tray(&self) -> Arc<Tray> {
        Arc::clone(&self.tray)
    }

    /// Waits until everything is written, for `bound` at most, and gives the directory free.
    pub(crate) async fn close(self, bound: Duration) {
        let deadline = Instant::now() + bound;
        self.no_more();
        while !self.writer.is_finished() {
            if Instant::now() >= deadline {
                tracing::error!("the last state is not on disk: the disk does not answer");
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn no_more(&self) {
        self.tray.lock().is_closed = true;
        self.tray.changed.notify_one();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.no_more();
    }
}

/// Whoever writes. Gone, by whatever, it says so.
struct Writer(Arc<Tray>);

impl Drop for Writer {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.has_no_writer = true;
        for job in std::mem::take(&mut waiting.jobs).into_values() {
            job.failed("the writer has ended");
        }
    }
}

/// Writes until the store is closed and everything is written.
fn write_all(directory: &Path, tray: Arc<Tray>) {
    let writer = Writer(tray);
    while let Some(jobs) = writer.0.take() {
        for job in jobs.into_values() {
            match write(directory, &job.route, &job.record) {
                Ok(()) => job.written(),
                Err(error) => job.failed(&error.to_string()),
            }
        }
    }
}

fn write(directory: &Path, route: &str, record: &Record) -> io::Result<()> {
    let path = file_of(directory, route);
    let temporary = path.with_extension("json.new");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(record.to_text(route).as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, &path)?;
    File::open(directory)?.sync_all()
}

/// Route names are `[A-Za-z0-9._-]`, so they are file names; the ending keeps `.` and `..` harmless.
fn file_of(directory: &Path, route: &str) -> PathBuf {
    directory.join(format!("route-{route}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Topology;
    use crate::control_plane::shift::Standing;

    fn record(epoch: u64) -> Record {
        Record {
            standing: Standing::at(Weight::FULL),
            epoch: Epoch(epoch),
            topology: [Topology::default(), Topology::default()],
        }
    }

    fn settled(progress: &watch::Sender<Progress>, epoch: u64) -> Progress {
        let mut receiver = progress.subscribe();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let wait = receiver.wait_for(|progress| {
            progress.saved == Epoch(epoch)
                || progress
                    .failed
                    .as_ref()
                    .is_some_and(|failed| failed.0 == Epoch(epoch))
        });
        let bound = std::time::Duration::from_secs(10);
        runtime.block_on(async { tokio::time::timeout(bound, wait).await.unwrap().unwrap().clone() })
    }

    #[test]
    fn a_record_is_read_back_and_a_second_process_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        assert_eq!(store.load("r").unwrap(), None);
        let progress = watch::Sender::default();
        store.tray().save("r", record(3), &progress);
        assert_eq!(settled(&progress, 3).saved, Epoch(3));
        assert_eq!(store.load("r").unwrap(), Some(record(3)));
        assert!(matches!(
            Store::open(directory.path()),
            Err(StoreError::InUse { .. })
        ));
        drop(store);
        assert!(Store::open(directory.path()).is_ok());
    }

    #[test]
    fn a_record_that_cannot_be_written_is_told_and_the_next_one_is_tried() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let progress = watch::Sender::default();
        // A directory where the file is to be: works for root too, unlike permissions.
        let obstacle = directory.path().join("route-r.json.new");
        fs::create_dir(&obstacle).unwrap();
        store.tray().save("r", record(1), &progress);
        assert!(settled(&progress, 1).failed.is_some());
        fs::remove_dir(&obstacle).unwrap();
        store.tray().save("r", record(2), &progress);
        assert_eq!(settled(&progress, 2).saved, Epoch(2));
    }

    #[test]
    fn closing_waits_for_the_last_record_and_then_gives_the_directory_free() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let progress = watch::Sender::default();
        (1..200).for_each(|epoch| store.tray().save("r", record(epoch), &progress));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(store.close(Duration::from_secs(10)));
        let next = Store::open(directory.path()).unwrap();
        assert_eq!(next.load("r").unwrap(), Some(record(199)));
    }

    #[test]
    fn a_torn_file_keeps_the_proxy_from_starting_at_a_guessed_weight() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        fs::write(directory.path().join("route-r.json"), "{\"weight\":").unwrap();
        let error = store.load("r").unwrap_err().to_string();
        assert!(
            error.contains("route 'r'") && error.contains("mend it or remove it"),
            "{error}"
        );
    }
}
