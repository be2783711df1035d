//! Where does a reply end?
//!
//! Pure: one counter of values still owed instead of recursion, so depth costs nothing; a position that only grows,
//! so a value that comes in a thousand pieces is looked at once. Decoding was rejected: a proxy needs the end, not
//! the meaning, and redis-protocol 6.0.0 recurses without bound and parses partial input again from its start.

use memchr::memchr;

use super::number::{parse_i64, short_header};
use crate::limits::REPLY_LINE_BYTES_MAX;

/// A bulk string that is not there, in RESP2.
const NULL_BULK: &[u8] = b"$-1\r\n";

/// Bytes that are not RESP. The connection they came from cannot be trusted any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// The first byte of a value is none of the types.
    #[error("unknown type byte 0x{0:02x}")]
    Type(u8),
    /// A length or count is not a number, is below -1, or is above what can be counted.
    #[error("invalid length or count in a header line")]
    Length,
    /// A header line does not end in CR LF, or a bulk string is not followed by them.
    #[error("expected CR LF")]
    Crlf,
    /// A line with a length or count is longer than [`REPLY_LINE_BYTES_MAX`].
    #[error("a length or count is longer than {REPLY_LINE_BYTES_MAX} bytes")]
    Line,
}

/// Finds the end of one RESP2 or RESP3 value after another, resumable at any byte.
///
/// The buffer given to [`Self::scan`] always begins with the value that is being scanned; it may have grown since the
/// last call.
#[derive(Debug, Default)]
pub struct ReplyScanner {
    /// Bytes of the present value known to belong to it.
    position: usize,
    /// From here on, no line end has been looked for yet.
    searched: usize,
    /// Bytes of a bulk string still to come, its CR LF included; 0 outside one.
    bulk_left: u64,
    /// Within a long line of text: its beginning has been scanned.
    in_line: bool,
    /// Values owed beyond the one at `position`; `None` before the first header.
    owed: Option<u64>,
}

impl ReplyScanner {
    /// A scanner at the start of a value.
    pub fn new() -> Self {
        Self::default()
    }

    /// The length of the value `buffer` begins with, or `None` while it is incomplete. After `Some` the scanner is at
    /// the start of the next value.
    ///
    /// Cost: each byte of a header is looked at once, bytes of a bulk string not at all.
    ///
    /// # Errors
    /// [`ScanError`]: close the connection; the scanner must not be used again.
    #[inline]
    pub fn scan(&mut self, buffer: &[u8]) -> Result<Option<usize>, ScanError> {
        loop {
            if self.bulk_left > 0 && !self.skip_bulk(buffer)? {
                return Ok(None);
            }
            if self.in_line && !self.skip_line(buffer)? {
                return Ok(None);
            }
            if self.owed == Some(0) {
                let end = self.position;
                *self = Self::default();
                return Ok(Some(end));
            }
            if let Some(owed) = self.owed {
                if self.skip_whole_values(buffer, owed) {
                    continue;
                }
            } else if let Some(end) = whole_value(buffer, self.position) {
                self.searched = 0;
                return Ok(Some(end));
            }
            let Some(line_end) = self.find_line_end(buffer)? else {
                if self.in_line {
                    continue;
                }
                return Ok(None);
            };
            let line = buffer.get(self.position..line_end).unwrap_or_default();
            self.position = line_end + 2;
            self.searched = self.position;
            self.header(line)?;
        }
    }

    /// How many bytes of the present value have been scanned: safe to pass on before the value is complete.
    pub fn scanned(&self) -> usize {
        self.position
    }

    /// How many bytes of a bulk string are still to come at [`Self::scanned`], CR LF included.
    pub fn bulk_left(&self) -> u64 {
        self.bulk_left
    }

    /// Tells the scanner that the first `count` bytes of the value, all of them scanned, have left the buffer.
    pub fn forget(&mut self, count: usize) {
        debug_assert!(count <= self.position);
        self.position -= count;
        self.searched = self.searched.saturating_sub(count);
    }

    /// True while nothing of the present value has been seen.
    pub fn at_start(&self) -> bool {
        self.owed.is_none() && self.position == 0
    }

    /// Goes on past what is there of the `owed` values, as long as they are simple; `true` when that was all.
    #[inline]
    fn skip_whole_values(&mut self, buffer: &[u8], mut owed: u64) -> bool {
        let mut position = self.position;
        while owed > 0
            && let Some(end) = whole_value(buffer, position)
        {
            position = end;
            owed -= 1;
        }
        self.searched = self.searched.max(position);
        self.position = position;
        self.owed = Some(owed);
        owed == 0
    }

