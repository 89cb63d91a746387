//! JSON (RFC 8259).
//!
//! Owns the form of strings and of small pages: a page is a [`Value`] that is written in one go, its members in the order in
//! which they are given. What is long, or is written often, is written as it goes. Strings are escaped by `serde_json`; its
//! own values would bring the means to write any number, and those were a twentieth of the program.

use super::sse::push_decimal;

/// A value of a small page.
#[derive(Debug)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number that is not negative.
    Number(u64),
    /// A string.
    Text(String),
    /// Values in a row.
    Array(Vec<Self>),
    /// Members, by their names.
    Object(Vec<(&'static str, Self)>),
}

impl Value {
    /// An object with these members.
    #[must_use]
    pub fn object<const N: usize>(members: [(&'static str, Self); N]) -> Self {
        Self::Object(members.into())
    }

    /// An object with these numbers as members.
    pub fn numbers(members: impl IntoIterator<Item = (&'static str, u64)>) -> Self {
        Self::Object(members.into_iter().map(|(name, number)| (name, Self::Number(number))).collect())
    }

    /// Appends the text of the value.
    pub fn push(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Self::Number(number) => push_decimal(out, *number),
            Self::Text(text) => push_string(out, text),
            Self::Array(values) => push_list(out, *b"[]", values, |out, value| value.push(out)),
            Self::Object(members) => push_list(out, *b"{}", members, |out, (name, value)| {
                push_string(out, name);
                out.push(b':');
                value.push(out);
            }),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl FromIterator<Value> for Value {
    fn from_iter<I: IntoIterator<Item = Self>>(values: I) -> Self {
        Self::Array(values.into_iter().collect())
    }
}

/// Appends a string, in quotes and escaped.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    // A vector takes all that is written to it.
    serde_json::to_writer(out, text).unwrap_or_default();
}

/// Reads a text, for the tests of the modules that write JSON.
#[cfg(test)]
#[track_caller]
pub(crate) fn read(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Appends items between these brackets.
fn push_list<T>(out: &mut Vec<u8>, [open, close]: [u8; 2], items: &[T], push: impl Fn(&mut Vec<u8>, &T)) {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push(out, item);
    }
    out.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &Value, expected: &str) {
        let mut out = Vec::new();
        value.push(&mut out);
        assert_eq!(str::from_utf8(&out).unwrap(), expected);
        assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok(), "{expected}");
    }

    #[test]
    fn values_are_exact() {
        check(&Value::object([]), "{}");
        check(&Value::from_iter([]), "[]");
        check(&Value::object([("n", u64::MAX.into())]), "{\"n\":18446744073709551615}");
        let strange = "\\\u{1}\u{e9}".to_owned();
        check(&Value::object([("\"", strange.into())]), "{\"\\\"\":\"\\\\\\u0001\u{e9}\"}");
        let array = [Value::Null, true.into(), false.into(), 3.into()];
        check(
            &Value::object([("some", Value::numbers([("b", 1), ("a", 2)])), ("array", array.into_iter().collect())]),
            "{\"some\":{\"b\":1,\"a\":2},\"array\":[null,true,false,3]}",
        );
    }
}
