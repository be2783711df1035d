//! What did a server answer?
//!
//! Pure: RESP2, decoded.

use redis_protocol::resp2::types::OwnedFrame;

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `+OK`
    Status(String),
    /// An error line, without its `-`.
    Error(String),
    /// An integer.
    Integer(i64),
    /// A bulk string.
    Bulk(Vec<u8>),
    /// An array.
    Array(Vec<Reply>),
    /// Null.
    Null,
}

impl Reply {
    /// The text of a status, bulk string or integer; `None` for everything else.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Status(text) => Some(text.clone()),
            Self::Bulk(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Error(_) | Self::Array(_) | Self::Null => None,
        }
    }

    /// The elements of an array; none for everything else.
    pub fn elements(&self) -> &[Reply] {
        match self {
            Self::Array(elements) => elements,
            _ => &[],
        }
    }

    /// The value after `key` in an array of pairs, as Sentinel and RESP2 write maps.
    pub fn field(&self, key: &str) -> Option<&Reply> {
        let pairs = self.elements().chunks_exact(2);
        pairs
            .map(|pair| (&pair[0], &pair[1]))
            .find(|(name, _)| name.text().as_deref() == Some(key))
            .map(|(_, value)| value)
    }

    /// [`Self::field`], as text; empty when it is not there.
    pub fn field_text(&self, key: &str) -> String {
        self.field(key).and_then(Self::text).unwrap_or_default()
    }
}

impl From<OwnedFrame> for Reply {
    fn from(frame: OwnedFrame) -> Self {
        match frame {
            OwnedFrame::SimpleString(bytes) => Self::Status(String::from_utf8_lossy(&bytes).into_owned()),
            OwnedFrame::Error(line) => Self::Error(line),
            OwnedFrame::Integer(number) => Self::Integer(number),
            OwnedFrame::BulkString(bytes) => Self::Bulk(bytes),
            OwnedFrame::Array(frames) => Self::Array(frames.into_iter().map(Self::from).collect()),
            OwnedFrame::Null => Self::Null,
        }
    }
}
