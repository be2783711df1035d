//! How do many apps talk to a server on one thread?
//!
//! Shell: one asynchronous connection. What was read is shared scratch until it is known to be an incomplete value: an
//! idle subscriber holds no buffer.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use redis_protocol::resp2::decode::decode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cluster::NodeAddr;
use crate::lab::Reply;
use crate::limits::DECODE_DEPTH_MAX;
use crate::resp::{ReplyScanner, ScanError, nesting_exceeds, write_command};

const READ_BYTES: usize = 256 * 1024;
/// A buffer that one large message made this large is given back.
const KEPT_BYTES_MAX: usize = 128 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// The value that is being read, as far as it has come.
    buffer: Vec<u8>,
    scanner: ReplyScanner,
}

impl Connection {
    pub(super) async fn open(address: &NodeAddr, patience: Duration) -> io::Result<Self> {
        let connect = TcpStream::connect((address.host.as_str(), address.port));
        let stream = tokio::time::timeout(patience, connect)
            .await
            .map_err(|_| io::ErrorKind::TimedOut)??;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
            scanner: ReplyScanner::new(),
        })
    }

    /// Writes commands that are encoded already.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads what there is, once there is something, and shows each value that is complete by it.
    ///
    /// Cancel-safe: nothing is taken from the socket before it is kept.
    pub(super) async fn read(&mut self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            self.stream.readable().await?;
            let (stream, buffer, scanner) = (&self.stream, &mut self.buffer, &mut self.scanner);
            let read: io::Result<()> = SCRATCH.with_borrow_mut(|scratch| {
                let count = stream.try_read(scratch)?;
                let new = scratch.get(..count).unwrap_or_default();
                if new.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                if buffer.is_empty() {
                    let used = show(new, scanner, &mut each)?;
                    buffer.extend_from_slice(new.get(used..).unwrap_or_default());
                } else {
                    buffer.extend_from_slice(new);
                    let used = show(buffer, scanner, &mut each)?;
                    buffer.drain(..used);
                }
                if buffer.is_empty() && buffer.capacity() > KEPT_BYTES_MAX {
                    *buffer = Vec::new();
                }
                Ok(())
            });
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }

    /// The next value, decoded. Not to be mixed with [`Self::read`] while more than one is on its way.
    pub(super) async fn reply(&mut self) -> io::Result<Reply> {
        loop {
            let scanned = self.scanner.scan(&self.buffer).map_err(invalid)?;
            if let Some(end) = scanned {
                let value: Vec<u8> = self.buffer.drain(..end).collect();
                // The decoder recurses.
                let is_deep = nesting_exceeds(&value, DECODE_DEPTH_MAX);
                let frame = decode(&value).ok().flatten().filter(|_| !is_deep);
                return frame
                    .map(|(frame, _)| frame.into())
                    .ok_or_else(|| io::ErrorKind::InvalidData.into());
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Sends a command and returns its reply, whatever it is, within `patience`.
    pub(super) async fn call(&mut self, words: &[&str], patience: Duration) -> io::Result<Reply> {
        let mut bytes = Vec::new();
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        write_command(&mut bytes, &words);
        let answered = async {
            self.write(&bytes).await?;
            self.reply().await
        };
        tokio::time::timeout(patience, answered)
            .await
            .map_err(|_| io::ErrorKind::TimedOut)?
    }
}

/// Shows each complete value; returns their bytes.
fn show(bytes: &[u8], scanner: &mut ReplyScanner, each: &mut impl FnMut(&[u8])) -> io::Result<usize> {
    let mut used = 0;
    loop {
        let rest = bytes.get(used..).unwrap_or_default();
        match scanner.scan(rest).map_err(invalid)? {
            Some(end) => {
                each(rest.get(..end).unwrap_or_default());
                used += end;
            }
            None => return Ok(used),
        }
    }
}

fn invalid(error: ScanError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
