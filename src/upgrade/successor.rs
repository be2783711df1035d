//! How is the process started that takes over, and when is it trusted to?
//!
//! Shell: the program is looked for where this one was started from, so that it may be another version by now.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tracing::{info, warn};

use super::{GO, PREPARED, SERVING, SUCCEEDS, UpgradeError};
use crate::control_plane::Event;
use crate::control_plane::admin::Reply;
use crate::limits::{UPGRADE_PREPARE_WAIT, UPGRADE_SERVE_WAIT};

/// The first number of a socket that is handed over (`sd_listen_fds`).
const FIRST: i32 = 3;
/// Longest word a successor says.
const WORD_BYTES_MAX: u64 = 64;

/// A process that is prepared to take over.
#[derive(Debug)]
pub(crate) struct Successor {
    process: Child,
    said: BufReader<UnixStream>,
}

impl Successor {
    /// Starts it with copies of these sockets, and waits until it is prepared.
    ///
    /// # Errors
    /// It has not got that far. It is ended, and nothing has changed.
    pub(crate) async fn prepare(sockets: &[OwnedFd]) -> Result<Self, UpgradeError> {
        let (process, stream) = start(sockets).map_err(UpgradeError::Start)?;
        let mut successor = Self {
            process,
            said: BufReader::new(stream),
        };
        match successor.hear(PREPARED, UPGRADE_PREPARE_WAIT).await {
            Ok(()) => Ok(successor),
            Err(error) => {
                // It may have ended by itself.
                let _ = successor.process.kill();
                let _ = successor.process.wait();
                Err(error)
            }
        }
    }

    /// Has it take over; returns when it serves.
    ///
    /// # Errors
    /// It does not. This process has nothing left to decide by, and can only end.
    pub(crate) async fn go(&mut self) -> Result<(), UpgradeError> {
        let line = format!("{GO}\n");
        let told = self.said.get_mut().write_all(line.as_bytes()).await;
        told.map_err(|_| UpgradeError::Ended(SERVING))?;
        self.hear(SERVING, UPGRADE_SERVE_WAIT).await?;
        info!(process = self.process.id(), "another process has taken over");
        Ok(())
    }

    /// It cannot wait for this process any longer.
    pub(crate) async fn hangs_up(&mut self) {
        let _ = self.said.read_u8().await;
    }

    async fn hear(&mut self, word: &'static str, within: Duration) -> Result<(), UpgradeError> {
        let mut line = String::new();
        let mut limited = (&mut self.said).take(WORD_BYTES_MAX);
        match timeout(within, limited.read_line(&mut line)).await {
            Ok(_) if line.trim_end() == word => Ok(()),
            Ok(_) => Err(UpgradeError::Ended(word)),
            Err(_) => Err(UpgradeError::Late(word, within)),
        }
    }
}

/// Has another process prepared whenever somebody orders it, until one is: that is the successor, and the loop's to let take over.
pub(crate) async fn prepare_successors(
    mut orders: mpsc::Receiver<Option<oneshot::Sender<Reply>>>,
    sockets: Vec<OwnedFd>,
    events: mpsc::Sender<Event>,
) -> Successor {
    loop {
        let Some(order) = orders.recv().await else {
            return std::future::pending().await;
        };
        let prepared = Successor::prepare(&sockets).await;
        if let Err(error) = &prepared {
            warn!(%error, "nobody takes over, and nothing has changed");
        }
        if let Some(reply) = order {
            let _ = reply.send(match &prepared {
                Ok(_) => Reply::Ok,
                Err(error) => Reply::Error(format!("ERR not upgraded, nothing has changed: {error}")),
            });
        }
        if let Ok(successor) = prepared {
            // A loop that is gone has been told to end.
            let _ = events.send(Event::HandOver).await;
            return successor;
        }
    }
}

fn start(sockets: &[OwnedFd]) -> io::Result<(Child, UnixStream)> {
    let (ours, theirs) = StdStream::pair()?;
    let mut words = env::args_os();
    let program = words.next().unwrap_or_else(|| OsString::from("switchback"));
    let mut mappings = Vec::new();
    for (child_fd, socket) in (FIRST..).zip(sockets) {
        let parent_fd = socket.try_clone()?;
        mappings.push(FdMapping { parent_fd, child_fd });
    }
    let mut command = Command::new(program);
    command
        .args(words)
        .env(SUCCEEDS, "1")
        .env("LISTEN_FDS", sockets.len().to_string())
        // Whoever is started cannot be named before it is: the library takes no number for anybody's.
        .env("LISTEN_PID", "")
        .env_remove("LISTEN_FDNAMES")
        .stdin(Stdio::from(OwnedFd::from(theirs)));
    command.fd_mappings(mappings).map_err(io::Error::other)?;
    let process = command.spawn()?;
    ours.set_nonblocking(true)?;
    Ok((process, UnixStream::from_std(ours)?))
}
