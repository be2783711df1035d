//! What are the arguments of one request?
//!
//! Pure: a view of bytes somebody else holds. Nothing is copied: a request is forwarded as it came, so an argument is
//! only ever looked at.

use memchr::memchr;

use super::Span;

/// One request: its bytes and where in them each argument lies. Argument 0 is the command's name.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    /// A view of `bytes`; a span is the start of an argument in `bytes` and its length, both in bytes.
    #[inline]
    pub const fn new(bytes: &'a [u8], spans: &'a [Span]) -> Self {
        Self { bytes, spans }
    }

    /// How many arguments there are, the command's name included.
    #[inline]
    pub const fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether not even a name is there.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Argument number `at`; `None` behind the last one, and for a span that leaves the bytes.
    #[inline]
    pub fn get(&self, at: usize) -> Option<&'a [u8]> {
        let &(start, length) = self.spans.get(at)?;
        let start = start as usize;
        self.bytes.get(start..start.checked_add(length as usize)?)
    }

    /// Arguments `from` up to `to`, without that, as they stand in a request: each with its header and CR LF. Empty when there are none
    /// such, or when the bytes are not a request's.
    pub fn encoded(&self, from: usize, to: usize) -> &'a [u8] {
        let end_of = |at: usize| {
            let &(start, length) = self.spans.get(at)?;
            Some(start as usize + length as usize + 2)
        };
        let begin = match from.checked_sub(1) {
            Some(before) => end_of(before),
            None => memchr(b'\n', self.bytes).map(|header| header + 1),
        };
        let end = to.checked_sub(1).and_then(end_of);
        let bytes = begin.zip(end).and_then(|(begin, end)| self.bytes.get(begin..end));
        bytes.unwrap_or_default()
    }

    /// The arguments from the name on.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let args = *self;
        (0..args.len()).map_while(move |at| args.get(at))
    }
}

/// Lends `words` as a request, for tests.
#[cfg(test)]
pub(crate) fn with_args<T>(words: &[&str], look: impl FnOnce(Args<'_>) -> T) -> T {
    let mut spans = Vec::new();
    let mut start = 0;
    for word in words {
        let length = u32::try_from(word.len()).unwrap();
        spans.push((start, length));
        start += length;
    }
    look(Args::new(words.concat().as_bytes(), &spans))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_found_by_number_and_in_order() {
        let args = Args::new(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", &[(8, 3), (17, 1)]);
        assert_eq!(args.len(), 2);
        assert_eq!(args.get(0), Some(&b"GET"[..]));
        assert_eq!(args.get(2), None);
        assert_eq!(args.iter().collect::<Vec<_>>(), [&b"GET"[..], b"k"]);
        assert_eq!(args.encoded(0, 1), b"$3\r\nGET\r\n");
        assert_eq!(args.encoded(1, 2), b"$1\r\nk\r\n");
        assert_eq!(args.encoded(0, 2), b"$3\r\nGET\r\n$1\r\nk\r\n");
        for (from, to) in [(1, 1), (2, 3), (1, 3), (2, 1), (0, 0)] {
            assert_eq!(args.encoded(from, to), b"", "{from} {to}");
        }
    }

    #[test]
    fn a_span_outside_the_bytes_is_no_argument() {
        let args = Args::new(b"abc", &[(2, 2), (u32::MAX, u32::MAX)]);
        assert_eq!(args.get(0), None);
        assert_eq!(args.get(1), None);
        assert_eq!(args.iter().count(), 0);
    }
}
