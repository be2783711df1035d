//! What do connections to a side's nodes and Sentinels ask for, and what do they show?
//!
//! Pure, but for what is behind the handle: what a reload puts there counts for connections that are made from then on.

use std::fmt;
use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
};

use super::listener::root_store;
use super::pem::TlsFault;
use super::print::Print;
use super::provider;

/// How much of a node's certificate must be right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Who signed it, and the name or address it is for.
    #[default]
    Full,
    /// Who signed it: what nodes ask of each other (Redis, `src/tls.c`, compares no names).
    Ca,
}

/// A certificate of the proxy's own, with its key.
pub type Proof = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Whom a side's nodes are believed to be signed by, and the proxy's own certificate. Clones are the same handle.
#[derive(Clone)]
pub struct SideTls(Arc<ArcSwap<Setup>>);

struct Setup {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
    print: Print,
}

impl SideTls {
    /// `server_name`: what is asked for (SNI), and looked for in certificates, in place of the host that is connected to.
    ///
    /// # Errors
    /// The key is not the certificate's, or something of it is of a kind that is not known.
    pub fn new(
        authorities: Vec<CertificateDer<'static>>,
        proof: Option<Proof>,
        server_name: Option<ServerName<'static>>,
        verify: Verify,
    ) -> Result<Self, TlsFault> {
        let print = {
            let (chain, key) = proof
                .as_ref()
                .map_or((&[][..], &[][..]), |(chain, key)| (&**chain, key.secret_der()));
            let name = server_name.as_ref().map(|name| name.to_str());
            let name = name.as_deref().unwrap_or_default().as_bytes();
            let certificates = authorities.iter().chain(chain).map(AsRef::as_ref);
            Print::of(certificates.chain([key, name, &[verify as u8]]))
        };
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(root_store(authorities)?), provider());
        let verifier = verifier
            .build()
            .map_err(|error| TlsFault::Unusable(error.to_string()))?;
        let builder =
            ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let builder = match verify {
            Verify::Full => builder.with_webpki_verifier(verifier),
            Verify::Ca => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyName(verifier))),
        };
        let config = match proof {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        };
        Ok(Self(Arc::new(ArcSwap::from_pointee(Setup {
            config: Arc::new(config),
            server_name,
            print,
        }))))
    }

    /// The client's end of a new connection to a node on `host`, a name or an address.
    ///
    /// # Errors
    /// `host` is neither.
    pub(crate) fn connection(&self, host: &str) -> io::Result<ClientConnection> {
        let setup = self.0.load();
        let name = match &setup.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned()).map_err(io::Error::other)?,
        };
        ClientConnection::new(Arc::clone(&setup.config), name).map_err(io::Error::other)
    }

    /// Asks for what `next` asks for from now on.
    pub(crate) fn becomes(&self, next: &Self) {
        // What is the same stays, and with it what makes a second handshake short.
        if self != next {
            self.0.store(next.0.load_full());
        }
    }
}

impl PartialEq for SideTls {
    fn eq(&self, other: &Self) -> bool {
        self.0.load().print == other.0.load().print
    }
}

impl Eq for SideTls {}

impl fmt::Debug for SideTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SideTls(***)")
    }
}

/// Asks who signed a certificate, and not whom it is for.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self
            .0
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // The name comes last: everything else has been found right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
