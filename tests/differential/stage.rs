//! What is compared?
//!
//! Shell: the program in front of two servers, and beside each of them one like it that the program does not know.

use switchback::lab::{Server, ServerOptions};

use crate::connection::Connection;
use crate::kinds::Kinds;
use crate::running::Running;

pub(crate) struct Stage {
    /// Old and new.
    pub(crate) behind: [Server; 2],
    pub(crate) beside: [Server; 2],
    pub(crate) proxy: Running,
}

impl Stage {
    pub(crate) fn set() -> Self {
        let pair = || [server(), server()];
        let (behind, beside) = (pair(), pair());
        let url = |server: &Server| format!("redis://{}", server.addr());
        let proxy = Running::start(&url(&behind[0]), Some(&url(&behind[1])), &untroubled());
        proxy.raise("50");
        let stage = Self {
            behind,
            beside,
            proxy,
        };
        stage.weight("0");
        stage
    }

    /// Every worker routes by it when this returns.
    pub(crate) fn weight(&self, percent: &str) {
        let said = self.proxy.say(&["WEIGHT", "r", percent, "FORCE", "test"]);
        assert_eq!(said, "OK", "WEIGHT r {percent}");
    }

    /// Words that need a server to be made.
    pub(crate) fn kinds(&self) -> Kinds {
        let mut server = Connection::open(&self.beside[0].addr());
        let values: [&[&[u8]]; 8] = [
            &[b"SET", b"k", b"value"],
            &[b"SET", b"k", b"12"],
            &[b"RPUSH", b"k", b"a", b"b", b""],
            &[b"SADD", b"k", b"1", b"2"],
            &[b"ZADD", b"k", b"1", b"a", b"2.5", b"b"],
            &[b"HSET", b"k", b"f1", b"v", b"f2", b"w"],
            &[b"XADD", b"k", b"1-1", b"f1", b"v"],
            &[b"PFADD", b"k", b"a", b"b"],
        ];
        let dump = |words: &[&[u8]]| {
            server.call(words);
            let reply = server.call(&[b"DUMP", b"k"]);
            server.call(&[b"DEL", b"k"]);
            let from = reply.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            reply[from..reply.len() - 2].to_vec()
        };
        Kinds {
            dumps: values.map(dump).into(),
        }
    }
}

/// One who may do most.
const USER: &str = "user app on >secret ~* &* +@all -flushdb -zpopmax -lolwut";

/// Looks 500 times a second whether somebody has waited long enough.
fn server() -> Server {
    let config = ["enable-debug-command yes", "hz 500", USER].map(str::to_owned);
    Server::start(&ServerOptions {
        config: config.into(),
        ..ServerOptions::default()
    })
    .unwrap()
}

/// No rule of the guard moves the weight: a busy machine is not what this is about.
fn untroubled() -> String {
    let rules = [
        "unreachable",
        "memory_cap",
        "slowlog_growth",
        "traffic_rising",
        "bandwidth",
    ];
    let off = |rule| format!("[route.guard.{rule}]\naction_old = \"off\"\naction_new = \"off\"\n");
    rules.map(off).concat()
}
