//! What is the bound of every queue, buffer, table and loop that the configuration does not set?
//!
//! Pure: constants with unit and reason. Relations between them are checked at compile time.

use std::time::Duration;

/// Hash slots, as in Redis Cluster's specification.
pub const SLOTS: u16 = 16_384;

/// Longest inline request, and longest `*N` or `$N` line, in bytes: `PROTO_INLINE_MAX_SIZE` of Redis.
pub const INLINE_BYTES_MAX: usize = 64 * 1024;
/// Largest number of arguments in a request: what Redis accepts (`INT_MAX`) would let 20 bytes claim 2^31 spans.
pub const REQUEST_ARGS_MAX: usize = 1024 * 1024;
/// Longest line of a reply that holds a length or a count, in bytes; Redis writes at most 22. Lines of text (`+OK`, an
/// error) may be of any length, as a script may return any: they stream.
pub const REPLY_LINE_BYTES_MAX: usize = 1024;
/// Depth of nesting the proxy decodes for meaning (Sentinel, INFO, probes, admin). redis-protocol recurses, so it
/// never sees more; measured on 6.0.0: 4.5 KB of nested RESP3 overflows a 2 MiB stack.
pub const DECODE_DEPTH_MAX: usize = 16;
/// Largest reply the control plane reads, in bytes. CLIENT LIST and SENTINEL REPLICAS of a large group stay far below.
pub const CONTROL_REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes one read takes from a socket: a worker's shared buffer, so idle clients hold none.
pub const READ_BYTES: usize = 64 * 1024;
/// Inputs that a worker keeps for clients that have a part of a request in one; most have none.
pub const SPARE_INPUTS_MAX: usize = 32;
/// Bytes of a request that such an input keeps room for.
pub const SPARE_INPUT_BYTES: usize = 16 * 1024;
/// For how many looks a second apart a client has done nothing when it is parked. That, and its first command then, cost as much as
/// a lone command does: it is not to be for one that speaks every second or two.
pub const PARKED_AFTER_LOOKS: u8 = 3;
/// For how many looks a second apart a client may send next to nothing of a large request while others wait for the room that it takes.
pub const STALLED_AFTER_LOOKS: u8 = 10;
/// Idle clients of one route that a worker parks at each tick: some 5 µs each, for which others wait.
pub const PARKED_A_TICK: usize = 128;
/// Parked clients that have something to say, which a worker has served again before others have their turn.
pub const UNPARKED_A_TURN: usize = 64;
/// Sockets that a worker hears of at once.
pub const EVENTS_A_TURN: usize = 256;
/// Bytes given to a socket at once. A socket may take as many megabytes as its peer reads meanwhile.
pub const WRITE_BYTES: usize = 256 * 1024;
/// Writes to one socket before others have their turn.
pub const WRITES_A_TURN: usize = 16;
/// From this size on a request takes a link of its own: nobody waits behind it, and it is not copied. Below 1 MiB, the
/// least `proto-max-bulk-len` there is: a server that refuses an argument closes the connection it came on.
pub const OWN_LINK_BYTES: usize = 512 * 1024;
/// Up to this size a reply is copied, so that all of a turn leave in one write; a larger one is offered to its client's socket first.
pub const COPIED_BYTES: usize = 16 * 1024;
/// From this size on a payload is moved by reference instead of copied, and streams.
pub const LARGE_BYTES: usize = 64 * 1024;

/// An argument that is larger than this is passed on while it comes, where its request allows that. What is held instead can be sent
/// again, unseen by the app, when its master changes meanwhile: few values are larger than this, and a route's failover should be
/// told to few.
pub const STREAM_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of such a request that a link holds: what its socket has not taken.
pub const STREAM_WINDOW_BYTES: usize = 256 * 1024;
/// What it takes in all, of what a route's large requests may: the window, as it may be allocated, and what has been read.
pub const STREAM_HELD_BYTES: usize = 2 * STREAM_WINDOW_BYTES;

