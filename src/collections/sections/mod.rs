//! Values as bytes, in sections that name and delimit themselves: what a process hands on, and what it keeps on a disk.
//!
//! Owns what a section is, and what can be wrong with one. It does not know what a section means: each structure writes and reads
//! its own, beside its fields.
//!
//! A section is `number:u16 length:u64 bytes`. The sections within another stand in the order of their numbers, so a reader knows
//! at once whether the one that it looks for is there. A later version gives a new section a number of its own. If that is odd,
//! a reader that does not know it passes over it; if it is even, the section is needed, and the reader refuses the whole. What a
//! section has after the last value that its reader asks for is refused, too.
//!
//! The first fault stays: from then on a [`Reader`] has no bytes left, its numbers are 0 and its lists are empty. So structures
//! are read without a branch after each value, and whether they are worth anything is asked once, at the end.
//!
//! | file | owns |
//! |---|---|
//! | `reader` | bytes to values, and the first fault |
//! | `writer` | values to bytes |
//!
//! Invariant: a reader allocates nothing for what its bytes do not hold, and a value has one form.

mod reader;
mod writer;

use std::fmt;

pub use reader::{List, Outer, Reader};
pub use writer::{Open, Writer};

/// A kind of section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Where it stands among its neighbours. Odd: a reader that does not know it passes over it.
    pub number: u16,
    /// What it is called where something is wrong in it.
    pub name: &'static str,
}

/// The bytes of a section before its values.
const HEAD: usize = 10;

/// What is wrong with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They end within a value.
    Cut,
    /// A number is not written in its shortest form, or has more than 64 bits.
    Number,
    /// A number is larger than it may be.
    TooLarge,
    /// A list has more entries, or a text more bytes, than there are bytes left.
    TooLong,
    /// A text is not UTF-8.
    Text,
    /// A byte that says yes or no says neither.
    Flag,
    /// A section that is needed is not there.
    Missing(Tag),
    /// There is a section of this number, which this version does not know and may not pass over.
    Unknown(u16),
    /// There is more than this version reads.
    Leftover,
    /// The values do not fit each other.
    Inconsistent(&'static str),
}

