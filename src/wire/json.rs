//! JSON (RFC 8259).
//!
//! Owns the form of strings, and says where values come from. A small page is a [`Value`] that `serde_json` writes, its
//! members in the order of their names. What is long, or is written often, is written as it goes: then only its strings are
//! `serde_json`'s.

pub use serde_json::{Value, json};

/// Appends a string, in quotes and escaped.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    // A vector takes all that is written to it.
    serde_json::to_writer(out, text).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_alone_and_in_values() {
        let mut out = Vec::new();
        push_string(&mut out, "\"\\\u{1}\u{e9}");
        assert_eq!(str::from_utf8(&out).unwrap(), "\"\\\"\\\\\\u0001\u{e9}\"");
        assert_eq!(json!({ "a": "\"\\\u{1}\u{e9}" }).to_string(), "{\"a\":\"\\\"\\\\\\u0001\u{e9}\"}");
    }

    #[test]
    fn members_of_a_value_stand_in_the_order_of_their_names() {
        let value = json!({ "b": u64::MAX, "a": [{ "d": null, "c": true }], "c": {} });
        assert_eq!(value.to_string(), "{\"a\":[{\"c\":true,\"d\":null}],\"b\":18446744073709551615,\"c\":{}}");
    }
}
