//! Floor 0: structures that know no domain and no clock.
//!
//! Everything here is addressed by small integers instead of pointers, so that a table can be walked in slices, resumed
//! later, and one day written out and read back. Time is a number of ticks that somebody else counts.
//!
//! Invariant: nothing in this folder names a member, a socket or an instant.

pub mod histogram;
pub mod list;
pub mod shards;
pub mod slab;
pub mod tick;
pub mod wheel;

/// The place of a value in a table. `NONE` is no place.
pub type Key = u32;

/// No place: the end of a list, a value that is not there.
pub const NONE: Key = Key::MAX;