/// Bytes on one link that are unsent or unanswered; beyond it, sessions wait. One large command may go beyond.
pub const LINK_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Commands on one link that are unanswered; beyond it, sessions wait.
pub const LINK_COMMANDS_MAX: usize = 256 * 1024;
/// Bytes of one client's commands on a link that others use too, and of their replies, which are taken to be as large as the ones
/// before: whoever comes next waits for them, at most a millisecond of a server that moves half a gigabyte a second. One command may
/// go beyond. How many commands those may be, `in_flight` says.
pub const SHARE_BYTES_MAX: u64 = 512 * 1024;
/// Bytes that a client's command and its reply are taken to have before any has been answered.
pub const SHARE_BYTES_FIRST: u64 = 16 * 1024;
/// Reads of one client before others have their turn: what the proxy answers itself is bounded by nothing else. Two, as one that is not
/// followed by another would have each client come up twice.
pub const CLIENT_READS_A_TURN: usize = 2;
/// How often a command is sent again: because a node says it is not a usable master (each time one has shown by ROLE
/// that it is; a script may return any error text, and must get it back in the end), or because its link was lost and
/// policy allows it.
pub const REFUSALS_MAX: u8 = 3;
/// Largest single argument: Redis's default `proto-max-bulk-len`.
pub const BULK_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Shared links to one node and database: more than one only while large replies or long scripts occupy them, and where there are
/// scripts, a second.
pub const SHARED_LINKS_MAX: usize = 4;
/// A script that has not been answered for this long keeps others from its link while there is any other: what may end it must not
/// wait behind it, and a server answers everybody else `-BUSY`. Far below the shortest time after which one does.
pub const SCRIPT_LONG: Duration = Duration::from_millis(5);
/// Connections that a node must still take for a worker to keep a link there that nobody uses yet: for the other workers' and those of
/// whoever looks after the node. It takes 10,000 by default.
pub const RESERVE_ROOM: u64 = 32;
/// Private links kept idle for reuse, by worker, side and database, with the one in reserve.
pub const IDLE_PRIVATE_LINKS_MAX: usize = 32;
/// Addresses of the proxy's own connections that a client's MONITOR leaves out, by side and kind. Which of them end is not told: at the
/// limit all are forgotten. Far above what the workers and the control plane have.
pub const OWN_ADDRESSES_MAX: usize = 4_096;
/// What is read at once of a line of CLIENT LIST, in bytes: such a line is some 400 and a name, which no node bounds.
pub const OWN_LINE_BYTES_MAX: u64 = 64 * 1024;
/// Users that clients of one worker are at the same time, each with links of its own.
pub const USERS_MAX: usize = 1_024;
/// How long a user is kept that no client is any more, with its links: an app that connects for each command dials no link for each.
pub const USER_LINGER: Duration = Duration::from_secs(10);
/// How often it is seen to that users have a link by which their end is noticed.
pub const USERS_CHECKED: Duration = Duration::from_millis(250);
/// For how long a node's refusal of a user is told to others without asking again. Long enough for all who waited for the same answer.
pub const USER_REFUSAL: Duration = Duration::from_millis(250);
/// The same of a node that a script keeps busy: it may end at any moment.
pub const BUSY_REFUSAL: Duration = Duration::from_millis(20);
/// How old it may be what is known of the default user, whether a client needs a password, when one connects.
pub const DOOR_LIFETIME: Duration = Duration::from_secs(1);
/// Longest name and longest password of a client, in bytes; and arguments of its requests: what Redis takes of a client that has not
/// authenticated.
pub const LOGIN_BYTES_MAX: usize = 16 * 1024;
/// See [`LOGIN_BYTES_MAX`].
pub const LOGIN_ARGS_MAX: usize = 10;
/// Bytes waiting for a client beyond which a link is not read that has nothing for anybody else.
pub const PRIVATE_OUTPUT_BYTES: usize = 512 * 1024;

