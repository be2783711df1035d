//! Do two servers hold the same?
//!
//! Shell: asks both directly, in every database that one of them has. DEBUG DIGEST-VALUE is the same for equal values, in
//! whatever order a hash table has them; what it leaves out (consumer groups) is asked for besides.

use switchback::lab::Server;

use crate::compare::{elements, same};
use crate::connection::Connection;
use crate::rules::Rule;

/// What they differ in, if in anything.
pub(crate) fn difference(there: &Server, here: &Server) -> Option<String> {
    let [mut there, mut here] = [there, here].map(|server| Connection::open(&server.addr()));
    let mut both = [&mut there, &mut here];
    for database in 0..16 {
        let number = database.to_string();
        let mut ask = |words: &[&[u8]]| both.each_mut().map(|server| server.call(words));
        ask(&[b"SELECT", number.as_bytes()]);
        let [mut there, mut here] = ask(&[b"KEYS", b"*"]).map(|reply| elements(&reply));
        there.sort();
        here.sort();
        if there != here {
            let only = |of: &[Vec<u8>], not: &[Vec<u8>]| {
                let missing = of.iter().filter(|key| !not.contains(key));
                missing
                    .map(|key| key.escape_ascii().to_string())
                    .collect::<Vec<_>>()
            };
            return Some(format!(
                "database {number}: only there {:?}, only here {:?}",
                only(&there, &here),
                only(&here, &there)
            ));
        }
        for key in there {
            let key = string(&key);
            let questions: [(&[&[u8]], Rule); 4] = [
                (&[b"TYPE", &key], Rule::Exact),
                (&[b"OBJECT", b"ENCODING", &key], Rule::Exact),
                (&[b"DEBUG", b"DIGEST-VALUE", &key], Rule::Exact),
                (&[b"PTTL", &key], Rule::Near(60_000)),
            ];
            for (words, rule) in questions {
                let [there, here] = ask(words);
                let is_stream = there == b"+stream\r\n";
                if !same(&there, &here, rule, None) {
                    let words = words.join(&b' ');
                    return Some(format!(
                        "database {number}, {}: there {}, here {}",
                        words.escape_ascii(),
                        there.escape_ascii(),
                        here.escape_ascii()
                    ));
                }
                if is_stream {
                    let [there, here] = ask(&[b"XINFO", b"STREAM", &key, b"FULL", b"COUNT", b"0"]);
                    if !same(&there, &here, Rule::Near(60_000), None) {
                        return Some(format!(
                            "database {number}, {}: there {}, here {}",
                            key.escape_ascii(),
                            there.escape_ascii(),
                            here.escape_ascii()
                        ));
                    }
                }
            }
        }
    }
    None
}

/// What a bulk string's reply says.
pub(crate) fn string(reply: &[u8]) -> Vec<u8> {
    let from = reply.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    reply[from..reply.len() - 2].to_vec()
}
