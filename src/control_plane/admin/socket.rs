//! Who may talk to the proxy, and how many at once?
//!
//! Shell: accepts admin clients and owns their tasks. The file's mode keeps other users out; the peer's user is
//! checked as well, for the day somebody changes the mode.

use std::fs::File;
use std::io;

use nix::errno::Errno;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{debug, error, warn};

use super::connection::{Connection, End, linger};
use super::listener::AdminListener;
use super::model::Reply;
use super::peer::Peer;
use super::reply::{Protocol, write};
use crate::control_plane::Event;
use crate::limits::{ADMIN_ACCEPT_RETRY, ADMIN_CLIENTS_MAX, ADMIN_LAST_REPLIES_WAIT};

/// Serves admin clients until the control loop is gone: requests become [`Event::Admin`]. Returns when the last
/// replies, `SHUTDOWN`'s among them, are written: await it before the process ends. The socket's file is gone then.
pub async fn serve(listener: AdminListener, events: mpsc::Sender<Event>) {
    let path = listener.path().display().to_string();
    let (socket, file) = match listener.into_parts() {
        Ok(parts) => parts,
        Err(error) => {
            error!(path, %error, "the admin socket does not work");
            return;
        }
    };
    // Those that are turned away do not count, or they would keep out who comes when there is room again.
    let (mut clients, mut turned_away) = (JoinSet::new(), JoinSet::new());
    let mut last_id = 0;
    let mut reserve = Reserve::new();
    loop {
        tokio::select! {
            accepted = socket.accept() => match accepted {
                Ok((stream, _)) => {
                    while clients.try_join_next().is_some() {}
                    match refusal(&stream, clients.len()) {
                        None => {
                            last_id += 1;
                            clients.spawn(converse(Connection::new(Peer::new(last_id), stream, events.clone())));
                        }
                        Some(text) if turned_away.len() < ADMIN_CLIENTS_MAX => {
                            turned_away.spawn(turn_away(stream, text));
                        }
                        Some(_) => {}
                    }
                }
                // Clients may have all there are, and it is now that an operator is needed.
                Err(error) if is_out_of_descriptors(&error) && reserve.empty() => {}
                Err(error) => {
                    warn!(path, %error, "an admin client could not be accepted");
                    tokio::time::sleep(ADMIN_ACCEPT_RETRY).await;
                }
            },
            Some(_) = clients.join_next() => reserve.fill(),
            Some(_) = turned_away.join_next() => {}
            () = events.closed() => break,
        }
    }
    drop(file);
    drop(socket);
    let _ = tokio::time::timeout(ADMIN_LAST_REPLIES_WAIT, clients.join_all()).await;
}

/// A descriptor for one operator more, when there is none left. It is filled again when somebody gives one back.
struct Reserve(Option<File>);

impl Reserve {
    fn new() -> Self {
        let mut reserve = Self(None);
        reserve.fill();
        reserve
    }

    fn fill(&mut self) {
        if self.0.is_none() {
            self.0 = File::open("/dev/null").ok();
        }
    }

    /// Whether there was one.
    fn empty(&mut self) -> bool {
        self.0.take().is_some()
    }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    let number = error.raw_os_error().map(Errno::from_raw);
    matches!(number, Some(Errno::EMFILE | Errno::ENFILE))
}

pub(super) async fn converse<S: AsyncRead + AsyncWrite + Unpin>(connection: Connection<S>) {
    match connection.drive().await {
        end @ End::Unknown => warn!(%end, "an admin client was disconnected"),
        end @ (End::SlowSubscriber | End::SlowReader) => warn!(%end, "an admin client was disconnected"),
        end => debug!(%end, "an admin client is done"),
    }
}

/// Why the client may not stay; `None` if it may.
fn refusal(stream: &UnixStream, clients: usize) -> Option<&'static str> {
    match stream.peer_cred() {
        Ok(peer) if is_trusted(peer.uid(), nix::unistd::geteuid().as_raw()) => {
            (clients >= ADMIN_CLIENTS_MAX).then_some("ERR max number of clients reached")
        }
        Ok(peer) => {
            warn!(uid = peer.uid(), "an admin client of another user was refused");
            Some("NOPERM this admin socket answers to root and to the user the proxy runs as")
        }
        Err(error) => {
            warn!(%error, "an admin client of an unknown user was refused");
            Some("NOPERM your user is not known")
        }
    }
}

async fn turn_away(mut stream: UnixStream, text: &str) {
    let mut line = Vec::new();
    write(&Reply::Error(text.to_owned()), Protocol::Resp2, &mut line);
    // The buffer of a new socket takes a line.
    if stream.try_write(&line).is_ok() {
        linger(&mut stream).await;
    }
}

fn is_trusted(peer_uid: u32, own_uid: u32) -> bool {
    peer_uid == 0 || peer_uid == own_uid
}

#[cfg(test)]
mod tests {
    use super::is_trusted;

    #[test]
    fn root_and_the_own_user_are_trusted_and_nobody_else() {
        assert!(is_trusted(0, 1000));
        assert!(is_trusted(1000, 1000));
        assert!(!is_trusted(1001, 1000));
        assert!(!is_trusted(1000, 0));
    }
}
