//! What is a connection that a task waits for?
//!
//! Shell: a socket of tokio's, and the TLS on it, if there is any.

use std::io::{self, ErrorKind, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::sealed::Sealed;
use super::wire::Wire;

/// A connection to a node or a Sentinel, or a client's.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: TcpStream,
    sealed: Option<Box<Sealed>>,
}

impl From<TcpStream> for Stream {
    /// Without TLS.
    fn from(socket: TcpStream) -> Self {
        let sealed = None;
        Self { socket, sealed }
    }
}

impl Stream {
    /// With TLS, once both ends have proved what they are asked for. The caller bounds the time.
    ///
    /// # Errors
    /// As [`Sealed::shake_hands`].
    pub(crate) async fn sealed(
        socket: TcpStream,
        connection: impl Into<rustls::Connection>,
    ) -> io::Result<Self> {
        let mut sealed = Box::new(Sealed::new(connection));
        while !sealed.shake_hands(&mut Ready(&socket))? {
            let wanted = match sealed.has_unsent() {
                true => Interest::READABLE | Interest::WRITABLE,
                false => Interest::READABLE,
            };
            socket.ready(wanted).await?;
        }
        let sealed = Some(sealed);
        Ok(Self { socket, sealed })
    }

    /// For somebody who waits in another way.
    ///
    /// # Errors
    /// The operating system's: the connection is closed.
    pub(crate) fn into_wire(self) -> io::Result<Wire> {
        Ok(Wire {
            stream: self.socket.into_std()?,
            sealed: self.sealed,
        })
    }

    /// Waited for by a task from now on.
    ///
    /// # Errors
    /// The operating system's: the connection is closed.
    pub(crate) fn of(wire: Wire) -> io::Result<Self> {
        Ok(Self {
            socket: TcpStream::from_std(wire.stream)?,
            sealed: wire.sealed,
        })
    }
}

/// A socket as it is at this moment.
struct Ready<'a>(&'a TcpStream);

impl Read for Ready<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(space)
    }
}

impl Write for Ready<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { socket, sealed } = self.get_mut();
        let Some(sealed) = sealed else {
            return Pin::new(socket).poll_read(cx, space);
        };
        // What was written before may wait for room, and its answer be what is read for. Who reads has nobody else to see to it.
        while sealed.has_unsent() && !sealed.flush(&mut Ready(socket))? {
            match socket.poll_write_ready(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => break,
            }
        }
        loop {
            match sealed.read(&mut Ready(socket), space.initialize_unfilled()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => ready!(socket.poll_read_ready(cx))?,
                read => {
                    space.advance(read?);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { socket, sealed } = self.get_mut();
        let Some(sealed) = sealed else {
            return Pin::new(socket).poll_write(cx, bytes);
        };
        loop {
            match sealed.write(&mut Ready(socket), bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => ready!(socket.poll_write_ready(cx))?,
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { socket, sealed } = self.get_mut();
        let Some(sealed) = sealed else {
            return Pin::new(socket).poll_flush(cx);
        };
        while !sealed.flush(&mut Ready(socket))? {
            ready!(socket.poll_write_ready(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { socket, sealed } = self.get_mut();
        if let Some(sealed) = sealed {
            sealed.say_goodbye(&mut Ready(socket));
        }
        Pin::new(socket).poll_shutdown(cx)
    }
}
