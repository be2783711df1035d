//! Which parsers of foreign bytes are fuzzed, and what must hold for every input?
//!
//! Pure: one function a target, which panics when its property does not hold. `fuzz_targets/` hands them libFuzzer's
//! inputs; `tests/fuzz_corpora.rs` of the proxy hands them the corpora and mutations of those, on any toolchain.
//!
//! To add a target: its file here, its line in [`TARGETS`], `fuzz_targets/NAME.rs`, its `[[bin]]`, and seeds in
//! `corpus/NAME/`.

pub mod admin_command;
pub mod config_file;
pub mod guard_trace;
pub mod node_info;
pub mod pubsub_message;
pub mod reply_scanner;
pub mod request_parser;
pub mod sentinel_message;
pub mod sentinel_reply;

/// A target's property, to be tried on any bytes.
pub type Property = fn(&[u8]);

/// Every target by the name of its corpus.
pub const TARGETS: [(&str, Property); 9] = [
    ("admin_command", admin_command::check),
    ("config_file", config_file::check),
    ("guard_trace", guard_trace::check),
    ("node_info", node_info::check),
    ("pubsub_message", pubsub_message::check),
    ("reply_scanner", reply_scanner::check),
    ("request_parser", request_parser::check),
    ("sentinel_message", sentinel_message::check),
    ("sentinel_reply", sentinel_reply::check),
];
