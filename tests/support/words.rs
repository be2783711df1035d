//! A line as redis-cli would take it, as a request.

use crate::proxied::encode;

/// A request in the usual form.
pub(crate) fn request(line: &str) -> Vec<u8> {
    let words = split(line.as_bytes());
    encode(&words.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn split(line: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quoted = false;
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' if !quoted => words.extend(word.take()),
            b'"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            b'\\' => word.get_or_insert_default().push(escaped(&mut bytes)),
            byte => word.get_or_insert_default().push(byte),
        }
    }
    assert!(!quoted, "unbalanced: {}", line.escape_ascii());
    words.extend(word);
    words
}

fn escaped(bytes: &mut impl Iterator<Item = u8>) -> u8 {
    match bytes.next().expect("something behind a backslash") {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'x' => {
            let digits: Vec<u8> = bytes.take(2).collect();
            u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
        }
        other => other,
    }
}
