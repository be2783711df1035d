//! Which replies of two servers with equal contents may differ, how far, and why?
//!
//! Pure: data. All others are compared byte for byte.

use crate::grammar::Command;

/// How two replies are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Byte for byte.
    Exact,
    /// The same elements, in whatever order.
    Unordered,
    /// Numbers may be apart, by at most this.
    Near(i64),
    /// The same, but for a few numbers that are a little apart.
    Counts,
    /// The same but for numbers.
    Numbers,
    /// Strings of the same lengths.
    Lengths,
    /// As many elements of the same types.
    Shape,
    /// The same type at the top.
    Type,
}

const HASHED: &str = "a hash table's order is decided by a seed that each server draws";
const CHANCE: &str = "picked by chance";
const CLOCK: &str = "told by the clock, in milliseconds or seconds: each server takes its own time";
const ENDS: &str = "when a worker's link has let go of a channel that nobody wants, the node knows it a moment before the proxy";
const OWN: &str = "tells of a server or a connection itself";

/// Longest that two servers may be apart in time.
const APART_MS: i64 = 20_000;

/// Name or `CONTAINER SUBCOMMAND`, the rule, why.
pub(crate) const RULES: &[(&str, Rule, &str)] = &[
    ("SMEMBERS", Rule::Unordered, HASHED),
    ("SINTER", Rule::Unordered, HASHED),
    ("SUNION", Rule::Unordered, HASHED),
    ("SDIFF", Rule::Unordered, HASHED),
    ("SPOP", Rule::Unordered, HASHED),
    ("SSCAN", Rule::Unordered, HASHED),
    ("HSCAN", Rule::Unordered, HASHED),
    ("ZSCAN", Rule::Unordered, HASHED),
    ("SCAN", Rule::Unordered, HASHED),
    ("KEYS", Rule::Unordered, HASHED),
    ("HGETALL", Rule::Unordered, HASHED),
    ("HKEYS", Rule::Unordered, HASHED),
    ("HVALS", Rule::Unordered, HASHED),
    ("SORT BY nosort", Rule::Shape, HASHED),
    ("CONFIG GET", Rule::Unordered, HASHED),
    ("COMMAND ", Rule::Unordered, HASHED),
    ("COMMAND INFO", Rule::Unordered, HASHED),
    ("COMMAND DOCS", Rule::Unordered, HASHED),
    ("COMMAND LIST", Rule::Unordered, HASHED),
    ("FUNCTION LIST", Rule::Unordered, HASHED),
    ("DUMP", Rule::Lengths, HASHED),
    ("FUNCTION DUMP", Rule::Lengths, HASHED),
    ("RANDOMKEY", Rule::Type, CHANCE),
    ("SRANDMEMBER", Rule::Shape, CHANCE),
    ("HRANDFIELD", Rule::Shape, CHANCE),
    ("ZRANDMEMBER", Rule::Shape, CHANCE),
    ("TTL", Rule::Near(APART_MS / 1000), CLOCK),
    ("PTTL", Rule::Near(APART_MS), CLOCK),
    ("EXPIRETIME", Rule::Near(APART_MS / 1000), CLOCK),
    ("PEXPIRETIME", Rule::Near(APART_MS), CLOCK),
    ("XPENDING", Rule::Near(APART_MS), CLOCK),
    ("XINFO STREAM", Rule::Near(APART_MS), CLOCK),
    ("XINFO CONSUMERS", Rule::Near(APART_MS), CLOCK),
    ("OBJECT IDLETIME", Rule::Near(APART_MS / 1000), CLOCK),
    ("TIME", Rule::Shape, CLOCK),
    ("LASTSAVE", Rule::Numbers, CLOCK),
    ("SLOWLOG GET", Rule::Type, CLOCK),
    ("SLOWLOG LEN", Rule::Numbers, CLOCK),
    ("LATENCY HISTOGRAM", Rule::Type, CLOCK),
    ("LATENCY LATEST", Rule::Type, CLOCK),
    ("LATENCY HISTORY", Rule::Type, CLOCK),
    ("LATENCY GRAPH", Rule::Type, CLOCK),
    ("LATENCY DOCTOR", Rule::Type, CLOCK),
    ("LATENCY RESET", Rule::Numbers, CLOCK),
    (
        "MEMORY USAGE",
        Rule::Type,
        "what an allocation holds depends on how a request came in",
    ),
    ("MEMORY STATS", Rule::Type, OWN),
    ("MEMORY DOCTOR", Rule::Type, OWN),
    ("FUNCTION STATS", Rule::Type, OWN),
    ("INFO", Rule::Type, OWN),
    ("ROLE", Rule::Numbers, OWN),
    ("HELLO", Rule::Numbers, OWN),
    ("CLIENT ID", Rule::Numbers, OWN),
    ("PUBLISH", Rule::Counts, ENDS),
    ("SPUBLISH", Rule::Counts, ENDS),
    ("PUBSUB NUMSUB", Rule::Counts, ENDS),
    ("PUBSUB SHARDNUMSUB", Rule::Counts, ENDS),
    ("PUBSUB NUMPAT", Rule::Counts, ENDS),
    ("PUBSUB CHANNELS", Rule::Unordered, HASHED),
    ("PUBSUB SHARDCHANNELS", Rule::Unordered, HASHED),
    ("CLIENT INFO", Rule::Type, OWN),
];

