//! Hands libFuzzer's inputs to [`switchback_fuzz::pubsub_message::check`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| switchback_fuzz::pubsub_message::check(bytes));
