//! Values to bytes.
//!
//! Owns the form of a number, a text and a list, and the head of a section. It does not know what the values mean.
//!
//! Invariant: what is written, the [`Reader`](super::Reader) takes.

use std::time::Duration;

use super::Tag;
use crate::collections::key::Key;
use crate::collections::tick::{Moment, Tick};

/// Appends values.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

/// A section that is being written.
#[derive(Debug)]
#[must_use = "a section has to be closed"]
pub struct Open(usize);

impl Writer {
    /// Begins a section.
    pub fn open(&mut self, tag: Tag) -> Open {
        self.0.extend(tag.number.to_le_bytes());
        self.fixed(0);
        Open(self.0.len())
    }

    /// Ends the section that was begun last.
    pub fn close(&mut self, Open(start): Open) {
        let length = (self.0.len() - start) as u64;
        if let Some(head) = self.0.get_mut(start - 8..start) {
            head.copy_from_slice(&length.to_le_bytes());
        }
    }

    /// A number of any size, in as few bytes as it takes.
    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
    }

    /// The number of entries that follow.
    pub fn count(&mut self, count: usize) {
        self.number(count as u64);
    }

    /// A number of 64 bits that is as likely large as small.
    pub fn fixed(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    /// Yes or no.
    pub fn flag(&mut self, flag: bool) {
        self.0.push(flag.into());
    }

    /// A number, or none.
    pub fn option(&mut self, number: Option<u64>) {
        self.flag(number.is_some());
        if let Some(number) = number {
            self.number(number);
        }
    }

    /// The key of a value in a table.
    pub fn key(&mut self, key: impl Key) {
        self.number(key.place().get().into());
    }

    /// Such a key, or none.
    pub fn option_key<K: Key>(&mut self, key: Option<K>) {
        self.number(key.map_or(0, |key| u64::from(key.place().get()) + 1));
    }

    /// A deadline, or a moment that has passed, of the clock that is handed on with the rest.
    pub fn tick(&mut self, tick: Tick) {
        self.number(tick.0);
    }

    /// Such a moment, or none.
    pub fn option_tick(&mut self, tick: Option<Tick>) {
        self.option(tick.map(|tick| tick.0));
    }

    /// A moment that may be before the zero of the clock.
    pub fn moment(&mut self, moment: Moment) {
        self.fixed(moment.bits());
    }

    /// A duration, to the nanosecond.
    pub fn duration(&mut self, duration: Duration) {
        self.number(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Bytes, with their length before them.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// A text, with its length before it.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// All that was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
