//! Has the proxy given back what its clients took?
//!
//! Shell.

use std::time::Duration;

use switchback::lab::wait_for;

use crate::proxy::{Proxy, open_descriptors, say};

/// Links to six nodes and to Sentinels, a worker's two sets of them, what is kept ready, and files.
pub(crate) const DESCRIPTORS_MAX: usize = 200;
/// A build that is not optimized, after a load of small commands. It begins with about 20 MB.
const RESIDENT_BYTES_MAX: u64 = 200_000_000;
/// Links that are not used any more are closed after a while.
const PATIENCE: Duration = Duration::from_secs(20);

/// What it has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rest {
    pub(crate) clients: Option<u64>,
    pub(crate) descriptors: usize,
    pub(crate) resident_bytes: u64,
}

impl Rest {
    pub(crate) fn of(proxy: &Proxy) -> Self {
        let status = say(&proxy.running.socket(), &["STATUS", "r", "JSON"]);
        let status: Option<serde_json::Value> = status.and_then(|text| serde_json::from_str(&text).ok());
        Self {
            clients: status.and_then(|status| status["clients"].as_u64()),
            descriptors: open_descriptors(proxy.pid()),
            resident_bytes: resident_bytes(proxy.pid()),
        }
    }

    fn is_within(self) -> bool {
        self.clients == Some(0)
            && self.descriptors <= DESCRIPTORS_MAX
            && self.resident_bytes <= RESIDENT_BYTES_MAX
    }

    /// Waits for it to be within bounds.
    ///
    /// # Errors
    /// What it has then.
    pub(crate) fn wait(proxy: &Proxy) -> Result<Self, Self> {
        let outcome = wait_for("the proxy to rest", PATIENCE, || Self::of(proxy).is_within());
        let last = Self::of(proxy);
        outcome.map(|()| last).map_err(|_| last)
    }
}

fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}

#[test]
fn a_descriptor_a_client_or_a_byte_too_many_is_not_rest() {
    let rest = Rest {
        clients: Some(0),
        descriptors: DESCRIPTORS_MAX,
        resident_bytes: RESIDENT_BYTES_MAX,
    };
    assert!(rest.is_within());
    for more in [
        Rest {
            clients: Some(1),
            ..rest
        },
        Rest {
            clients: None,
            ..rest
        },
        Rest {
            descriptors: DESCRIPTORS_MAX + 1,
            ..rest
        },
        Rest {
            resident_bytes: RESIDENT_BYTES_MAX + 1,
            ..rest
        },
    ] {
        assert!(!more.is_within(), "{more:?}");
    }
}