/// Commands that the table does not have and a node does, kept by worker and side: some modules together have two hundred.
pub const LEARNT_NAMES_MAX: usize = 1024;
/// Longest name of a command that a server is asked about.
pub const LEARNT_NAME_BYTES_MAX: usize = 128;
/// Bytes of what a server says of a command, or of the keys of a request.
pub const LEARNT_REPLY_BYTES_MAX: usize = 1024 * 1024;
/// RANDOMKEYs each side is asked at a weight between, for a key that it owns. With copies of all keys on both sides, which
/// is the worst, all of them fail once in 2^32 times.
pub const RANDOM_KEYS_A_SIDE: u16 = 16;

/// Scripts kept so that nodes that lack one can be given it, and their bytes together: of all workers, and of each.
pub const SCRIPTS_MAX: usize = 4096;
/// See [`SCRIPTS_MAX`].
pub const SCRIPT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Questions about clients that wait for one worker; beyond it, whoever asks waits.
pub const ASKED_MAX: usize = 256;
/// How often it is looked at whether a server has ended a client's blocking command. It takes one round trip.
pub const UNBLOCK_STEP: Duration = Duration::from_millis(1);
/// Bytes of the prefixes that a client tracks, each with 16 for itself: they are compared with each other.
pub const TRACKED_PREFIX_BYTES_MAX: usize = 32 * 1024;
/// Bytes of what a client sets for its connection by subcommands of CLIENT that the proxy does not know.
pub const OWN_WORDS_MAX: usize = 4 * 1024;
/// Bytes of one invalidation on a link that hears nothing else; beyond it, everything is taken to be stale.
pub const EAR_BYTES_MAX: usize = 1024 * 1024;
/// How long CLIENT PAUSE waits for what had been sent before it.
pub const PAUSE_SETTLE_MAX: Duration = Duration::from_secs(1);
/// How long a killed client may still read the element that it had been blocked for.
pub const KILLED_DRAIN: Duration = Duration::from_secs(1);

