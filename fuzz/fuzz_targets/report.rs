//! Any bytes as datagrams of other nodes: `cargo +nightly fuzz run report`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| audience_kit::fuzzing::report(bytes));
