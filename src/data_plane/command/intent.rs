//! How is a command treated?
//!
//! Pure: words only. The table gives every command one of them; `classify` may change it by a request's arguments.

/// How the data plane treats a request. "Between" is a weight that is neither 0 nor 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Goes to the owner of its keys, whole. Without a key: to the majority owner's master. That holds for what reads
    /// one server (INFO, CONFIG GET, SLOWLOG GET) and for requests every Redis refuses, so that the app gets Redis's
    /// own words. A script without declared keys goes there too: Redis asks scripts to declare their keys.
    Forward,
    /// INFO: as [`Intent::Forward`], with a section of the proxy's own.
    Info,
    /// Takes several keys, and has a meaning when they are divided by owner.
    Split(SplitKind),
    /// Has no key and concerns all data: at a weight between it goes to both sides and their replies are merged;
    /// otherwise as [`Intent::Forward`].
    Everywhere(MergeKind),
    /// Tells which keys there are, each by the side that owns it.
    Keyspace(KeyspaceUse),
    /// Runs or changes scripts, which the proxy keeps to give them to nodes that lack them. Otherwise as [`Intent::Forward`] or
    /// [`Intent::Everywhere`].
    Script(ScriptUse),
    /// Changes the library of functions: done by both sides at every weight, as a library that was loaded on one side is
    /// missed on the other when keys move. Otherwise as [`Intent::Everywhere`].
    Libraries,
    /// Answered from the session's own state, never forwarded: it would change a link that sessions share.
    Local(LocalCommand),
    /// Opens a transaction.
    Multi,
    /// Runs it.
    Exec,
    /// Drops it.
    Discard,
    /// Makes the next transaction depend on its keys.
    Watch,
    /// Ends that.
    Unwatch,
    /// May keep its connection waiting: needs a private link. Goes to the owner of its keys.
    Blocking,
    /// WAIT: on private links too; between, on both sides at once, as what has been written has replicas on both.
    Wait,
    /// Forwarded as [`Intent::Forward`] at 0 and at 100, refused between: what is half done of it (SWAPDB, MODULE LOAD) would
    /// leave the sides with keys or commands that do not fit together.
    OneSideOnly,
    /// SUBSCRIBE and its like: kept by the worker's hub, never forwarded for the client.
    Subscribe(TopicKind),
    /// The opposites.
    Unsubscribe(TopicKind),
    /// Refused at every weight, with this reason.
    Unsupported(&'static str),
    /// The same, unless the route's `allow` names it or it is DEBUG from the proxy's own host: then as [`Intent::OneSideOnly`], on a private link, as it may change
    /// its connection or keep it waiting.
    Restricted(&'static str),
    /// Of no command in the table: goes to the owner of its keys on a private link, which stays the session's.
    Alone,
    /// Not in Redis 7.0: a module's command, or a newer server's, of which the server is asked. Where it does not say (or for
    /// a subcommand that the table lacks), it is forwarded at 0 and at 100, and refused between.
    Unknown,
}

/// What a subscription names. Redis keeps these apart: a message reaches a client once for each that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TopicKind {
    /// SUBSCRIBE: one channel.
    Channel,
    /// PSUBSCRIBE: every channel whose name matches a glob.
    Pattern,
    /// SSUBSCRIBE: one channel of SPUBLISH, which are others than those of PUBLISH.
    Shard,
}

/// How a request asks for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyspaceUse {
    /// SCAN: some of them, and where to go on.
    Scan,
    /// KEYS: all that match.
    Keys,
    /// RANDOMKEY: any one.
    Random,
}

/// What a request does with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptUse {
    /// EVAL, EVAL_RO: brings the text.
    Eval,
    /// EVALSHA, EVALSHA_RO: names it.
    EvalSha,
    /// SCRIPT LOAD.
    Load,
    /// SCRIPT FLUSH.
    Flush,
}

/// How a request is divided by owner, and one reply made of the replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitKind {
    /// MGET: one key an element, in the order of the request.
    Mget,
    /// MSET: pairs of key and value; `OK` if all said so.
    Mset,
    /// DEL, UNLINK, EXISTS, TOUCH: one key an argument, integers that add up. A part keeps the request's name.
    Sum,
}

/// How the replies of both sides become one. An error from either side is the reply, `old`'s before `new`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeKind {
    /// Integers that add up: DBSIZE.
    Sum,
    /// Arrays of 0 and 1 of equal length, the lesser of each pair: SCRIPT EXISTS.
    Least,
    /// PUBSUB CHANNELS and SHARDCHANNELS: names, each once. Like the two that follow it is put right at every weight: nodes
    /// know the proxy's links, and the app means its clients.
    Channels(TopicKind),
    /// PUBSUB NUMSUB and SHARDNUMSUB: how many listen to each.
    Subscribers(TopicKind),
    /// PUBSUB NUMPAT: a number of patterns.
    Patterns,
    /// Both do the same and say the same (`OK`, a SHA1, a library's name): the first reply, once both are there.
    First,
    /// Only one of them has anything to do: the first reply that is no error. SCRIPT KILL, FUNCTION KILL.
    Either,
}

/// What a session answers by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalCommand {
    /// QUIT: `OK`, then the connection is closed.
    Quit,
    /// RESET: drops transaction, watches, name and database, says `RESET`.
    Reset,
    /// AUTH.
    Auth,
    /// SELECT: later commands are for another database.
    Select,
    /// HELLO, with whatever arguments.
    Hello,
    /// CLIENT SETNAME.
    ClientSetName,
    /// CLIENT GETNAME.
    ClientGetName,
    /// CLIENT ID.
    ClientId,
    /// CLIENT SETINFO, of Redis 7.2.
    ClientSetInfo,
    /// MONITOR: what the servers of the sides that own anything execute.
    Monitor,
    /// CLIENT INFO.
    ClientInfo,
    /// CLIENT LIST: the clients of all workers.
    ClientList,
    /// CLIENT KILL: whichever worker has them.
    ClientKill,
    /// CLIENT UNBLOCK: whichever worker has it.
    ClientUnblock,
    /// CLIENT NO-EVICT.
    ClientNoEvict,
    /// CLIENT REPLY.
    ClientReply,
    /// CLIENT PAUSE: all clients of the route.
    ClientPause,
    /// CLIENT UNPAUSE.
    ClientUnpause,
    /// CLIENT TRACKING: client-side caching.
    ClientTracking,
    /// CLIENT CACHING.
    ClientCaching,
    /// CLIENT GETREDIR.
    ClientGetRedir,
    /// CLIENT TRACKINGINFO.
    ClientTrackingInfo,
    /// A subcommand of CLIENT that Redis 7.0 does not have: a node answers it on a link of the client's own.
    ClientUnknown,
}

/// Why a command is refused at every weight.
pub(super) mod reason {
    pub(in super::super) const DEBUGGING: &str = "debugging needs a server of one's own";
    pub(in super::super) const REPLICATION: &str =
        "replication is arranged on the nodes, not through the proxy";
    pub(in super::super) const SHUTDOWN: &str = "a node is shut down by its own address";
    pub(in super::super) const CLUSTER: &str = "the proxy is not a Redis Cluster node";
}
