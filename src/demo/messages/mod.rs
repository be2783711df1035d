//! Does every message arrive, once, in order and in time? Publishers that number what they publish on each channel, and
//! subscribers that know what must come.
//!
//! For `switchback demo` and for tests, against the proxy and against plain Redis alike. What happened is decided
//! without I/O: `book` has what was published, `line` what one subscription received, `ledger` what that means. Around
//! it are `publish` and `subscribe`, tasks on a few threads, so that hundreds of subscribers leave the machine to what
//! is tested.

mod book;
mod clock;
mod connection;
mod delays;
mod follow;
mod gap;
mod history;
mod ledger;
mod line;
mod options;
mod payload;
mod plan;
mod publish;
mod push;
mod reception;
mod running;
mod subscribe;
mod target;

pub use gap::{GAP_CHANNEL, Gap};
pub use history::{History, Moment};
pub use ledger::MessageLedger;
pub use options::MessageOptions;
pub use running::Messages;
pub use target::Target;
