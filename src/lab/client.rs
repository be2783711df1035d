//! How is a server asked something?
//!
//! Shell: one blocking connection. Synchronous, so that a load's writers and a test's threads need no runtime.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use redis_protocol::resp2::decode::decode;

use super::{LabError, Reply};
use crate::cluster::{NodeAddr, Secret};
use crate::limits::{CONTROL_REPLY_BYTES_MAX, DECODE_DEPTH_MAX};
use crate::resp::{ReplyScanner, nesting_exceeds};

/// How long a connection or a reply is waited for, unless said otherwise.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to a Redis, a Sentinel or the proxy; over a unix socket, to the proxy's admin commands.
#[derive(Debug)]
pub struct Client<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
    scanner: ReplyScanner,
}

impl Client<TcpStream> {
    /// Connects; waits 5 s at most for the connection and for each reply.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn connect(address: &NodeAddr) -> Result<Self, LabError> {
        Self::connect_within(address, PATIENCE).map_err(LabError::io(format!("connecting to {address}")))
    }

    /// Connects; waits `patience` at most for the connection and for each reply.
    ///
    /// # Errors
    /// The operating system's.
    pub fn connect_within(address: &NodeAddr, patience: Duration) -> io::Result<Self> {
        let mut resolved = (address.host.as_str(), address.port).to_socket_addrs()?;
        let target = resolved.next().ok_or(io::ErrorKind::NotFound)?;
        let stream = TcpStream::connect_timeout(&target, patience)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self::over(stream))
    }

    /// Connects and authenticates where there is a password.
    ///
    /// # Errors
    /// [`LabError::Io`]; [`LabError::Refused`] for a wrong password.
    pub fn connect_with(address: &NodeAddr, password: Option<&Secret>) -> Result<Self, LabError> {
        let mut client = Self::connect(address)?;
        if let Some(password) = password {
            client.ask(&["AUTH", password.expose()])?;
        }
        Ok(client)
    }
}

impl Client<UnixStream> {
    /// Connects to a unix socket; waits 5 s at most for each reply.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn connect_unix(path: &Path) -> Result<Self, LabError> {
        let named = || LabError::io(format!("connecting to {}", path.display()));
        let stream = UnixStream::connect(path).map_err(named())?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(named())?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(named())?;
        Ok(Self::over(stream))
    }
}

impl<S: Read + Write> Client<S> {
    /// A client over a stream that is open.
    pub fn over(stream: S) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            scanner: ReplyScanner::new(),
        }
    }

    /// Sends a command without waiting for its reply.
    ///
    /// # Errors
    /// The operating system's.
    pub fn send<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> io::Result<()> {
        let mut request = format!("*{}\r\n", arguments.len()).into_bytes();
        for argument in arguments.iter().map(AsRef::as_ref) {
            request.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
            request.extend_from_slice(argument);
            request.extend_from_slice(b"\r\n");
        }
        self.stream.write_all(&request)
    }

    /// The next reply.
    ///
    /// # Errors
    /// `UnexpectedEof` when the connection was closed, `InvalidData` for what is not RESP2, or the operating system's.
    /// The client must not be used again: a reply that comes late would be taken for the next one's.
    pub fn receive(&mut self) -> io::Result<Reply> {
        let mut chunk = [0; 16 * 1024];
        loop {
            let scanned = self.scanner.scan(&self.buffer);
            if let Some(end) = scanned.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
                let value: Vec<u8> = self.buffer.drain(..end).collect();
                return decoded(&value).ok_or_else(|| io::ErrorKind::InvalidData.into());
            }
            if self.buffer.len() > CONTROL_REPLY_BYTES_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self
                    .buffer
                    .extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a command and returns its reply, whatever it is.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn call<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> Result<Reply, LabError> {
        self.send(arguments)
            .and_then(|()| self.receive())
            .map_err(LabError::io(name_of(arguments)))
    }

    /// Sends a command and returns its reply when it is not an error.
    ///
    /// # Errors
    /// [`LabError::Io`], [`LabError::Refused`].
    pub fn ask<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> Result<Reply, LabError> {
        match self.call(arguments)? {
            Reply::Error(reply) => Err(LabError::Refused {
                command: name_of(arguments),
                reply,
            }),
            reply => Ok(reply),
        }
    }
}

/// The command's name, for error texts: arguments may hold passwords.
fn name_of<A: AsRef<[u8]>>(arguments: &[A]) -> String {
    let first = arguments.first().map(AsRef::as_ref).unwrap_or_default();
    String::from_utf8_lossy(first).into_owned()
}

fn decoded(value: &[u8]) -> Option<Reply> {
    // The decoder recurses.
    if nesting_exceeds(value, DECODE_DEPTH_MAX) {
        return None;
    }
    let (frame, _) = decode(value).ok()??;
    Some(frame.into())
}
