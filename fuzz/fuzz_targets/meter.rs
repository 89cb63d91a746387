//! Any bytes as a script of what happens to one or two nodes: `cargo +nightly fuzz run meter`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| audience_kit::fuzzing::meter(bytes));
