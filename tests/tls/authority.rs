//! Certificates, signed by an authority of a test's own.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use switchback::lab::Directory;

/// Who signs. Its files go with it.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    directory: Directory,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "of a test");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let directory = Directory::create("tls").unwrap();
        directory.write("ca.pem", &certificate.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        Self { issuer, directory }
    }

    /// Has `NAME.pem` and `NAME.key` written, for these names and addresses.
    pub(crate) fn sign(&self, name: &str, subjects: &[&str]) -> Identity {
        let subjects: Vec<String> = subjects.iter().map(|&subject| subject.to_owned()).collect();
        let params = CertificateParams::new(subjects).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            cert: self
                .directory
                .write(&format!("{name}.pem"), &certificate.pem())
                .unwrap(),
            key: self
                .directory
                .write(&format!("{name}.key"), &key.serialize_pem())
                .unwrap(),
        }
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }
}

/// A certificate with its key.
pub(crate) struct Identity {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}
