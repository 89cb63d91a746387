//! The form of a line: an event with fields, in logfmt or in JSON.
//!
//! Owns what a value looks like, and how a reader is kept from taking one for something else: all text goes through one
//! escape, that of JSON, which the readers of logfmt know, too. It prints nothing and reads no clock.
//!
//! Invariant: a line is one line, whole in its format, and at most [`MAX`] bytes; a text that is longer is cut in its quotes.

use std::fmt::{Display, Write as _};

use crate::wire::date;

/// The most bytes of a line, without its end: a pipe takes `PIPE_BUF`, 4,096 bytes, whole or not at all, so that lines of
/// several processes do not mix. Two line ends fit beside it.
pub(super) const MAX: usize = 4094;

/// The end of a text that was cut.
const CUT: &str = "...";

/// What a field takes at most beside its name and a text: a separator, quotes, the longest number, the end of the line.
const FIELD_MAX: usize = 32;

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `key=value`, as Loki and others decode it.
    #[default]
    Logfmt,
    /// An object.
    Json,
}

/// A value of a field.
pub enum Value<'a> {
    /// A number that is not negative.
    Number(u64),
    /// Whether it is so.
    Bool(bool),
    /// Text, by any author.
    Text(&'a str),
    /// What is shown as text.
    Shown(&'a dyn Display),
    /// An object that is JSON already.
    Json(&'a str),
}

/// A key and its value.
pub type Field<'a> = (&'static str, Value<'a>);

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<usize> for Value<'_> {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

impl From<bool> for Value<'_> {
    fn from(is_so: bool) -> Self {
        Self::Bool(is_so)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

/// How much a line matters.
#[derive(Clone, Copy)]
pub(super) enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl Level {
    /// Its name, and its priority in the journal, as syslog(3) has them.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Error => ("error", "<3>"),
            Self::Warn => ("warn", "<4>"),
            Self::Info => ("info", "<6>"),
            Self::Debug => ("debug", "<7>"),
        }
    }
}

/// What all lines of a process have in common.
#[derive(Clone, Copy, Default)]
pub(super) struct Style {
    pub(super) format: Format,
    /// Whether the journal reads them: it has a time of its own, and takes a priority in front.
    pub(super) is_journal: bool,
}

impl Style {
    /// The line of an event at this time, in milliseconds since 1970.
    pub(super) fn event(self, level: Level, unix_ms: u64, event: &str, fields: &[Field<'_>]) -> Vec<u8> {
        let mut line = Line { out: self.prefix(level), start: 0, format: self.format };
        line.start = line.out.len();
        if !self.is_journal {
            let mut time = Vec::with_capacity(24);
            date::push_timestamp(&mut time, unix_ms);
            line.push("time", &Value::Text(str::from_utf8(&time).unwrap_or_default()));
        }
        line.push("level", &Value::Text(level.names().0));
        line.push("event", &Value::Text(event));
        for (key, value) in fields {
            line.push(key, value);
        }
        if self.format == Format::Json {
            line.out.push(b'}');
        }
        line.out
    }

    /// The line of a text for a person; all line ends in it are spaces.
    pub(super) fn text(self, level: Level, text: &str) -> Vec<u8> {
        let mut out = self.prefix(level);
        let is_cut = out.len() + text.len() > MAX;
        let end = if is_cut { text.floor_char_boundary(MAX - out.len() - CUT.len()) } else { text.len() };
        out.extend(text.bytes().take(end).map(|byte| if byte == b'\n' { b' ' } else { byte }));
        if is_cut {
            out.extend_from_slice(CUT.as_bytes());
        }
        out
    }

    fn prefix(self, level: Level) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        if self.is_journal {
            out.extend_from_slice(level.names().1.as_bytes());
        }
        out
    }
}

/// A line that is being written.
struct Line {
    out: Vec<u8>,
    /// Where its first field begins.
    start: usize,
    format: Format,
}

impl Line {
    /// Appends a field, unless the line is full.
    fn push(&mut self, key: &str, value: &Value<'_>) {
        if self.out.len() + key.len() + FIELD_MAX > MAX {
            return;
        }
        let is_first = self.out.len() == self.start;
        match self.format {
            Format::Logfmt if is_first => self.append(&[key, "="]),
            Format::Logfmt => self.append(&[" ", key, "="]),
            Format::Json => self.append(&[if is_first { "{\"" } else { ",\"" }, key, "\":"]),
        }
        self.push_value(value);
    }

    fn push_value(&mut self, value: &Value<'_>) {
        let is_json = self.format == Format::Json;
        match value {
            Value::Number(number) => self.append(&[&number.to_string()]),
            Value::Bool(is_so) => self.append(&[if *is_so { "true" } else { "false" }]),
            Value::Json(text) if is_json && self.out.len() + text.len() < MAX => self.append(&[text]),
            Value::Text(text) if !is_json && is_bare(text) && self.out.len() + text.len() < MAX => self.append(&[text]),
            Value::Text(text) | Value::Json(text) => self.push_quoted(text),
            Value::Shown(value) => self.push_value(&Value::Text(&value.to_string())),
        }
    }

    /// Appends a text in quotes, as far as there is room for it.
    fn push_quoted(&mut self, text: &str) {
        // The quote, and the end of an object.
        let most = MAX - CUT.len() - 2;
        let mut piece = String::new();
        self.out.push(b'"');
        for character in text.chars() {
            piece.clear();
            push_escaped(&mut piece, character);
            let is_full = self.out.len() + piece.len() > most;
            self.append(&[if is_full { CUT } else { &piece }]);
            if is_full {
                break;
            }
        }
        self.out.push(b'"');
    }

    fn append(&mut self, parts: &[&str]) {
        for part in parts {
            self.out.extend_from_slice(part.as_bytes());
        }
    }
}

/// Whether all readers of logfmt take this text as it is.
fn is_bare(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'=\\`".contains(&byte))
}

/// Appends a character as it is between quotes.
fn push_escaped(out: &mut String, character: char) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        // What a terminal acts upon, what ends a line for some readers, and what turns the direction of a text.
        '\0'..='\x1f'
        | '\x7f'..='\u{9f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}' => {
            // A string takes all that is written to it.
            let _ = write!(out, "\\u{:04x}", u32::from(character));
        }
        _ => out.push(character),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json;

    const LOGFMT: Style = Style { format: Format::Logfmt, is_journal: false };
    const JSON: Style = Style { format: Format::Json, is_journal: false };

    fn line(style: Style, fields: &[Field<'_>]) -> String {
        String::from_utf8(style.event(Level::Info, 1_300_000_000_042, "a", fields)).unwrap()
    }

    /// What a field of the text looks like in logfmt, and in JSON, which has to be read as the text.
    #[track_caller]
    fn check(text: &str, logfmt: &str, json: &str) {
        let start = "time=2011-03-13T07:06:40.042Z level=info event=a";
        assert_eq!(line(LOGFMT, &[("k", text.into())]), format!("{start} k={logfmt}"));
        let start = "{\"time\":\"2011-03-13T07:06:40.042Z\",\"level\":\"info\",\"event\":\"a\"";
        let object = line(JSON, &[("k", text.into())]);
        assert_eq!(object, format!("{start},\"k\":{json}}}"));
        assert_eq!(json::read(&object)["k"], text);
    }

    #[test]
    fn a_text_is_bare_or_quoted_and_escaped_as_json_does() {
        check("/a/b-c_d.e:1,[::1]", "/a/b-c_d.e:1,[::1]", "\"/a/b-c_d.e:1,[::1]\"");
        check("", "\"\"", "\"\"");
        for quoted in ["a b", "a=b", "'", "`", "caf\u{e9}", "\u{1f600}"] {
            check(quoted, &format!("\"{quoted}\""), &format!("\"{quoted}\""));
        }
        for (text, escaped) in [
            ("a\"b\\", "a\\\"b\\\\"),
            ("\r\n\t", "\\r\\n\\t"),
            ("\0\x1b\x7f\u{85}", "\\u0000\\u001b\\u007f\\u0085"),
            ("\u{2028}\u{2029}\u{202e}\u{feff}", "\\u2028\\u2029\\u202e\\ufeff"),
        ] {
            check(text, &format!("\"{escaped}\""), &format!("\"{escaped}\""));
        }
    }

    #[test]
    fn values_keep_their_types() {
        let shown = Value::Shown(&1.5);
        let fields = [("n", u64::MAX.into()), ("b", true.into()), ("s", shown), ("o", Value::Json("{\"a\":[1]}"))];
        let of = |style| line(style, &fields).split_once("event").unwrap().1.to_owned();
        assert_eq!(of(LOGFMT), format!("=a n={} b=true s=1.5 o=\"{{\\\"a\\\":[1]}}\"", u64::MAX));
        assert_eq!(of(JSON), format!("\":\"a\",\"n\":{},\"b\":true,\"s\":\"1.5\",\"o\":{{\"a\":[1]}}}}", u64::MAX));
    }

    #[test]
    fn the_journal_gets_a_priority_and_no_time() {
        for (level, logfmt) in [
            (Level::Error, "<3>level=error event=a"),
            (Level::Warn, "<4>level=warn event=a"),
            (Level::Info, "<6>level=info event=a"),
            (Level::Debug, "<7>level=debug event=a"),
        ] {
            let line = Style { is_journal: true, ..LOGFMT }.event(level, 0, "a", &[]);
            assert_eq!(str::from_utf8(&line).unwrap(), logfmt);
        }
        let style = Style { is_journal: true, ..JSON };
        assert_eq!(style.event(Level::Info, 0, "a", &[]), b"<6>{\"level\":\"info\",\"event\":\"a\"}");
        assert_eq!(style.text(Level::Error, "why\nnot"), b"<3>why not");
    }

    #[test]
    fn a_long_line_is_cut_and_whole_in_its_format() {
        for unit in ["x", "\"", "\x1b", "\u{e9}", "\u{1f600}"] {
            for count in (MAX / 8..MAX / 8 + 9).chain([MAX / 4, MAX / 2]).chain(MAX - 110..=MAX + 1) {
                let text = unit.repeat(count);
                let fields = [("k", Value::Text(&text)), ("o", Value::Json("{}")), ("n", 7_u64.into())];
                let object = line(JSON, &fields);
                assert!(object.len() <= MAX, "{}", object.len());
                let value = json::read(&object);
                let read = value["k"].as_str().unwrap();
                assert!(read == text || text.starts_with(read.strip_suffix(CUT).unwrap()));
                let logfmt = line(LOGFMT, &fields);
                assert!(logfmt.len() <= MAX && logfmt.matches('"').count() != 1, "{}", logfmt.len());
                let text = LOGFMT.text(Level::Error, &text);
                assert!(text.len() <= MAX && str::from_utf8(&text).is_ok());
            }
        }
        let long = format!("{{\"a\":{:?}}}", "x".repeat(MAX));
        let object = line(JSON, &[("o", Value::Json(&long))]);
        let value = json::read(&object);
        assert!(long.starts_with(value["o"].as_str().unwrap().trim_end_matches('.')));
    }
}
