//! What may stand in a command's places?
//!
//! Pure: few keys, some of a slot, each with a type it mostly has, so that commands meet data, and now and then the wrong one.

use fastrand::Rng;
use sha1::{Digest, Sha1};

use crate::grammar::Command;

const TYPES: [&str; 9] = [
    "str", "bits", "list", "set", "zset", "hash", "stream", "geo", "hll",
];
const TAGS: [&str; 3] = ["{x}", "{y}", ""];
/// What only those commands have that keep it as it is. Sorted sets whose scores are all equal: what is found by name among
/// differing ones is decided by the level that a server draws for each member. Lists of nothing but numbers.
const KEPT: [&str; 2] = ["names", "numbers"];
/// Keys of one type and tag.
const ALIKE: usize = 2;
/// What is said instead of a type now and then: a type that is as good.
const STRANGE_KEYS: [&[u8]; 4] = [b"", b"\x00\xff\r\n", b"{}x", b"a{x}{y}"];
const MEMBERS: [&str; 16] = [
    "a",
    "b",
    "c",
    "d",
    "e",
    "f",
    "g",
    "1",
    "2",
    "3",
    "-7",
    "1.5",
    "",
    "member",
    "\u{e9}",
    "two words",
];
const SCRIPTS: [&str; 20] = [
    "return redis.call('SET', KEYS[1], ARGV[1])",
    "return redis.call('GET', KEYS[1])",
    "return {KEYS[1], ARGV[1], #KEYS, false, 1.5, {err='MINE'}, {ok='FINE'}}",
    "redis.call('INCRBY', KEYS[1], ARGV[2]) return redis.call('EXISTS', unpack(KEYS))",
    "return redis.pcall('RPUSH', KEYS[1], unpack(ARGV))",
    "return redis.error_reply('MINE ' .. ARGV[1])",
    "return redis.status_reply('FINE')",
    "return redis.call('DEL', unpack(KEYS))",
    "for i = 1, #KEYS do redis.pcall('HSET', KEYS[i], 'f', ARGV[1]) end return #KEYS",
    "redis.setresp(3) return {double=3.5}",
    "return {map={a=1}}",
    "return nonsense(",
    "error('boom')",
    "return redis.call('NOSUCH')",
    "return cjson.encode({1, 'two', #ARGV})",
    "return redis.sha1hex(ARGV[1] or '')",
    "return redis.call('TYPE', KEYS[1] or 'x')",
    "#!lua flags=no-writes\nreturn redis.call('SET', KEYS[1], 1)",
    "#!lua\nreturn #KEYS",
    "return tostring(undefined_global)",
];
const LIBRARIES: [&str; 4] = [
    "#!lua name=one\nredis.register_function('f1', function(k, a) return redis.call('SET', k[1], a[1]) end)",
    "#!lua name=two\nredis.register_function{function_name='f2', callback=function(k, a) return {#k, #a, k[1]} end, flags={'no-writes'}}",
    "#!lua name=two\nredis.register_function{function_name='f2', callback=function(k, a) return 'other' end, flags={'no-writes'}}",
    "#!lua name=bad\nnonsense(",
];
const GARBAGE: [&[u8]; 11] = [
    b"",
    b"\x00\xff",
    b"nonsense",
    b"-1",
    b"0",
    b"9223372036854775807",
    b"18446744073709551616",
    b"-9223372036854775808",
    b" 3",
    b"{x}str0",
    b"GET",
];

/// What holds for all words of a command.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chosen {
    /// All keys have this tag, so that they have one owner.
    tag: Option<usize>,
}

impl Chosen {
    pub(crate) fn any(rng: &mut Rng) -> Self {
        let tag = rng.bool().then(|| rng.usize(..2));
        Self { tag }
    }
}

/// Words of every kind.
pub(crate) struct Kinds {
    /// What DUMP said of some values.
    pub(crate) dumps: Vec<Vec<u8>>,
}

impl Kinds {
    /// Adds a word, or of `keys:…` several.
    pub(crate) fn add(&self, kind: &'static str, rng: &mut Rng, chosen: &Chosen, command: &mut Command) {
        if let Some(of) = kind.strip_prefix("keys:") {
            let count = rng.usize(1..=3);
            command.words.push(count.to_string().into_bytes());
            (0..count).for_each(|_| add_key(key(of, rng, chosen), command));
        } else if let Some(of) = kind.strip_suffix('!') {
            add_key(key_of(of, rng, chosen), command);
        } else if TYPES.contains(&kind) || matches!(kind, "big" | "any") {
            add_key(key(kind, rng, chosen), command);
        } else if kind == "channel" {
            add_key(format!("channel{}", rng.u8(..4)).into_bytes(), command);
        } else {
            command.words.push(self.word(kind, rng));
        }
    }

