//! Which version of the protocol does a connection speak?
//!
//! Pure: the few replies that the proxy writes itself and that differ between the two.

/// RESP2 until HELLO says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Every server and client speaks it.
    #[default]
    Resp2,
    /// Since Redis 6.
    Resp3,
}

impl Protocol {
    /// The version HELLO asks for.
    pub const fn of_version(version: i64) -> Option<Self> {
        match version {
            2 => Some(Self::Resp2),
            3 => Some(Self::Resp3),
            _ => None,
        }
    }

    /// The request that asks for it.
    pub const fn hello(self) -> &'static [u8] {
        match self {
            Self::Resp2 => b"*2\r\n$5\r\nHELLO\r\n$1\r\n2\r\n",
            Self::Resp3 => b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n",
        }
    }

    /// Nothing, where there might have been a string.
    pub const fn null(self) -> &'static [u8] {
        match self {
            Self::Resp2 => b"$-1\r\n",
            Self::Resp3 => b"_\r\n",
        }
    }

    /// Nothing, where there might have been an array.
    pub const fn null_array(self) -> &'static [u8] {
        match self {
            Self::Resp2 => b"*-1\r\n",
            Self::Resp3 => b"_\r\n",
        }
    }

    /// The first byte of a message or of a subscription's confirmation: an array, or a push.
    pub const fn push(self) -> u8 {
        match self {
            Self::Resp2 => b'*',
            Self::Resp3 => b'>',
        }
    }
}
