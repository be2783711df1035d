//! Hands libFuzzer's inputs to [`switchback_fuzz::request_parser::check`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| switchback_fuzz::request_parser::check(bytes));
