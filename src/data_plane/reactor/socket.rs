//! What does a worker read from, and write to?
//!
//! Shell: a descriptor that does not block and its place in the [`Reactor`], which is given up with it.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::task::Poll;

use super::{Owner, Reactor, Readiness};
use crate::data_plane::wake::Wake;

/// A connection. Its owner is told when there is something to read again after there was not, or room to write.
pub(crate) struct Socket {
    stream: TcpStream,
    place: Held,
}

/// A place in the reactor.
struct Held {
    reactor: Rc<Reactor>,
    at: usize,
    readiness: Rc<Readiness>,
}

impl Held {
    fn of(reactor: &Rc<Reactor>, fd: impl AsFd, owner: Owner) -> io::Result<Self> {
        let (at, readiness) = reactor.add(fd, owner)?;
        Ok(Self {
            reactor: Rc::clone(reactor),
            at,
            readiness,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.reactor.remove(self.at);
    }
}

impl Socket {
    /// Of a connection that does not block.
    ///
    /// # Errors
    /// The kernel will not watch it.
    pub(crate) fn new(reactor: &Rc<Reactor>, stream: TcpStream, owner: Owner) -> io::Result<Self> {
        let place = Held::of(reactor, &stream, owner)?;
        Ok(Self { stream, place })
    }

    /// How many bytes have been read, none at the end of all; `None`: there is nothing for now.
    ///
    /// # Errors
    /// The operating system's: the connection is over.
    #[inline]
    pub(crate) fn read(&self, space: &mut [u8]) -> io::Result<Option<usize>> {
        let readiness = &self.place.readiness;
        if !readiness.readable.get() {
            return Ok(None);
        }
        match (&self.stream).read(space) {
            Ok(count) => {
                // All that there was: of what comes after it the kernel tells.
                if count < space.len() && !readiness.ended.get() {
                    readiness.readable.set(false);
                }
                Ok(Some(count))
            }
            Err(error) => would_block(error, &readiness.readable).map(|()| None),
        }
    }

    /// There may be something to read.
    #[inline]
    pub(crate) fn is_readable(&self) -> bool {
        self.place.readiness.readable.get()
    }

    /// There may be room to write.
    #[inline]
    pub(crate) fn is_writable(&self) -> bool {
        self.place.readiness.writable.get()
    }

    /// How many bytes have been taken; `None`: there is no room for now.
    ///
    /// # Errors
    /// The operating system's: the connection is over.
    #[inline]
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<Option<usize>> {
        let readiness = &self.place.readiness;
        if !readiness.writable.get() {
            return Ok(None);
        }
        match (&self.stream).write(bytes) {
            Ok(0) if !bytes.is_empty() => Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => Ok(Some(count)),
            Err(error) => would_block(error, &readiness.writable).map(|()| None),
        }
    }

    /// The connection, without its place.
    ///
    /// # Errors
    /// The operating system's: the connection is closed.
    pub(crate) fn into_std(self) -> io::Result<TcpStream> {
        self.place.reactor.parts.epoll.delete(&self.stream)?;
        Ok(self.stream)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn would_block(error: io::Error, ready: &Cell<bool>) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::WouldBlock => {
            ready.set(false);
            Ok(())
        }
        _ => Err(error),
    }
}

/// Anything else that one task waits for.
pub(crate) struct Watched<T> {
    inner: T,
    place: Held,
    wake: Rc<Wake>,
}

impl<T: AsFd> Watched<T> {
    /// # Errors
    /// The kernel will not watch it.
    pub(crate) fn new(reactor: &Rc<Reactor>, inner: T) -> io::Result<Self> {
        let wake = Rc::new(Wake::default());
        let place = Held::of(reactor, &inner, Owner::Task(Rc::clone(&wake)))?;
        Ok(Self { inner, place, wake })
    }

    pub(crate) fn get(&self) -> &T {
        &self.inner
    }

    /// What `read` has to give, as soon as it does not say any more that it would block.
    ///
    /// # Errors
    /// Any other of its.
    pub(crate) async fn readable<R>(&self, mut read: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        std::future::poll_fn(|cx| {
            self.wake.polled(cx);
            let readable = &self.place.readiness.readable;
            if !readable.get() {
                return Poll::Pending;
            }
            match read(&self.inner) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    readable.set(false);
                    Poll::Pending
                }
                result => Poll::Ready(result),
            }
        })
        .await
    }
}
