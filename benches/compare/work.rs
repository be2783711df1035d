//! What is asked of a contestant?
//!
//! Pure.

use super::values::{MIDDLE, SMALL, Values};

/// One row of the table.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    pub(crate) title: &'static str,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Reads of keys that are all there.
    Get(Get),
    /// Messages to subscribers.
    Messages { subscribers: usize, channels: usize },
}

#[derive(Clone, Copy)]
pub(crate) struct Get {
    pub(crate) clients: usize,
    pub(crate) pipeline: usize,
    /// Keys a command: more than one is MGET.
    pub(crate) keys: usize,
    pub(crate) values: Values,
}

pub(crate) const LARGE: Values = Values {
    prefix: "large:",
    count: 32,
    bytes: 1 << 20,
};

const fn get(title: &'static str, clients: usize, pipeline: usize, keys: usize, values: Values) -> Work {
    Work {
        title,
        kind: Kind::Get(Get {
            clients,
            pipeline,
            keys,
            values,
        }),
    }
}

/// Every row.
pub(crate) const ALL: [Work; 8] = [
    get("GET 64 B, 50 clients", 50, 1, 1, SMALL),
    get("GET 64 B, 50 clients, pipeline 16", 50, 16, 1, SMALL),
    get("GET 64 B, 1 client", 1, 1, 1, SMALL),
    get("GET 64 B, 500 clients", 500, 1, 1, SMALL),
    get("MGET of 100, 50 clients", 50, 1, 100, SMALL),
    get("GET 64 KiB, 50 clients", 50, 1, 1, MIDDLE),
    get("GET 1 MiB, 50 clients", 50, 1, 1, LARGE),
    Work {
        title: "messages to 100 subscribers of 10 channels",
        kind: Kind::Messages {
            subscribers: 100,
            channels: 10,
        },
    },
];