/// Longest name of a channel or pattern that can be subscribed to, in bytes.
pub const TOPIC_BYTES_MAX: usize = 64 * 1024;
/// Bytes of all names one client subscribes to.
pub const SUBSCRIBED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// From this size on a message is shared by reference between its subscribers instead of copied to each.
pub const SHARED_MESSAGE_BYTES: usize = 32 * 1024;
/// How long a channel nobody listens to any more stays subscribed upstream. Clients that come and go by the thousand a second
/// cost the node no more than a few requests; and PUBSUB NUMSUB, by which apps see who is there, is not wrong for long.
pub const SUBSCRIPTION_LINGER: Duration = Duration::from_millis(50);
/// Topics without listeners that are forgotten at once, twenty times a second.
pub const FORGOTTEN_A_TICK: usize = 4_096;
/// Patterns that a node is asked for, or told to leave, and has not answered. Each takes it a look at all that the link has:
/// 1.6 ms at 100,000 (Redis 7.0.15, 2026-11), in which it does nothing else.
pub const PATTERNS_ASKED_MAX: usize = 32;
/// A request for so many patterns does not wait behind larger ones.
pub const FEW_PATTERNS: usize = 16;
/// Steps that matching a large message's channel with all patterns may take: 100,000 of them, and a few milliseconds. Patterns
/// that it does not get to are taken not to match.
pub const MATCH_STEPS_MAX: usize = 4 * 1024 * 1024;
/// Patterns of which a worker's link counts for more or fewer clients than one, as the reply to PUBLISH heeds them.
pub const UNEVEN_PATTERNS_MAX: usize = 1000;
/// Steps that matching a message's channel with those may take.
pub const UNEVEN_STEPS_MAX: usize = 64 * 1024;
/// How often a node is asked what it lets wait for a subscriber while messages are refused because of that.
pub const LIMIT_ASKED_AGAIN: Duration = Duration::from_secs(1);
/// How often a subscriber link looks whether its node is still there: one that has said nothing since is asked.
pub const SUBSCRIBER_CHECK: Duration = Duration::from_millis(250);
/// So many looks without a byte, the node having been asked: it is dead or frozen. 1 s, and up to 250 ms more.
pub const SUBSCRIBER_SILENT_CHECKS: u32 = 5;
/// For how long after slots have left a side publishes to it may still be under way: they count as owned in a gap.
pub const OWNER_SLACK: Duration = Duration::from_millis(250);
/// A gap that goes on is told this often, from where it was told last.
pub const GAP_TOLD_EVERY: Duration = Duration::from_secs(5);
/// At the end of the process, how long subscriber links have to show that all that was published has been heard.
pub const LAST_WORDS: Duration = Duration::from_millis(250);
/// Names listed in a gap; beyond it, it says "all".
pub const GAP_CHANNELS_MAX: usize = 64;
/// Gaps waiting for one listener (a worker, the control loop); beyond it, the oldest are dropped and their number is told.
pub const GAPS_QUEUED_MAX: usize = 1_024;
/// Longest wait of a PUBLISH for subscribers to have taken what was published before its channel moved. A change of weight
/// takes a few milliseconds, and as long as a replica lags where those are subscribed to: late is better than out of order.
/// A link that tells nothing is given up sooner.
pub const SETTLE_MAX: Duration = Duration::from_secs(2);
/// The same after a change of master, when nothing can come out of order, only be missed; and how long a fence may be
/// impossible, there being no master to ask for it. 900 ms would be late.
pub const MASTER_SETTLE_MAX: Duration = Duration::from_millis(500);
/// How often a node that is being made master is asked whether it is one. It ends the connection when it becomes one, which says
/// so sooner.
pub const HEIR_ASKED: Duration = Duration::from_millis(10);
/// How long publishes under way on a master that was left are waited for: it may be dead, and will not answer then.
pub const LEFT_MASTER_WAIT: Duration = Duration::from_millis(100);
/// How often the workers look at each other's progress in that.
pub const SETTLE_STEP: Duration = Duration::from_millis(1);
/// Changes of weight remembered for gaps.
pub const WEIGHTS_KEPT: usize = 1_024;
/// How long a replica that did not pass messages on is not subscribed to.
pub const UNFIT_REPLICA: Duration = Duration::from_secs(5);

