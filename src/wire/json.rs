//! JSON (RFC 8259), written as it goes, with no tree of values in between: such a tree would bring the means to write any
//! number, and those were a twentieth of the program.
//!
//! Owns the form of strings and objects. Which members an object has, and in which order, is its writer's.
//!
//! Invariant: an object that was begun is ended, by the end of its scope.

use super::sse::push_decimal;

/// Appends a string, in quotes and escaped.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    // A vector takes all that is written to it.
    serde_json::to_writer(out, text).unwrap_or_default();
}

/// Appends objects, one after the other, as an array.
pub fn push_array<T>(out: &mut Vec<u8>, items: impl Iterator<Item = T>, mut push: impl FnMut(&mut Object<'_>, T)) {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push(&mut Object::begin(out), item);
    }
    out.push(b']');
}

/// An object that is being written.
#[derive(Debug)]
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> Object<'a> {
    /// Begins one.
    pub fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_empty: true }
    }

    /// Appends the name of a member; its value is to be appended to what is returned.
    pub fn member(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        push_string(self.out, name);
        self.out.push(b':');
        self.out
    }

    /// Appends a member that is a number.
    pub fn number(&mut self, name: &str, number: u64) {
        push_decimal(self.member(name), number);
    }

    /// Appends a member for each of these numbers.
    pub fn numbers<'n>(&mut self, numbers: impl IntoIterator<Item = (&'n str, u64)>) {
        for (name, number) in numbers {
            self.number(name, number);
        }
    }

    /// Appends a member that is a string.
    pub fn string(&mut self, name: &str, text: &str) {
        push_string(self.member(name), text);
    }

    /// Appends a member that is an object, and begins that.
    pub fn object(&mut self, name: &str) -> Object<'_> {
        Object::begin(self.member(name))
    }
}

impl Drop for Object<'_> {
    fn drop(&mut self) {
        self.out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(write: impl FnOnce(&mut Object<'_>), expected: &str) {
        let mut out = Vec::new();
        write(&mut Object::begin(&mut out));
        assert_eq!(str::from_utf8(&out).unwrap(), expected);
        assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok(), "{expected}");
    }

    #[test]
    fn objects_are_exact() {
        check(|_| {}, "{}");
        check(|all| all.number("n", u64::MAX), "{\"n\":18446744073709551615}");
        check(|all| all.string("\"", "\\\u{1}\u{e9}"), "{\"\\\"\":\"\\\\\\u0001\u{e9}\"}");
        check(
            |all| {
                drop(all.object("none"));
                all.object("some").numbers([("a", 1), ("b", 2)]);
                push_array(all.member("array"), 3..5, |item, number| item.number("c", number));
                push_array(all.member("empty"), 0..0, |item, number| item.number("c", number));
                all.number("last", 5);
            },
            "{\"none\":{},\"some\":{\"a\":1,\"b\":2},\"array\":[{\"c\":3},{\"c\":4}],\"empty\":[],\"last\":5}",
        );
    }
}
