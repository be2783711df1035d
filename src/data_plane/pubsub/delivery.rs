//! What does a client with subscriptions see on the wire?
//!
//! Pure: the one place that writes deliveries, confirmations and pongs. A message is passed on as the node wrote it, in RESP2;
//! for RESP3, where it is a push, its first byte is another one: nothing is encoded a second time.

use bytes::Bytes;

use crate::data_plane::command::TopicKind;
use crate::resp::{Protocol, write_command};

/// A message on its way to many clients.
pub(crate) enum Delivery<'a> {
    /// Small: each client's output gets a copy.
    Copied(&'a [u8]),
    /// Large: each client's output holds a reference.
    Shared(&'a Bytes),
}

impl Delivery<'_> {
    /// Its bytes, as a client of RESP2 gets them.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Copied(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// The head of a message as a node sends it: what it matched, and where it was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    pub(crate) kind: TopicKind,
    /// The channel, or the pattern that matched.
    pub(crate) topic: &'a [u8],
    pub(crate) channel: &'a [u8],
}

/// The head of a message of which `bytes` are all or the beginning; `None` for what is not a message, or not far enough.
#[inline]
pub(crate) fn head(bytes: &[u8]) -> Option<Head<'_>> {
    let rest = bytes
        .strip_prefix(b"*3\r\n")
        .or_else(|| bytes.strip_prefix(b"*4\r\n"))?;
    let (word, rest) = bulk(rest)?;
    let kind = match word {
        b"message" => TopicKind::Channel,
        b"pmessage" => TopicKind::Pattern,
        b"smessage" => TopicKind::Shard,
        _ => return None,
    };
    let (topic, rest) = bulk(rest)?;
    let channel = match kind {
        TopicKind::Pattern => bulk(rest)?.0,
        TopicKind::Channel | TopicKind::Shard => topic,
    };
    Some(Head { kind, topic, channel })
}

/// The bulk string `bytes` begin with, and what follows it.
#[inline]
fn bulk(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = bytes.strip_prefix(b"$")?;
    let end = memchr::memchr(b'\r', rest)?;
    let length = crate::resp::parse_i64(rest.get(..end)?)?;
    let start = end + 2;
    let stop = start.checked_add(usize::try_from(length).ok()?)?;
    Some((rest.get(start..stop)?, rest.get(stop + 2..)?))
}

/// `message`, made by the proxy.
pub(crate) fn message(channel: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_command(&mut bytes, &[b"message", channel, payload]);
    bytes
}

/// Appends a confirmation of a subscription (`is_on`) or of its end, with the client's own count; without a name it is the
/// answer to an UNSUBSCRIBE of nothing.
pub(crate) fn confirmation(
    into: &mut Vec<u8>,
    protocol: Protocol,
    kind: TopicKind,
    is_on: bool,
    name: Option<&[u8]>,
    count: usize,
) {
    let word = match (kind, is_on) {
        (TopicKind::Channel, true) => "$9\r\nsubscribe",
        (TopicKind::Pattern, true) => "$10\r\npsubscribe",
        (TopicKind::Shard, true) => "$10\r\nssubscribe",
        (TopicKind::Channel, false) => "$11\r\nunsubscribe",
        (TopicKind::Pattern, false) => "$12\r\npunsubscribe",
        (TopicKind::Shard, false) => "$12\r\nsunsubscribe",
    };
    let mut digits = itoa::Buffer::new();
    into.push(protocol.push());
    into.extend_from_slice(b"3\r\n");
    into.extend_from_slice(word.as_bytes());
    match name {
        Some(name) => {
            into.extend_from_slice(b"\r\n$");
            into.extend_from_slice(digits.format(name.len()).as_bytes());
            into.extend_from_slice(b"\r\n");
            into.extend_from_slice(name);
        }
        None => {
            into.extend_from_slice(b"\r\n");
            into.extend_from_slice(protocol.null().trim_ascii_end());
        }
    }
    into.extend_from_slice(b"\r\n:");
    into.extend_from_slice(digits.format(count).as_bytes());
    into.extend_from_slice(b"\r\n");
}

/// PING's reply to a client with subscriptions.
pub(crate) fn pong(argument: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_command(&mut bytes, &[b"pong", argument]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_is_known_by_its_head_before_its_payload_is_there() {
        let whole = message(b"news", b"payload");
        let expected = Some(Head {
            kind: TopicKind::Channel,
            topic: b"news",
            channel: b"news",
        });
        assert_eq!(head(&whole), expected);
        let header = whole.len() - b"payload\r\n".len();
        assert_eq!(head(&whole[..header]), expected);
        assert_eq!(head(&whole[..20]), None);
        let pattern = b"*4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$1\r\nx\r\n";
        let expected = Head {
            kind: TopicKind::Pattern,
            topic: b"n*",
            channel: b"news",
        };
        assert_eq!(head(pattern), Some(expected));
    }

    #[test]
    fn a_confirmation_is_no_message() {
        let mut bytes = Vec::new();
        confirmation(
            &mut bytes,
            Protocol::Resp2,
            TopicKind::Channel,
            true,
            Some(b"message"),
            1,
        );
        assert_eq!(bytes, b"*3\r\n$9\r\nsubscribe\r\n$7\r\nmessage\r\n:1\r\n");
        assert_eq!(head(&bytes), None);
        assert_eq!(head(b"$1\r\n7\r\n"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, tail: Vec<u8>) {
            let _ = head(&bytes);
            let _ = head(&[&b"*3\r\n$7\r\nmessage\r\n$"[..], &tail].concat());
        }
    }
}
