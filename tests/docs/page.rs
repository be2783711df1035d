//! How is a page that is made from the code written, or compared with what is there?
//!
//! Shell: reads and writes below `docs/`.

use std::path::{Path, PathBuf};

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn path(name: &str) -> PathBuf {
    root().join("docs").join(name)
}

/// Compares `made` with the page of this name; with `SWITCHBACK_WRITE_DOCS=1` the page is written anew first.
pub(crate) fn compare(name: &str, made: &str) {
    if std::env::var_os("SWITCHBACK_WRITE_DOCS").is_some() {
        std::fs::write(path(name), made).unwrap();
    }
    let written = std::fs::read_to_string(path(name)).unwrap_or_default();
    let differs = made.lines().zip(written.lines()).find(|(made, is)| made != is);
    assert!(
        written == made,
        "docs/{name} is out of date: SWITCHBACK_WRITE_DOCS=1 cargo test --test docs writes it; {differs:?}"
    );
}