    fn skip_bulk(&mut self, buffer: &[u8]) -> Result<bool, ScanError> {
        let available = buffer.len().saturating_sub(self.position) as u64;
        let taken = available.min(self.bulk_left);
        let before = self.bulk_left;
        self.bulk_left -= taken;
        self.position += taken as usize;
        self.searched = self.position;
        // The last two bytes are checked as they pass, whichever piece they come in.
        for (left, expected) in [(2, b'\r'), (1, b'\n')] {
            if before >= left && self.bulk_left < left {
                let at = self.position - (left - self.bulk_left) as usize;
                if buffer.get(at) != Some(&expected) {
                    return Err(ScanError::Crlf);
                }
            }
        }
        Ok(self.bulk_left == 0)
    }

    /// Position of the CR of the next line; `None` while it has not come.
    fn find_line_end(&mut self, buffer: &[u8]) -> Result<Option<usize>, ScanError> {
        let unseen = buffer.get(self.searched..).unwrap_or_default();
        let Some(offset) = memchr(b'\n', unseen) else {
            self.searched = buffer.len();
            if self.searched - self.position > REPLY_LINE_BYTES_MAX {
                self.begin_line(buffer)?;
            }
            return Ok(None);
        };
        let newline = self.searched + offset;
        // First, as when the line comes in pieces: the same bytes are refused for the same reason.
        if newline.saturating_sub(self.position) > REPLY_LINE_BYTES_MAX && !is_text(buffer, self.position) {
            return Err(ScanError::Line);
        }
        if newline <= self.position || buffer.get(newline - 1) != Some(&b'\r') {
            return Err(ScanError::Crlf);
        }
        Ok(Some(newline - 1))
    }

    /// The line at `position` is long, and its end has not come: takes what has come of it.
    fn begin_line(&mut self, buffer: &[u8]) -> Result<(), ScanError> {
        if !is_text(buffer, self.position) {
            return Err(ScanError::Line);
        }
        self.owed = Some(self.owed.unwrap_or(1) - 1);
        self.in_line = true;
        Ok(())
    }

    /// Goes on in a long line; `false` while its end has not come. A CR at the end of what has come stays unscanned, so
    /// that it is still there when its LF comes.
    fn skip_line(&mut self, buffer: &[u8]) -> Result<bool, ScanError> {
        let unseen = buffer.get(self.position..).unwrap_or_default();
        let Some(newline) = memchr(b'\n', unseen) else {
            self.position = buffer.len() - usize::from(unseen.last() == Some(&b'\r'));
            self.searched = self.position;
            return Ok(false);
        };
        if newline == 0 || unseen.get(newline - 1) != Some(&b'\r') {
            return Err(ScanError::Crlf);
        }
        self.position += newline + 1;
        self.searched = self.position;
        self.in_line = false;
        Ok(true)
    }

    fn header(&mut self, line: &[u8]) -> Result<(), ScanError> {
        // The value this header begins was owed; what it contains is owed on top.
        let owed = self.owed.unwrap_or(1) - 1;
        let Some((&kind, rest)) = line.split_first() else {
            return Err(ScanError::Type(b'\r'));
        };
        let inside = match kind {
            b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => 0,
            b'$' | b'!' | b'=' => {
                let length = length(rest)?;
                if length == Some(0) || length.is_some_and(|length| length > 0) {
                    self.bulk_left = length.unwrap_or(0) + 2;
                }
                0
            }
            b'*' | b'~' | b'>' => length(rest)?.unwrap_or(0),
            b'%' => length(rest)?.unwrap_or(0) * 2,
            // An attribute comes before the value it is about: that value is still owed.
            b'|' => length(rest)?.unwrap_or(0) * 2 + 1,
            other => return Err(ScanError::Type(other)),
        };
        self.owed = Some(owed.checked_add(inside).ok_or(ScanError::Length)?);
        Ok(())
    }
}

/// Where the value that begins at `position` ends, when all of it is there, nothing is wrong with it, and it is what most are: a bulk
/// string, or a short line of text or an integer.
#[inline]
pub(crate) fn whole_value(buffer: &[u8], position: usize) -> Option<usize> {
    match buffer.get(position)? {
        b'$' => whole_bulk(buffer, position),
        b'+' | b':' => whole_line(buffer, position),
        _ => None,
    }
}

/// A few bytes are looked at one by one, which takes 98 instructions for `+OK`; with memchr it took 247 (2026-11, `benches/instructions.rs`).
#[inline(never)]
fn whole_line(buffer: &[u8], position: usize) -> Option<usize> {
    const LINE_BYTES: usize = 24;
    let line = buffer.get(position..)?;
    let line = line.get(..LINE_BYTES).unwrap_or(line);
    let newline = line.iter().position(|&byte| byte == b'\n')?;
    (line.get(newline - 1) == Some(&b'\r')).then_some(position + newline + 1)
}

