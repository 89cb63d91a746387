//! The bytes that say what follows in a datagram.
//!
//! Owns their numbers. It does not know what follows.
//!
//! Invariant: a number stands for one thing for ever.

/// Stands for news that this version does not know.
pub(super) const UNKNOWN: u8 = 0;
pub(super) const ALIVE: u8 = 1;
pub(super) const ASK: u8 = 2;
pub(super) const REPORT: u8 = 3;
pub(super) const DEPARTED_SHARES: u8 = 4;
pub(super) const MESSAGE: u8 = 5;
pub(super) const CLAIMED: u8 = 6;
pub(super) const GIVEN_UP: u8 = 7;
pub(super) const BYE: u8 = 8;
pub(super) const COUNTERS: u8 = 9;
pub(super) const ASK_HELD: u8 = 10;
pub(super) const HELD: u8 = 11;
pub(super) const FOLDED: u8 = 12;
pub(super) const FOLD_SHARES: u8 = 13;
pub(super) const RECEIVED: u8 = 14;
pub(super) const GOODBYE_RECEIVED: u8 = 15;
pub(super) const ASK_CENSUS: u8 = 16;
pub(super) const CENSUS: u8 = 17;
pub(super) const ITEM_COUNT: u8 = 1;
pub(super) const ITEM_CLAIM: u8 = 2;
pub(super) const ITEM_ENDED: u8 = 3;
pub(super) const ITEM_CENSUS: u8 = 4;
pub(super) const ITEM_RETIRED: u8 = 6;
