//! Hands libFuzzer's inputs to [`switchback_fuzz::config_file::check`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| switchback_fuzz::config_file::check(bytes));
