//! Which message is this, and is it whole?
//!
//! Pure. Every payload says in its first 16 bytes, the size of the smallest, who published it, on which channel, as
//! which one, how long it is and when it was due; the rest is a byte that its number gives.

/// Bytes of the smallest payload.
pub(super) const HEADER_BYTES: usize = 16;
/// Bytes of the largest: its length has three bytes of the header.
pub(super) const PAYLOAD_BYTES_MAX: usize = 0xff_ffff;

/// What a payload says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) publisher: u16,
    pub(super) channel: u16,
    /// Counts this publisher's messages on this channel from 1.
    pub(super) number: u32,
    /// Microseconds since the start, 40 bits of them: twelve days.
    pub(super) due_micros: u64,
}

impl Stamp {
    /// Appends a payload of `bytes`, within [`HEADER_BYTES`] and [`PAYLOAD_BYTES_MAX`].
    pub(super) fn write(&self, bytes: usize, into: &mut Vec<u8>) {
        let bytes = bytes.clamp(HEADER_BYTES, PAYLOAD_BYTES_MAX);
        into.extend_from_slice(&self.publisher.to_le_bytes());
        into.extend_from_slice(&self.channel.to_le_bytes());
        into.extend_from_slice(&self.number.to_le_bytes());
        into.extend_from_slice(&bytes.to_le_bytes()[..3]);
        into.extend_from_slice(&self.due_micros.to_le_bytes()[..5]);
        into.resize(into.len() + bytes - HEADER_BYTES, self.filling());
    }

    /// `None` when it is not a payload as it was written.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let (header, rest) = payload.split_first_chunk::<HEADER_BYTES>()?;
        let [p0, p1, c0, c1, n0, n1, n2, n3, l0, l1, l2, d0, d1, d2, d3, d4] = *header;
        let stamp = Self {
            publisher: u16::from_le_bytes([p0, p1]),
            channel: u16::from_le_bytes([c0, c1]),
            number: u32::from_le_bytes([n0, n1, n2, n3]),
            due_micros: u64::from_le_bytes([d0, d1, d2, d3, d4, 0, 0, 0]),
        };
        let length = u32::from_le_bytes([l0, l1, l2, 0]) as usize;
        let filling = stamp.filling();
        (length == payload.len() && rest.iter().all(|byte| *byte == filling)).then_some(stamp)
    }

    fn filling(&self) -> u8 {
        (self.number as u8) ^ 0x5a
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        publisher: 3,
        channel: 65_535,
        number: 4_000_000_000,
        due_micros: (1 << 40) - 1,
    };

    fn payload(bytes: usize) -> Vec<u8> {
        let mut payload = Vec::new();
        STAMP.write(bytes, &mut payload);
        payload
    }

    #[test]
    fn a_payload_of_any_size_says_what_it_is() {
        for bytes in [16, 17, 64 * 1024, PAYLOAD_BYTES_MAX] {
            assert_eq!(payload(bytes).len(), bytes);
            assert_eq!(Stamp::read(&payload(bytes)), Some(STAMP));
        }
    }

    #[test]
    fn what_is_cut_extended_or_changed_is_no_payload() {
        let whole = payload(100);
        assert_eq!(Stamp::read(&whole[..99]), None);
        assert_eq!(Stamp::read(&[&whole[..], b"x"].concat()), None);
        let mut changed = whole.clone();
        changed[50] ^= 1;
        assert_eq!(Stamp::read(&changed), None);
        assert_eq!(Stamp::read(&whole[..15]), None);
        assert_eq!(Stamp::read(b""), None);
    }
}
