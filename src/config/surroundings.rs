//! What of the machine does a config depend on?
//!
//! Shell: the only place in this module that reads a file, the environment or the number of cores. Everything else is
//! given a [`Surroundings`], so that tests and fuzzing bring their own.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustls::pki_types::CertificateDer;

/// Reads a file, at most so many bytes of it.
type ReadFile<'a> = dyn Fn(&Path, usize) -> io::Result<Vec<u8>> + 'a;
/// Reads an environment variable.
type ReadEnv<'a> = dyn Fn(&str) -> Option<OsString> + 'a;
/// Lists the certificates of the system's authorities.
type Roots<'a> = dyn Fn() -> Vec<CertificateDer<'static>> + 'a;

/// The machine as far as a config sees it.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Workers when the config says 0.
    pub cores: usize,
    /// The process is root's: state goes to `/var/lib`.
    pub is_root: bool,
    /// Reads the start of a file, at most as many bytes as the second argument says.
    pub read: &'a ReadFile<'a>,
    /// Reads an environment variable.
    pub env: &'a ReadEnv<'a>,
    /// Whom the system has sign for others.
    pub roots: &'a Roots<'a>,
}

impl Surroundings<'static> {
    /// This machine and process.
    pub fn real() -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            is_root: nix::unistd::geteuid().is_root(),
            read: &read_start,
            env: &read_env,
            roots: &system_roots,
        }
    }
}

impl fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, is_root, .. } = self;
        f.debug_struct("Surroundings")
            .field("cores", cores)
            .field("is_root", is_root)
            .finish_non_exhaustive()
    }
}

fn read_start(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let bytes_max = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    File::open(path)?.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Those that can be read; SSL_CERT_FILE and SSL_CERT_DIR say where else to look.
fn system_roots() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

/// `std::env::var_os` panics on no name it is given here: an empty one, or one with `=` or NUL in it, is not set.
fn read_env(name: &str) -> Option<OsString> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return None;
    }
    std::env::var_os(name)
}
