//! Is this what was read before?
//!
//! Pure: a digest, so that what was read need not be kept to be compared: a key among it.

use sha1::{Digest, Sha1};

/// Of everything a setup was made from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Print([u8; 20]);

impl Print {
    /// Of these parts, in this order.
    pub(super) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut digest = Sha1::new();
        for part in parts {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }
}
