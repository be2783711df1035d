//! What does TLS make of bytes?
//!
//! Pure, given a socket that does not block: the worker's reactor and its tasks wait for sockets in ways of their own, and both read and
//! write through this. What it takes to be written leaves at once, or with the next [`Sealed::flush`]: whoever serves the connection
//! has to see to that when there is room again.

use std::io::{self, ErrorKind, Read, Write};

use rustls::Connection;

/// One connection's keys, and what is between them and the socket.
#[derive(Debug)]
pub(crate) struct Sealed(Connection);

impl Sealed {
    /// Either end of a new connection.
    pub(crate) fn new(connection: impl Into<Connection>) -> Self {
        Self(connection.into())
    }

    /// Goes on with the handshake; whether it is over. When not, the socket is to be waited for: until there is something to read, and
    /// while [`Self::has_unsent`], until there is room.
    ///
    /// # Errors
    /// The other end has not proved who it is, does not like this one's proof, does not speak TLS, or is gone.
    pub(crate) fn shake_hands(&mut self, socket: &mut (impl Read + Write)) -> io::Result<bool> {
        loop {
            if !self.flush(socket)? {
                return Ok(false);
            }
            if !self.0.is_handshaking() {
                return Ok(true);
            }
            match self.0.read_tls(socket) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => self.open(socket)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// How many bytes have been read; none at the end of all, a goodbye or not: most clients just close.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`]: there is nothing for now. Any other: the connection is over.
    pub(crate) fn read(&mut self, socket: &mut (impl Read + Write), space: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.reader().read(space) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            self.0.read_tls(socket)?;
            self.open(socket)?;
        }
    }

    /// Makes of what has come what there is to read.
    fn open(&mut self, socket: &mut (impl Read + Write)) -> io::Result<()> {
        let opened = self.0.process_new_packets();
        // New keys are answered, and so is nonsense.
        if self.0.wants_write() {
            let flushed = self.flush(socket);
            opened.as_ref().map_err(invalid)?;
            flushed?;
        }
        opened.map(drop).map_err(|error| invalid(&error))
    }

    /// How many bytes have been taken. None before all that was taken earlier has left.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`]: there is no room for now. Any other: the connection is over.
    pub(crate) fn write(&mut self, socket: &mut (impl Read + Write), bytes: &[u8]) -> io::Result<usize> {
        if !self.flush(socket)? {
            return Err(ErrorKind::WouldBlock.into());
        }
        // The library's own bound of what waits (64 KiB) bounds this.
        let taken = self.0.writer().write(bytes)?;
        self.flush(socket)?;
        Ok(taken)
    }

    /// Whether all that was taken has left.
    ///
    /// # Errors
    /// The connection is over.
    pub(crate) fn flush(&mut self, socket: &mut impl Write) -> io::Result<bool> {
        while self.0.wants_write() {
            match self.0.write_tls(socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Something that was taken waits for room.
    pub(crate) fn has_unsent(&self) -> bool {
        self.0.wants_write()
    }

    /// Says that nothing follows, if there is room for it.
    pub(crate) fn say_goodbye(&mut self, socket: &mut impl Write) {
        self.0.send_close_notify();
        let _ = self.flush(socket);
    }
}

fn invalid(error: &rustls::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error.clone())
}
