//! Hands libFuzzer's inputs to [`switchback_fuzz::node_info::check`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| switchback_fuzz::node_info::check(bytes));
