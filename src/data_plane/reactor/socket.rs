//! What does a worker read from, and write to?
//!
//! Shell: a descriptor that does not block and its place in the [`Reactor`], which is given up with it.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::task::Poll;

use super::sealed::SealedSocket;
use super::{Owner, Reactor, Readiness};
use crate::data_plane::wake::Wake;
use crate::net::Wire;

/// A connection. Its owner is told when there is something to read again after there was not, or room to write.
pub(crate) struct Socket {
    kind: Kind,
    place: Held,
}

enum Kind {
    Plain(TcpStream),
    /// With TLS; the reactor has it leave what waits for room.
    Sealed(Rc<SealedSocket>),
}

/// A place in the reactor.
struct Held {
    reactor: Rc<Reactor>,
    at: usize,
    readiness: Rc<Readiness>,
    /// Whose other end is told when this is given up.
    sealed: Option<Rc<SealedSocket>>,
}

impl Held {
    fn of(
        reactor: &Rc<Reactor>,
        fd: impl AsFd,
        owner: Owner,
        sealed: Option<Rc<SealedSocket>>,
    ) -> io::Result<Self> {
        let (at, readiness) = reactor.add(fd, owner, sealed.clone())?;
        Ok(Self {
            reactor: Rc::clone(reactor),
            at,
            readiness,
            sealed,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(sealed) = &self.sealed {
            sealed.say_goodbye();
        }
        self.reactor.remove(self.at);
    }
}

impl Socket {
    /// Of a connection that does not block.
    ///
    /// # Errors
    /// The kernel will not watch it.
    pub(crate) fn new(reactor: &Rc<Reactor>, wire: Wire, owner: Owner) -> io::Result<Self> {
        let Wire { stream, sealed } = wire;
        let Some(sealed) = sealed else {
            let place = Held::of(reactor, &stream, owner, None)?;
            let kind = Kind::Plain(stream);
            return Ok(Self { kind, place });
        };
        let socket = Rc::new(SealedSocket::new(stream, sealed));
        let place = Held::of(reactor, &*socket, owner, Some(Rc::clone(&socket)))?;
        let kind = Kind::Sealed(socket);
        Ok(Self { kind, place })
    }

    /// How many bytes have been read, none at the end of all; `None`: there is nothing for now.
    ///
    /// # Errors
    /// The operating system's, or of TLS: the connection is over.
    #[inline]
    pub(crate) fn read(&self, space: &mut [u8]) -> io::Result<Option<usize>> {
        match &self.kind {
            Kind::Plain(stream) => read(stream, &self.place.readiness, space),
            Kind::Sealed(socket) => socket.read(&self.place.readiness, space),
        }
    }

    /// There may be something to read.
    #[inline]
    pub(crate) fn is_readable(&self) -> bool {
        let has_more = match &self.kind {
            Kind::Plain(_) => false,
            Kind::Sealed(socket) => socket.has_more(),
        };
        has_more || self.place.readiness.readable.get()
    }

    /// There may be room to write.
    #[inline]
    pub(crate) fn is_writable(&self) -> bool {
        self.place.readiness.writable.get()
    }

    /// How many bytes have been taken; `None`: there is no room for now.
    ///
    /// # Errors
    /// The operating system's, or of TLS: the connection is over.
    #[inline]
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<Option<usize>> {
        match &self.kind {
            Kind::Plain(stream) => write(stream, &self.place.readiness, bytes),
            Kind::Sealed(socket) => socket.write(&self.place.readiness, bytes),
        }
    }

    /// Something that was taken waits for room: whoever closes the connection now cuts it off.
    #[inline]
    pub(crate) fn has_unsent(&self) -> bool {
        match &self.kind {
            Kind::Plain(_) => false,
            Kind::Sealed(socket) => socket.has_unsent(),
        }
    }

    /// The connection, without its place.
    ///
    /// # Errors
    /// The operating system's: the connection is closed.
    pub(crate) fn into_wire(self) -> io::Result<Wire> {
        let Self { kind, mut place } = self;
        place.reactor.parts.epoll.delete(match &kind {
            Kind::Plain(stream) => stream.as_fd(),
            Kind::Sealed(socket) => socket.as_fd(),
        })?;
        place.sealed = None;
        drop(place);
        match kind {
            Kind::Plain(stream) => Ok(stream.into()),
            // The reactor's was the only other.
            Kind::Sealed(socket) => Rc::into_inner(socket)
                .map(SealedSocket::into_wire)
                .ok_or_else(|| io::Error::other("its connection is in use")),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.kind {
            Kind::Plain(stream) => stream.as_fd(),
            Kind::Sealed(socket) => socket.as_fd(),
        }
    }
}

/// As [`Socket::read`], without TLS.
#[inline]
pub(super) fn read(
    mut stream: &TcpStream,
    readiness: &Readiness,
    space: &mut [u8],
) -> io::Result<Option<usize>> {
    if !readiness.readable.get() {
        return Ok(None);
    }
    match stream.read(space) {
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

/// As [`Socket::write`], without TLS.
#[inline]
pub(super) fn write(
    mut stream: &TcpStream,
    readiness: &Readiness,
    bytes: &[u8],
) -> io::Result<Option<usize>> {
    if !readiness.writable.get() {
        return Ok(None);
    }
    match stream.write(bytes) {
        Ok(0) if !bytes.is_empty() => Err(io::ErrorKind::WriteZero.into()),
        Ok(count) => Ok(Some(count)),
        Err(error) => would_block(error, &readiness.writable).map(|()| None),
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
        let place = Held::of(reactor, &inner, Owner::Task(Rc::clone(&wake)), None)?;
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
