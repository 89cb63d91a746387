//! Any bytes as a request head: `cargo +nightly fuzz run request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| audience_kit::fuzzing::request(bytes));