/// Nodes of one side the proxy keeps track of.
pub const NODES_MAX: usize = 64;
/// Sentinels of one side the proxy keeps track of.
pub const SENTINELS_MAX: usize = 32;
/// How often every Sentinel and every node of a side is asked when nothing is announced: the backstop of the events.
pub const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);
/// The same while a failover is under way and commands are held.
pub const FOLLOW_URGENT_INTERVAL: Duration = Duration::from_millis(25);
/// For how long: a side that has lost its master for good is not asked forty times a second for ever.
pub const FOLLOW_URGENT_MAX: Duration = Duration::from_secs(30);
/// Shortest time between two questions to one peer, however many events it announces.
pub const FOLLOW_GAP: Duration = Duration::from_millis(10);
/// How long a Sentinel may take for all answers of one poll.
pub const SENTINEL_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a node may take to answer ROLE, and again to be connected to for it.
pub const ROLE_TIMEOUT: Duration = Duration::from_millis(500);
/// A ROLE older than this says nothing: two missed polls and a timeout.
pub const ROLE_LIFETIME: Duration = Duration::from_secs(3);
/// What a Sentinel said this long ago counts no more. Longer than a restart, so that one does not lose its vote.
pub const VIEW_LIFETIME: Duration = Duration::from_secs(10);
/// How long the first decision waits for Sentinels that neither answer nor refuse.
pub const DISCOVERY_WAIT: Duration = Duration::from_secs(1);
/// For how much longer commands are held after a promotion with the former master alive: the time in which every worker of
/// every proxy subscribes to the new one (some 5 ms after it was promoted; 2026-11), before the first of them writes there.
pub const HEIR_WAIT: Duration = Duration::from_millis(40);
/// How long commands are held for a promotion that Sentinel began and nothing confirms. It notices one within 1 s.
pub const PROMOTION_WAIT: Duration = Duration::from_secs(5);
/// How long a master must be silent before a majority of Sentinels may name another of no newer epoch.
pub const SILENT_MASTER_AFTER: Duration = Duration::from_secs(10);
/// A replica that answers and has been without its master for longer than this leaves the topology. Not at once: the
/// guard has to see it to say what is wrong with it.
pub const REPLICA_LINK_DOWN_MAX: Duration = Duration::from_secs(60);
/// A Sentinel that was learnt, is dead and is named by no other for this long is forgotten.
pub const SENTINEL_FORGET_AFTER: Duration = Duration::from_secs(60);
/// Answers of Sentinels and nodes of one side waiting for its watcher; beyond it, those are read no further.
pub const WATCH_INPUTS_MAX: usize = 256;
/// Notices of one side at once; then one a second.
pub const NOTICES_BURST: u32 = 40;
/// Longest text of a notice, in characters: a peer's error is quoted in it.
pub const NOTICE_CHARS_MAX: usize = 300;
/// How long pre-flight waits for one peer's connection, and again for all its answers. Two rounds of peers at most.
pub const PREFLIGHT_ASK_TIMEOUT: Duration = Duration::from_millis(700);
/// How long a look at both sides may take, whoever is silent.
pub const PREFLIGHT_MAX: Duration = Duration::from_secs(4);
/// How long an order waits for a look that came too early to be made again: two probes' time for a rate, or a failover's
/// last moments.
pub const PREFLIGHT_AGAIN_MAX: Duration = Duration::from_secs(1);
/// How long a look at both sides lets a weight leave 0. A fault that comes later is the guard's to see.
pub const PREFLIGHT_LIFETIME: Duration = Duration::from_secs(10);
/// Users, libraries, modules and monitored masters of one peer that are read.
pub const PREFLIGHT_ENTRIES_MAX: usize = 4_096;
/// Longest text of one cell of pre-flight's table, in characters: peers' names and errors are in it.
pub const PREFLIGHT_TEXT_CHARS_MAX: usize = 300;
/// Admin connections at once.
pub const ADMIN_CLIENTS_MAX: usize = 64;
/// Bytes of one admin request.
pub const ADMIN_REQUEST_BYTES_MAX: usize = 64 * 1024;
/// Bytes of the reason an operator gives: it is one line of an event and of the state file.
pub const ADMIN_REASON_BYTES_MAX: usize = 512;
/// Longest `OVER` and `GRACE`: a day. Longer is a slip of the unit.
pub const ADMIN_DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an admin request waits for room in the control loop's queue. A `BACK` must get in while probes fill it.
pub const ADMIN_QUEUE_WAIT: Duration = Duration::from_secs(2);
/// How long an admin request waits for the control loop's answer, beyond the time it names itself.
pub const ADMIN_REPLY_WAIT: Duration = Duration::from_secs(30);
/// How long an admin client may take to read a reply.
pub const ADMIN_WRITE_WAIT: Duration = Duration::from_secs(10);
/// How long an admin client that is turned away may still talk: one that finds the connection closed while it writes
/// does not read why.
pub const ADMIN_LINGER: Duration = Duration::from_secs(1);
/// Wait after an accept that failed for want of descriptors or memory.
pub const ADMIN_ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// How long the last replies to operators may take once the control loop has ended.
pub const ADMIN_LAST_REPLIES_WAIT: Duration = Duration::from_secs(1);
/// How long an operator from another host may take to authenticate.
pub const ADMIN_AUTH_WAIT: Duration = Duration::from_secs(10);
/// How long one is left waiting who has guessed wrong; its connection ends with that.
pub const ADMIN_REFUSAL_WAIT: Duration = Duration::from_secs(1);
/// Events waiting for one subscriber; at the bound it is disconnected, since the next one would be lost unseen.
pub const ADMIN_EVENTS_QUEUED_MAX: usize = 1_024;
/// `SHUTDOWN` without `GRACE`.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
/// Connections to the metrics address at once.
pub const METRICS_CLIENTS_MAX: usize = 64;
/// How long the page for browsers waits for the control loop, which answers within microseconds: longer is what it is to tell.
pub const GLANCE_WAIT: Duration = Duration::from_secs(2);
/// For how long what the loop has said is passed on to others without asking again.
pub const GLANCE_LIFETIME: Duration = Duration::from_millis(500);
/// Events, of all routes, that are told with it.
pub const GLANCE_EVENTS: usize = 100;
/// How long an operator's order waits for every worker, and then for the disk, before its reply says that it is not
/// confirmed. A worker confirms between two events of its loop: in microseconds, unless it is stopped.
pub const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(5);
/// Events on their way to the control loop; beyond it, their senders wait.
pub const CONTROL_QUEUE_MAX: usize = 4_096;
/// How long a start waits for every side's nodes to be found, before it serves without them.
pub const START_WAIT: Duration = Duration::from_secs(2);
/// Events kept for `EVENTS`.
pub const EVENTS_KEPT: usize = 1_000;
/// Lines of the log waiting for stderr: some minutes of a bad day. Beyond it they are lost, and the proxy goes on.
pub const LOG_LINES_MAX: usize = 10_000;
/// Lines that one place in the source may log at once about one route and side; what happens a few times is told whole.
pub const LOG_BURST: u32 = 10;
/// From then on one in this time.
pub const LOG_INTERVAL: Duration = Duration::from_secs(1);
/// How often it is told what was left out because of that.
pub const LOG_LEFT_OUT_INTERVAL: Duration = Duration::from_secs(10);
/// Bytes shown of the last line that was left out.
pub const LOG_LEFT_OUT_BYTES_MAX: usize = 256;
/// Places, each with a route and side, that are told apart: there are some dozens a route.
pub const LOG_PLACES_MAX: usize = 4_096;
/// Longest line of a trace, in bytes, written or read: 64 replicas of a master take a tenth of it.
pub const TRACE_LINE_BYTES_MAX: usize = 64 * 1024;
/// Longest file of a trace that is read: what the largest `trace_bytes` allows.
pub const TRACE_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;
/// Inputs of a route's guard waiting to be written: 10 s of a large route. Beyond it they are lost, and the guard goes on.
pub const TRACE_ENTRIES_QUEUED_MAX: usize = 2_048;
/// Verdicts and decisions in one replay's JSON document; how many more there were is said.
pub const REPLAY_LINES_MAX: usize = 100_000;
/// Routes of one process.
pub const ROUTES_MAX: usize = 256;

