//! Does the request parser find the same requests in whatever pieces they come, and arguments that lie in them?
//!
//! The first byte of an input says how the rest is cut into pieces. All requests of an input are parsed, one after
//! another, as from one client.

use redis_protocol::resp2::{decode::decode, types::OwnedFrame};
use switchback::data_plane::command::classify;
use switchback::limits::{INLINE_BYTES_MAX, REQUEST_ARGS_MAX};
use switchback::resp::{Args, ProtocolError, RequestParser};

/// A bound low enough for inputs to cross it.
const BULK_BYTES_MAX: usize = 1_000;

/// Requests with their lengths, and the error after them.
type Requests = (Vec<(usize, Vec<Vec<u8>>)>, Option<ProtocolError>);

/// Panics when the parser contradicts itself or redis-protocol, or when a request cannot be classified.
pub fn check(input: &[u8]) {
    let Some((&cut, bytes)) = input.split_first() else {
        return;
    };
    let whole = requests(bytes, bytes.len().max(1));
    let piece = usize::from(cut) + 1;
    assert_eq!(requests(bytes, piece), whole, "in pieces of {piece}");
    let (requests, error) = whole;
    let mut start = 0;
    for (length, arguments) in &requests {
        let request = &bytes[start..start + length];
        bounded(arguments, request);
        second_opinion(request, arguments);
        start += length;
    }
    let left = bytes.len() - start;
    assert!(error.is_some() || left < INLINE_BYTES_MAX + REQUEST_ARGS_MAX * (BULK_BYTES_MAX + 16));
}

fn requests(bytes: &[u8], piece: usize) -> Requests {
    let mut parser = RequestParser::new();
    let mut all = Vec::new();
    let (mut start, mut end) = (0, 0);
    loop {
        match parser.parse(&bytes[start..end], BULK_BYTES_MAX) {
            Ok(Some(length)) => {
                all.push((length, arguments(&parser, &bytes[start..start + length])));
                parser.reset();
                start += length;
            }
            Ok(None) if end == bytes.len() => return (all, None),
            Ok(None) => end = bytes.len().min(end + piece),
            Err(error) => return (all, Some(error)),
        }
    }
}

/// The arguments, each span of which must lie in the request.
fn arguments(parser: &RequestParser, request: &[u8]) -> Vec<Vec<u8>> {
    let source = parser.rewritten().unwrap_or(request);
    let args = Args::new(source, parser.spans());
    let found: Vec<Vec<u8>> = args.iter().map(<[u8]>::to_vec).collect();
    assert_eq!(found.len(), parser.spans().len(), "a span leaves the request");
    for at in classify(args).keys {
        assert!(0 < at && at < args.len(), "a key is no argument");
    }
    found
}

fn bounded(arguments: &[Vec<u8>], request: &[u8]) {
    assert!(
        !request.is_empty(),
        "a request of no bytes would be parsed for ever"
    );
    assert!(arguments.len() <= REQUEST_ARGS_MAX);
    let longest = arguments.iter().map(Vec::len).max().unwrap_or_default();
    assert!(longest <= BULK_BYTES_MAX.max(INLINE_BYTES_MAX));
}

/// A link is shared: a request that Redis frames otherwise than we do would end it for every session. So what is
/// forwarded must be, but for the bytes of line ends that Redis skips unseen, what a client library would have sent;
/// and that is decoded as well, being one level deep.
fn second_opinion(request: &[u8], arguments: &[Vec<u8>]) {
    if request.first() != Some(&b'*') || arguments.is_empty() {
        return;
    }
    let mut canonical = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        canonical.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        canonical.extend_from_slice(argument);
        canonical.extend_from_slice(b"\r\n");
    }
    assert_eq!(
        request.len(),
        canonical.len(),
        "other header lines than a client library's"
    );
    let frames = arguments.iter().cloned().map(OwnedFrame::BulkString).collect();
    let expected = (OwnedFrame::Array(frames), request.len());
    assert_eq!(
        decode(&canonical),
        Ok(Some(expected)),
        "redis-protocol sees other arguments"
    );
}
