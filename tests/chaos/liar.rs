//! What does a Sentinel that lies say, and when?
//!
//! Shell: a fourth one a side, that nobody else knows. It says nothing of use until it is told to lie.

use std::sync::{Arc, Mutex};

use switchback::cluster::NodeAddr;

use crate::fake;

/// Later than any real one.
const EPOCH: u64 = 900;

pub(crate) struct Liar {
    address: NodeAddr,
    lie: Arc<Mutex<Option<NodeAddr>>>,
}

impl Liar {
    pub(crate) fn silent() -> Self {
        let lie = Arc::<Mutex<Option<NodeAddr>>>::default();
        let telling = Arc::clone(&lie);
        let address = fake::listen(move |request| {
            let master = telling.lock().unwrap().clone();
            match master {
                Some(master) => fake::lie(&master, EPOCH, request),
                None => "-ERR No such master with that name\r\n".to_owned(),
            }
        });
        Self { address, lie }
    }

    pub(crate) fn address(&self) -> &NodeAddr {
        &self.address
    }

    pub(crate) fn say(&self, master: Option<NodeAddr>) {
        *self.lie.lock().unwrap() = master;
    }
}
