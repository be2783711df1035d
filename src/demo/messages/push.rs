//! What did a subscriber read?
//!
//! Pure: one complete RESP2 value, its parts by reference: a decoder's copy of every payload would be most of the work.

/// A value, as far as a subscriber cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Push<'a> {
    /// Through a subscription to the channel.
    Message { channel: &'a [u8], payload: &'a [u8] },
    /// Through a subscription to a pattern.
    PatternMessage {
        pattern: &'a [u8],
        channel: &'a [u8],
        payload: &'a [u8],
    },
    /// Of SUBSCRIBE or PSUBSCRIBE.
    Confirmation,
    /// Anything else: nothing a subscriber asked for.
    Other,
}

impl<'a> Push<'a> {
    pub(super) fn read(value: &'a [u8]) -> Self {
        let mut parts = Parts(value);
        let parsed = parts.count().and_then(|count| {
            let kind = parts.bulk()?;
            match (count, kind) {
                (3, b"message") => Some(Self::Message {
                    channel: parts.bulk()?,
                    payload: parts.bulk()?,
                }),
                (4, b"pmessage") => Some(Self::PatternMessage {
                    pattern: parts.bulk()?,
                    channel: parts.bulk()?,
                    payload: parts.bulk()?,
                }),
                (3, b"subscribe" | b"psubscribe") => Some(Self::Confirmation),
                _ => None,
            }
        });
        parsed.unwrap_or(Self::Other)
    }
}

struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn count(&mut self) -> Option<usize> {
        self.header(b'*')
    }

    fn bulk(&mut self) -> Option<&'a [u8]> {
        let bytes = self.header(b'$')?;
        let (part, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest.strip_prefix(b"\r\n")?;
        Some(part)
    }

    fn header(&mut self, kind: u8) -> Option<usize> {
        let rest = self.0.strip_prefix(&[kind])?;
        let end = memchr::memchr(b'\r', rest)?;
        let (digits, rest) = rest.split_at_checked(end)?;
        self.0 = rest.strip_prefix(b"\r\n")?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_confirmations_and_the_rest_are_told_apart() {
        assert_eq!(
            Push::read(b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\na\r\nb\r\n"),
            Push::Message {
                channel: b"c",
                payload: b"a\r\nb"
            }
        );
        assert_eq!(
            Push::read(b"*4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$2\r\ncd\r\n$0\r\n\r\n"),
            Push::PatternMessage {
                pattern: b"c*",
                channel: b"cd",
                payload: b""
            }
        );
        assert_eq!(
            Push::read(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"),
            Push::Confirmation
        );
        for other in [
            &b"+PONG\r\n"[..],
            b"-ERR no\r\n",
            b"*0\r\n",
            b"*3\r\n$-1\r\n",
            b"*3\r\n$7\r\nmessage\r\n$9\r\nc\r\n",
            b"*4\r\n$7\r\nmessage\r\n$1\r\nc\r\n",
            b"",
        ] {
            assert_eq!(Push::read(other), Push::Other, "{}", other.escape_ascii());
        }
    }
}