const OTHERS: &str = "refused at every weight, or another test's";
const OPERATOR: &str = "would change the servers, or end them";

/// Rows of the command table that are not generated (a name ending in `*`: all that begin so), and why.
pub(crate) const SKIPPED: &[(&str, &str)] = &[
    ("acl|cat", OTHERS),
    ("acl|deluser", OTHERS),
    ("acl|dryrun", OTHERS),
    ("acl|genpass", OTHERS),
    ("acl|getuser", OTHERS),
    ("acl|help", OTHERS),
    ("acl|list", OTHERS),
    ("acl|load", OTHERS),
    ("acl|log", OTHERS),
    ("acl|save", OTHERS),
    ("acl|setuser", OTHERS),
    ("acl|users", OTHERS),
    ("acl", "an unknown subcommand of it"),
    ("asking", OTHERS),
    ("client|kill", OTHERS),
    ("client|list", OTHERS),
    ("client|pause", OTHERS),
    ("client|unblock", OTHERS),
    ("client|unpause", OTHERS),
    ("cluster*", OTHERS),
    ("debug", OTHERS),
    ("monitor", OTHERS),
    ("readonly", OTHERS),
    ("readwrite", OTHERS),
    ("script|debug", OTHERS),
    ("bgrewriteaof", OPERATOR),
    ("bgsave", OPERATOR),
    ("config|rewrite", OPERATOR),
    ("failover", OPERATOR),
    ("memory|malloc-stats", "a text about the allocator"),
    ("migrate", "needs a third server"),
    ("module|load*", OPERATOR),
    ("pfselftest", "computes for a second"),
    ("psync", OPERATOR),
    ("replconf", OPERATOR),
    ("replicaof", OPERATOR),
    ("save", OPERATOR),
    ("shutdown", OPERATOR),
    ("slaveof", OPERATOR),
    ("sync", OPERATOR),
    ("*subscribe", "sent by those who listen"),
];

/// In EXEC's reply; a node counts links there, not clients.
const COUNTED_BY_NODES: &[(&str, Rule)] = &[
    ("PUBLISH", Rule::Numbers),
    ("SPUBLISH", Rule::Numbers),
    ("PUBSUB NUMSUB", Rule::Numbers),
    ("PUBSUB SHARDNUMSUB", Rule::Numbers),
    ("PUBSUB NUMPAT", Rule::Numbers),
    ("PUBSUB CHANNELS", Rule::Type),
    ("PUBSUB SHARDCHANNELS", Rule::Type),
];

/// How what a transaction has queued is compared when it is executed.
pub(crate) fn in_transaction(command: &Command) -> Rule {
    let container = format!("{} {}", command.word(0), command.word(1));
    let found = COUNTED_BY_NODES
        .iter()
        .find(|(name, _)| *name == command.word(0) || *name == container);
    found.map_or_else(|| rule(command), |(_, rule)| *rule)
}

const SET_UP_ONCE: &str =
    "what is watched is watched on a link that is set up once: EXEC says that a key has changed";

/// What a client does not say while it watches keys, and why.
const LEFT_OUT_WATCHING: &[(&str, &str)] = &[
    ("CLIENT TRACKING", SET_UP_ONCE),
    ("CLIENT NOSUCH", SET_UP_ONCE),
    ("CLIENT FROB", SET_UP_ONCE),
    ("CLIENT W1", SET_UP_ONCE),
    ("CLIENT ZORK", SET_UP_ONCE),
];

/// Commands that are not generated while the weight moves, and why.
const LEFT_OUT_MOVING: &[(&str, &str)] = &[
    (
        "SCAN",
        "a scan goes over one side after the other, with cursors of the proxy's own",
    ),
    (
        "CLIENT CACHING",
        "it holds for one command, which of two servers one never sees",
    ),
];

/// Whether a client does not say it, when the weight `moves`, or when it is `watching`.
pub(crate) fn is_left_out(command: &Command, moves: bool, watching: bool) -> bool {
    let is_in = |list: &[(&str, &str)]| {
        let container = format!("{} {}", command.word(0), command.word(1));
        list.iter()
            .any(|(name, _)| *name == command.word(0) || *name == container)
    };
    (moves && is_in(LEFT_OUT_MOVING)) || (watching && is_in(LEFT_OUT_WATCHING))
}

pub(crate) fn rule(command: &Command) -> Rule {
    let (name, sub) = (command.word(0), command.word(1));
    // BY without a `*` is no order either.
    let words = || command.words.iter();
    let unsorted = name.starts_with("SORT")
        && words()
            .zip(words().skip(1))
            .any(|(word, by)| word.eq_ignore_ascii_case(b"by") && !by.contains(&b'*'));
    let container = || match unsorted {
        true => "SORT BY nosort".to_owned(),
        false => format!("{name} {sub}"),
    };
    let found = RULES
        .iter()
        .find(|(known, ..)| *known == name || *known == container());
    found.map_or(Rule::Exact, |(_, rule, _)| *rule)
}
