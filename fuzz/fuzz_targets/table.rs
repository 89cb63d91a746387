//! Any bytes as what another program hands over: `cargo +nightly fuzz run table`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| audience_kit::fuzzing::table(bytes));
