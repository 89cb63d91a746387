//! What the reader and the writer of a datagram agree on.
//!
//! Owns the limits of the format, and the reasons for which a datagram is dropped. It does not know how anything is written.
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
