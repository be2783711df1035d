//! Can anything be made of a file that is given for a trace, and is a line that was read written as it was?
//!
//! An input is a file, and also what stands behind the header of a route that is well.

use switchback::control_plane::trace::{Assumed, Line, Reader, Replay};
use switchback::routing::Weight;

const HEADER: &str = r#"{"switchback_trace":1,"route":"r","began":"2021-11-11T18:00:00Z","old":{"master":"h:1","replicas":["h:2"]},"new":{"master":"h:3","replicas":["h:4"]}}"#;

/// Panics when a replay does, or when a line has two meanings.
pub fn check(input: &[u8]) {
    replay(input);
    replay(&[HEADER.as_bytes(), b"\n", input, b"\n"].concat());
}

fn replay(file: &[u8]) {
    let mut reader = Reader::new("input", file);
    let mut replay = Replay::new(Assumed {
        weight: Some(Weight::FULL),
        ..Assumed::default()
    });
    while let Ok(Some(line)) = reader.next_line() {
        let text = match &line {
            Line::Header(header) => header.text(),
            Line::Entry(entry) => entry.text(),
        };
        let again = Line::parse(text.trim_end_matches('\n')).expect("what was written is read");
        let text_again = match &again {
            Line::Header(header) => header.text(),
            Line::Entry(entry) => entry.text(),
        };
        assert_eq!(text, text_again);
        if replay.take(line).is_err() {
            return;
        }
    }
}
