//! What does a PEM file hold?
//!
//! Pure: bytes in, certificates or a key or a cause out. No cause carries anything of the file.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why what was given for TLS cannot be used. Its text follows the key path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    /// There is a damaged block, or none at all.
    #[error("the file it names holds no certificate; allowed: PEM, with BEGIN CERTIFICATE")]
    NoCertificate,
    /// The same of a key.
    #[error("the file it names holds no private key; allowed: PEM, with BEGIN PRIVATE KEY, unencrypted")]
    NoKey,
    /// They are not a pair.
    #[error("the key does not belong to the certificate; the file's first certificate is the proxy's own")]
    Mismatch,
    /// The library's word.
    #[error("it cannot be used: {0}")]
    Unusable(String),
}

impl From<rustls::Error> for TlsFault {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InconsistentKeys(_) => Self::Mismatch,
            other => Self::Unusable(other.to_string()),
        }
    }
}

/// All certificates of a file, at least one, in its order.
///
/// # Errors
/// There is none, or one of them is damaged.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|_| TlsFault::NoCertificate)?;
    (!found.is_empty())
        .then_some(found)
        .ok_or(TlsFault::NoCertificate)
}

/// The first private key of a file: PKCS #8, PKCS #1 or SEC1.
///
/// # Errors
/// There is none that can be read.
pub fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsFault> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| TlsFault::NoKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_what_is_wanted_says_so_and_nothing_of_itself() {
        for text in [
            "",
            "secret",
            "-----BEGIN CERTIFICATE-----\nsecret\n",
            "\0\u{fffd}",
        ] {
            assert_eq!(
                certificates(text.as_bytes()),
                Err(TlsFault::NoCertificate),
                "{text}"
            );
            assert_eq!(
                private_key(text.as_bytes()).err(),
                Some(TlsFault::NoKey),
                "{text}"
            );
        }
    }

    #[test]
    fn a_chain_keeps_its_order() {
        let pairs = ["a", "b"].map(|name| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap());
        let pem: String = pairs.iter().map(|pair| pair.cert.pem()).collect();
        let ders: Vec<_> = pairs.iter().map(|pair| pair.cert.der().clone()).collect();
        assert_eq!(certificates(pem.as_bytes()), Ok(ders));
    }
}
