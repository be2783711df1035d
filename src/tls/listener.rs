//! What do listeners show to whoever connects, and what do they ask for?
//!
//! Pure, but for what is behind the handle: what a reload puts there counts for connections that are made from then on.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use super::pem::TlsFault;
use super::print::Print;
use super::provider;

/// A certificate with its key, and who signs clients' certificates. Clones are the same handle.
#[derive(Clone)]
pub struct ListenerTls(Arc<ArcSwap<Setup>>);

struct Setup {
    config: Arc<ServerConfig>,
    print: Print,
}

impl ListenerTls {
    /// `chain` begins with the listener's own certificate. With `client_ca`, a client that shows no certificate signed by one of them
    /// is not let in.
    ///
    /// # Errors
    /// The key is not the certificate's, or something of it is of a kind that is not known.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        client_ca: Option<Vec<CertificateDer<'static>>>,
    ) -> Result<Self, TlsFault> {
        let parts = chain.iter().map(AsRef::as_ref);
        let authorities = client_ca.iter().flatten().map(AsRef::as_ref);
        let print = Print::of(parts.chain([key.secret_der()]).chain(authorities));
        let builder =
            ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(authorities) => {
                let roots = Arc::new(root_store(authorities)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
                builder.with_client_cert_verifier(
                    verifier.map_err(|error| TlsFault::Unusable(error.to_string()))?,
                )
            }
        };
        let mut config = builder.with_single_cert(chain, key)?;
        // Clients that come back are spared a signature, whichever worker they come to.
        config.ticketer = rustls::crypto::ring::Ticketer::new()?;
        let config = Arc::new(config);
        Ok(Self(Arc::new(ArcSwap::from_pointee(Setup { config, print }))))
    }

    /// The server's end of a new connection.
    pub(crate) fn connection(&self) -> Result<ServerConnection, rustls::Error> {
        ServerConnection::new(Arc::clone(&self.0.load().config))
    }

    /// Shows what `next` shows from now on.
    pub(crate) fn becomes(&self, next: &Self) {
        // What is the same stays, and with it what makes a second handshake short.
        if self != next {
            self.0.store(next.0.load_full());
        }
    }
}

/// # Errors
/// One of them is none that can be trusted in.
pub(super) fn root_store(authorities: Vec<CertificateDer<'static>>) -> Result<RootCertStore, TlsFault> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority)?;
    }
    Ok(roots)
}

impl PartialEq for ListenerTls {
    fn eq(&self, other: &Self) -> bool {
        self.0.load().print == other.0.load().print
    }
}

impl fmt::Debug for ListenerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ListenerTls(***)")
    }
}
