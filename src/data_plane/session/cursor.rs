//! What does the cursor of a SCAN say?
//!
//! Pure. A scan goes over `old` and then over `new`, and a key is told by the side that owned it when the scan began. So
//! every key has one side to be told by, however the weight moves meanwhile, and a client that comes back has to bring
//! along when it began, and which side it is at. All three go into one number: nothing is kept for scans that are never
//! finished. The whole stays below 2^53, as there are clients that read it as a floating-point number.
//!
//! A scan that began at weight 0 has the server's own cursors.

use crate::cluster::Side;
use crate::routing::Weight;

/// Bits of a server's cursor, which is below the size of its hash table: room for 2^38 keys, which are some 13 TB.
const SERVER_BITS: u32 = 38;
const WEIGHT_BITS: u32 = 14;
const SERVER_MAX: u64 = (1 << SERVER_BITS) - 1;
const WEIGHT_MAX: u64 = (1 << WEIGHT_BITS) - 1;

/// Where a scan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// When it began.
    pub(super) weight: Weight,
    /// Where it is.
    pub(super) side: Side,
    /// The server's own.
    pub(super) server: u64,
}

impl Cursor {
    /// A scan begins. `raw`: 0, or a number that was never given out, of which a server would take as much.
    pub(super) fn begin(raw: u64, weight: Weight) -> Self {
        Self {
            weight,
            side: first(weight),
            server: raw & SERVER_MAX,
        }
    }

    /// A number that [`Self::number`] gave; `None` for others, and for 0.
    pub(super) fn of(number: u64) -> Option<Self> {
        let steps = (number >> SERVER_BITS) & WEIGHT_MAX;
        let side = match number >> (SERVER_BITS + WEIGHT_BITS) {
            0 => Side::Old,
            1 => Side::New,
            _ => return None,
        };
        let weight = Weight::from_steps(u16::try_from(steps).ok()?)?;
        let owns = match side {
            Side::Old => weight != Weight::FULL,
            Side::New => weight != Weight::ZERO,
        };
        (owns && number != 0).then_some(Self {
            weight,
            side,
            server: number & SERVER_MAX,
        })
    }

    /// As the client gets it; `None` when the server's is too large.
    fn number(self) -> Option<u64> {
        let side = match self.side {
            Side::Old => 0,
            Side::New => 1,
        };
        let begun = side << WEIGHT_BITS | u64::from(self.weight.steps());
        (self.server <= SERVER_MAX).then_some(begun << SERVER_BITS | self.server)
    }

    /// What the client gets when the server has answered with a cursor of its own: 0 at the end of the last side.
    pub(super) fn next(self, server: u64) -> Option<u64> {
        let next = match (server, self.side) {
            (0, Side::Old) if self.weight != Weight::ZERO => Self {
                side: Side::New,
                server: 0,
                ..self
            },
            (0, _) => return Some(0),
            _ => Self { server, ..self },
        };
        next.number()
    }
}

/// The side a scan begins on: one that owns something.
fn first(weight: Weight) -> Side {
    if weight == Weight::FULL {
        Side::New
    } else {
        Side::Old
    }
}

/// A cursor as Redis reads it (`strtoul`, up to a NUL); `None` for what it calls invalid.
pub(super) fn read(argument: &[u8]) -> Option<u64> {
    let text = argument.split(|byte| *byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0);
    }
    let (negative, digits) = match text.split_first() {
        Some((b'-', digits)) => (true, digits),
        Some((b'+', digits)) => (false, digits),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = std::str::from_utf8(digits).ok()?.parse::<u64>().ok()?;
    Some(if negative { number.wrapping_neg() } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_it_was_and_fits_a_double(steps in 0..=10_000u16, server in 0..=SERVER_MAX) {
            let weight = Weight::from_steps(steps).unwrap();
            let begun = Cursor::begin(0, weight);
            let number = begun.next(server).unwrap();
            prop_assert!(number < 1 << 53);
            if server != 0 {
                prop_assert_eq!(Cursor::of(number), Some(Cursor { server, ..begun }));
            }
        }

        #[test]
        fn no_number_panics(number: u64, weight in 0..=10_000u16) {
            let cursor = Cursor::of(number).unwrap_or(Cursor::begin(number, Weight::from_steps(weight).unwrap()));
            let _ = cursor.next(number);
        }
    }

    #[test]
    fn a_scan_that_began_at_0_has_the_servers_own_cursors_and_one_side() {
        let begun = Cursor::begin(0, Weight::ZERO);
        assert_eq!(begun.next(17), Some(17));
        assert_eq!(Cursor::of(17), Some(Cursor { server: 17, ..begun }));
        assert_eq!(begun.next(0), Some(0));
    }

    #[test]
    fn a_scan_goes_over_old_and_then_over_new() {
        let half = Weight::from_steps(5_000).unwrap();
        let old = Cursor::begin(0, half);
        let new = Cursor::of(old.next(0).unwrap()).unwrap();
        assert_eq!((old.side, new.side, new.weight), (Side::Old, Side::New, half));
        assert_eq!(new.next(0), Some(0));
        let full = Cursor::begin(0, Weight::FULL);
        assert_eq!((full.side, full.next(0)), (Side::New, Some(0)));
    }

    #[test]
    fn a_server_with_larger_cursors_is_not_taken_at_half_its_word() {
        assert_eq!(Cursor::begin(0, Weight::FULL).next(SERVER_MAX + 1), None);
    }

    #[test]
    fn cursors_are_read_as_redis_reads_them() {
        for (text, number) in [
            ("0", 0),
            ("", 0),
            ("\0", 0),
            ("007", 7),
            ("+5", 5),
            ("5\0x", 5),
            ("-1", u64::MAX),
        ] {
            assert_eq!(read(text.as_bytes()), Some(number), "{text:?}");
        }
        for text in [
            "x",
            " 1",
            "1 ",
            "-",
            "+",
            "- 5",
            "0x1",
            "18446744073709551616",
            "1.0",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text:?}");
        }
    }
}
