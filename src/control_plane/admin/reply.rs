//! How is an answer written?
//!
//! Pure: a [`Reply`] to RESP2 or RESP3 bytes, or to one JSON document: the only place for `… JSON`, so that the text
//! forms cannot drift apart. redis-protocol's encoder was rejected: it has one frame type per version.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::model::Reply;

/// What a client speaks, by its HELLO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Protocol {
    /// Until a client says otherwise.
    #[default]
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}

/// Adds the bytes of `reply` to `out`.
pub fn write(reply: &Reply, protocol: Protocol, out: &mut Vec<u8>) {
    match reply {
        Reply::Ok => line(out, '+', "OK"),
        Reply::Simple(text) => line(out, '+', text),
        Reply::Error(text) => line(out, '-', text),
        Reply::Bulk(text) => bulk(out, text),
        Reply::Integer(number) => line(out, ':', &number.to_string()),
        Reply::Double(number) => match protocol {
            Protocol::Resp2 => bulk(out, &double(*number)),
            Protocol::Resp3 => line(out, ',', &double(*number)),
        },
        Reply::Boolean(yes) => match protocol {
            Protocol::Resp2 => line(out, ':', if *yes { "1" } else { "0" }),
            Protocol::Resp3 => line(out, '#', if *yes { "t" } else { "f" }),
        },
        Reply::Null => match protocol {
            Protocol::Resp2 => line(out, '$', "-1"),
            Protocol::Resp3 => line(out, '_', ""),
        },
        Reply::Array(items) => {
            line(out, '*', &items.len().to_string());
            items.iter().for_each(|item| write(item, protocol, out));
        }
        Reply::Map(pairs) => {
            match protocol {
                Protocol::Resp2 => line(out, '*', &(pairs.len() * 2).to_string()),
                Protocol::Resp3 => line(out, '%', &pairs.len().to_string()),
            }
            for (key, value) in pairs {
                bulk(out, key);
                write(value, protocol, out);
            }
        }
    }
}

/// A message that is no answer to a request: RESP3 push, RESP2 array.
pub(super) fn push(items: &[Reply], protocol: Protocol, out: &mut Vec<u8>) {
    let kind = match protocol {
        Protocol::Resp2 => '*',
        Protocol::Resp3 => '>',
    };
    line(out, kind, &items.len().to_string());
    items.iter().for_each(|item| write(item, protocol, out));
}

/// One JSON document, keys in the order of the reply's.
pub fn json(reply: &Reply) -> String {
    // Writing to memory fails for keys that are no strings only, and there are none.
    serde_json::to_string(&Json(reply)).unwrap_or_default()
}

struct Json<'a>(&'a Reply);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Reply::Ok => to.serialize_str("OK"),
            Reply::Simple(text) => to.serialize_str(text),
            Reply::Bulk(text) | Reply::Error(text) => to.serialize_str(text),
            Reply::Integer(number) => to.serialize_i64(*number),
            // serde_json writes what JSON has no number for as null.
            Reply::Double(number) => to.serialize_f64(*number),
            Reply::Boolean(yes) => to.serialize_bool(*yes),
            Reply::Null => to.serialize_unit(),
            Reply::Array(items) => {
                let mut list = to.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Json(item))?;
                }
                list.end()
            }
            Reply::Map(pairs) => {
                let mut map = to.serialize_map(Some(pairs.len()))?;
                for (key, value) in pairs {
                    map.serialize_entry(key, &Json(value))?;
                }
                map.end()
            }
        }
    }
}

/// One header line. A CR or LF inside would let a text speak as the proxy: they become spaces.
fn line(out: &mut Vec<u8>, kind: char, text: &str) {
    out.push(kind as u8);
    out.extend(text.bytes().map(|byte| match byte {
        b'\r' | b'\n' => b' ',
        byte => byte,
    }));
    out.extend_from_slice(b"\r\n");
}

