//! What does this request want, and of which keys?
//!
//! Pure: the table's answer, corrected by what the arguments say. A request that Redis would refuse anyway is forwarded
//! where that is safe, so that the refusal is worded as the server words it.

use super::flags;
use super::intent::{Intent, MergeKind};
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
    /// It is a PUBLISH or SPUBLISH.
    pub is_publish: bool,
    /// It runs a script or a function.
    pub is_script: bool,
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
            is_publish: false,
            is_script: false,
            may_retry: false,
        };
    };
    classified(spec, args)
}

/// Classifies a request by a command of the table, or a container of it, that its server knows by another name.
pub(crate) fn classify_as(spec: &'static Spec, args: Args<'_>) -> Classified {
    let sub = args.get(1).filter(|_| spec.has(flags::CONTAINER));
    classified(sub.and_then(|sub| subcommand(spec, sub)).unwrap_or(spec), args)
}

#[inline]
fn classified(spec: &'static Spec, args: Args<'_>) -> Classified {
    let keys = spec.keys.positions(args);
    let fits = keys.is_ok() && spec.accepts(args.len());
    Classified {
        spec: Some(spec),
        intent: intent(spec, args, fits),
        keys: keys.unwrap_or(KeyPositions::NONE),
        is_publish: spec.is_publish(),
        is_script: spec.has(flags::NO_MANDATORY_KEYS),
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
    // Most of what is sent.
    if matches!(spec.intent, Intent::Forward) && !spec.has(flags::CONTAINER | flags::ADMIN) {
        return Intent::Forward;
    }
    let alone = spec.has(flags::CONTAINER) && args.len() < 2;
    match spec.intent {
        Intent::Blocking if spec.keys == KeyRule::Streams && !StreamOptions::of(args).blocks => {
            Intent::Forward
        }
        _ if alone => Intent::Forward,
        Intent::Forward if spec.has(flags::ADMIN) && empties_acl_log(spec, args) => {
            Intent::Everywhere(MergeKind::First)
        }
        Intent::Forward
        | Intent::Split(_)
        | Intent::Everywhere(_)
        | Intent::Keyspace(_)
        | Intent::Libraries
        | Intent::Script(_)
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

/// The one form of ACL LOG that does not only tell.
fn empties_acl_log(spec: &Spec, args: Args<'_>) -> bool {
    let is_reset = |word: &[u8]| word.eq_ignore_ascii_case(b"reset");
    spec.name == "acl|log" && args.len() == 3 && args.get(2).is_some_and(is_reset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_plane::command::{KeyspaceUse, LocalCommand, SplitKind, TopicKind};
    use crate::resp::with_args;
    use proptest::prelude::*;

    fn classified(request: &str) -> Classified {
        let words: Vec<&str> = request.split_whitespace().collect();
        with_args(&words, classify)
    }

    fn assert_intent(request: &str, intent: Intent) {
        assert_eq!(classified(request).intent, intent, "{request}");
    }

    #[test]
    fn a_request_is_treated_as_the_table_says() {
        assert_intent("get a", Intent::Forward);
        assert_intent("info", Intent::Info);
        assert_intent("swapdb 0 1", Intent::OneSideOnly);
        assert_intent("Mget a b", Intent::Split(SplitKind::Mget));
        assert_intent("MSET a 1 b 2", Intent::Split(SplitKind::Mset));
        assert_intent("unlink a b", Intent::Split(SplitKind::Sum));
        assert_intent("msetnx a 1 b 2", Intent::Forward);
        assert_intent("dbsize", Intent::Everywhere(MergeKind::Sum));
        assert_intent("script exists a", Intent::Everywhere(MergeKind::Least));
        assert_intent("client setname a", Intent::Local(LocalCommand::ClientSetName));
        assert_intent("multi", Intent::Multi);
        assert_intent("blpop a 0", Intent::Blocking);
        assert_intent("wait 1 0", Intent::Wait);
        assert_intent("auth a b", Intent::Local(LocalCommand::Auth));
        assert_intent("acl log 5", Intent::Forward);
        assert_intent("acl Log Reset", Intent::Everywhere(MergeKind::First));
        assert_intent("acl setuser a on", Intent::Everywhere(MergeKind::First));
        assert_intent("scan 0", Intent::Keyspace(KeyspaceUse::Scan));
        assert_intent("save", Intent::Everywhere(MergeKind::First));
        assert_intent("monitor", Intent::Local(LocalCommand::Monitor));
    }

    #[test]
    fn a_stream_is_read_on_a_private_link_only_when_it_is_waited_for() {
        assert_intent("xread streams a 0", Intent::Forward);
        assert_intent("xread count 1 block 0 streams a 0", Intent::Blocking);
        assert_intent("xread count block streams a 0", Intent::Forward);
        assert_intent("xreadgroup group g block streams a >", Intent::Forward);
        assert_intent("xreadgroup group g c block 1 streams a >", Intent::Blocking);
    }

    #[test]
    fn what_redis_would_refuse_is_forwarded_to_be_refused() {
        for misfit in [
            "get",
            "mget",
            "mset a 1 b",
            "multi now",
            "watch",
            "select",
            "dbsize a",
            "client",
            "cluster",
            "xgroup",
            "client setname",
            "eval s many a",
            "xread streams a b 0",
            "object encoding",
        ] {
            assert_intent(misfit, Intent::Forward);
        }
    }

    #[test]
    fn arguments_a_newer_redis_may_accept_do_not_hide_the_keys() {
        let zrank = classified("zrank a m withscore");
        assert_eq!(zrank.intent, Intent::Forward);
        assert_eq!(zrank.keys.collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn misfits_of_what_must_not_reach_a_shared_link_do_not_either() {
        assert_intent("blpop a", Intent::Blocking);
        // No server takes arguments to it.
        assert_intent("monitor now", Intent::Forward);
        assert_intent("client no-touch on", Intent::Local(LocalCommand::ClientUnknown));
        assert_intent("subscribe", Intent::Subscribe(TopicKind::Channel));
        assert_intent("ssubscribe", Intent::Subscribe(TopicKind::Shard));
    }

    #[test]
    fn what_redis_7_0_does_not_know_is_unknown_and_taken_for_a_write() {
        for unknown in ["json.get a", "config|get a", "xgroup rename a", "config"] {
            let unknown = classified(unknown);
            assert!(!unknown.may_retry && !unknown.is_publish);
            assert_eq!(unknown.keys.len(), 0);
        }
        assert_intent("json.get a", Intent::Unknown);
        assert_intent("config frob", Intent::Unknown);
        // It only tells what there is, whatever its subcommand: any side's words will do.
        assert_intent("pubsub frob", Intent::Forward);
        assert_intent("", Intent::Unknown);
    }

    #[test]
    fn publishing_is_told_apart_and_is_keyed_by_its_channel() {
        for publish in ["publish c m", "spublish c m"] {
            let publish = classified(publish);
            assert!(publish.is_publish && !publish.may_retry);
            assert_eq!(publish.keys.collect::<Vec<_>>(), [1]);
        }
        assert!(!classified("get c").is_publish);
    }

    #[test]
    fn every_flag_that_redis_calls_blocking_needs_a_private_link() {
        for spec in crate::data_plane::command::specs() {
            if spec.has(flags::BLOCKING) {
                assert_eq!(spec.intent, Intent::Blocking, "{}", spec.name);
            }
        }
    }

    proptest! {
        #[test]
        fn no_arguments_panic_and_no_key_lies_outside(
            words in proptest::collection::vec(
                prop_oneof![
                    proptest::sample::select(
                        crate::data_plane::command::specs()
                            .flat_map(|spec| spec.name.split('|'))
                            .chain(["streams", "block", "store", "keys", "auth2", "0", "2", "-1", ""])
                            .map(str::to_owned)
                            .collect::<Vec<_>>()
                    ),
                    ".*",
                ],
                0..8,
            ),
        ) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            with_args(&words, |args| {
                let positions: Vec<usize> = classify(args).keys.collect();
                assert!(positions.iter().all(|&at| 0 < at && at < args.len()));
            });
        }
    }
}