/// Bytes of a config file: a hundred times what 256 routes with every key need.
pub const CONFIG_BYTES_MAX: usize = 1024 * 1024;
/// Faults listed of one config; how many more there are is said. A binary file given by mistake has thousands.
pub const FAULTS_MAX: usize = 100;
/// Steps of a ramp: twelve times the default. Finer than this, `WEIGHT … OVER` is what is meant.
pub const RAMP_STEPS_MAX: usize = 64;
/// How long a client that came in just before the end has to send what it came for.
pub const DRAIN_NEW_CLIENTS: Duration = Duration::from_secs(1);
/// How long a process that is to take over may prepare: to read files and to take up sockets.
pub const UPGRADE_PREPARE_WAIT: Duration = Duration::from_secs(20);
/// How long it may then take until it serves: nodes are looked for meanwhile.
pub const UPGRADE_SERVE_WAIT: Duration = Duration::from_secs(30);
/// How often a process that has taken over looks whether the other has ended.
pub const UPGRADE_LOOK: Duration = Duration::from_millis(5);
/// Bytes of a file of certificates: several times what systems trust in.
pub const PEM_BYTES_MAX: usize = 1024 * 1024;
/// How long a client may take to agree on TLS: as long as others' proxies give it.
pub const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a password, wherever it comes from; ACL passwords are hashed, so Redis has no bound of its own.
pub const PASSWORD_BYTES_MAX: usize = 4 * 1024;
/// Listen addresses of one route.
pub const LISTEN_MAX: usize = 16;
/// Bytes of a unix socket's path: `sun_path` of Linux without its NUL.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// First and longest wait between attempts to connect to a node that refuses; jitter is added.
pub const REDIAL_FIRST: Duration = Duration::from_millis(10);
/// See [`REDIAL_FIRST`].
pub const REDIAL_LONGEST: Duration = Duration::from_secs(1);
/// How long a connection attempt and its handshake may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a probe or a heartbeat waits for a node before it dials anew. A frozen node keeps its connections: this is how
/// soon a dead one is not waited for any more. The rules measure silence themselves.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

