//! In what does the proxy differ from a server, and why?

/// What a client can tell the proxy by.
pub(crate) struct Difference {
    /// Sent one after the other; the reply to the last differs.
    pub(crate) lines: &'static [&'static str],
    /// What the proxy's reply contains.
    pub(crate) proxied: &'static str,
    /// For whoever reads this.
    #[allow(dead_code, reason = "documentation, kept beside what it is about")]
    pub(crate) why: &'static str,
}

const fn of(lines: &'static [&'static str], proxied: &'static str, why: &'static str) -> Difference {
    Difference { lines, proxied, why }
}

const UNSUPPORTED: &str = "is not supported by switchback";

pub(crate) const DIFFERENCES: &[Difference] = &[
    // Not yet: the rest of the command surface is to come.
    of(
        &["MULTI", "HELLO 2 AUTH default x AUTH default y"],
        UNSUPPORTED,
        "a refusal would not say of which",
    ),
    of(
        &["HELLO 3", "WATCH a", "CLIENT TRACKING ON", "MULTI", "EXEC"],
        "_\\r\\n",
        "what is watched is watched on a link that does not track",
    ),
    of(
        &["HELLO 3", "SUBSCRIBE a", "AUTH default x"],
        UNSUPPORTED,
        "what is listened to is listened to on a link of one user",
    ),
    // By design: what it would say or do is a server's or a link's, not the app's.
    of(
        &["MULTI", "SUBSCRIBE c", "PUBLISH c m", "EXEC"],
        "subscribe\\r\\n$1\\r\\nc\\r\\n:1\\r\\n:1\\r\\n",
        "what a transaction publishes to its own client comes behind EXEC's reply, not within it",
    ),
    of(&["CLIENT ID"], ":", "the proxy's own number of the client"),
    of(&["HELLO 2"], "server\\r\\n", "each numbers its own clients"),
    of(&["HELLO 3"], "%7\\r\\n", "each numbers its own clients"),
    of(
        &["CLIENT LIST"],
        "cmd=client|list user=default redir=-1 resp=2\\n",
        "the proxy's clients, with the proxy's numbers",
    ),
    of(
        &["CLIENT INFO"],
        "cmd=client|info user=default redir=-1 resp=2\\n",
        "the proxy's buffers are others than a server's",
    ),
    of(
        &["SCRIPT DEBUG NO"],
        UNSUPPORTED,
        "debugging needs a server of one's own",
    ),
    of(
        &["CLUSTER INFO"],
        UNSUPPORTED,
        "the proxy is not a Redis Cluster node",
    ),
    of(
        &["READONLY"],
        UNSUPPORTED,
        "the proxy is not a Redis Cluster node",
    ),
    of(
        &["REPLCONF nonsense 1"],
        UNSUPPORTED,
        "replication is arranged on the nodes",
    ),
    of(
        &["INFO switchback"],
        "# Switchback\\r\\n",
        "INFO of all sections, or of this one, has a section of the proxy's own",
    ),
];