/// Where the bulk string, or its null, that begins at `position` ends, when all of it is there and nothing is wrong with it: what most
/// replies are, and most of what is in others.
///
/// Of 64 bytes it takes 92 instructions, as a line and its payload 245 (2026-11, `benches/instructions.rs`).
#[inline]
fn whole_bulk(buffer: &[u8], position: usize) -> Option<usize> {
    let Some((length, start)) = short_header(buffer, position, b'$') else {
        let is_null = buffer.get(position..)?.starts_with(NULL_BULK);
        return is_null.then_some(position + NULL_BULK.len());
    };
    let end = start + length;
    let is_whole = buffer.get(start - 1) == Some(&b'\n') && buffer.get(end..end + 2) == Some(b"\r\n");
    is_whole.then_some(end + 2)
}

/// Whether the line at `position` is text, or a number that is a value.
fn is_text(buffer: &[u8], position: usize) -> bool {
    matches!(buffer.get(position), Some(b'+' | b'-' | b':' | b',' | b'('))
}

/// A length or count: `None` for the null of RESP2 (`-1`).
fn length(digits: &[u8]) -> Result<Option<u64>, ScanError> {
    match parse_i64(digits) {
        Some(-1) => Ok(None),
        // A quarter of the range, so that twice a count and a little more cannot overflow.
        Some(value) if (0..i64::MAX / 4).contains(&value) => Ok(Some(value as u64)),
        _ => Err(ScanError::Length),
    }
}

