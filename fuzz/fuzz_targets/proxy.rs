//! Any bytes as what a proxy says: `cargo +nightly fuzz run proxy`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| audience_kit::fuzzing::proxy(bytes));
