//! How are many commands sent at once, and their replies read one by one?
//!
//! Shell: one blocking connection that keeps replies as bytes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use switchback::cluster::NodeAddr;
use switchback::resp::{ReplyScanner, write_command};

/// A pipeline that may not fit into the sockets' buffers is written beside the reading.
const WRITTEN_FIRST_BYTES: usize = 32 * 1024;
/// Tests may leave no processor idle.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Where what has not been returned begins.
    at: usize,
}

impl Connection {
    pub(crate) fn open(address: &NodeAddr) -> Self {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            buffer: Vec::new(),
            at: 0,
        }
    }

    /// Sends `requests` and returns `count` replies; fewer when the connection is closed before.
    pub(crate) fn exchange(&mut self, requests: &[u8], count: usize) -> Vec<Vec<u8>> {
        let mut writing = self.stream.try_clone().unwrap();
        if requests.len() < WRITTEN_FIRST_BYTES {
            writing.write_all(requests).unwrap();
            return self.read(count);
        }
        std::thread::scope(|scope| {
            scope.spawn(move || writing.write_all(requests));
            self.read(count)
        })
    }

    fn read(&mut self, count: usize) -> Vec<Vec<u8>> {
        (0..count).map_while(|_| self.answer()).collect()
    }

    /// The next reply that answers something: who listens to nothing has pushes of what it tracks, in nobody's order.
    fn answer(&mut self) -> Option<Vec<u8>> {
        std::iter::from_fn(|| Some(self.reply()))
            .find(|reply| !matches!(reply, Some(bytes) if bytes.starts_with(b">")))?
    }

    pub(crate) fn send(&mut self, requests: &[u8]) {
        self.stream.write_all(requests).unwrap();
    }

    /// One command with plain words.
    pub(crate) fn call(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let mut request = Vec::new();
        write_command(&mut request, words);
        self.exchange(&request, 1).pop().expect("a reply")
    }

    /// `None` when the connection is closed.
    pub(crate) fn reply(&mut self) -> Option<Vec<u8>> {
        let mut scanner = ReplyScanner::new();
        loop {
            if let Some(end) = scanner.scan(&self.buffer[self.at..]).expect("RESP") {
                let reply = self.buffer[self.at..self.at + end].to_vec();
                self.at += end;
                return Some(reply);
            }
            self.buffer.drain(..self.at);
            self.at = 0;
            let mut chunk = [0; 64 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                // Told as a difference, with what was sent.
                Err(_) => return Some(b"-NOREPLY in time".to_vec()),
            }
        }
    }

    /// Whether it has been closed by the peer, everything before having been read.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.answer().is_none()
    }
}
