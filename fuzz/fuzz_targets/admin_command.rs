//! Hands libFuzzer's inputs to [`switchback_fuzz::admin_command::check`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| switchback_fuzz::admin_command::check(bytes));
