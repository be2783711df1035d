//! Hands libFuzzer's inputs to [`switchback_fuzz::reply_scanner::check`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| switchback_fuzz::reply_scanner::check(bytes));
