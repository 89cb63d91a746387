//! A table: all that a process knows, as bytes for the program that goes on in its place, or for the one that starts later.
//!
//! Owns the frame: what kind of table it is, of which version, and a check of all its bytes. What is in it stands in sections
//! ([`crate::collections::sections`]), which each structure writes and reads beside its fields.
//!
//! `magic:8 kind:4 version:u16 length:u64 check:u64`, all integers little-endian, and then the sections.
//!
//! The version is raised when a section that is not new comes to mean something else; a reader takes all versions up to its
//! own. The check finds what a disk or a full pipe has done to the bytes. It is no seal: a process that may write a table may write any.
//!
//! Invariant: a table that is cut, changed in any byte, or followed by others, is refused.

use std::fmt;

pub use crate::collections::sections::{Fault, List, Malformed, Outer, Reader, Tag, Writer};

/// What every table begins with. Its last bytes show what an old transfer of files has done to it (RFC 2083 section 12.11).
const MAGIC: [u8; 8] = *b"audmet\r\n";

/// The bytes before the sections.
const HEAD: usize = 30;

/// What a table is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// What distinguishes it from others.
    pub mark: [u8; 4],
    /// The newest version that this program reads, and the one that it writes.
    pub version: u16,
    /// What it is called in an error.
    pub name: &'static str,
}

/// The table of a process that hands itself on to another program.
pub const HAND_OVER: Kind = Kind { mark: *b"hand", version: 1, name: "hand-over" };

/// Why the bytes are no table that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// They are no table.
    Foreign,
    /// They are a table of another kind.
    OtherKind,
    /// They are of this version, which is a later one.
    Later(u16),
    /// They are cut, or go on after the end.
    Length,
    /// They have been changed.
    Damaged,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Foreign => "not a table of this program",
            Self::OtherKind => "a table for another purpose",
            Self::Later(version) => return write!(f, "a table of version {version}, which this program cannot read"),
            Self::Length => "the table is cut",
            Self::Damaged => "the table is damaged",
        })
    }
}

/// The table with these sections.
#[must_use]
pub fn enclose(kind: Kind, sections: Writer) -> Vec<u8> {
    let sections = sections.into_bytes();
    let mut bytes = Vec::with_capacity(HEAD + sections.len());
    bytes.extend(MAGIC);
    bytes.extend(kind.mark);
    bytes.extend(kind.version.to_le_bytes());
    bytes.extend((sections.len() as u64).to_le_bytes());
    bytes.extend(check(kind.version, &sections).to_le_bytes());
    bytes.extend(sections);
    bytes
}

/// Begins to read a table of this kind.
///
/// # Errors
/// Why it cannot be read.
pub fn open(kind: Kind, bytes: &[u8]) -> Result<Reader<'_>, Refusal> {
    let (magic, rest) = bytes.split_first_chunk().ok_or(Refusal::Foreign)?;
    if *magic != MAGIC {
        return Err(Refusal::Foreign);
    }
    let (mark, rest) = rest.split_first_chunk().ok_or(Refusal::Length)?;
    if *mark != kind.mark {
        return Err(Refusal::OtherKind);
    }
    let (&version, rest) = rest.split_first_chunk().ok_or(Refusal::Length)?;
    let version = u16::from_le_bytes(version);
    if version > kind.version {
        return Err(Refusal::Later(version));
    }
    let (&length, rest) = rest.split_first_chunk().ok_or(Refusal::Length)?;
    let (&sum, sections) = rest.split_first_chunk().ok_or(Refusal::Length)?;
    if sections.len() as u64 != u64::from_le_bytes(length) {
        return Err(Refusal::Length);
    }
    if check(version, sections) != u64::from_le_bytes(sum) {
        return Err(Refusal::Damaged);
    }
    Ok(Reader::new(bytes, HEAD, kind.name))
}

/// A sum of all bytes, eight at a time: 1 ms for 10 MB. Each step is a bijection of the sum and of the bytes, so no single
/// change goes unseen.
fn check(version: u16, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks();
    let mut last = [0; 8];
    for (place, &byte) in last.iter_mut().zip(rest) {
        *place = byte;
    }
    let mut sum = u64::from(version);
    for &word in words.iter().chain([&last]) {
        sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: Tag = Tag { number: 2, name: "numbers" };

    fn table() -> Vec<u8> {
        let mut writer = Writer::default();
        let open = writer.open(TAG);
        for number in 0..20 {
            writer.number(number << number);
        }
        writer.close(open);
        enclose(HAND_OVER, writer)
    }

    fn refusal(bytes: &[u8]) -> Refusal {
        open(HAND_OVER, bytes).expect_err("it is refused")
    }

    #[test]
    fn sections_come_out_as_they_went_in() {
        let bytes = table();
        let mut reader = open(HAND_OVER, &bytes).unwrap();
        let outer = reader.enter(TAG);
        for number in 0..20 {
            assert_eq!(reader.number(), number << number);
        }
        reader.leave(outer);
        assert_eq!(reader.finish(), Ok(()));
        assert!(open(HAND_OVER, &enclose(HAND_OVER, Writer::default())).unwrap().finish().is_ok());
    }

    #[test]
    fn a_table_that_is_cut_or_longer_is_refused() {
        let bytes = table();
        for length in 0..bytes.len() {
            let expected = if length < MAGIC.len() { Refusal::Foreign } else { Refusal::Length };
            assert_eq!(refusal(&bytes[..length]), expected, "{length} bytes");
        }
        assert_eq!(refusal(&[&bytes[..], &[0]].concat()), Refusal::Length);
    }

    #[test]
    fn a_table_with_any_bit_changed_is_refused() {
        let bytes = table();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            refusal(&bytes);
        }
    }

    #[test]
    fn what_is_foreign_is_said_by_name() {
        let bytes = table();
        let other = Kind { mark: *b"else", ..HAND_OVER };
        assert_eq!(open(other, &bytes).unwrap_err(), Refusal::OtherKind);
        let later = enclose(Kind { version: 2, ..HAND_OVER }, Writer::default());
        assert_eq!(refusal(&later).to_string(), "a table of version 2, which this program cannot read");
        let newer = Kind { version: 2, ..HAND_OVER };
        assert!(open(newer, &bytes).is_ok(), "a later version reads an earlier one");
        assert_eq!(refusal(b"{\"a\":{}}"), Refusal::Foreign);
    }
}
