//! How is a proxy started, this one or another, and when does it answer?
//!
//! Shell.

use std::path::Path;
use std::time::Duration;

use switchback::cluster::NodeAddr;
use switchback::lab::{Client, Directory, LabError, Process, free_port, wait_for};

/// A running proxy. It ends, and its directory is removed, on drop.
pub(crate) struct Started {
    process: Process,
    _directory: Directory,
    pub(crate) port: u16,
}

impl Started {
    /// Starts `program` with the words that `set_up` gives for a directory and the port to listen on, and waits until it answers.
    ///
    /// # Errors
    /// It could not be started: it is not there.
    pub(crate) fn start(
        program: &Path,
        set_up: impl FnOnce(&Directory, u16) -> Vec<String>,
    ) -> Result<Self, LabError> {
        let (directory, port) = (Directory::create("bench")?, free_port()?);
        let words = set_up(&directory, port);
        let process = Process::start(program, &words, &directory.path().join("log"))?;
        wait_for("it to answer", Duration::from_secs(10), || answers(port))
            .unwrap_or_else(|error| panic!("{}: {error}: {}", program.display(), process.log_tail()));
        Ok(Self {
            process,
            _directory: directory,
            port,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// What of Switchback's configuration is not as it is by default.
#[derive(Clone, Copy, Default)]
pub(crate) struct Settings {
    pub(crate) weight: u16,
    /// One a core.
    pub(crate) workers: Option<usize>,
    pub(crate) clients: Option<usize>,
}

/// The program as operators run it, with its control plane, its guard asking both servers.
pub(crate) fn switchback(
    directory: &Directory,
    port: u16,
    [old, new]: [u16; 2],
    settings: Settings,
) -> Vec<String> {
    let (metrics, path) = (free_port().unwrap(), directory.path().display());
    let workers = settings.workers.unwrap_or(0);
    let clients = settings.clients.map_or(String::new(), |clients| {
        format!("[route.limits]\nclients = {clients}\n")
    });
    let config = format!(
        "[proxy]\nworkers = {workers}\nadmin_socket = \"{path}/admin.sock\"\nstate_dir = \"{path}\"\n\
         metrics_listen = \"127.0.0.1:{metrics}\"\n\
         [[route]]\nname = \"bench\"\nlisten = [\"127.0.0.1:{port}\"]\nweight = {weight}.0\n\
         old = \"redis://127.0.0.1:{old}\"\nnew = \"redis://127.0.0.1:{new}\"\n{clients}",
        weight = settings.weight,
    );
    let config = file(directory, "switchback.toml", &config);
    vec!["run".to_owned(), "--config".to_owned(), config]
}

/// Writes `text` to a file of that name, and says where it is.
pub(crate) fn file(directory: &Directory, name: &str, text: &str) -> String {
    directory.write(name, text).unwrap().display().to_string()
}

/// GET, not PING: twemproxy refuses the latter, and a proxy that has not reached its server yet lets it wait.
fn answers(port: u16) -> bool {
    let mut ask = Client::connect_within(&NodeAddr::new("127.0.0.1", port), Duration::from_secs(2));
    let reply = ask.as_mut().map(|client| client.ask(&["GET", "k"]));
    matches!(reply, Ok(Ok(_)))
}
