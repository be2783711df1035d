//! Does the reply scanner find the ends that a full decoder finds, in whatever pieces the bytes come?
//!
//! The first byte of an input says how the rest is cut into pieces.

use redis_protocol::{resp2, resp3};
use switchback::limits::DECODE_DEPTH_MAX;
use switchback::resp::{ReplyScanner, ScanError, nesting_exceeds};

/// Aggregates in bytes that may be no whole value, beyond which the recursive decoder is not asked about them.
const AGGREGATES_MAX: usize = 64;

type Scanned = Result<Option<usize>, ScanError>;

/// Panics when the scanner contradicts itself or redis-protocol.
pub fn check(input: &[u8]) {
    let Some((&cut, value)) = input.split_first() else {
        return;
    };
    let whole = ReplyScanner::new().scan(value);
    let piece = usize::from(cut) + 1;
    assert_eq!(in_pieces(value, piece), whole, "in pieces of {piece}");
    assert_eq!(passed_on(value, piece), whole, "passed on in pieces of {piece}");
    if let Ok(Some(end)) = whole {
        assert!(0 < end && end <= value.len());
        assert_eq!(
            ReplyScanner::new().scan(&value[..end]),
            whole,
            "what follows counts"
        );
        assert_eq!(
            ReplyScanner::new().scan(&value[..end - 1]),
            Ok(None),
            "a byte less"
        );
    }
    second_opinion(value, whole);
}

/// The buffer grows, as a link's does.
fn in_pieces(value: &[u8], piece: usize) -> Scanned {
    let mut scanner = ReplyScanner::new();
    let mut end = 0;
    while end < value.len() {
        end = value.len().min(end + piece);
        match scanner.scan(&value[..end]) {
            Ok(None) => assert!(scanner.scanned() <= end),
            done => return done,
        }
    }
    Ok(None)
}

/// What has been scanned leaves the buffer at once, as a large reply does; the end is counted from the first byte.
fn passed_on(value: &[u8], piece: usize) -> Scanned {
    let mut scanner = ReplyScanner::new();
    let (mut start, mut end) = (0, 0);
    while end < value.len() {
        end = value.len().min(end + piece);
        match scanner.scan(&value[start..end]) {
            Ok(None) => {
                let scanned = scanner.scanned();
                scanner.forget(scanned);
                start += scanned;
            }
            done => return done.map(|length| length.map(|length| start + length)),
        }
    }
    Ok(None)
}

/// redis-protocol is laxer about line ends and stricter about contents, so it may refuse or accept what the scanner
/// does not; but where both find an end it is the same one, and what is whole for it is not incomplete for the scanner.
fn second_opinion(value: &[u8], whole: Scanned) {
    let shallow = match whole {
        Ok(Some(end)) => !nesting_exceeds(&value[..end], DECODE_DEPTH_MAX),
        _ => value.iter().filter(|byte| b"*~>%|".contains(byte)).count() <= AGGREGATES_MAX,
    };
    if !shallow {
        return;
    }
    if let Ok(decoded) = resp2::decode::decode(value) {
        agree(value, whole, decoded.map(|(_, length)| length));
    }
    if let Ok(decoded) = resp3::decode::complete::decode(value) {
        agree(value, whole, decoded.map(|(_, length)| length));
    }
}

fn agree(value: &[u8], whole: Scanned, decoded: Option<usize>) {
    // A verbatim string shorter than its own prefix (`=2`) is nonsense the scanner need not know of: the decoder
    // waits for the missing prefix.
    if whole.is_err() || (decoded.is_none() && value.contains(&b'=')) {
        return;
    }
    assert_eq!(whole, Ok(decoded), "redis-protocol sees it otherwise");
}
