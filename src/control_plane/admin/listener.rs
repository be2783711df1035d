//! How does the admin socket come into the file system, and leave it?
//!
//! Shell: synchronous, before threads and loops. The socket is made in a directory of its own that only this user may
//! enter and moved to its place with mode 0600: it never exists with another. Setting the umask was rejected: it
//! belongs to the whole process, and other threads make files too.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use socket2::{Domain, SockAddr, Socket, Type};

/// Why there is no admin socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A living process accepts connections there. The operator's to solve: two proxies need two paths.
    #[error("another switchback answers on {}", .0.display())]
    InUse(PathBuf),
    /// Something that is not a socket has the name; it is left alone.
    #[error("{} exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// Another process keeps the directory locked.
    #[error("another process holds a lock on {}", .0.display())]
    Locked(PathBuf),
    /// The file system says no.
    #[error("cannot make the admin socket {}: {source}", path.display())]
    Io {
        /// The socket's path.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// How long two processes that start at once wait for each other.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// A bound admin socket. Its file goes when this goes, unless another process has put its own there meanwhile.
#[derive(Debug)]
pub struct AdminListener {
    // In this order: nobody finds the file of a socket that is closed already.
    file: SocketFile,
    socket: UnixListener,
}

impl AdminListener {
    /// Listens at `path`, mode 0600 from the first moment, in place of the socket of a process that has died. A missing
    /// last directory is made.
    ///
    /// # Errors
    /// [`BindError`]: do not start, say it.
    pub fn bind(path: impl AsRef<Path>) -> Result<Self, BindError> {
        let path = path.as_ref();
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let failed = |source| BindError::Io {
            path: path.to_owned(),
            source,
        };
        // A rename takes longer names than a connect: nobody could reach such a socket.
        let address = SockAddr::unix(path).map_err(failed)?;
        match DirBuilder::new().mode(0o755).create(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        // Between the question whether somebody listens and the rename nobody else may do the same.
        let _lock = lock(directory).map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => BindError::Locked(directory.to_owned()),
            _ => failed(source),
        })?;
        make_way(path, &address)?;
        let room = Room::beside(directory).map_err(failed)?;
        let socket = room.listen(path).map_err(failed)?;
        let file = SocketFile::new(path).map_err(failed)?;
        Ok(Self { file, socket })
    }

    /// The path it was bound to.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    pub(super) fn into_parts(self) -> io::Result<(tokio::net::UnixListener, SocketFile)> {
        self.socket.set_nonblocking(true)?;
        Ok((tokio::net::UnixListener::from_std(self.socket)?, self.file))
    }
}

fn lock(directory: &Path) -> io::Result<Flock<File>> {
    let deadline = Instant::now() + LOCK_WAIT;
    let mut file = File::open(directory)?;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((back, Errno::EWOULDBLOCK | Errno::EINTR)) if Instant::now() < deadline => file = back,
            Err((_, errno)) => return Err(errno.into()),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Succeeds when nobody answers at `path`.
fn make_way(path: &Path, address: &SockAddr) -> Result<(), BindError> {
    let failed = |source| BindError::Io {
        path: path.to_owned(),
        source,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(BindError::NotASocket(path.to_owned())),
        Ok(_) => {}
    }
    // Non-blocking: a frozen process with a full queue is alive all the same.
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    match socket.connect(address) {
        Ok(()) => Err(BindError::InUse(path.to_owned())),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock => Err(BindError::InUse(path.to_owned())),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Ok(()),
            _ => Err(failed(error)),
        },
    }
}

/// A directory nobody else may enter, for the moment between bind and chmod.
struct Room(PathBuf);

impl Room {
    fn beside(directory: &Path) -> io::Result<Self> {
        let mut tries = 0;
        loop {
            // Short, because a socket's path has 107 bytes at most.
            let name: String = std::iter::repeat_with(fastrand::alphanumeric).take(5).collect();
            let path = directory.join(format!(".{name}"));
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < 8 => tries += 1,
                made => return made.map(|()| Self(path)),
            }
        }
    }

    fn listen(&self, path: &Path) -> io::Result<UnixListener> {
        let inside = self.0.join("s");
        let socket = UnixListener::bind(&inside)?;
        fs::set_permissions(&inside, Permissions::from_mode(0o600))?;
        fs::rename(&inside, path)?;
        Ok(socket)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Empty unless the rename failed.
        let _ = fs::remove_file(self.0.join("s"));
        let _ = fs::remove_dir(&self.0);
    }
}

/// The socket's name in the file system.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        // Absolute: a daemon may change its directory before it ends.
        let path = std::path::absolute(path)?;
        let found = fs::symlink_metadata(&path)?;
        Ok(Self {
            identity: (found.dev(), found.ino()),
            path,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = |found: fs::Metadata| (found.dev(), found.ino()) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(ours) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn entries(directory: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        fs::read_dir(directory).unwrap().map(name).collect()
    }

    #[test]
    fn the_socket_has_mode_0600_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("made").join("a.sock");
        let listener = AdminListener::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(entries(path.parent().unwrap()), ["a.sock"]);
        UnixStream::connect(&path).unwrap();
        drop(listener);
        assert!(entries(path.parent().unwrap()).is_empty());
    }

    #[test]
    fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "std leaves the file as a crash does");
        let live = AdminListener::bind(&path).unwrap();
        let error = AdminListener::bind(&path).unwrap_err().to_string();
        assert_eq!(error, format!("another switchback answers on {}", path.display()));
        UnixStream::connect(&path).unwrap();
        drop(live);
    }

    #[test]
    fn a_frozen_process_with_a_full_queue_is_alive() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        let _live = AdminListener::bind(&path).unwrap();
        let mut queued = Vec::new();
        loop {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            if socket.connect(&SockAddr::unix(&path).unwrap()).is_err() {
                break;
            }
            queued.push(socket);
        }
        assert!(matches!(AdminListener::bind(&path), Err(BindError::InUse(_))));
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(
            AdminListener::bind(&path),
            Err(BindError::NotASocket(_))
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_socket_that_is_not_ours_any_more_is_not_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        let first = AdminListener::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let _second = AdminListener::bind(&path).unwrap();
        drop(first);
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_path_that_cannot_be_is_said_with_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let far = directory.path().join("no/such/a.sock");
        let error = AdminListener::bind(&far).unwrap_err().to_string();
        assert!(error.contains("no/such/a.sock: No such file"), "{error}");
        let long = directory.path().join("x".repeat(200));
        let error = AdminListener::bind(&long).unwrap_err();
        assert!(matches!(error, BindError::Io { .. }), "{error}");
    }

    #[test]
    fn of_many_who_start_at_once_one_gets_the_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        drop(UnixListener::bind(&path).unwrap());
        let bound: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| AdminListener::bind(&path)))
                .collect();
            starts
                .into_iter()
                .filter_map(|start| start.join().unwrap().ok())
                .collect()
        });
        assert_eq!(bound.len(), 1);
    }
}
