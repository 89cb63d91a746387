//! Any bytes, cut into pieces, as what a Redis server sends: `cargo +nightly fuzz run redis`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| audience_kit::fuzzing::redis(bytes));
