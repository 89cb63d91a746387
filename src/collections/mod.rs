//! Floor 0: structures that know no domain and no clock.
//!
//! A table is addressed by small integers instead of pointers, so a walk along it can stop and be resumed in a later turn.
//! Each table has keys of its own type. Time is a number of ticks that the owner of a clock counts.
//!
//! | file | owns |
//! |---|---|
//! | `dense` | one value for each key of another table |
//! | `histogram` | durations, counted by powers of two |
//! | `key` | the number behind every key |
//! | `list` | the order of a table's elements, as links within them |
//! | `order` | values in their order |
//! | `queue` | the front of a queue, if it is due |
//! | `sections` | values as bytes, in sections that name and delimit themselves |
//! | `shards` | a hash map that grows in small steps |
//! | `slab` | a table that hands out its places |
//! | `tick` | the length of a tick, and the rounding |
//! | `wheel` | when each key is due |
//!
//! Invariant: nothing in this folder names a member, a socket or an instant.

pub mod dense;
pub mod histogram;
pub mod key;
pub mod list;
pub mod order;
pub mod queue;
pub mod sections;
pub mod shards;
pub mod slab;
pub mod tick;
pub mod wheel;
