//! Which keys are the bytes that a terminal sends?
//!
//! Pure: bytes in as they come, keys out. Not crossterm's events: of a key that comes together with a change of size it says
//! nothing until the next one is pressed, and on a terminal that has hung up it turns in circles (0.29). What is wanted here
//! are letters and a handful of others.

use super::screen::Key;

/// Bytes of an unfinished sequence that are kept: the longest that is known has three.
const SEQUENCE_MAX: usize = 16;
const ESCAPE: u8 = 0x1b;

/// Reads one terminal.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// The beginning of a sequence, or of nothing more than Escape.
    begun: Vec<u8>,
}

impl Keys {
    /// The keys that are complete with these bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        bytes.iter().filter_map(|&byte| self.take(byte)).collect()
    }

    /// Nothing has come for a while: what has begun was all of it.
    pub(super) fn pause(&mut self) -> Option<Key> {
        match std::mem::take(&mut self.begun).as_slice() {
            [ESCAPE] => Some(Key::Escape),
            _ => None,
        }
    }

    fn take(&mut self, byte: u8) -> Option<Key> {
        match (self.begun.as_slice(), byte) {
            ([], ESCAPE) => {
                self.begun.push(byte);
                None
            }
            ([], _) => key(byte),
            // Escape, and then something that begins no sequence: another key.
            ([ESCAPE], ESCAPE) => Some(Key::Escape),
            ([ESCAPE], b'[' | b'O') => {
                self.begun.push(byte);
                None
            }
            ([ESCAPE], _) => {
                self.begun.clear();
                // With Alt it is none of ours.
                None
            }
            // Numbers, and what is between them.
            (begun, 0x20..=0x3f) => {
                if begun.len() < SEQUENCE_MAX {
                    self.begun.push(byte);
                }
                None
            }
            (begun, last) => {
                let is_plain = begun.len() == 2;
                self.begun.clear();
                sequence(last).filter(|_| is_plain)
            }
        }
    }
}

fn key(byte: u8) -> Option<Key> {
    match byte {
        0x03 => Some(Key::Interrupt),
        b'\r' | b'\n' => Some(Key::Enter),
        b'\t' => Some(Key::NextRoute),
        0x08 | 0x7f => Some(Key::Backspace),
        b' '..=b'~' => Some(Key::Char(char::from(byte))),
        // Other controls, and what is not ASCII: no name, number or letter that is asked for has any.
        _ => None,
    }
}

/// The last byte of a cursor key's sequence.
fn sequence(last: u8) -> Option<Key> {
    match last {
        b'A' | b'D' | b'Z' => Some(Key::PreviousRoute),
        b'B' | b'C' => Some(Key::NextRoute),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Keys::default();
        let mut all = keys.feed(bytes);
        all.extend(keys.pause());
        all
    }

    #[test]
    fn letters_and_the_few_others_are_keys() {
        use Key::{Backspace, Char, Enter, Interrupt, NextRoute};
        assert_eq!(
            keys(b"b5.\r\x7f\t\x03"),
            [
                Char('b'),
                Char('5'),
                Char('.'),
                Enter,
                Backspace,
                NextRoute,
                Interrupt
            ]
        );
        assert_eq!(keys("\u{1}\u{0}ä€".as_bytes()), []);
    }

    #[test]
    fn arrows_are_told_from_escape_however_they_come_in_pieces() {
        use Key::{Char, Escape, NextRoute, PreviousRoute};
        assert_eq!(
            keys(b"\x1b[A\x1b[B\x1b[C\x1b[D\x1b[Z\x1bOA"),
            [
                PreviousRoute,
                NextRoute,
                NextRoute,
                PreviousRoute,
                PreviousRoute,
                PreviousRoute
            ]
        );
        let mut pieces = Keys::default();
        assert_eq!(pieces.feed(b"\x1b"), []);
        assert_eq!(pieces.feed(b"["), []);
        assert_eq!(pieces.feed(b"B"), [NextRoute]);
        assert_eq!(keys(b"\x1b"), [Escape]);
        assert_eq!(keys(b"\x1b\x1b"), [Escape, Escape]);
        assert_eq!(
            keys(b"\x1b[1;5A\x1b[3~\x1b[200~y\x1bb"),
            [Char('y')],
            "none of ours, and what is between them"
        );
        let mut later = Keys::default();
        assert_eq!((later.feed(b"\x1b["), later.pause()), (vec![], None));
        assert_eq!(later.feed(b"b"), [Char('b')]);
    }

    proptest! {
        #[test]
        fn no_bytes_are_kept_for_ever(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut keys = Keys::default();
            let all = keys.feed(&bytes);
            prop_assert!(all.len() <= bytes.len() && keys.begun.len() <= SEQUENCE_MAX);
            keys.pause();
            prop_assert_eq!(keys.feed(b"b"), [Key::Char('b')]);
        }
    }
}
