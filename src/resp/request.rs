//! Where does a request end, and where are its arguments?
//!
//! Pure: resumable at any byte, nothing is read twice. Arguments are spans into the request's own bytes, which are
//! forwarded as they came; an inline command is the one form that is rewritten.

use memchr::memchr;

use super::inline;
use super::number::{parse_i64, short_header};
use crate::limits::{INLINE_BYTES_MAX, LOGIN_ARGS_MAX, LOGIN_BYTES_MAX, REQUEST_ARGS_MAX};

/// A request that Redis would answer with `-ERR Protocol error: …` and a closed connection; so do we, in its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// `*N` is not a number or too large.
    #[error("invalid multibulk length")]
    MultibulkLength,
    /// `$N` is not a number, negative, or above the largest bulk string.
    #[error("invalid bulk length")]
    BulkLength,
    /// An argument does not begin with `$`. Shown as one character; [`Self::text`] has the byte.
    #[error("expected '$', got '{}'", char::from(*.0))]
    ExpectedBulk(u8),
    /// An inline command without an end.
    #[error("too big inline request")]
    Inline,
    /// A `*N` line without an end.
    #[error("too big mbulk count string")]
    MultibulkCount,
    /// A `$N` line without an end.
    #[error("too big bulk count string")]
    BulkCount,
    /// An inline command whose quotes do not match.
    #[error("unbalanced quotes in request")]
    Quotes,
    /// `*N` is too large for a client that has not authenticated.
    #[error("unauthenticated multibulk length")]
    UnauthenticatedMultibulkLength,
    /// `$N` is too large for one.
    #[error("unauthenticated bulk length")]
    UnauthenticatedBulkLength,
}

impl ProtocolError {
    /// What Redis says, byte for byte: it repeats the offending one as it came.
    pub(crate) fn text(&self) -> Vec<u8> {
        match self {
            Self::ExpectedBulk(byte) => [b"expected '$', got '", [*byte].as_slice(), b"'"].concat(),
            other => other.to_string().into_bytes(),
        }
    }
}

/// Start and length of one argument.
pub type Span = (u32, u32);

/// Finds one request after another. The buffer given to [`Self::parse`] always begins with the present request.
#[derive(Debug, Default)]
pub struct RequestParser {
    position: usize,
    /// Arguments still to come; 0 before the first header.
    arguments_left: usize,
    /// Arguments in all, as the first header says.
    arguments: usize,
    /// The request is passed on while it comes: where its arguments lie is not kept.
    is_passing: bool,
    /// Bytes of the present argument, once its header has been read.
    argument_bytes: Option<usize>,
    spans: Vec<Span>,
    /// The rewritten form of an inline command; empty for the usual form.
    rewritten: Vec<u8>,
    /// The client has not authenticated.
    is_restricted: bool,
}

impl RequestParser {
    /// A parser at the start of a request.
    pub fn new() -> Self {
        Self::default()
    }

    /// The length of the request `buffer` begins with, or `None` while it is incomplete. After `Some`, and until
    /// [`Self::reset`], its arguments are in [`Self::spans`]; no spans means an empty request, which has no reply.
    ///
    /// `bulk_bytes_max` is the largest argument accepted (Redis's `proto-max-bulk-len`).
    ///
    /// # Errors
    /// [`ProtocolError`]: tell the client and close; where the next request begins is not known.
    #[inline]
    pub fn parse(&mut self, buffer: &[u8], bulk_bytes_max: usize) -> Result<Option<usize>, ProtocolError> {
        // Of a request that is passed on, a buffer may begin with anything.
        if self.position == 0
            && self.arguments_left == 0
            && !self.is_restricted
            && let Some(end) = self.whole(buffer, bulk_bytes_max)
        {
            return Ok(Some(end));
        }
        if self.arguments_left == 0 {
            match buffer.first() {
                None => return Ok(None),
                Some(b'*') => {}
                Some(_) => return self.inline(buffer),
            }
            let Some(count) = self.header(buffer, ProtocolError::MultibulkCount)? else {
                return Ok(None);
            };
            match count {
                Some(count)
                    if self.is_restricted
                        && (LOGIN_ARGS_MAX as i64 + 1..=REQUEST_ARGS_MAX as i64).contains(&count) =>
                {
                    return Err(ProtocolError::UnauthenticatedMultibulkLength);
                }
                Some(count) if count <= 0 => return Ok(Some(self.position)),
                Some(count) if count <= REQUEST_ARGS_MAX as i64 => {
                    self.arguments_left = count as usize;
                    self.arguments = self.arguments_left;
                }
                _ => return Err(ProtocolError::MultibulkLength),
            }
        }
        while self.arguments_left > 0 {
            if !self.argument(buffer, bulk_bytes_max)? {
                return Ok(None);
            }
        }
        Ok(Some(self.position))
    }