fn bulk(out: &mut Vec<u8>, text: &str) {
    line(out, '$', &text.len().to_string());
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// RESP3's spelling of a double, also what a RESP2 client reads.
fn double(number: f64) -> String {
    if number.is_nan() {
        "nan".to_owned()
    } else {
        number.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::ReplyScanner;
    use proptest::prelude::*;

    fn written(reply: &Reply, protocol: Protocol) -> String {
        let mut out = Vec::new();
        write(reply, protocol, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn sample() -> Reply {
        Reply::Map(vec![
            ("weight", Reply::Double(25.5)),
            ("latched", Reply::Boolean(true)),
            ("reason", Reply::Null),
            (
                "list",
                Reply::Array(vec![Reply::Bulk("a\"\r\n".to_owned()), Reply::Integer(-1)]),
            ),
        ])
    }

    #[test]
    fn each_protocol_has_its_own_maps_doubles_booleans_and_nulls() {
        assert_eq!(
            written(&sample(), Protocol::Resp2),
            "*8\r\n$6\r\nweight\r\n$4\r\n25.5\r\n$7\r\nlatched\r\n:1\r\n$6\r\nreason\r\n$-1\r\n$4\r\nlist\r\n*2\r\n$4\r\na\"\r\n\r\n:-1\r\n"
        );
        assert_eq!(
            written(&sample(), Protocol::Resp3),
            "%4\r\n$6\r\nweight\r\n,25.5\r\n$7\r\nlatched\r\n#t\r\n$6\r\nreason\r\n_\r\n$4\r\nlist\r\n*2\r\n$4\r\na\"\r\n\r\n:-1\r\n"
        );
    }

    #[test]
    fn json_keeps_the_order_of_keys_and_has_null_for_what_is_no_number() {
        assert_eq!(
            json(&sample()),
            r#"{"weight":25.5,"latched":true,"reason":null,"list":["a\"\r\n",-1]}"#
        );
        assert_eq!(json(&Reply::Double(f64::NAN)), "null");
        assert_eq!(json(&Reply::Array(vec![])), "[]");
    }

    #[test]
    fn no_text_ends_its_line_early() {
        assert_eq!(
            written(&Reply::Error("ERR a\r\n+OK".to_owned()), Protocol::Resp2),
            "-ERR a  +OK\r\n"
        );
    }

    #[test]
    fn a_push_is_an_array_for_those_who_do_not_know_pushes() {
        let items = [Reply::Bulk("message".to_owned()), Reply::Integer(1)];
        for (protocol, expected) in [
            (Protocol::Resp2, "*2\r\n$7\r\nmessage\r\n:1\r\n"),
            (Protocol::Resp3, ">2\r\n$7\r\nmessage\r\n:1\r\n"),
        ] {
            let mut out = Vec::new();
            push(&items, protocol, &mut out);
            assert_eq!(out, expected.as_bytes());
        }
    }

    fn any_reply() -> impl Strategy<Value = Reply> {
        let leaf = prop_oneof![
            Just(Reply::Ok),
            Just(Reply::Null),
            any::<String>().prop_map(Reply::Bulk),
            any::<String>().prop_map(Reply::Error),
            any::<i64>().prop_map(Reply::Integer),
            any::<f64>().prop_map(Reply::Double),
            any::<bool>().prop_map(Reply::Boolean),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Reply::Array),
                proptest::collection::vec(inner, 0..4)
                    .prop_map(|values| Reply::Map(values.into_iter().map(|value| ("key", value)).collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_reply_is_exactly_one_value_and_one_document(reply in any_reply()) {
            for protocol in [Protocol::Resp2, Protocol::Resp3] {
                let bytes = written(&reply, protocol);
                prop_assert_eq!(ReplyScanner::new().scan(bytes.as_bytes()), Ok(Some(bytes.len())));
            }
            prop_assert!(serde_json::from_str::<serde_json::Value>(&json(&reply)).is_ok());
        }
    }
}
