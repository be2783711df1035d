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
/// Longest header line of a reply (`$123`, `+OK`, an error), in bytes. Redis cuts its own error texts far below.
pub const REPLY_LINE_BYTES_MAX: usize = 1024 * 1024;
/// Depth of nesting the proxy decodes for meaning (Sentinel, INFO, probes, admin). redis-protocol recurses, so it
/// never sees more; measured on 6.0.0: 4.5 KB of nested RESP3 overflows a 2 MiB stack.
pub const DECODE_DEPTH_MAX: usize = 16;
/// Largest reply the control plane reads, in bytes. CLIENT LIST and SENTINEL REPLICAS of a large group stay far below.
pub const CONTROL_REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes one read takes from a socket: a worker's shared buffer, so idle clients hold none.
pub const READ_BYTES: usize = 64 * 1024;
/// From this size on a payload is moved by reference instead of copied, and streams.
pub const LARGE_BYTES: usize = 64 * 1024;

/// Bytes on one link that are unsent or unanswered; beyond it, sessions wait. One large command may go beyond.
pub const LINK_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Commands on one link that are unanswered; beyond it, sessions wait.
pub const LINK_COMMANDS_MAX: usize = 256 * 1024;
/// How often a command is sent again because a node says it is not a usable master. Each time a node has shown by ROLE
/// that it is one; a script may return any error text, and must get it back in the end.
pub const REFUSALS_MAX: u8 = 3;
/// Largest single argument: Redis's default `proto-max-bulk-len`.
pub const BULK_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Shared links to one node and database: more than one only while large replies occupy them.
pub const SHARED_LINKS_MAX: usize = 4;
/// Private links kept idle for reuse, by worker, side and database.
pub const IDLE_PRIVATE_LINKS_MAX: usize = 32;
/// Bytes waiting for a client beyond which its private link is not read.
pub const PRIVATE_OUTPUT_BYTES: usize = 512 * 1024;

/// Nodes of one side the proxy keeps track of.
pub const NODES_MAX: usize = 64;
/// Sentinels of one side the proxy keeps track of.
pub const SENTINELS_MAX: usize = 32;
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
/// Events waiting for one subscriber; at the bound it is disconnected, since the next one would be lost unseen.
pub const ADMIN_EVENTS_QUEUED_MAX: usize = 1_024;
/// `SHUTDOWN` without `GRACE`.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
/// Events kept for `EVENTS`.
pub const EVENTS_KEPT: usize = 1_000;
/// Routes of one process.
pub const ROUTES_MAX: usize = 256;

/// Bytes of a config file: a hundred times what 256 routes with every key need.
pub const CONFIG_BYTES_MAX: usize = 1024 * 1024;
/// Faults listed of one config; how many more there are is said. A binary file given by mistake has thousands.
pub const FAULTS_MAX: usize = 100;
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

const _: () = assert!(SLOTS.is_power_of_two(), "rank is a multiplication modulo SLOTS");
const _: () = assert!(
    READ_BYTES <= LARGE_BYTES,
    "a large value takes more than one read"
);
const _: () = assert!(INLINE_BYTES_MAX <= READ_BYTES);
const _: () = assert!(ADMIN_REASON_BYTES_MAX < ADMIN_REQUEST_BYTES_MAX);
const _: () = assert!(
    EVENTS_KEPT < ADMIN_EVENTS_QUEUED_MAX,
    "a burst of as many events as are kept does not disconnect a subscriber"
);
