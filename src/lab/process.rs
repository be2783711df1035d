//! How is a program run so that it never outlives us?
//!
//! Shell. Three nets: `Drop` kills it, also while a panic unwinds; the kernel kills it when we are killed
//! (`setpriv --pdeathsig`, as the call itself would need unsafe code); and it is in a process group of its own, so that
//! a Ctrl-C reaches us alone and we end things in order.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Host, LabError};

/// Bytes of a log that an error text shows.
const LOG_TAIL_BYTES: usize = 1_500;

/// A running program; its output goes to a file.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Runs `program`, a name looked up in PATH or a path, with its output appended to `log`.
    ///
    /// # Errors
    /// [`LabError::NotInstalled`], [`LabError::Io`].
    pub fn start<A: AsRef<std::ffi::OsStr>>(
        program: &Path,
        arguments: &[A],
        log: &Path,
    ) -> Result<Self, LabError> {
        Self::start_on(None, program, arguments, log)
    }

    /// The same, on a host of a [`Network`](super::Network).
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_on<A: AsRef<std::ffi::OsStr>>(
        host: Option<&Host>,
        program: &Path,
        arguments: &[A],
        log: &Path,
    ) -> Result<Self, LabError> {
        let found = find(program).ok_or_else(|| LabError::NotInstalled {
            program: program.display().to_string(),
        })?;
        let named = || LabError::io(format!("starting {}", program.display()));
        let output = File::options()
            .append(true)
            .create(true)
            .open(log)
            .map_err(named())?;
        let errors = output.try_clone().map_err(named())?;
        let mut command = guarded(host, &found);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        Ok(Self {
            child: spawn(command).map_err(named())?,
            log: log.to_owned(),
        })
    }

    /// Its process id. `setpriv` and `nsenter` become the program, so it is the program's own.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it runs or is stopped, as opposed to ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal: SIGSTOP freezes, SIGCONT thaws, SIGTERM asks it to end.
    ///
    /// # Errors
    /// [`LabError::Io`], when it has ended for one.
    pub fn signal(&self, signal: Signal) -> Result<(), LabError> {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal)
            .map_err(io::Error::from)
            .map_err(LabError::io(format!("sending {signal}")))
    }

    /// kill -9, and waits until it is gone. Does nothing when it has ended before.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn kill(&mut self) -> Result<ExitStatus, LabError> {
        self.child
            .kill()
            .and_then(|()| self.child.wait())
            .map_err(LabError::io("killing a process"))
    }

    /// The end of what it wrote, for error texts.
    pub fn log_tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let tail = log
            .get(log.len().saturating_sub(LOG_TAIL_BYTES)..)
            .unwrap_or_default();
        String::from_utf8_lossy(tail).trim().to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; there is nobody to tell either way.
        let _ = self.kill();
    }
}

/// A program's path, as a shell finds it.
fn find(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return program.is_file().then(|| program.to_owned());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// The program, killed by the kernel when the thread that started it ends, where util-linux is there to ask for that.
fn guarded(host: Option<&Host>, program: &Path) -> Command {
    let entering = host.map_or_else(Vec::new, Host::entering);
    let guarding = match find(Path::new("setpriv")) {
        Some(setpriv) => vec![setpriv, "--pdeathsig".into(), "KILL".into(), "--".into()],
        None => Vec::new(),
    };
    let mut words = guarding.into_iter().chain(entering).chain([program.to_owned()]);
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

type Order = Box<(Command, SyncSender<io::Result<Child>>)>;

/// Has the thread that starts programs running: to the kernel the parent is the thread, and whoever calls may end long
/// before the program should. It stays for good in the namespaces of whoever asks for it first, so
/// [`Network`](super::Network) does before it leaves ours.
pub(super) fn spawner() -> io::Result<&'static SyncSender<Order>> {
    static SPAWNER: OnceLock<Option<SyncSender<Order>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, taken) = sync_channel::<Order>(1);
        let serve = move || {
            for order in taken {
                let (mut command, answer) = *order;
                // Whoever asked waits for it in `spawn`.
                let _ = answer.send(command.spawn());
            }
        };
        let thread = std::thread::Builder::new()
            .name("lab-spawner".to_owned())
            .spawn(serve);
        thread.ok().map(|_| orders)
    });
    spawner.as_ref().ok_or_else(gone)
}

fn spawn(command: Command) -> io::Result<Child> {
    let (answer, child) = sync_channel(1);
    let sent = spawner()?.send(Box::new((command, answer)));
    sent.map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

fn gone() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}
