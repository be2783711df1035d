//! What did the guard see, and what would it have made of it under other settings?
//!
//! 1. A route's [`Tape`] is handed every input of its rules, in order and with its time, and passes them to a thread that
//!    [writes](writer) them: a line of JSON each, in a file of bounded size.
//! 2. A [`Reader`] reads such a file, and a [`Replay`] gives each [`Line`] to the same rules under virtual time. Rules are
//!    pure, so the same inputs give the same verdicts: those of the live run, or those other thresholds would have given.

mod line;
mod read;
mod replay;
mod tape;
mod writer;

pub(super) use line::nanos;
pub use line::{
    Ahead, Entry, Header, Line, LineError, Moved, Observed, Reconfigured, Relearned, VERSION, What,
};
pub use read::{ReadError, Reader};
pub use replay::{Assumed, Replay, ReplayError, Said, Tripped};
pub(super) use tape::{Place, Tape};
