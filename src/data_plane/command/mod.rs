//! What does a request ask for, and which keys does it name?
//!
//! Pure, and without allocation: [`classify()`] looks a request's name up once (twice with a subcommand) in a table that
//! holds every command of Redis 7.0, and says how to treat it and where its keys are.

mod classify;
pub mod flags;
mod intent;
mod keys;
mod spec;
mod table;

pub(crate) use classify::classify_as;
pub use classify::{Classified, classify};
pub use intent::{Intent, KeyspaceUse, LocalCommand, MergeKind, ScriptUse, SplitKind, TopicKind};
pub use keys::{KeyError, KeyPositions, KeyRule};
pub use spec::{Spec, allowable, lookup, specs};
