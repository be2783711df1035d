//! What does a reply mean? For the few replies the proxy reads itself: Sentinel's, INFO, ROLE, its own admin socket's.
//!
//! Pure: decoding is redis-protocol's, behind the scanner and a bound on depth, because it recurses.

use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::types::OwnedFrame;

use super::{ReplyScanner, nesting_exceeds};
use crate::limits::DECODE_DEPTH_MAX;

/// A decoded RESP2 reply.
pub type Value = OwnedFrame;

/// A reply that has no meaning: nested too deep, or not RESP2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Nested deeper than any reply the proxy asks for.
    #[error("a reply is nested deeper than {DECODE_DEPTH_MAX}")]
    TooDeep,
    /// Not one complete RESP2 value.
    #[error("a reply is not RESP2")]
    Malformed,
}

/// Decodes exactly one complete reply.
///
/// # Errors
/// When `bytes` are not that. The peer is at fault; the connection is of no use any more.
pub fn decode_value(bytes: &[u8]) -> Result<Value, DecodeError> {
    if nesting_exceeds(bytes, DECODE_DEPTH_MAX) {
        return Err(DecodeError::TooDeep);
    }
    match ReplyScanner::new().scan(bytes) {
        Ok(Some(end)) if end == bytes.len() => {}
        _ => return Err(DecodeError::Malformed),
    }
    match decode(bytes) {
        Ok(Some((value, used))) if used == bytes.len() => Ok(value),
        _ => Err(DecodeError::Malformed),
    }
}

/// The text of a simple or bulk string, or an integer's digits; `None` for anything else. Bytes that are not UTF-8
/// are replaced: such text is only ever compared or shown.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::SimpleString(bytes) | Value::BulkString(bytes) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
        Value::Integer(number) => Some(number.to_string()),
        Value::Error(_) | Value::Array(_) | Value::Null => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_whole_reply_is_decoded_and_nothing_else() {
        let value = decode_value(b"*2\r\n$1\r\na\r\n:5\r\n").unwrap();
        let Value::Array(items) = value else {
            panic!("{value:?}")
        };
        assert_eq!(text(&items[0]).as_deref(), Some("a"));
        assert_eq!(text(&items[1]).as_deref(), Some("5"));
        assert_eq!(decode_value(b"+OK\r\n+OK\r\n"), Err(DecodeError::Malformed));
        assert_eq!(decode_value(b"$5\r\nab"), Err(DecodeError::Malformed));
        assert_eq!(
            decode_value(&b"*1\r\n".repeat(100_000)),
            Err(DecodeError::TooDeep)
        );
    }

    proptest! {
        #[test]
        fn no_bytes_can_panic_the_decoder(bytes: Vec<u8>) {
            let _ = decode_value(&bytes);
        }
    }
}
