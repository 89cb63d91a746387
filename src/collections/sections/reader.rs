//! Bytes to values.
//!
//! Owns the place where the reading is, the section that it is in, and the first fault. It does not know what the values mean.
//!
//! Invariant: after a fault there are no bytes left, so a loop over a list ends.

use std::time::Duration;

use super::{Fault, HEAD, Malformed, Tag};
use crate::collections::key::{Index, Key};
use crate::collections::tick::{Moment, Tick};

/// The places of a table that a key may name: what it takes to reach the last one stays within 10 MB, whatever the bytes say.
const PLACES_MAX: usize = 1 << 26;

/// The most bytes of a number: 7 bits in each.
const NUMBER_BYTES: u32 = 10;

/// Takes values off bytes.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the section ends that is being read.
    end: usize,
    section: &'static str,
    fault: Option<Malformed>,
}

/// The section around the one that is being read.
#[derive(Debug)]
#[must_use = "a section has to be left"]
pub struct Outer {
    end: usize,
    section: &'static str,
}

/// The entries of a list that are left.
#[derive(Debug)]
pub struct List(u64);

impl<'a> Reader<'a> {
    /// Reads these bytes, from this one on. `section` is what they are called as a whole.
    #[must_use]
    pub fn new(bytes: &'a [u8], at: usize, section: &'static str) -> Self {
        Self { bytes, at: at.min(bytes.len()), end: bytes.len(), section, fault: None }
    }

    /// Enters a section. One that is not there is a fault.
    pub fn enter(&mut self, tag: Tag) -> Outer {
        let outer = Outer { end: self.end, section: self.section };
        if self.find(tag) {
            self.at += HEAD - 8;
            let length = self.fixed();
            // Seen to be within the section around it.
            self.end = self.at + usize::try_from(length).unwrap_or(0);
            self.section = tag.name;
        } else {
            self.fail(Fault::Missing(tag));
        }
        outer
    }

    /// Leaves the section that was entered last. It must have been read to its end.
    pub fn leave(&mut self, Outer { end, section }: Outer) {
        if self.fault.is_none() {
            self.check_end();
        }
        if self.fault.is_none() {
            (self.end, self.section) = (end, section);
        }
    }

    /// Whether the next section that this version knows is of this kind. Those before it that may be passed over are.
    pub fn find(&mut self, tag: Tag) -> bool {
        while self.at < self.end && self.fault.is_none() {
            let Some(&[low, high, ref length @ ..]) = self.rest().first_chunk::<HEAD>() else {
                self.fail(Fault::Cut);
                return false;
            };
            let number = u16::from_le_bytes([low, high]);
            if number > tag.number {
                return false;
            }
            let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
            if length > self.end - self.at - HEAD {
                self.fail(Fault::TooLong);
                return false;
            }
            if number == tag.number {
                return true;
            }
            if number % 2 == 0 {
                self.fail(Fault::Unknown(number));
                return false;
            }
            self.at += HEAD + length;
        }
        false
    }

    /// The number of entries of a list: each takes a byte at least, so there are no more than bytes.
    pub fn list(&mut self) -> List {
        let count = self.number();
        if count > self.rest().len() as u64 {
            self.fail(Fault::TooLong);
            return List(0);
        }
        List(count)
    }

    /// Whether a list goes on with another entry.
    pub fn has_next(&self, list: &mut List) -> bool {
        if list.0 == 0 || self.fault.is_some() {
            return false;
        }
        list.0 -= 1;
        true
    }

    /// A number in its shortest form.
    pub fn number(&mut self) -> u64 {
        let mut number = 0_u64;
        for place in 0..NUMBER_BYTES {
            let byte = self.byte();
            let bits = u64::from(byte & 0x7f);
            number |= bits << (7 * place);
            if byte < 0x80 {
                let is_shortest = byte > 0 || place == 0;
                let fits = place + 1 < NUMBER_BYTES || byte <= 1;
                if !is_shortest || !fits {
                    self.fail(Fault::Number);
                    return 0;
                }
                return number;
            }
        }
        self.fail(Fault::Number);
        0
    }

    /// A number of 32 bits.
    pub fn small(&mut self) -> u32 {
        let number = self.number();
        u32::try_from(number).unwrap_or_else(|_| {
            self.fail(Fault::TooLarge);
            0
        })
    }