/// A fault, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong.
    pub fault: Fault,
    /// The section that it is in.
    pub section: &'static str,
    /// The byte from the beginning of the whole, counted from 0.
    pub offset: usize,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "the bytes end within a value",
            Self::Number => "malformed number",
            Self::TooLarge => "number out of range",
            Self::TooLong => "length beyond the end",
            Self::Text => "text that is not UTF-8",
            Self::Flag => "flag that is neither 0 nor 1",
            Self::Missing(tag) => return write!(f, "section '{}' is missing", tag.name),
            Self::Unknown(number) => return write!(f, "section {number} is of a later version and is needed"),
            Self::Leftover => "more bytes than this version knows of",
            Self::Inconsistent(what) => what,
        })
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, section, offset } = self;
        write!(f, "{fault}, in section '{section}' at byte {offset}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::key::{Key as _, key_type};

    key_type! {
        SeatId
    }

    const PLAY: Tag = Tag { number: 2, name: "play" };
    const EXTRA: Tag = Tag { number: 3, name: "extra" };
    const CAST: Tag = Tag { number: 4, name: "cast" };

    /// Two sections: one with a value of each kind, and one with a list.
    fn written() -> Vec<u8> {
        let mut writer = Writer::default();
        let play = writer.open(PLAY);
        for number in [0, 127, 128, u64::MAX] {
            writer.number(number);
        }
        writer.fixed(7);
        writer.flag(true);
        writer.option(None);
        writer.option(Some(u64::MAX));
        writer.key(SeatId::new((1 << 26) - 1));
        writer.option_key::<SeatId>(None);
        writer.option_key(Some(SeatId::FIRST));
        writer.text("caf\u{e9}");
        writer.close(play);
        let cast = writer.open(CAST);
        writer.count(2);
        writer.text("Ada");
        writer.text("");
        writer.close(cast);
        writer.into_bytes()
    }

    fn read(bytes: &[u8]) -> Result<Vec<String>, Malformed> {
        let mut reader = Reader::new(bytes, 0, "evening");
        let play = reader.enter(PLAY);
        let numbers = [(); 4].map(|()| reader.number());
        let (fixed, flag, options) = (reader.fixed(), reader.flag(), [(); 2].map(|()| reader.option()));
        let keys = (reader.key::<SeatId>(), [(); 2].map(|()| reader.option_key::<SeatId>()));
        let text = reader.text();
        reader.leave(play);
        let outer = reader.enter(CAST);
        let (mut list, mut cast) = (reader.list(), Vec::new());
        while reader.has_next(&mut list) {
            cast.push(reader.text().to_owned());
        }
        reader.leave(outer);
        reader.finish()?;
        assert_eq!((numbers, fixed, flag, options), ([0, 127, 128, u64::MAX], 7, true, [None, Some(u64::MAX)]));
        assert_eq!((keys, text), ((SeatId::new((1 << 26) - 1), [None, Some(SeatId::FIRST)]), "caf\u{e9}"));
        Ok(cast)
    }

    #[track_caller]
    fn check(bytes: &[u8], error: &str) {
        let malformed = read(bytes).expect_err("it is malformed");
        assert_eq!(malformed.to_string(), error);
    }

    #[test]
    fn values_come_as_they_went() {
        assert_eq!(read(&written()), Ok(vec!["Ada".to_owned(), String::new()]));
    }

    #[test]
    fn bytes_that_are_cut_anywhere_are_refused() {
        let bytes = written();
        for length in 0..bytes.len() {
            let malformed = read(&bytes[..length]).expect_err("it was cut");
            assert!(malformed.offset <= length, "{malformed}");
        }
        check(&[], "section 'play' is missing, in section 'evening' at byte 0");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let bytes = written();
        let with = |place: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[place] = byte;
            bytes
        };
        check(&with(32, 2), "flag that is neither 0 nor 1, in section 'play' at byte 32");
        check(&with(2, 0xff), "length beyond the end, in section 'evening' at byte 0");
        check(&with(0, 1), "section 'play' is missing, in section 'evening' at byte 57");
        check(&with(bytes.len() - 6, 7), "length beyond the end, in section 'cast' at byte 68");
        check(&[&bytes[..], &[0]].concat(), "the bytes end within a value, in section 'evening' at byte 73");
        check(&with(bytes.len() - 2, 0xff), "text that is not UTF-8, in section 'cast' at byte 72");
    }

    #[test]
    fn a_section_of_a_later_version_is_passed_over_if_its_number_is_odd() {
        let bytes = written();
        let cast = bytes.len() - 16;
        let between = |number: u16| {
            let mut writer = Writer::default();
            let open = writer.open(Tag { number, ..EXTRA });
            writer.text("encore");
            writer.close(open);
            [&bytes[..cast], &writer.into_bytes(), &bytes[cast..]].concat()
        };
        assert!(read(&between(3)).is_ok());
        let error = format!("section 2 is of a later version and is needed, in section 'evening' at byte {cast}");
        check(&between(2), &error);
        let added = &between(9)[cast..];
        assert!(read(&[&bytes[..], &added[..added.len() - 16]].concat()).is_ok(), "at the end, too");
    }

    #[test]
    fn a_list_is_no_longer_than_its_bytes_and_ends_with_the_first_fault() {
        let mut reader = Reader::new(&[4, 0, 9, 9, 9], 0, "evening");
        let (mut list, mut flags) = (reader.list(), Vec::new());
        while reader.has_next(&mut list) {
            flags.push(reader.flag());
        }
        assert_eq!(flags, [false, false], "the second is malformed");
        assert_eq!(reader.number(), 0);
        assert_eq!(reader.finish().map_err(|malformed| malformed.fault), Err(Fault::Flag));
        let mut reader = Reader::new(&[4, 0, 0, 0], 0, "evening");
        let mut list = reader.list();
        assert!(!reader.has_next(&mut list) && reader.finish().is_err());
    }

    #[test]
    fn a_number_has_one_form() {
        let malformed = |bytes: &[u8]| {
            let mut reader = Reader::new(bytes, 0, "evening");
            reader.number();
            reader.finish().is_err()
        };
        assert!(malformed(&[0x80, 0]) && malformed(&[0xff; 10]) && malformed(&[]));
        let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert!(!malformed(&most) && malformed(&[&most[..9], &[2]].concat()));
    }

    #[test]
    fn values_that_do_not_fit_are_a_fault_of_their_own() {
        let mut reader = Reader::new(&[5], 0, "evening");
        let seats = reader.number();
        assert!(!reader.check(seats < 5, "more seats than there are"));
        assert!(!reader.check(true, "not seen any more"));
        let malformed = reader.finish().expect_err("it is malformed");
        assert_eq!(malformed.to_string(), "more seats than there are, in section 'evening' at byte 1");
    }
}
