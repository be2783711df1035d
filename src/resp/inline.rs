//! Which arguments does an inline command line hold?
//!
//! Pure: the quoting of Redis's `sdssplitargs`, so that telnet, `nc` and health checks work as they do there.

/// Splits `line` (without its line end) into arguments; `None` when its quotes do not match.
pub(super) fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut arguments = Vec::new();
    let mut rest = line;
    loop {
        let start = rest.iter().position(|&byte| !is_space(byte));
        let Some(start) = start else {
            return Some(arguments);
        };
        let (argument, after) = one(rest.get(start..)?)?;
        arguments.push(argument);
        rest = after;
    }
}

/// What C's `isspace` takes for one, and NUL, which ends a line for Redis: skipped between arguments.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r' | 0)
}

/// What ends an argument without quotes. Vertical tab and form feed do not: Redis has two ideas of a space.
fn ends(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | 0)
}

fn one(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut argument = Vec::new();
    while let Some((&byte, after)) = rest.split_first() {
        match byte {
            byte if ends(byte) => break,
            b'"' | b'\'' => {
                rest = quoted(byte, after, &mut argument)?;
                // A closing quote must be followed by a space or the end, as in Redis.
                return match rest.first() {
                    Some(&next) if !is_space(next) => None,
                    _ => Some((argument, rest)),
                };
            }
            byte => {
                argument.push(byte);
                rest = after;
            }
        }
    }
    Some((argument, rest))
}

/// Reads up to the closing `quote`; returns what follows it.
fn quoted<'a>(quote: u8, mut rest: &'a [u8], argument: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        if byte == quote {
            return Some(rest);
        }
        if byte != b'\\' {
            argument.push(byte);
            continue;
        }
        let (&escaped, after) = rest.split_first()?;
        if quote == b'\'' {
            if escaped == b'\'' {
                argument.push(b'\'');
                rest = after;
            } else {
                argument.push(b'\\');
            }
            continue;
        }
        if let Some(value) = hex(rest) {
            argument.push(value);
            rest = rest.get(3..)?;
            continue;
        }
        argument.push(match escaped {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'a' => 7,
            other => other,
        });
        rest = after;
    }
}

/// `xHH` at the start of `rest`.
fn hex(rest: &[u8]) -> Option<u8> {
    match rest {
        [b'x', high, low, ..] => {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str) -> Option<Vec<String>> {
        let arguments = split(line.as_bytes())?;
        Some(
            arguments
                .into_iter()
                .map(|argument| String::from_utf8_lossy(&argument).into_owned())
                .collect(),
        )
    }

    #[test]
    fn quoting_is_that_of_redis() {
        assert_eq!(
            text("  SET key  value "),
            Some(vec!["SET".into(), "key".into(), "value".into()])
        );
        assert_eq!(
            text(r#"SET "a b" 'c\'d' """#),
            Some(vec!["SET".into(), "a b".into(), "c'd".into(), String::new()])
        );
        assert_eq!(
            text(r#"ECHO "\x41\n\q""#),
            Some(vec!["ECHO".into(), "A\nq".into()])
        );
        assert_eq!(
            text("\u{b}a\u{b}b\u{c} c"),
            Some(vec!["a\u{b}b\u{c}".into(), "c".into()])
        );
        assert_eq!(text(""), Some(vec![]));
        assert_eq!(text(r#"a"b"c"#), None);
        assert_eq!(text(r#""open"#), None);
        assert_eq!(text("'open\\"), None);
    }
}
