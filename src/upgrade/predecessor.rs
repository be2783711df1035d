//! Whom does this process take over from, and when may it?
//!
//! Shell: the other end of what [`super::Successor`] says and hears.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use tokio::time::sleep;

use super::{GO, PREPARED, SERVING, SUCCEEDS, UpgradeError};
use crate::limits::UPGRADE_LOOK;
use crate::routing::{Epoch, RouteTable};

/// The way to it; it ends at once when this is dropped.
#[derive(Debug)]
pub(crate) struct Predecessor(UnixStream);

impl Predecessor {
    /// `None`: this process takes over from nobody.
    ///
    /// # Errors
    /// The environment says so, and standard input is not a way to anybody.
    pub(crate) fn from_env() -> io::Result<Option<Self>> {
        if env::var_os(SUCCEEDS).is_none() {
            return Ok(None);
        }
        let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        Ok(Some(Self(stream)))
    }

    /// Says that everything that may fail without it has gone well; returns when it has given up what there is one of.
    ///
    /// # Errors
    /// It has not: this process is not to take anything.
    pub(crate) fn wait_for_it(&self) -> Result<(), UpgradeError> {
        self.say(PREPARED).map_err(|_| UpgradeError::Alone)?;
        let mut line = String::new();
        // Nothing follows before it has been answered.
        let mut heard = BufReader::new(&self.0).take(GO.len() as u64 + 1);
        match heard.read_line(&mut line) {
            Ok(_) if line.trim_end() == GO => Ok(()),
            _ => Err(UpgradeError::Alone),
        }
    }

    /// Clients are served here.
    pub(crate) fn has_successor(&self) {
        // It is gone: it had nothing left to do.
        let _ = self.say(SERVING);
    }

    /// Waits until it has drained. It follows no change of a route's snapshot any more, so at the first its time is over.
    pub(crate) async fn outlive(self, tables: Vec<(String, RouteTable)>) {
        let epochs = || tables.iter().map(|(_, table)| table.current().epoch);
        let first: Vec<Epoch> = epochs().collect();
        while !self.is_over() && epochs().eq(first.iter().copied()) {
            sleep(UPGRADE_LOOK).await;
        }
    }

    /// Whether it has ended.
    fn is_over(&self) -> bool {
        let _ = self.0.set_nonblocking(true);
        matches!((&self.0).read(&mut [0]), Ok(0))
    }

    fn say(&self, word: &str) -> io::Result<()> {
        (&self.0).write_all(format!("{word}\n").as_bytes())
    }
}

impl Drop for Predecessor {
    /// Standard input is another way to it, and stays open.
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}
