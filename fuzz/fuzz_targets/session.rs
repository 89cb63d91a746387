//! Any bytes, cut into pieces, as what a peer sends: `cargo +nightly fuzz run session`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| audience_kit::fuzzing::session(bytes));
