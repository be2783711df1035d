//! Where does a process of the lab keep its files?
//!
//! Shell: one directory a process, gone with the value.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::LabError;

/// Names tried before giving up: each is random, so the second one is already unlikely.
const NAMES_TRIED_MAX: usize = 16;

/// A new directory under the system's temporary directory, readable by nobody else, removed on drop.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// Creates it. `label` is for the eye only.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn create(label: &str) -> Result<Self, LabError> {
        let mut last = None;
        for _ in 0..NAMES_TRIED_MAX {
            let name = format!(
                "switchback-{label}-{}-{:08x}",
                std::process::id(),
                fastrand::u32(..)
            );
            let path = std::env::temp_dir().join(name);
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) => last = Some(error),
            }
        }
        let source = last.unwrap_or_else(|| std::io::ErrorKind::AlreadyExists.into());
        Err(LabError::io("creating a temporary directory")(source))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file in it.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn write(&self, name: &str, content: &str) -> Result<PathBuf, LabError> {
        let path = self.0.join(name);
        fs::write(&path, content).map_err(LabError::io(format!("writing {}", path.display())))?;
        Ok(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Nobody is left to tell, and the system clears its temporary directory by itself.
        let _ = fs::remove_dir_all(&self.0);
    }
}
