//! How does a command talk to the running proxy?
//!
//! Shell: blocking, one unix connection, RESP2. Every wait has an end, so that a frozen proxy does not freeze the
//! operator who came to see what is wrong.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::limits::{ADMIN_QUEUE_WAIT, ADMIN_REPLY_WAIT, CONNECT_TIMEOUT, CONTROL_REPLY_BYTES_MAX};
use crate::resp::{ReplyScanner, Value, decode_value, text, write_command};

/// Why there is no answer. Its text is the line on stderr.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// The proxy does not run, or runs elsewhere.
    #[error("no proxy answers on {}: {source}", path.display())]
    Connect { path: PathBuf, source: io::Error },
    /// It went away, or does not answer in time.
    #[error("the proxy gave no answer: {0}")]
    Lost(io::Error),
    /// It said no. Its own words.
    #[error("{0}")]
    Refused(String),
    /// What answers is not a switchback, or not of this version.
    #[error("the answer makes no sense to this version of switchback")]
    Nonsense,
}

/// One connection to the admin socket.
#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    buffer: Vec<u8>,
    scanner: ReplyScanner,
}

impl Client {
    pub(super) fn connect(path: &Path) -> Result<Self, ClientError> {
        let failed = |source| ClientError::Connect {
            path: path.to_owned(),
            source,
        };
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
        let address = SockAddr::unix(path).map_err(failed)?;
        socket
            .connect_timeout(&address, CONNECT_TIMEOUT)
            .map_err(failed)?;
        let stream = UnixStream::from(socket);
        stream.set_write_timeout(Some(CONNECT_TIMEOUT)).map_err(failed)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
            scanner: ReplyScanner::new(),
        })
    }

    /// Asks, and waits for as long as the proxy may take, and `takes` beyond that.
    pub(super) fn call(&mut self, words: &[&str], takes: Duration) -> Result<Value, ClientError> {
        // The socket's own time is up first, so that it is the one to say what happened.
        let wait = ADMIN_QUEUE_WAIT + ADMIN_REPLY_WAIT + CONNECT_TIMEOUT + takes;
        self.stream
            .set_read_timeout(Some(wait))
            .map_err(ClientError::Lost)?;
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let mut request = Vec::new();
        write_command(&mut request, &words);
        // A proxy that refuses the connection may have closed it already, and its reason is there to be read.
        let sent = self.stream.write_all(&request);
        match (self.receive(), sent) {
            (Ok(Value::Error(text)), _) => Err(ClientError::Refused(text)),
            (Ok(value), _) => Ok(value),
            (Err(ClientError::Lost(_)), Err(error)) => Err(ClientError::Lost(error)),
            (Err(error), _) => Err(error),
        }
    }

    /// Asks for a text.
    pub(super) fn text(&mut self, words: &[&str], takes: Duration) -> Result<String, ClientError> {
        let value = self.call(words, takes)?;
        text(&value).ok_or(ClientError::Nonsense)
    }

    /// After SUBSCRIBE: the next event, however long it takes to happen.
    pub(super) fn event(&mut self) -> Result<String, ClientError> {
        self.stream.set_read_timeout(None).map_err(ClientError::Lost)?;
        match self.receive()? {
            Value::Array(items) => match items.as_slice() {
                [kind, _, event] if text(kind).as_deref() == Some("message") => {
                    text(event).ok_or(ClientError::Nonsense)
                }
                _ => Err(ClientError::Nonsense),
            },
            Value::Error(text) => Err(ClientError::Refused(text)),
            _ => Err(ClientError::Nonsense),
        }
    }

    fn receive(&mut self) -> Result<Value, ClientError> {
        let mut chunk = vec![0; 64 * 1024];
        loop {
            match self.scanner.scan(&self.buffer) {
                Ok(Some(end)) => {
                    let value = decode_value(self.buffer.get(..end).unwrap_or_default());
                    self.buffer.drain(..end);
                    return value.map_err(|_| ClientError::Nonsense);
                }
                Ok(None) if self.buffer.len() <= CONTROL_REPLY_BYTES_MAX => {}
                _ => return Err(ClientError::Nonsense),
            }
            let read = match self.stream.read(&mut chunk) {
                Ok(0) => Err(io::Error::other("it closed the connection")),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    Err(io::Error::other("it took too long"))
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read,
            };
            let count = read.map_err(ClientError::Lost)?;
            self.buffer
                .extend_from_slice(chunk.get(..count).unwrap_or_default());
        }
    }
}