    fn word(&self, kind: &str, rng: &mut Rng) -> Vec<u8> {
        let text = match kind {
            "val" | "elem" => return value(rng),
            "member" => one(rng, &MEMBERS).to_owned(),
            "field" => format!("f{}", rng.u8(..12)),
            "bigval" => {
                let length = rng.usize(..100_000);
                return vec![rng.u8(..); length];
            }
            "long" => "long".repeat(rng.usize(1..40)),
            "int" => match rng.u8(..20) {
                0 => i64::MAX.to_string(),
                1 => i64::MIN.to_string(),
                _ => rng.i64(-50..1_000).to_string(),
            },
            "huge" => i64::MAX.to_string(),
            "idx" => rng.i8(-6..12).to_string(),
            "off" => rng.u8(..60).to_string(),
            "bit" => rng.u8(..2).to_string(),
            "bitoff" => rng.u16(..4_000).to_string(),
            "bitkind" => one(rng, &["u1", "i8", "u5", "i16", "u32", "i64", "u63"]).to_owned(),
            "bitat" => format!("{}{}", one(rng, &["", "#"]), rng.u8(..30)),
            "float" => one(
                rng,
                &["1", "-2.5", "0.1", "1e10", "3.0e-3", "inf", "nan", "1e300"],
            )
            .to_owned(),
            "score" => one(
                rng,
                &["1", "2", "3", "-2.5", "0.1", "1e10", "inf", "-inf", "3.0e-3"],
            )
            .to_owned(),
            "by" => one(rng, &["-inf", "+inf", "0", "1", "(1", "2", "(3", "-3", "1e9"]).to_owned(),
            "lex" => one(rng, &["-", "+", "[a", "(a", "[c", "(f", "[", "(1", "a"]).to_owned(),
            // Any two differ, and no test lasts until one has come.
            "far" => rng.u32(100_000..100_000_000).to_string(),
            "farms" => rng.u64(100_000_000..100_000_000_000).to_string(),
            "at" => (33_177_117_420 + rng.u64(..3)).to_string(),
            "atms" => (33_177_117_420_000 + rng.u64(..3)).to_string(),
            "db" => rng.u8(..4).to_string(),
            "glob" => one(rng, &["*", "*0", "{x}*", "[a-l]*1", "f?", "nothing"]).to_owned(),
            "type" => one(rng, &["string", "list", "set", "zset", "hash", "stream", "x"]).to_owned(),
            "lon" => format!("{}.5", rng.i16(-185..185)),
            "lat" => format!("{}.25", rng.i8(-90..90)),
            "place" => format!("p{}", rng.u8(..8)),
            "dist" => rng.u32(..5_000).to_string(),
            "unit" => one(rng, &["m", "km", "mi", "ft"]).to_owned(),
            "newid" => match rng.u8(..4) {
                0 => format!("{}-*", rng.u8(1..250)),
                _ => format!("{}-{}", rng.u8(..250), rng.u8(..4)),
            },
            "id" => format!("{}-{}", rng.u8(..250), rng.u8(..4)),
            "from" => one(rng, &["-", "0", "(5-1", "20", "100"]).to_owned(),
            "to" => one(rng, &["+", "250", "(100-1", "90"]).to_owned(),
            "group" => format!("g{}", rng.u8(..2)),
            "consumer" => format!("c{}", rng.u8(..2)),
            "script" => one(rng, &SCRIPTS).to_owned(),
            "sha" => format!("{:x}", Sha1::digest(one(rng, &SCRIPTS))),
            "library" => one(rng, &LIBRARIES).to_owned(),
            "libname" => one(rng, &["one", "two", "none"]).to_owned(),
            "function" => one(rng, &["f1", "f2", "none"]).to_owned(),
            "name" => one(rng, &["get", "SET", "mset", "nosuch", "eval", "xadd"]).to_owned(),
            "word" => one(rng, &["nosuch", "frob", "w1", "Zork"]).to_owned(),
            "dump" => return self.dumps[rng.usize(..self.dumps.len())].clone(),
            other => panic!("no kind <{other}>"),
        };
        text.into_bytes()
    }
}

pub(crate) fn one<'a>(rng: &mut Rng, of: &[&'a str]) -> &'a str {
    of[rng.usize(..of.len())]
}

/// What belongs nowhere. `waits`: the command would wait for long on a number.
pub(crate) fn garbage(rng: &mut Rng, waits: bool) -> Vec<u8> {
    let of = if waits { &GARBAGE[..4] } else { &GARBAGE[..] };
    of[rng.usize(..of.len())].to_vec()
}

/// Whether it is the key of something that is kept as it is.
pub(crate) fn is_kept(key: &[u8]) -> bool {
    let key = String::from_utf8_lossy(key);
    KEPT.iter().any(|kind| key.contains(kind))
}

/// A key that mostly has what is asked for.
fn key(kind: &'static str, rng: &mut Rng, chosen: &Chosen) -> Vec<u8> {
    match kind {
        "any" => key_of(one(rng, &TYPES), rng, chosen),
        "big" => key_of("big", rng, chosen),
        _ if rng.u8(..100) < 80 => key_of(kind, rng, chosen),
        _ => key_of(one(rng, &TYPES), rng, chosen),
    }
}

fn key_of(kind: &str, rng: &mut Rng, chosen: &Chosen) -> Vec<u8> {
    if rng.u8(..200) == 0 && chosen.tag.is_none() && kind != "big" && !KEPT.contains(&kind) {
        return STRANGE_KEYS[rng.usize(..STRANGE_KEYS.len())].to_vec();
    }
    let tag = TAGS[chosen.tag.unwrap_or_else(|| rng.usize(..TAGS.len()))];
    format!("{tag}{kind}{}", rng.usize(..ALIKE)).into_bytes()
}

fn add_key(key: Vec<u8>, command: &mut Command) {
    command.keys.push(command.words.len());
    command.words.push(key);
}

fn value(rng: &mut Rng) -> Vec<u8> {
    match rng.u8(..10) {
        0 => Vec::new(),
        1..4 => rng.i16(..).to_string().into_bytes(),
        4 => b"3.25".to_vec(),
        5 => (0..rng.usize(..40)).map(|_| rng.u8(..)).collect(),
        6 => vec![b'x'; rng.usize(30..80)],
        _ => (0..rng.usize(1..12)).map(|_| rng.alphanumeric() as u8).collect(),
    }
}