    /// The length of a request of which all is there and nothing is out of the ordinary: a few arguments, none of them long. `None`:
    /// nothing has changed.
    ///
    /// Saves 200 of the 370 instructions that a GET took (2026-11, `benches/instructions.rs`).
    #[inline]
    fn whole(&mut self, buffer: &[u8], bulk_bytes_max: usize) -> Option<usize> {
        let (arguments, mut position) =
            short_header(buffer, 0, b'*').filter(|&(arguments, _)| arguments > 0)?;
        for _ in 0..arguments {
            let argument = short_header(buffer, position, b'$')
                .filter(|&(length, start)| length <= bulk_bytes_max && start + length + 2 <= buffer.len());
            let Some((length, start)) = argument else {
                self.spans.clear();
                return None;
            };
            self.spans.push((start as u32, length as u32));
            position = start + length + 2;
        }
        self.position = position;
        Some(position)
    }

    /// Whether requests are only to be as large as Redis allows to a client that has not authenticated.
    #[inline]
    pub fn restrict(&mut self, is_restricted: bool) {
        self.is_restricted = is_restricted;
    }

    /// The arguments of the request just completed, or as many as have come: start and length within the request's
    /// bytes, or within [`Self::rewritten`] when that is not empty.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The request in the usual form when it came as an inline command.
    pub fn rewritten(&self) -> Option<&[u8]> {
        (!self.rewritten.is_empty()).then_some(self.rewritten.as_slice())
    }

    /// Ready for the next request. Keeps its memory unless a large request has made it large.
    #[inline]
    pub fn reset(&mut self) {
        self.position = 0;
        self.arguments_left = 0;
        self.argument_bytes = None;
        self.is_passing = false;
        self.spans.clear();
        if self.spans.capacity() > 1024 || self.rewritten.capacity() > 0 {
            self.give_back();
        }
    }

    #[cold]
    fn give_back(&mut self) {
        self.rewritten.clear();
        if self.spans.capacity() > 1024 {
            self.spans = Vec::new();
        }
        if self.rewritten.capacity() > 1024 {
            self.rewritten = Vec::new();
        }
    }

    /// Bytes the request needs in all, as far as is known yet: what to reserve before reading on.
    pub fn bytes_known(&self) -> usize {
        self.position + self.argument_bytes.map_or(0, |bytes| bytes + 2)
    }

    /// Of an incomplete request: how many arguments it will have, and how many bytes the one that is coming.
    #[inline]
    pub fn announced(&self) -> Option<(usize, usize)> {
        self.argument_bytes.map(|bytes| (self.arguments, bytes))
    }

    /// Of an incomplete request: how many bytes of `buffer_bytes` may be passed on before more have come.
    pub fn passable(&self, buffer_bytes: usize) -> usize {
        let come = buffer_bytes.saturating_sub(self.position);
        self.position + self.argument_bytes.unwrap_or_default().min(come)
    }

