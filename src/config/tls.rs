//! What do listeners show, and what do connections to a side's nodes ask for?
//!
//! Pure, except for what [`super::Surroundings`] reads: certificates and keys are files, and are read again at each reload. Faults show
//! nothing that is in them.

use std::path::Path;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::found::Found;
use super::keys::Keys;
use super::section::Section;
use super::surroundings::Surroundings;
use crate::limits::PEM_BYTES_MAX;
use crate::tls::{self, ListenerTls, Proof, SideTls, TlsFault, Verify};

/// Keys of `[route.tls]` and `[proxy.admin_tls]`.
pub(super) const LISTENER: Keys = Keys {
    known: &["cert", "key", "client_ca"],
};

/// Keys of `[route.old_tls]` and `[route.new_tls]`.
pub(super) const SIDE: Keys = Keys {
    known: &["ca", "cert", "key", "server_name", "verify"],
};

const VERIFY: [(&str, Verify); 2] = [("full", Verify::Full), ("ca", Verify::Ca)];
const PATH_ALLOWED: &str = "the path of a PEM file";

/// What a listener shows, by the table `key`. `None`: it is absent, or faulty and reported.
pub(super) fn listener(
    of: &Section<'_>,
    key: &'static str,
    around: &Surroundings<'_>,
) -> Option<ListenerTls> {
    let found = of.get(key)?;
    let section = found.section(LISTENER)?;
    let allowed =
        "the path of a PEM file with the listener's certificate first, then those between it and its CA";
    section.need("cert", allowed);
    section.need("key", "the path of a PEM file with the certificate's private key");
    let proof = proof(&section, around);
    let client_ca = all_or_none(section.get("client_ca").map(|found| chain(&found, around)));
    let (chain, key) = proof??;
    told(&found, ListenerTls::new(chain, key, client_ca?))
}

/// What connections to a side's nodes ask for, by the table at `key`, if its URL wants any. `None`: something is faulty and reported.
pub(super) fn side(
    route: &Section<'_>,
    url: &Found<'_>,
    is_wanted: bool,
    key: &'static str,
    around: &Surroundings<'_>,
) -> Option<Option<SideTls>> {
    let found = route.get(key);
    let (Some(found), true) = (&found, is_wanted) else {
        if let Some(found) = found {
            found.fault("TLS for a side whose URL is without; allowed: with rediss:// or rediss+sentinel://");
            return None;
        }
        return match is_wanted {
            true => of_the_system(around)
                .map(Some)
                .map_err(|text| url.fault(text))
                .ok(),
            false => Some(None),
        };
    };
    let section = found.section(SIDE)?;
    let authorities = match section.get("ca") {
        Some(found) => chain(&found, around),
        None => {
            let roots = (around.roots)();
            if roots.is_empty() {
                found.fault(NO_ROOTS);
            }
            (!roots.is_empty()).then_some(roots)
        }
    };
    let proof = proof(&section, around);
    let server_name = all_or_none(section.get("server_name").map(|found| {
        found.parsed("a DNS name or an address", |text| {
            ServerName::try_from(text.to_owned()).ok()
        })
    }));
    let verify = section.or("verify", Verify::Full, |found| found.word(&VERIFY));
    told(found, SideTls::new(authorities?, proof?, server_name?, verify)).map(Some)
}

const NO_ROOTS: &str =
    "it asks for TLS, and this system lists no certificate authority; allowed: `ca` in the side's TLS table";

/// What a URL alone asks for: the system's authorities, and names compared.
pub(super) fn of_the_system(around: &Surroundings<'_>) -> Result<SideTls, String> {
    let roots = (around.roots)();
    if roots.is_empty() {
        return Err(NO_ROOTS.to_owned());
    }
    SideTls::new(roots, None, None, Verify::Full).map_err(|fault| fault.to_string())
}

/// A certificate with its key. Outer `None`: faulty; inner: neither is there.
fn proof(section: &Section<'_>, around: &Surroundings<'_>) -> Option<Option<Proof>> {
    let (cert, key) = (section.get("cert"), section.get("key"));
    if let (Some(alone), None) | (None, Some(alone)) = (&cert, &key) {
        alone.fault("a certificate and its key go together; allowed: both `cert` and `key`, or neither");
    }
    let chain = cert.map(|found| chain(&found, around));
    let key = key.map(|found| private_key(&found, around));
    match (chain, key) {
        (None, None) => Some(None),
        (chain, key) => Some(Some((chain??, key??))),
    }
}

fn chain(found: &Found<'_>, around: &Surroundings<'_>) -> Option<Vec<CertificateDer<'static>>> {
    told(found, tls::certificates(&file(found, around)?))
}

fn private_key(found: &Found<'_>, around: &Surroundings<'_>) -> Option<PrivateKeyDer<'static>> {
    told(found, tls::private_key(&file(found, around)?))
}

fn file(found: &Found<'_>, around: &Surroundings<'_>) -> Option<Vec<u8>> {
    let path = found.text(PATH_ALLOWED)?;
    match (around.read)(Path::new(path), PEM_BYTES_MAX + 1) {
        Ok(bytes) if bytes.len() > PEM_BYTES_MAX => {
            found.fault(format!("the file it names is longer than {PEM_BYTES_MAX} bytes"));
            None
        }
        Ok(bytes) => Some(bytes),
        Err(error) => {
            found.fault(format!("the file it names cannot be read: {}", error.kind()));
            None
        }
    }
}

fn told<T>(found: &Found<'_>, result: Result<T, TlsFault>) -> Option<T> {
    result.map_err(|fault| found.fault(fault.to_string())).ok()
}

/// `None` for what is there and faulty.
fn all_or_none<T>(found: Option<Option<T>>) -> Option<Option<T>> {
    match found {
        Some(None) => None,
        found => Some(found.flatten()),
    }
}
