//! Where does a value end? The wire format, read without decoding it: bytes pass through unchanged.

mod args;
mod inline;
mod number;
mod protocol;
mod request;
mod scan;
mod value;
mod write;

pub use args::Args;
#[cfg(test)]
pub(crate) use args::with_args;
pub(crate) use number::parse_i64;
pub use protocol::Protocol;
pub use request::{ProtocolError, RequestParser, Span};
pub(crate) use scan::whole_value;
pub use scan::{ReplyScanner, ScanError, nesting_exceeds};
pub use value::{DecodeError, Value, decode_value, text};
pub(crate) use write::write_array;
pub use write::write_command;
