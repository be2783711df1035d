//! Which lines does a trace's file hold?
//!
//! Shell: reads one after the other, so that a trace larger than memory can be replayed. A last line without its end is one
//! that was being written: it is not there yet.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::line::{Line, LineError};
use crate::limits::{TRACE_FILE_BYTES_MAX, TRACE_LINE_BYTES_MAX};

/// A trace that cannot be read. Names the file, and the line where there is one.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file itself.
    #[error("{name}: {source}")]
    Io {
        /// The file.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A line of it.
    #[error("{name}, line {number}: {source}")]
    Line {
        /// The file.
        name: String,
        /// Counted from 1.
        number: u64,
        /// What is wrong with it.
        source: LineError,
    },
    /// A line that is too long, or not UTF-8.
    #[error(
        "{name}, line {number}: not a line of text of at most {TRACE_LINE_BYTES_MAX} bytes; expected a trace"
    )]
    Text {
        /// The file.
        name: String,
        /// Counted from 1.
        number: u64,
    },
    /// A file that no proxy has written.
    #[error("{name}: longer than {TRACE_FILE_BYTES_MAX} bytes")]
    TooLong {
        /// The file.
        name: String,
    },
}

/// A trace, line by line.
#[derive(Debug)]
pub struct Reader<R> {
    name: String,
    bytes: io::Take<R>,
    number: u64,
}

impl Reader<BufReader<File>> {
    /// Opens a file.
    ///
    /// # Errors
    /// [`ReadError::Io`].
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => Ok(Self::new(name, BufReader::new(file))),
            Err(source) => Err(ReadError::Io { name, source }),
        }
    }
}

impl<R: BufRead> Reader<R> {
    /// Reads from `bytes`, which errors call `name`.
    pub fn new(name: impl Into<String>, bytes: R) -> Self {
        Self {
            name: name.into(),
            bytes: bytes.take(TRACE_FILE_BYTES_MAX),
            number: 0,
        }
    }

    /// The number of the line read last.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// Any [`ReadError`]; nothing after it can be trusted.
    pub fn next_line(&mut self) -> Result<Option<Line>, ReadError> {
        let mut line = Vec::new();
        // One more than allowed, so that a line of just the length is told from a longer one.
        let longest = TRACE_LINE_BYTES_MAX as u64 + 1;
        let read = self.bytes.by_ref().take(longest).read_until(b'\n', &mut line);
        read.map_err(|source| ReadError::Io {
            name: self.name.clone(),
            source,
        })?;
        let is_whole = line.pop_if(|byte| *byte == b'\n').is_some();
        if !is_whole && self.bytes.limit() == 0 {
            return Err(ReadError::TooLong {
                name: self.name.clone(),
            });
        }
        if !is_whole && line.len() <= TRACE_LINE_BYTES_MAX {
            return Ok(None);
        }
        self.number += 1;
        let (name, number) = (self.name.clone(), self.number);
        match std::str::from_utf8(&line) {
            Ok(text) if is_whole => {
                Line::parse(text)
                    .map(Some)
                    .map_err(|source| ReadError::Line { name, number, source })
            }
            _ => Err(ReadError::Text { name, number }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: &str = "{\"now\":1,\"what\":\"look\"}\n";

    fn lines(text: &[u8]) -> Result<usize, String> {
        let mut reader = Reader::new("t.trace", text);
        let mut count = 0;
        while reader.next_line().map_err(|error| error.to_string())?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    #[test]
    fn a_line_that_is_still_being_written_is_not_there_yet() {
        assert_eq!(lines(b""), Ok(0));
        assert_eq!(lines(format!("{LOOK}{LOOK}").as_bytes()), Ok(2));
        assert_eq!(lines(format!("{LOOK}{{\"now\":2,\"wh").as_bytes()), Ok(1));
    }

    #[test]
    fn a_bad_line_is_named_with_its_file_and_number() {
        let error = lines(format!("{LOOK}nonsense\n").as_bytes()).unwrap_err();
        assert!(
            error.starts_with("t.trace, line 2: ") && error.contains("expected"),
            "{error}"
        );
        let error = lines(&[LOOK.as_bytes(), b"\xff\n"].concat()).unwrap_err();
        assert!(error.starts_with("t.trace, line 2: "), "{error}");
    }

    #[test]
    fn a_line_of_the_longest_length_is_read_and_one_byte_more_is_not() {
        let blanks = " ".repeat(TRACE_LINE_BYTES_MAX + 1 - LOOK.len());
        assert_eq!(lines(format!("{blanks}{LOOK}").as_bytes()), Ok(1));
        for end in ["\n", ""] {
            let text = " ".repeat(TRACE_LINE_BYTES_MAX + 1) + end;
            let error = lines(text.as_bytes()).unwrap_err();
            assert!(error.contains("line 1"), "{error}");
        }
    }
}