/// Whether a complete value nests deeper than `depth_max` aggregates. To be asked before a recursive decoder sees it.
///
/// Cost: allocates one counter a level, at most `depth_max` of them.
pub fn nesting_exceeds(value: &[u8], depth_max: usize) -> bool {
    let mut open: Vec<u64> = Vec::new();
    let mut position = 0;
    while let Some(offset) = memchr(b'\n', value.get(position..).unwrap_or_default()) {
        let line = value.get(position..position + offset).unwrap_or_default();
        position += offset + 1;
        let Some((&kind, rest)) = line.split_first() else {
            break;
        };
        let count = parse_i64(rest.strip_suffix(b"\r").unwrap_or(rest))
            .unwrap_or(0)
            .max(0) as u64;
        let inside = match kind {
            b'$' | b'!' | b'=' => {
                if rest != b"-1\r" {
                    position = position.saturating_add(count as usize).saturating_add(2);
                }
                0
            }
            b'*' | b'~' | b'>' => count,
            b'%' | b'|' => count.saturating_mul(2),
            _ => 0,
        };
        if inside > 0 {
            if open.len() == depth_max {
                return true;
            }
            open.push(inside);
            continue;
        }
        // An attribute's own entries never close a level of their own: counting it as a value closes the parent a
        // value early, which only makes the depth measured larger.
        while let Some(left) = open.last_mut() {
            *left -= 1;
            if *left > 0 {
                break;
            }
            open.pop();
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(bytes: &[u8]) -> Result<Option<usize>, ScanError> {
        ReplyScanner::new().scan(bytes)
    }

    #[test]
    fn the_end_of_every_type_is_found() {
        let values: [&[u8]; 19] = [
            b"+OK\r\n",
            b"-ERR no\r\n",
            b":-12\r\n",
            b"$-1\r\n",
            b"*-1\r\n",
            b"$0\r\n\r\n",
            b"$5\r\na\r\nbc\r\n",
            b"*0\r\n",
            b"*2\r\n:1\r\n*1\r\n$1\r\nx\r\n",
            b"_\r\n",
            b",1.5\r\n",
            b"#t\r\n",
            b"(349\r\n",
            b"!3\r\nERR\r\n",
            b"=5\r\ntxt:a\r\n",
            b"%1\r\n+a\r\n~2\r\n:1\r\n:2\r\n",
            b">2\r\n+invalidate\r\n*0\r\n",
            b"|1\r\n+ttl\r\n:1\r\n$1\r\nx\r\n",
            b"%0\r\n",
        ];
        for value in values {
            let mut two = value.to_vec();
            two.extend_from_slice(b"+next");
            assert_eq!(whole(&two), Ok(Some(value.len())), "{}", value.escape_ascii());
            for cut in 0..value.len() {
                assert_eq!(
                    whole(&value[..cut]),
                    Ok(None),
                    "{} cut at {cut}",
                    value.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn bytes_that_are_not_resp_are_errors() {
        assert_eq!(whole(b"?x\r\n"), Err(ScanError::Type(b'?')));
        assert_eq!(whole(b"$-2\r\n"), Err(ScanError::Length));
        assert_eq!(whole(b"$?\r\n"), Err(ScanError::Length));
        assert_eq!(whole(b"*9223372036854775807\r\n"), Err(ScanError::Length));
        assert_eq!(whole(b"$1\r\nxyz"), Err(ScanError::Crlf));
        assert_eq!(whole(b"$1\r\nx\ry"), Err(ScanError::Crlf));
        assert_eq!(whole(b"+OK\n"), Err(ScanError::Crlf));
        assert_eq!(whole(b"\n"), Err(ScanError::Crlf));
        assert_eq!(whole(b"\r\n"), Err(ScanError::Type(b'\r')));
    }

    #[test]
    fn a_count_without_end_is_refused_at_its_bound() {
        let at = vec![b'$'; REPLY_LINE_BYTES_MAX];
        let past = vec![b'$'; REPLY_LINE_BYTES_MAX + 1];
        assert_eq!(whole(&at), Ok(None));
        assert_eq!(whole(&past), Err(ScanError::Line));
        assert_eq!(whole(&[past.as_slice(), b"\r\n"].concat()), Err(ScanError::Line));
        assert_eq!(whole(&[past.as_slice(), b"\n"].concat()), Err(ScanError::Line));
    }

    #[test]
    fn a_line_of_text_may_be_of_any_length_and_is_let_go_as_it_comes() {
        let text = vec![b'x'; REPLY_LINE_BYTES_MAX * 3];
        let value = [b"*2\r\n-".as_slice(), &text, b"\r\n:1\r\n"].concat();
        assert_eq!(whole(&value), Ok(Some(value.len())));
        let line_end = value.len() - b"\r\n:1\r\n".len();
        for cut in [REPLY_LINE_BYTES_MAX * 2, line_end, line_end + 1, line_end + 2] {
            let mut scanner = ReplyScanner::new();
            assert_eq!(scanner.scan(&value[..cut]), Ok(None));
            let gone = scanner.scanned();
            assert_eq!(gone, cut - usize::from(cut == line_end + 1), "all but a CR");
            scanner.forget(gone);
            assert_eq!(
                scanner.scan(&value[gone..]),
                Ok(Some(value.len() - gone)),
                "{cut}"
            );
        }
        let lone = [b"+".as_slice(), &text, b"\n"].concat();
        assert_eq!(whole(&lone), Err(ScanError::Crlf));
        let mut scanner = ReplyScanner::new();
        assert_eq!(scanner.scan(&lone[..lone.len() - 1]), Ok(None));
        assert_eq!(scanner.scan(&lone), Err(ScanError::Crlf));
    }

    #[test]
    fn a_hundred_thousand_levels_cost_one_counter() {
        let mut deep = b"*1\r\n".repeat(100_000);
        deep.extend_from_slice(b":1\r\n");
        assert_eq!(whole(&deep), Ok(Some(deep.len())));
        assert!(nesting_exceeds(&deep, 16));
    }

    #[test]
    fn counts_that_would_overflow_are_refused() {
        let huge = format!("*{}\r\n", i64::MAX / 4 - 1).repeat(10);
        assert_eq!(whole(huge.as_bytes()), Err(ScanError::Length));
    }

    #[test]
    fn nesting_is_counted_by_levels_not_by_values() {
        let flat = b"*3\r\n*1\r\n:1\r\n*1\r\n:1\r\n*1\r\n:1\r\n";
        assert!(!nesting_exceeds(flat, 2));
        assert!(nesting_exceeds(flat, 1));
    }

    proptest! {
        #[test]
        fn pieces_and_whole_agree(bytes in proptest::collection::vec(proptest::sample::select(b"*$+:-123\r\nab".to_vec()), 0..64), cut in 0usize..64) {
            let cut = cut.min(bytes.len());
            let mut scanner = ReplyScanner::new();
            let first = scanner.scan(&bytes[..cut]);
            let piecewise = match first { Ok(None) => scanner.scan(&bytes), done => done };
            prop_assert_eq!(piecewise, whole(&bytes));
        }

        #[test]
        fn forgetting_what_was_scanned_changes_nothing(payload in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..220) {
            let mut value = format!("*2\r\n:7\r\n${}\r\n", payload.len()).into_bytes();
            value.extend_from_slice(&payload);
            value.extend_from_slice(b"\r\n");
            let cut = cut.min(value.len() - 1);
            let mut scanner = ReplyScanner::new();
            prop_assert_eq!(scanner.scan(&value[..cut]), Ok(None));
            let gone = scanner.scanned();
            scanner.forget(gone);
            prop_assert_eq!(scanner.scan(&value[gone..]), Ok(Some(value.len() - gone)));
        }
    }
}
