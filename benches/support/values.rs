//! Which keys are there to be read?
//!
//! Shell: what is read of is written once, before anything is measured.

use switchback::lab::{Client, Server};

/// Keys of one length of value.
#[derive(Clone, Copy)]
pub(crate) struct Values {
    /// What their names begin with.
    pub(crate) prefix: &'static str,
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

/// Enough keys for a weight to divide them.
pub(crate) const SMALL: Values = Values {
    prefix: "small:",
    count: 100_000,
    bytes: 64,
};
pub(crate) const MIDDLE: Values = Values {
    prefix: "middle:",
    count: 200,
    bytes: 64 << 10,
};

impl Values {
    /// As redis-benchmark writes its random numbers.
    pub(crate) fn key(&self, number: usize) -> String {
        format!("{}{number:012}", self.prefix)
    }

    /// Each of them.
    pub(crate) fn value(&self) -> Vec<u8> {
        vec![b'x'; self.bytes]
    }

    /// Writes them to a server, under the names that `key` gives their numbers.
    pub(crate) fn fill(&self, server: &Server, key: impl Fn(&Self, usize) -> String) {
        let (mut client, value) = (Client::connect(&server.addr()).unwrap(), self.value());
        for number in 0..self.count {
            let key = key(self, number);
            client.send::<&[u8]>(&[b"SET", key.as_bytes(), &value]).unwrap();
            if number % 100 == 99 || number + 1 == self.count {
                (0..=number % 100).for_each(|_| drop(client.receive().unwrap()));
            }
        }
    }
}
