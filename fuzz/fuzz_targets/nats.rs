//! Any bytes, cut into pieces, as what a NATS server sends: `cargo +nightly fuzz run nats`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| audience_kit::fuzzing::nats(bytes));
