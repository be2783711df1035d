//! Which scripts has the proxy seen, so that a node that lacks one can be given it?
//!
//! Pure but for the hash. A script that was loaded on one side is not on the other, nor on a node that was restarted. Before
//! EVALSHA goes out on a link for the first time, the script is loaded there. What is seen in SCRIPT LOAD is kept for all workers;
//! what is seen in EVAL, only by the worker that saw it: an app may make a new script of every call.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use rustc_hash::{FxHashMap, FxHashSet};
use sha1::{Digest, Sha1};

use crate::limits::{SCRIPT_BYTES_MAX, SCRIPTS_MAX};

/// SHA-1 of a script's text, by which EVALSHA names it.
pub(crate) type ScriptId = [u8; 20];

/// The name of a script.
pub(crate) fn id_of(body: &[u8]) -> ScriptId {
    Sha1::digest(body).into()
}

/// The name that EVALSHA gives, in either case; `None` for what is none.
pub(crate) fn read_id(hex: &[u8]) -> Option<ScriptId> {
    let mut id = ScriptId::default();
    if hex.len() != 2 * id.len() {
        return None;
    }
    for (byte, digits) in id.iter_mut().zip(hex.chunks_exact(2)) {
        let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(id)
}

/// Scripts by name, within bounds.
#[derive(Clone, Debug, Default)]
struct Known {
    bodies: FxHashMap<ScriptId, Bytes>,
    bytes: usize,
}

impl Known {
    /// Keeps a script; too many of them make it begin anew: those that are still in use come again.
    fn keep(&mut self, id: ScriptId, body: &[u8]) {
        if body.len() > SCRIPT_BYTES_MAX || self.bodies.contains_key(&id) {
            return;
        }
        if self.bodies.len() >= SCRIPTS_MAX || self.bytes + body.len() > SCRIPT_BYTES_MAX {
            *self = Self::default();
        }
        self.bytes += body.len();
        self.bodies.insert(id, Bytes::copy_from_slice(body));
    }
}

/// What was seen in SCRIPT LOAD by any worker, since the last SCRIPT FLUSH.
#[derive(Debug, Default)]
pub struct SharedScripts {
    known: ArcSwap<Known>,
    flushes: AtomicU64,
}

/// The scripts that a connection has loaded.
#[derive(Debug, Default)]
pub(crate) struct LoadedScripts {
    ids: FxHashSet<ScriptId>,
    /// As of this many flushes.
    flushes: u64,
}

impl LoadedScripts {
    /// Notes that a script is loaded from now on; `false` when it was.
    pub(crate) fn add(&mut self, shared: &SharedScripts, id: ScriptId) -> bool {
        let flushes = shared.flushes.load(Ordering::Relaxed);
        if flushes != self.flushes || self.ids.len() >= SCRIPTS_MAX {
            self.ids.clear();
            self.flushes = flushes;
        }
        self.ids.insert(id)
    }

    /// It may be that none is: they were flushed on the node, or did not get there.
    pub(crate) fn forget(&mut self) {
        self.ids.clear();
    }
}

/// One worker's view.
#[derive(Default)]
pub(crate) struct Scripts {
    evaluated: RefCell<Known>,
    /// As of this many flushes.
    flushes: Cell<u64>,
}

impl Scripts {
    /// SCRIPT LOAD: seldom. Cost: a copy of all that is known.
    pub(crate) fn loaded(&self, shared: &SharedScripts, body: &[u8]) {
        let id = id_of(body);
        if !shared.known.load().bodies.contains_key(&id) {
            shared.known.rcu(|known| {
                let mut known = Known::clone(known);
                known.keep(id, body);
                known
            });
        }
    }

    /// EVAL. Cost: a hash, as on the server; a copy of a new script.
    pub(crate) fn evaluated(&self, shared: &SharedScripts, body: &[u8]) {
        self.see_flushes(shared);
        if body.len() <= SCRIPT_BYTES_MAX {
            self.evaluated.borrow_mut().keep(id_of(body), body);
        }
    }

    /// The script of that name. Cost: two lookups.
    pub(crate) fn body(&self, shared: &SharedScripts, id: &ScriptId) -> Option<Bytes> {
        self.see_flushes(shared);
        let own = self.evaluated.borrow().bodies.get(id).cloned();
        own.or_else(|| shared.known.load().bodies.get(id).cloned())
    }

    /// SCRIPT FLUSH: no script is to be there any more.
    pub(crate) fn flushed(&self, shared: &SharedScripts) {
        shared.known.store(Arc::default());
        shared.flushes.fetch_add(1, Ordering::Release);
    }

    /// Another worker's client may have sent SCRIPT FLUSH.
    fn see_flushes(&self, shared: &SharedScripts) {
        let flushes = shared.flushes.load(Ordering::Acquire);
        if self.flushes.replace(flushes) != flushes {
            self.evaluated.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_known_by_its_hash_in_either_case() {
        let (shared, scripts) = (SharedScripts::default(), Scripts::default());
        scripts.loaded(&shared, b"return 1");
        // As `SCRIPT LOAD "return 1"` of a server answers.
        for name in [
            "e0e1f9fabfc9d4800c877a703b823ac0578ff8db",
            "E0E1F9FABFC9D4800C877A703B823AC0578FF8DB",
        ] {
            let id = read_id(name.as_bytes()).unwrap();
            assert_eq!(scripts.body(&shared, &id).unwrap(), "return 1");
            assert_eq!(
                Scripts::default().body(&shared, &id).unwrap(),
                "return 1",
                "another worker"
            );
        }
        assert_eq!(read_id(b"e0e1f9fabfc9d4800c877a703b823ac0578ff8dx"), None);
        assert_eq!(read_id(b"e0"), None);
        scripts.flushed(&shared);
        assert_eq!(scripts.body(&shared, &id_of(b"return 1")), None);
    }

    #[test]
    fn a_flush_by_one_worker_makes_all_forget() {
        let (shared, here, there) = (SharedScripts::default(), Scripts::default(), Scripts::default());
        let id = id_of(b"return 1");
        here.evaluated(&shared, b"return 1");
        there.loaded(&shared, b"return 1");
        there.flushed(&shared);
        assert_eq!(here.body(&shared, &id), None);
        here.evaluated(&shared, b"return 1");
        assert_eq!(here.body(&shared, &id).unwrap(), "return 1");
    }

    #[test]
    fn scripts_are_bounded_in_number_and_size() {
        let (shared, scripts) = (SharedScripts::default(), Scripts::default());
        for number in 0..SCRIPTS_MAX + 10 {
            scripts.evaluated(&shared, format!("return {number}").as_bytes());
        }
        assert_eq!(scripts.evaluated.borrow().bodies.len(), 10);
        let large = vec![b' '; SCRIPT_BYTES_MAX];
        scripts.evaluated(&shared, &large);
        assert_eq!(scripts.evaluated.borrow().bodies.len(), 1);
        scripts.evaluated(&shared, &[&large[..], b" "].concat());
        assert_eq!(
            scripts.body(&shared, &id_of(&large)).unwrap().len(),
            SCRIPT_BYTES_MAX
        );
    }
}
