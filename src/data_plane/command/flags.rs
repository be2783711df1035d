//! Which properties does Redis give its commands?
//!
//! Pure: one bit each, so that a table row reads as a list. All are kept, also those the proxy does not ask for yet:
//! the table is checked whole against a live server. The names are those in `COMMAND`'s reply.

/// No property.
pub const NONE: u32 = 0;
/// Changes data.
pub const WRITE: u32 = 1 << 0;
/// Only reads data.
pub const READONLY: u32 = 1 << 1;
/// Refused while memory is over `maxmemory`.
pub const DENYOOM: u32 = 1 << 2;
/// For operators.
pub const ADMIN: u32 = 1 << 3;
/// Publishes, subscribes, or tells who does.
pub const PUBSUB: u32 = 1 << 4;
/// Not allowed in scripts.
pub const NOSCRIPT: u32 = 1 << 5;
/// May wait for something to arrive.
pub const BLOCKING: u32 = 1 << 6;
/// Allowed while data is loaded.
pub const LOADING: u32 = 1 << 7;
/// Allowed on a replica that has lost its master.
pub const STALE: u32 = 1 << 8;
/// Not shown by MONITOR.
pub const SKIP_MONITOR: u32 = 1 << 9;
/// Not kept in the slowlog.
pub const SKIP_SLOWLOG: u32 = 1 << 10;
/// Accepted for a slot that is being imported.
pub const ASKING: u32 = 1 << 11;
/// Constant or logarithmic time.
pub const FAST: u32 = 1 << 12;
/// Allowed before authentication.
pub const NO_AUTH: u32 = 1 << 13;
/// Not allowed in a transaction.
pub const NO_MULTI: u32 = 1 << 14;
/// Its keys are not at fixed positions.
pub const MOVABLEKEYS: u32 = 1 << 15;
/// Allowed while a script runs too long.
pub const ALLOW_BUSY: u32 = 1 << 16;
/// Refused while a replica loads beside its old data.
pub const NO_ASYNC_LOADING: u32 = 1 << 17;
/// Takes keys, and may be given none: the scripts.
pub const NO_MANDATORY_KEYS: u32 = 1 << 18;
/// Ours, not Redis's: has subcommands.
pub const CONTAINER: u32 = 1 << 19;

/// Every flag and its name in `COMMAND`'s reply.
pub const NAMES: [(&str, u32); 20] = [
    ("write", WRITE),
    ("readonly", READONLY),
    ("denyoom", DENYOOM),
    ("admin", ADMIN),
    ("pubsub", PUBSUB),
    ("noscript", NOSCRIPT),
    ("blocking", BLOCKING),
    ("loading", LOADING),
    ("stale", STALE),
    ("skip_monitor", SKIP_MONITOR),
    ("skip_slowlog", SKIP_SLOWLOG),
    ("asking", ASKING),
    ("fast", FAST),
    ("no_auth", NO_AUTH),
    ("no_multi", NO_MULTI),
    ("movablekeys", MOVABLEKEYS),
    ("allow_busy", ALLOW_BUSY),
    ("no_async_loading", NO_ASYNC_LOADING),
    ("no_mandatory_keys", NO_MANDATORY_KEYS),
    ("container", CONTAINER),
];
