//! What is a connection that nobody waits for?
//!
//! Pure: the two parts of one, on their way from whom has made it to whom is to serve it.

use std::net::TcpStream;

use super::sealed::Sealed;

/// A socket that does not block, and the TLS on it, if there is any: its handshake is over.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    pub(crate) sealed: Option<Box<Sealed>>,
}

impl From<TcpStream> for Wire {
    /// Without TLS.
    fn from(stream: TcpStream) -> Self {
        let sealed = None;
        Self { stream, sealed }
    }
}
