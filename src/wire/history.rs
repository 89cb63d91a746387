//! The history of an event, a row at a time, as JSON or as CSV.
//!
//! Owns the form. A day has 1,440 rows, so they are written in pieces: a [`HistoryWriter`] remembers what a piece has to
//! begin with.
//!
//! Invariant: the pieces together are one JSON object and a line feed, or lines of CSV (RFC 4180) after one that names the
//! columns.

use super::json;
use super::sse::push_decimal;
use super::stats::push_hundredths;
use crate::meter::Row;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One object: the columns' names, and an array for each row.
    Json,
    /// Lines.
    Csv,
}

impl Format {
    /// The name and the format that the end of a path asks for.
    ///
    /// A name may end like a format does. Then the format has to be given: `/history/a.csv.json`.
    #[must_use]
    pub fn of(path: &str) -> (&str, Self) {
        match (path.strip_suffix(".csv"), path.strip_suffix(".json")) {
            (Some(name), _) => (name, Self::Csv),
            (None, Some(name)) => (name, Self::Json),
            (None, None) => (path, Self::Json),
        }
    }

    /// What HTTP calls it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }
}

/// How far the rows have been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryWriter {
    format: Format,
    is_begun: bool,
}

impl HistoryWriter {
    /// Appends what comes before the rows of this namespace.
    pub fn begin(out: &mut Vec<u8>, name: &str, format: Format) -> Self {
        match format {
            Format::Json => {
                out.extend_from_slice(b"{\"namespace\":");
                json::push_string(out, name);
                out.extend_from_slice(
                    br#","step":60,"columns":["time","min","average","max","joins","leaves","people"],"rows":["#,
                );
            }
            Format::Csv => out.extend_from_slice(b"time,min,average,max,joins,leaves,people\r\n"),
        }
        Self { format, is_begun: false }
    }

    /// Appends a row, which began at this time in seconds since 1970.
    pub fn push(&mut self, out: &mut Vec<u8>, unix_s: u64, row: &Row) {
        if self.format == Format::Json {
            out.extend_from_slice(if self.is_begun { b",[" } else { b"[" });
        }
        self.is_begun = true;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between two counts")]
        let average = (f64::from(row.average) * 100.0).round() as u64;
        push_decimal(out, unix_s);
        out.push(b',');
        push_decimal(out, row.min.into());
        out.push(b',');
        push_hundredths(out, average);
        for number in [row.max, row.joins, row.leaves] {
            out.push(b',');
            push_decimal(out, number.into());
        }
        out.push(b',');
        match row.people {
            Some(people) => push_decimal(out, people.get().into()),
            None if self.format == Format::Json => out.extend_from_slice(b"null"),
            None => {}
        }
        out.extend_from_slice(if self.format == Format::Json { b"]" } else { b"\r\n" });
    }

    /// Appends what comes after the rows.
    pub fn finish(&self, out: &mut Vec<u8>) {
        if self.format == Format::Json {
            out.extend_from_slice(b"]}\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    /// Nothing was known of people in the first minute.
    fn row(number: u64) -> Row {
        let people = NonZeroU32::new(u32::try_from(number).unwrap());
        Row { min: 1, average: 1.256, max: 3, joins: 2, leaves: 0, people }
    }

    #[track_caller]
    fn check(format: Format, rows: u64, expected: &str) {
        let mut out = Vec::new();
        let mut writer = HistoryWriter::begin(&mut out, "\"a", format);
        for number in 0..rows {
            writer.push(&mut out, 60 * number, &row(number));
        }
        writer.finish(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn the_forms_are_exact() {
        let head = "{\"namespace\":\"\\\"a\",\"step\":60,\
                    \"columns\":[\"time\",\"min\",\"average\",\"max\",\"joins\",\"leaves\",\"people\"],\"rows\":[";
        check(Format::Json, 0, &format!("{head}]}}\n"));
        check(Format::Json, 2, &format!("{head}[0,1,1.26,3,2,0,null],[60,1,1.26,3,2,0,1]]}}\n"));
        let head = "time,min,average,max,joins,leaves,people\r\n";
        check(Format::Csv, 0, head);
        check(Format::Csv, 2, &format!("{head}0,1,1.26,3,2,0,\r\n60,1,1.26,3,2,0,1\r\n"));
    }
}
