//! Any bytes as a request head: `cargo +nightly fuzz run request`.
#![no_main]

#[path = "../../tests/it/house/second_opinion.rs"]
mod second_opinion;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| second_opinion::check_request(bytes));
