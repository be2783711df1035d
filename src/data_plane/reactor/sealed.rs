//! How does a worker read from and write to a connection with TLS?
//!
//! Shell: as a [`super::Socket`] without it, but that what has been taken to be written may wait for room while its owner has nothing
//! more to write: then the reactor has it leave.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

use super::{Readiness, socket};
use crate::net::{Sealed, Wire};

pub(super) struct SealedSocket {
    stream: TcpStream,
    sealed: RefCell<Box<Sealed>>,
    /// What has been opened may not have been read.
    has_more: Cell<bool>,
}

impl SealedSocket {
    pub(super) fn new(stream: TcpStream, sealed: Box<Sealed>) -> Self {
        Self {
            stream,
            sealed: RefCell::new(sealed),
            // Of what came with the end of the handshake the kernel does not tell.
            has_more: Cell::new(true),
        }
    }

    pub(super) fn has_more(&self) -> bool {
        self.has_more.get()
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.sealed.borrow().has_unsent()
    }

    /// As [`super::Socket::read`].
    pub(super) fn read(&self, readiness: &Readiness, space: &mut [u8]) -> io::Result<Option<usize>> {
        if !self.has_more.get() && !readiness.readable.get() {
            return Ok(None);
        }
        self.ask(readiness, |sealed, socket| {
            let read = sealed.read(socket, space);
            let is_full = matches!(read, Ok(count) if count == space.len());
            self.has_more.set(is_full);
            read
        })
    }

    /// As [`super::Socket::write`].
    pub(super) fn write(&self, readiness: &Readiness, bytes: &[u8]) -> io::Result<Option<usize>> {
        if !readiness.writable.get() {
            return Ok(None);
        }
        self.ask(readiness, |sealed, socket| sealed.write(socket, bytes))
    }

    /// There may be room for what waits. Of an error its owner hears when it reads.
    pub(super) fn leave(&self, readiness: &Readiness) {
        let _ = self.ask(readiness, |sealed, socket| sealed.flush(socket));
    }

    fn ask<T>(
        &self,
        readiness: &Readiness,
        ask: impl FnOnce(&mut Sealed, &mut Now<'_>) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        let stream = &self.stream;
        match ask(&mut self.sealed.borrow_mut(), &mut Now { stream, readiness }) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Says that nothing follows.
    pub(super) fn say_goodbye(&self) {
        self.sealed.borrow_mut().say_goodbye(&mut &self.stream);
    }

    pub(super) fn into_wire(self) -> Wire {
        Wire {
            stream: self.stream,
            sealed: Some(self.sealed.into_inner()),
        }
    }
}

impl AsFd for SealedSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// A socket as it is at this moment, of which what it cannot do is remembered.
struct Now<'a> {
    stream: &'a TcpStream,
    readiness: &'a Readiness,
}

impl Read for Now<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let read = socket::read(self.stream, self.readiness, space)?;
        read.ok_or_else(|| ErrorKind::WouldBlock.into())
    }
}

impl Write for Now<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = socket::write(self.stream, self.readiness, bytes)?;
        written.ok_or_else(|| ErrorKind::WouldBlock.into())
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if !self.readiness.writable.get() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let written = self.stream.write_vectored(pieces);
        if written
            .as_ref()
            .is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
        {
            self.readiness.writable.set(false);
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