    /// A number of 16 bits.
    pub fn short(&mut self) -> u16 {
        let number = self.number();
        u16::try_from(number).unwrap_or_else(|_| {
            self.fail(Fault::TooLarge);
            0
        })
    }

    /// A number that [`Writer::fixed`](super::Writer::fixed) has written.
    pub fn fixed(&mut self) -> u64 {
        let Some(&bytes) = self.rest().first_chunk() else {
            self.fail(Fault::Cut);
            return 0;
        };
        self.at += bytes.len();
        u64::from_le_bytes(bytes)
    }

    /// Yes or no.
    pub fn flag(&mut self) -> bool {
        if self.rest().first().is_some_and(|&byte| byte > 1) {
            self.fail(Fault::Flag);
        }
        self.byte() == 1
    }

    /// A number, or none.
    pub fn option(&mut self) -> Option<u64> {
        self.flag().then(|| self.number())
    }

    /// The key of a value in a table.
    pub fn key<K: Key>(&mut self) -> K {
        K::of(self.index().unwrap_or(Index::FIRST))
    }

    /// Such a key, or none.
    pub fn option_key<K: Key>(&mut self) -> Option<K> {
        let number = self.number().checked_sub(1)?;
        self.index_of(number).map(K::of)
    }

    /// A moment of the clock that is handed on with the rest.
    pub fn tick(&mut self) -> Tick {
        Tick(self.number())
    }

    /// Such a moment, or none.
    pub fn option_tick(&mut self) -> Option<Tick> {
        self.option().map(Tick)
    }

    /// A moment that may be before the zero of the clock.
    pub fn moment(&mut self) -> Moment {
        Moment::from_bits(self.fixed())
    }

    /// A duration.
    pub fn duration(&mut self) -> Duration {
        Duration::from_nanos(self.number())
    }

    /// A number of values in memory.
    pub fn size(&mut self) -> usize {
        let number = self.number();
        usize::try_from(number).unwrap_or_else(|_| {
            self.fail(Fault::TooLarge);
            0
        })
    }

    /// Bytes with their length before them.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = self.number();
        let rest = self.rest();
        let Some(bytes) = usize::try_from(length).ok().and_then(|length| rest.get(..length)) else {
            self.fail(Fault::TooLong);
            return &[];
        };
        self.at += bytes.len();
        bytes
    }

    /// A text.
    pub fn text(&mut self) -> &'a str {
        let bytes = self.bytes();
        str::from_utf8(bytes).unwrap_or_else(|_| {
            self.fail(Fault::Text);
            ""
        })
    }

    /// The values so far do not fit each other unless this holds. Returns whether it does, and no fault came before.
    pub fn check(&mut self, holds: bool, what: &'static str) -> bool {
        if !holds {
            self.fail(Fault::Inconsistent(what));
        }
        self.fault.is_none()
    }

    /// Whether all values so far were well-formed, and fitted each other.
    ///
    /// # Errors
    /// The first fault.
    pub fn sound(&self) -> Result<(), Malformed> {
        self.fault.map_or(Ok(()), Err)
    }

    /// All was read.
    ///
    /// # Errors
    /// The first fault.
    pub fn finish(mut self) -> Result<(), Malformed> {
        self.check_end();
        self.sound()
    }

    /// Records a fault, if it is the first one.
    pub fn fail(&mut self, fault: Fault) {
        if self.fault.is_none() {
            self.fault = Some(Malformed { fault, section: self.section, offset: self.at });
        }
        self.end = self.at;
    }

    /// What is left may be passed over where a later version has added it.
    fn check_end(&mut self) {
        // No section has this number: all that may be passed over is.
        if self.find(Tag { number: u16::MAX, name: "" }) || self.at < self.end {
            self.fail(Fault::Leftover);
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..self.end).unwrap_or_default()
    }

    fn byte(&mut self) -> u8 {
        let Some(&byte) = self.rest().first() else {
            self.fail(Fault::Cut);
            return 0;
        };
        self.at += 1;
        byte
    }

    fn index(&mut self) -> Option<Index> {
        let number = self.number();
        self.index_of(number)
    }

    fn index_of(&mut self, number: u64) -> Option<Index> {
        let index = usize::try_from(number).ok().filter(|&number| number < PLACES_MAX).and_then(Index::new);
        if index.is_none() {
            self.fail(Fault::TooLarge);
        }
        index
    }
}
