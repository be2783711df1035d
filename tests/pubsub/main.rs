//! Does every message arrive once and in order, through the real program, whatever is done to it; and is an app's
//! conversation that of Redis?

// Clippy knows functions that are tests, not the functions those are made of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod behaviour;
mod bounds;
#[path = "../support/breaking.rs"]
mod breaking;
mod failovers;
mod failures;
mod hub;
#[path = "../support/lagging.rs"]
mod lagging;
#[path = "../data_plane/proxied.rs"]
#[allow(
    dead_code,
    reason = "made for the data plane's tests, of which this needs the client that sees bytes"
)]
mod proxied;
mod replicas;
#[path = "../support/running.rs"]
#[allow(dead_code, reason = "made for the proxy's tests, of which this needs a part")]
mod running;
#[path = "../support/shaking.rs"]
mod shaking;
mod weights;
#[path = "../support/words.rs"]
mod words;

use switchback::demo::{MessageLedger, MessageOptions};
use switchback::lab::{Server, ServerOptions};

use crate::running::Running;

/// A server, without replicas: what is tested is not the guard.
fn server() -> Server {
    Server::start(&ServerOptions::default()).unwrap()
}

fn url(server: &Server) -> String {
    format!("redis://{}", server.addr())
}

/// The program in front of two servers.
fn pair() -> (Server, Server, Running) {
    let (old, new) = (server(), server());
    let running = Running::start(&url(&old), Some(&url(&new)), "");
    (old, new, running)
}

/// Few enough messages for a build that is not optimized.
fn some() -> MessageOptions {
    MessageOptions {
        subscribers: 100,
        per_second: 200,
        ..MessageOptions::default()
    }
}

/// Every message has come, once, whole and in order, and no publisher has seen an error.
fn assert_exact(ledger: &MessageLedger) {
    for fault in &ledger.faults {
        println!("{fault}");
    }
    println!("{}", breaking::line(ledger));
    assert!(ledger.is_exact() && ledger.failures() == 0, "{ledger:?}");
    assert_eq!((ledger.reconnects, ledger.excused), (0, 0), "{ledger:?}");
}
