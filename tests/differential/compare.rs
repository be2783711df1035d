//! Do two replies say the same?
//!
//! Pure.

use crate::rules::Rule;

/// By one of each worker's links.
const COUNTS_APART: u64 = 2;

/// A reply, taken apart. Recursive: both servers are ours, and nest a few levels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    /// Everything that is one line, and strings with a length: the type, and what it says.
    Plain(u8, Vec<u8>),
    /// `*`, `%`, `~`, `>` and what is in it; of a map keys and values, one after the other.
    Many(u8, Vec<Value>),
}

/// Whether they are the same by this rule. `queued`: the rules of what a transaction's reply consists of.
pub(crate) fn same(expected: &[u8], got: &[u8], rule: Rule, queued: Option<&[Rule]>) -> bool {
    if expected == got {
        return true;
    }
    let (expected, got) = (parse(expected), parse(got));
    match (queued, &expected, &got) {
        (Some(rules), Value::Many(b'*', expected), Value::Many(b'*', got))
            if expected.len() == rules.len() && got.len() == rules.len() =>
        {
            let pairs = expected.iter().zip(got);
            pairs
                .zip(rules)
                .all(|((expected, got), rule)| alike(expected, got, *rule))
        }
        _ => alike(&expected, &got, rule),
    }
}

fn alike(expected: &Value, got: &Value, rule: Rule) -> bool {
    if is_error(expected) || is_error(got) {
        return expected == got;
    }
    match rule {
        Rule::Exact => expected == got,
        Rule::Unordered => sorted(expected) == sorted(got),
        Rule::Near(most) => near(expected, got, &|a, b| a.abs_diff(b) <= most.unsigned_abs()),
        Rule::Counts => near(expected, got, &|a, b| a.abs_diff(b) <= COUNTS_APART),
        Rule::Numbers => near(expected, got, &|_, _| true),
        Rule::Lengths => outline(expected, true) == outline(got, true),
        Rule::Shape => outline(expected, false) == outline(got, false),
        Rule::Type => kind(expected) == kind(got),
    }
}

fn is_error(value: &Value) -> bool {
    matches!(value, Value::Plain(b'-' | b'!', _))
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Plain(kind, _) | Value::Many(kind, _) => *kind,
    }
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Plain(..) => value.clone(),
        Value::Many(kind, values) => {
            let mut values: Vec<Value> = values.iter().map(sorted).collect();
            values.sort();
            Value::Many(*kind, values)
        }
    }
}

fn near(expected: &Value, got: &Value, is_near: &dyn Fn(i64, i64) -> bool) -> bool {
    match (expected, got) {
        (Value::Plain(b':', a), Value::Plain(b':', b)) => is_near(number(a), number(b)),
        (Value::Many(of, a), Value::Many(kind, b)) => {
            of == kind && a.len() == b.len() && a.iter().zip(b).all(|(a, b)| near(a, b, is_near))
        }
        _ => expected == got,
    }
}

fn outline(value: &Value, lengths: bool) -> Value {
    match value {
        Value::Plain(kind, text) if lengths => Value::Plain(*kind, text.len().to_string().into_bytes()),
        Value::Plain(kind, _) => Value::Plain(*kind, Vec::new()),
        Value::Many(kind, values) => Value::Many(
            *kind,
            values.iter().map(|value| outline(value, lengths)).collect(),
        ),
    }
}

fn number(text: &[u8]) -> i64 {
    std::str::from_utf8(text).unwrap().parse().unwrap()
}

fn parse(reply: &[u8]) -> Value {
    let mut at = 0;
    let value = value(reply, &mut at);
    assert_eq!(at, reply.len());
    value
}

/// The elements of an array, or of a push, each with its bytes.
pub(crate) fn elements(reply: &[u8]) -> Vec<Vec<u8>> {
    let mut at = 0;
    let line = line(reply, &mut at);
    assert!(
        matches!(line.first(), Some(b'*' | b'>')),
        "{}",
        reply.escape_ascii()
    );
    let count = number(&line[1..]);
    let element = |_| {
        let from = at;
        value(reply, &mut at);
        reply[from..at].to_vec()
    };
    (0..count).map(element).collect()
}

fn line<'a>(reply: &'a [u8], at: &mut usize) -> &'a [u8] {
    let from = *at;
    let end = reply[from..].iter().position(|byte| *byte == b'\r').unwrap();
    *at = from + end + 2;
    &reply[from..from + end]
}

fn value(reply: &[u8], at: &mut usize) -> Value {
    let line = line(reply, at);
    let (kind, rest) = (line[0], &line[1..]);
    match kind {
        b'$' | b'=' | b'!' if rest != b"-1" => {
            let length = number(rest) as usize;
            let text = reply[*at..*at + length].to_vec();
            *at += length + 2;
            Value::Plain(kind, text)
        }
        b'*' | b'~' | b'>' | b'%' if rest != b"-1" => {
            let count = number(rest) * if kind == b'%' { 2 } else { 1 };
            Value::Many(kind, (0..count).map(|_| value(reply, at)).collect())
        }
        // A null is another type than what is there.
        b'$' | b'*' => Value::Plain(b'_', rest.to_vec()),
        _ => Value::Plain(kind, rest.to_vec()),
    }
}
