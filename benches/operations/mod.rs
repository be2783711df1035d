//! Which single operations of the hot path are measured?
//!
//! Pure: one list for nanoseconds (`operations.rs`) and instructions (`instructions.rs`), so that both speak of the
//! same thing. An operation runs itself `count` times and returns something that depends on all of it.

use switchback::data_plane::command::{KeyPositions, classify};
use switchback::data_plane::measured;
use switchback::resp::{Args, ReplyScanner, RequestParser};
use switchback::routing::{Owners, Slot, Weight, owner};

/// Something that is done once for a command.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// Bytes the operation is given, for throughput.
    pub(crate) bytes: &'static [u8],
    pub(crate) run: fn(&[u8], usize) -> usize,
}

const GET: &[u8] = b"*2\r\n$3\r\nGET\r\n$16\r\nkey:000000012345\r\n";
const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$16\r\nkey:000000012345\r\n$64\r\n\
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n";
const CLIENT: &[u8] = b"*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$3\r\napp\r\n";
const EVAL: &[u8] = b"*5\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n2\r\n$1\r\na\r\n$1\r\nb\r\n";
const BULK: &[u8] = b"$64\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n";
const ARRAY: &[u8] = b"*4\r\n$5\r\nfield\r\n$5\r\nvalue\r\n:12\r\n*2\r\n+a\r\n$-1\r\n";
const MESSAGE: &[u8] = b"*3\r\n$7\r\nmessage\r\n$16\r\n__switchback:gap\r\n$64\r\n\
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n";

/// Every operation.
pub(crate) const ALL: [Operation; 16] = [
    operation("parse GET", GET, parse),
    operation("parse SET", SET, parse),
    operation("classify GET", GET, classified),
    operation("classify SET", SET, classified),
    operation("classify CLIENT SETNAME", CLIENT, classified),
    operation("classify EVAL", EVAL, classified),
    operation("route GET", GET, route),
    operation("parse, classify and route GET", GET, all_of_it),
    operation("parse, look up and route GET", GET, measured::express),
    operation("scan +OK", b"+OK\r\n", scan),
    operation("scan a bulk string", BULK, scan),
    operation("scan an array", ARRAY, scan),
    operation("pipeline", GET, measured::pipeline),
    operation("replies", BULK, measured::replies),
    operation("replies of two sides", BULK, measured::early_replies),
    operation("hub, a message to 100 clients", MESSAGE, measured::hub),
];

const fn operation(name: &'static str, bytes: &'static [u8], run: fn(&[u8], usize) -> usize) -> Operation {
    Operation { name, bytes, run }
}

/// A weight at which both sides own slots.
const BETWEEN: Weight = match Weight::from_steps(5_000) {
    Some(weight) => weight,
    None => Weight::ZERO,
};

/// Calls `operate` `count` times with bytes the compiler knows nothing of.
fn repeat(bytes: &[u8], count: usize, mut operate: impl FnMut(&[u8]) -> usize) -> usize {
    (0..count).fold(0, |sum, _| sum.wrapping_add(operate(std::hint::black_box(bytes))))
}

fn parse(bytes: &[u8], count: usize) -> usize {
    let mut parser = RequestParser::new();
    repeat(bytes, count, |bytes| {
        let length = parser.parse(bytes, usize::MAX / 2).ok().flatten();
        let spans = parser.spans().len();
        parser.reset();
        length.unwrap_or_default() + spans
    })
}

/// Parses once, then calls `operate` with the arguments and their keys `count` times.
fn parsed(bytes: &[u8], count: usize, operate: impl Fn(Args<'_>) -> usize) -> usize {
    let mut parser = RequestParser::new();
    let _ = parser.parse(bytes, usize::MAX / 2);
    repeat(bytes, count, |bytes| operate(Args::new(bytes, parser.spans())))
}

fn classified(bytes: &[u8], count: usize) -> usize {
    parsed(bytes, count, |args| {
        let class = classify(args);
        class.keys.len() + usize::from(class.may_retry)
    })
}

fn owners(keys: &KeyPositions, args: Args<'_>) -> usize {
    let sides = keys.bytes(args).map(|key| owner(Slot::of(key), BETWEEN));
    match sides.fold(Owners::None, Owners::and) {
        Owners::One(side) => side.index(),
        Owners::None | Owners::Both => 2,
    }
}

fn route(bytes: &[u8], count: usize) -> usize {
    let mut parser = RequestParser::new();
    let _ = parser.parse(bytes, usize::MAX / 2);
    let keys = classify(Args::new(bytes, parser.spans())).keys;
    repeat(bytes, count, |bytes| {
        owners(&keys, Args::new(bytes, parser.spans()))
    })
}

fn all_of_it(bytes: &[u8], count: usize) -> usize {
    let mut parser = RequestParser::new();
    repeat(bytes, count, |bytes| {
        let length = parser.parse(bytes, usize::MAX / 2).ok().flatten();
        let args = Args::new(bytes, parser.spans());
        let class = classify(args);
        let side = owners(&class.keys, args);
        parser.reset();
        length.unwrap_or_default() + side
    })
}

fn scan(bytes: &[u8], count: usize) -> usize {
    let mut scanner = ReplyScanner::new();
    repeat(bytes, count, |bytes| {
        scanner.scan(bytes).ok().flatten().unwrap_or_default()
    })
}
