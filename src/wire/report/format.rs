//! What the reader and the writer of a datagram agree on.
//!
//! Owns the limits of the format, and the reasons for which a datagram is dropped. It does not know how anything is written.
//!
//! What is said of the people of an event begins with a byte that says what is there:
//!
//! ```text
//! has:u8 [tag:u32 | key:u128 born] [unseen apart...] findings...
//! ```
//!
//! | bit of `has` | what it says |
//! |---|---|
//! | 1 | a key is named by its tag |
//! | 2 | a key is there, all of it |
//! | 4 | there is more than this |
//! | 8 | something is lacking: the joins that were not seen, and a list of people counted under other keys |
//! | 16 | the findings are marks, and not hashes |
//! | 32 | they are a quarter of a sketch, after its number |
//!
//! Invariant: what the writer may write, the reader takes.

/// Why a datagram is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dropped {
    /// It is no datagram of ours, or not well-formed.
    Malformed,
    /// It is of another version of this format.
    ForeignVersion,
    /// It is of another audience.
    ForeignScope,
    /// It has no seal, and this node has a key.
    Unkeyed,
    /// It has a seal, and this node has no key; or the seal is of none of this node's keys.
    Forged,
}

/// The bits of a number that is not fixed.
pub(super) const NUMBER_BITS: u32 = 56;

/// The longest part of a message, in bytes.
pub(super) const TEXT_MAX: usize = 1_000;

/// What there is of what is said of people.
pub(super) const HAS_TAG: u8 = 1;
pub(super) const HAS_KEY: u8 = 2;
pub(super) const IS_PARTIAL: u8 = 4;
pub(super) const HAS_GAPS: u8 = 8;
pub(super) const ARE_MARKS: u8 = 16;
pub(super) const IS_QUARTER: u8 = 32;
