//! What does this request want, and of which keys?
//!
//! Pure: the table's answer, corrected by what the arguments say. A request that Redis would refuse anyway is forwarded
//! where that is safe, so that the refusal is worded as the server words it.

use super::flags;
use super::intent::Intent;
use super::keys::{KeyPositions, KeyRule, StreamOptions};
use super::spec::{Spec, command, subcommand};
use crate::resp::Args;

/// What the data plane needs to know of one request. Holds no reference to it.
#[derive(Clone, Debug)]
pub struct Classified {
    /// The command, or the container of an unknown subcommand; `None` for a command Redis 7.0 does not have.
    pub spec: Option<&'static Spec>,
    /// How to treat it.
    pub intent: Intent,
    /// Where its keys (for PUBLISH: its channel) are. Empty if it has none or they cannot be told.
    pub keys: KeyPositions,
    /// It can change data. True of what is not known.
    pub is_write: bool,
    /// It is a PUBLISH or SPUBLISH.
    pub is_publish: bool,
    /// Sent but unanswered, it may be sent again: it has no effect.
    pub may_retry: bool,
}

/// Classifies a request. Cost: one lookup, two with a subcommand; no allocation.
#[inline]
pub fn classify(args: Args<'_>) -> Classified {
    let Some(spec) = find(args) else {
        return Classified {
            spec: None,
            intent: Intent::Unknown,
            keys: KeyPositions::NONE,
            is_write: true,
            is_publish: false,
            may_retry: false,
        };
    };
    let keys = spec.keys.positions(args);
    let fits = keys.is_ok() && spec.accepts(args.len());
    Classified {
        spec: Some(spec),
        intent: intent(spec, args, fits),
        keys: keys.unwrap_or(KeyPositions::NONE),
        is_write: spec.may_write() || matches!(spec.intent, Intent::Unknown),
        is_publish: spec.is_publish(),
        may_retry: spec.is_repeatable(),
    }
}

#[inline]
fn find(args: Args<'_>) -> Option<&'static Spec> {
    let spec = command(args.get(0)?)?;
    if !spec.has(flags::CONTAINER) {
        return Some(spec);
    }
    let known = args.get(1).and_then(|sub| subcommand(spec, sub));
    Some(known.unwrap_or(spec))
}

/// The table's intent, unless the arguments say otherwise. `fits`: neither their number nor their keys are at fault.
///
/// A misfit goes to a server to be refused, by its keys as far as they can be told: a newer Redis may accept more
/// arguments than 7.0 does, and then they decide where it writes.
#[inline]
fn intent(spec: &Spec, args: Args<'_>, fits: bool) -> Intent {
    let alone = spec.has(flags::CONTAINER) && args.len() < 2;
    match spec.intent {
        Intent::Blocking if spec.keys == KeyRule::Streams && !StreamOptions::of(args).blocks => {
            Intent::Forward
        }
        _ if alone => Intent::Forward,
        Intent::Forward
        | Intent::Split(_)
        | Intent::Everywhere(_)
        | Intent::Local(_)
        | Intent::Multi
        | Intent::Exec
        | Intent::Discard
        | Intent::Watch
        | Intent::Unwatch
            if !fits =>
        {
            Intent::Forward
        }
        // Refused or kept off shared links, however many arguments: what misfits 7.0 may mean something to another.
        intent => intent,
    }
}