    /// So many bytes, no more than [`Self::passable`] says, have been passed on: the buffer begins behind them from now on, and
    /// [`Self::spans`] says nothing any more.
    pub fn pass(&mut self, bytes: usize) {
        self.is_passing = true;
        self.spans = Vec::new();
        let of_argument = bytes.saturating_sub(self.position);
        self.position = self.position.saturating_sub(bytes);
        if let Some(left) = &mut self.argument_bytes {
            *left = left.saturating_sub(of_argument);
        }
    }

    /// One argument; `false` while it is incomplete.
    #[inline]
    fn argument(&mut self, buffer: &[u8], bulk_bytes_max: usize) -> Result<bool, ProtocolError> {
        let length = match self.argument_bytes {
            Some(length) => length,
            None => {
                let kind = buffer.get(self.position).copied();
                let Some(length) = self.header(buffer, ProtocolError::BulkCount)? else {
                    return Ok(false);
                };
                if let Some(other) = kind.filter(|&byte| byte != b'$') {
                    return Err(ProtocolError::ExpectedBulk(other));
                }
                match length.map(usize::try_from) {
                    Some(Ok(length))
                        if self.is_restricted && (LOGIN_BYTES_MAX + 1..=bulk_bytes_max).contains(&length) =>
                    {
                        return Err(ProtocolError::UnauthenticatedBulkLength);
                    }
                    Some(Ok(length)) if length <= bulk_bytes_max => length,
                    _ => return Err(ProtocolError::BulkLength),
                }
            }
        };
        if buffer.len() < self.position + length + 2 {
            self.argument_bytes = Some(length);
            return Ok(false);
        }
        if !self.is_passing {
            let start = u32::try_from(self.position).map_err(|_| ProtocolError::BulkLength)?;
            self.spans.push((start, length as u32));
        }
        self.position += length + 2;
        self.argument_bytes = None;
        self.arguments_left -= 1;
        Ok(true)
    }

    /// The number of the header line at `position`, and past it: `None` while it is incomplete, `Some(None)` when it
    /// is not a number.
    #[inline]
    fn header(
        &mut self,
        buffer: &[u8],
        too_long: ProtocolError,
    ) -> Result<Option<Option<i64>>, ProtocolError> {
        let line = buffer.get(self.position..).unwrap_or_default();
        // Header lines are a few bytes: looking for their end again when they come in pieces costs nothing.
        let window = line.get(..=INLINE_BYTES_MAX).unwrap_or(line);
        let Some(end) = memchr(b'\r', window) else {
            return if line.len() > INLINE_BYTES_MAX {
                Err(too_long)
            } else {
                Ok(None)
            };
        };
        if line.len() < end + 2 {
            return Ok(None);
        }
        self.position += end + 2;
        Ok(Some(line.get(1..end).and_then(parse_i64)))
    }

    fn inline(&mut self, buffer: &[u8]) -> Result<Option<usize>, ProtocolError> {
        let window = buffer.get(..INLINE_BYTES_MAX).unwrap_or(buffer);
        let Some(newline) = memchr(b'\n', window) else {
            return if buffer.len() >= INLINE_BYTES_MAX {
                Err(ProtocolError::Inline)
            } else {
                Ok(None)
            };
        };
        let line = buffer.get(..newline).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let arguments = inline::split(line).ok_or(ProtocolError::Quotes)?;
        self.position = newline + 1;
        if !arguments.is_empty() {
            self.rewrite(&arguments);
        }
        Ok(Some(self.position))
    }

