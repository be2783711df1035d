//! Hands libFuzzer's inputs to [`switchback_fuzz::guard_trace::check`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| switchback_fuzz::guard_trace::check(bytes));