const _: () = assert!(SLOTS.is_power_of_two(), "rank is a multiplication modulo SLOTS");
const _: () = assert!(LEFT_MASTER_WAIT.as_millis() < MASTER_SETTLE_MAX.as_millis());
const _: () = assert!(
    SUBSCRIBER_CHECK.as_millis() * (SUBSCRIBER_SILENT_CHECKS as u128 + 2) < SETTLE_MAX.as_millis(),
    "a replica that lags for longer is left before publishers cease to wait for it"
);
const _: () = assert!(
    READ_BYTES <= LARGE_BYTES,
    "a large value takes more than one read"
);
const _: () = assert!(INLINE_BYTES_MAX <= READ_BYTES);
const _: () = assert!(
    2 * READ_BYTES <= STREAM_WINDOW_BYTES,
    "a client is read on while its link writes"
);
const _: () = assert!(
    SHARE_BYTES_FIRST * 16 <= SHARE_BYTES_MAX,
    "a client begins with a few commands"
);
const _: () = assert!(ADMIN_REASON_BYTES_MAX < ADMIN_REQUEST_BYTES_MAX);
const _: () = assert!(
    EVENTS_KEPT < ADMIN_EVENTS_QUEUED_MAX,
    "a burst of as many events as are kept does not disconnect a subscriber"
);
const _: () = assert!(FOLLOW_GAP.as_millis() < FOLLOW_URGENT_INTERVAL.as_millis());
const _: () = assert!(
    FOLLOW_INTERVAL.as_millis() + 2 * ROLE_TIMEOUT.as_millis() < ROLE_LIFETIME.as_millis(),
    "a ROLE outlives one poll that fails"
);
const _: () = assert!(
    DISCOVERY_WAIT.as_millis() < START_WAIT.as_millis(),
    "a start waits for what discovery finds"
);
const _: () = assert!(
    4 * PREFLIGHT_ASK_TIMEOUT.as_millis() < PREFLIGHT_MAX.as_millis(),
    "silent peers cost their own answers and not all of them"
);
const _: () = assert!(
    PREFLIGHT_MAX.as_millis() < PREFLIGHT_LIFETIME.as_millis() / 2
        && PREFLIGHT_MAX.as_millis() + PREFLIGHT_AGAIN_MAX.as_millis() < ADMIN_REPLY_WAIT.as_millis()
        && PREFLIGHT_LIFETIME.as_millis() < ADMIN_REPLY_WAIT.as_millis(),
    "a raise under way that looks again at half the time has an outcome before the last one ends"
);
const _: () = assert!(
    REPLY_LINE_BYTES_MAX < READ_BYTES,
    "a link's buffer holds such a line"
);