    fn rewrite(&mut self, arguments: &[Vec<u8>]) {
        self.rewritten
            .extend_from_slice(format!("*{}\r\n", arguments.len()).as_bytes());
        for argument in arguments {
            self.rewritten
                .extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
            self.spans
                .push((self.rewritten.len() as u32, argument.len() as u32));
            self.rewritten.extend_from_slice(argument);
            self.rewritten.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: usize = 512 * 1024 * 1024;

    type Request = (usize, Vec<Vec<u8>>);

    fn parse(bytes: &[u8]) -> Result<Option<Request>, ProtocolError> {
        let mut parser = RequestParser::new();
        let end = parser.parse(bytes, MAX)?;
        Ok(end.map(|end| (end, arguments(&parser, bytes))))
    }

    fn arguments(parser: &RequestParser, bytes: &[u8]) -> Vec<Vec<u8>> {
        let source = parser.rewritten().unwrap_or(bytes);
        let one = |&(start, length): &Span| source[start as usize..(start + length) as usize].to_vec();
        parser.spans().iter().map(one).collect()
    }

    #[test]
    fn arguments_are_found_and_the_next_request_is_left() {
        let (end, arguments) = parse(b"*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n*1\r\n")
            .unwrap()
            .unwrap();
        assert_eq!((end, arguments), (23, vec![b"GET".to_vec(), b"a\r\nb".to_vec()]));
    }

    #[test]
    fn what_is_passed_on_may_look_like_requests_and_is_none() {
        let value = b"*1\r\n$4\r\nPING\r\n".repeat(100);
        let head = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n", value.len());
        let all = [head.as_bytes(), &value, b"\r\n"].concat();
        let mut parser = RequestParser::new();
        let mut start = 0;
        while start + 14 < all.len() {
            assert_eq!(parser.parse(&all[start..start + 14], MAX), Ok(None), "{start}");
            let count = parser.passable(14);
            parser.pass(count);
            start += count;
        }
        assert_eq!(parser.parse(&all[start..], MAX), Ok(Some(all.len() - start)));
    }

    #[test]
    fn an_empty_request_has_no_arguments() {
        for empty in [&b"*0\r\n"[..], b"*-1\r\n", b"\r\n", b"\n", b"  \r\n"] {
            assert_eq!(parse(empty), Ok(Some((empty.len(), vec![]))));
        }
    }

    #[test]
    fn an_inline_command_is_rewritten() {
        let mut parser = RequestParser::new();
        assert_eq!(parser.parse(b"SET a \"b c\"\r\n", MAX), Ok(Some(13)));
        assert_eq!(
            parser.rewritten(),
            Some(&b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$3\r\nb c\r\n"[..])
        );
    }

    #[test]
    fn malformed_requests_get_the_words_of_redis() {
        let cases: [(&[u8], &str); 13] = [
            (b"*x\r\n", "invalid multibulk length"),
            (b"*2147483647\r\n", "invalid multibulk length"),
            (b"*1\r\n$-2\r\n", "invalid bulk length"),
            (b"*1\r\n$-1\r\n", "invalid bulk length"),
            (b"*1\r\n$1073741824\r\n", "invalid bulk length"),
            (b"*1\r\n*1\r\n", "expected '$', got '*'"),
            (b"*1\r\n:1\r\n", "expected '$', got ':'"),
            (b"GET \"a\r\n", "unbalanced quotes in request"),
            (b"*1\r\n$12345678901234567890\r\n", "invalid bulk length"),
            (b"*01\r\n", "invalid multibulk length"),
            (b"*-0\r\n", "invalid multibulk length"),
            (b"*1\r\n$04\r\nPING\r\n", "invalid bulk length"),
            (b"*1\r\n\\\r\n", r"expected '$', got '\'"),
        ];
        for (bytes, words) in cases {
            assert_eq!(
                parse(bytes).unwrap_err().to_string(),
                words,
                "{}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn the_byte_that_should_be_a_dollar_is_told_as_it_came_and_with_its_line() {
        assert_eq!(parse(b"*1\r\n\xffx"), Ok(None));
        let error = parse(b"*1\r\n\xffx\r\n").unwrap_err();
        assert_eq!(error.text(), b"expected '$', got '\xff'");
    }

    #[test]
    fn lines_without_end_are_refused_at_their_bound() {
        let long = |prefix: &[u8], count: usize| [prefix, &vec![b'1'; count]].concat();
        assert_eq!(parse(&long(b"*", INLINE_BYTES_MAX - 1)), Ok(None));
        assert_eq!(
            parse(&long(b"*", INLINE_BYTES_MAX)),
            Err(ProtocolError::MultibulkCount)
        );
        assert_eq!(
            parse(&long(b"*1\r\n$", INLINE_BYTES_MAX)),
            Err(ProtocolError::BulkCount)
        );
        assert_eq!(parse(&long(b"a", INLINE_BYTES_MAX - 2)), Ok(None));
        assert_eq!(parse(&long(b"a", INLINE_BYTES_MAX)), Err(ProtocolError::Inline));
    }

    #[test]
    fn arguments_are_counted_at_the_bound_and_one_past_it() {
        assert_eq!(parse(format!("*{REQUEST_ARGS_MAX}\r\n").as_bytes()), Ok(None));
        let past = format!("*{}\r\n", REQUEST_ARGS_MAX + 1);
        assert_eq!(parse(past.as_bytes()), Err(ProtocolError::MultibulkLength));
    }

    proptest! {
        #[test]
        fn what_is_passed_on_in_pieces_is_the_request(values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..6), steps in proptest::collection::vec((1usize..30, 0usize..50), 1..200)) {
            let mut bytes = format!("*{}\r\n", values.len()).into_bytes();
            for value in &values {
                bytes.extend_from_slice(format!("${}\r\n", value.len()).as_bytes());
                bytes.extend_from_slice(value);
                bytes.extend_from_slice(b"\r\n");
            }
            let behind = b"*1\r\n$4\r\nPING\r\n";
            let all = [&bytes[..], behind].concat();
            let mut parser = RequestParser::new();
            let (mut start, mut come, mut passed) = (0, 0usize, Vec::new());
            // At last, all that is left comes and goes.
            for (more, most) in steps.into_iter().chain([(usize::MAX, usize::MAX); 2]) {
                come = all.len().min(come.saturating_add(more));
                if let Some(length) = parser.parse(&all[start..come], MAX).unwrap() {
                    passed.extend_from_slice(&all[start..start + length]);
                    break;
                }
                let count = parser.passable(come - start).min(most);
                parser.pass(count);
                passed.extend_from_slice(&all[start..start + count]);
                start += count;
            }
            prop_assert_eq!(passed, bytes);
        }

        #[test]
        fn pieces_and_whole_agree(bytes in proptest::collection::vec(proptest::sample::select(b"*$123\r\nab\" ".to_vec()), 0..64), cut in 0usize..64) {
            let cut = cut.min(bytes.len());
            let mut parser = RequestParser::new();
            let first = parser.parse(&bytes[..cut], MAX);
            let piecewise = match first { Ok(None) => parser.parse(&bytes, MAX), done => done };
            let result = piecewise.map(|end| end.map(|end| (end, arguments(&parser, &bytes))));
            prop_assert_eq!(result, parse(&bytes));
        }

        #[test]
        fn what_is_encoded_reads_back(
            values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..130), 1..12), cut: prop::sample::Index
        ) {
            let mut bytes = format!("*{}\r\n", values.len()).into_bytes();
            for value in &values {
                bytes.extend_from_slice(format!("${}\r\n", value.len()).as_bytes());
                bytes.extend_from_slice(value);
                bytes.extend_from_slice(b"\r\n");
            }
            prop_assert_eq!(parse(&bytes), Ok(Some((bytes.len(), values.clone()))));
            // In two pieces it is not read at once.
            let mut parser = RequestParser::new();
            prop_assert_eq!(parser.parse(&bytes[..cut.index(bytes.len())], MAX), Ok(None));
            prop_assert_eq!(parser.parse(&bytes, MAX), Ok(Some(bytes.len())));
            prop_assert_eq!(arguments(&parser, &bytes), values);
        }
    }
}
