//! The JSON of the stats port, one namespace at a time.
//!
//! Owns the form of the object and the order of its members. An audience of 100,000 events makes 10 MB of it, so it is
//! written in pieces: a [`StatsWriter`] remembers what a piece has to begin with.
//!
//! Invariant: the pieces together are one JSON object and a line feed, whatever is written in between.

use super::sse::push_decimal;

/// What is told of a namespace.
#[derive(Clone, Copy, Debug)]
pub struct Figures<'a> {
    /// Its name, as it was sent.
    pub name: &'a str,
    /// When it was made, in seconds since 1970.
    pub created_unix_s: u64,
    /// How many are there now.
    pub members: u64,
    /// How many ever joined, since it was made.
    pub connections: u64,
    /// When a count was last told, in seconds since 1970; 0 before.
    pub modified_unix_s: u64,
    /// How many are served now without being counted.
    pub uncounted: u64,
}

/// How far the object has been written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatsWriter {
    is_begun: bool,
}

impl StatsWriter {
    /// Appends a namespace.
    pub fn push(&mut self, out: &mut Vec<u8>, figures: &Figures<'_>) {
        out.push(if self.is_begun { b',' } else { b'{' });
        self.is_begun = true;
        out.extend_from_slice(serde_json::Value::from(figures.name).to_string().as_bytes());
        let fields = [
            (":{\"created\":", figures.created_unix_s),
            (",\"members\":", figures.members),
            (",\"connections\":", figures.connections),
            (",\"modified\":", figures.modified_unix_s),
            (",\"uncounted\":", figures.uncounted),
        ];
        for (field, value) in fields {
            out.extend_from_slice(field.as_bytes());
            push_decimal(out, value);
        }
        out.push(b'}');
    }

    /// Appends the end of the object.
    pub fn finish(self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.is_begun { b"}\n" } else { b"{}\n" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(names: &[&str], expected: &str) {
        let (mut writer, mut out) = (StatsWriter::default(), Vec::new());
        for name in names {
            let figures =
                Figures { name, created_unix_s: 1, members: 2, connections: 3, modified_unix_s: 4, uncounted: 5 };
            writer.push(&mut out, &figures);
        }
        writer.finish(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn the_object_is_exact() {
        const FIGURES: &str = "{\"created\":1,\"members\":2,\"connections\":3,\"modified\":4,\"uncounted\":5}";
        check(&[], "{}\n");
        check(&["a"], &format!("{{\"a\":{FIGURES}}}\n"));
        check(&["__proto__", "\"\\"], &format!("{{\"__proto__\":{FIGURES},\"\\\"\\\\\":{FIGURES}}}\n"));
    }
}
