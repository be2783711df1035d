//! Who may read what passes, and how does each end prove who it is?
//!
//! What a route's listeners show to clients ([`ListenerTls`]) and what connections to a side's nodes and Sentinels ask for
//! ([`SideTls`]). Both are handles: a reload puts other certificates behind them, and connections that are there keep theirs.
//! How bytes pass through TLS is [`crate::net`]'s.

mod listener;
mod pem;
mod print;
mod side;

pub use listener::ListenerTls;
pub use pem::{TlsFault, certificates, private_key};
pub use side::{Proof, SideTls, Verify};

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The one library of ciphers; no default of the process's is relied on.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
